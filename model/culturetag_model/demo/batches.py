"""Batches of training windows: cut to random lengths, and coloured as if by an equaliser."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from culturetag_model.demo.windows import Windows

_CROP_FRAMES = (93, 93, 93, 60, 38)
"""The lengths of a batch's windows, drawn evenly; clips shorter than a window are served as they are."""
_COLOUR = 0.25
"""The standard deviation of the random equaliser, in natural logarithms of the amplitude."""
_COLOUR_POINTS = 7
"""How many points of the frequency axis the equaliser moves independently."""


@dataclass(frozen=True)
class Batch:
    """Windows of one length; fields as in `Windows`. `inputs` is `[B, channels, frames]`."""

    inputs: Tensor
    tones: Tensor
    strokes: Tensor
    tonics: Tensor
    heads: Tensor
    modes: Tensor
    metres: Tensor
    instruments: Tensor
    labels: dict[str, Tensor]


def endless_order(count: int) -> Iterator[int]:
    """Every index once, in random order, again and again."""
    while True:
        yield from torch.randperm(count).tolist()


def draw_batch(windows: Windows, indices: list[int]) -> Batch:
    """The windows at `indices`, all cut to one random length at a random place, each coloured in its own way."""
    length = _CROP_FRAMES[int(torch.randint(len(_CROP_FRAMES), ()))]
    start = int(torch.randint(windows.tones.shape[1] - length + 1, ()))
    frames = slice(start, start + length)
    return Batch(
        inputs=_coloured(windows.features[indices, frames].float().transpose(1, 2)),
        tones=windows.tones[indices, frames],
        strokes=windows.strokes[indices, frames],
        tonics=windows.tonics[indices],
        heads=windows.heads[indices],
        modes=windows.modes[indices],
        metres=windows.metres[indices],
        instruments=windows.instruments[indices],
        labels={name: targets[indices] for name, targets in windows.labels.items()},
    )


def _coloured(features: Tensor) -> Tensor:
    """Front-end features `[B, channels, frames]` as if each window had passed a smooth random equaliser.

    The front end's filters stand in the order of their frequencies, and GELU keeps a gain on both sides nearly what it
    is, so an equaliser is a gain for each channel.
    """
    points = torch.randn(len(features), 1, _COLOUR_POINTS) * _COLOUR
    gains = functional.interpolate(points, size=features.shape[1], mode="linear", align_corners=True)
    return features * gains.exp().transpose(1, 2)
