"""The windows of a rendered split as training and evaluation see them: inputs, label targets and frame targets."""

from dataclasses import dataclass, fields

import numpy as np
import torch
from torch import Tensor

from culturetag_model.demo.dataset import TARGET_SAMPLES, Clip, ClipSet
from culturetag_model.demo.filterbank import HOP_SAMPLES
from culturetag_model.demo.tables import load_tables
from culturetag_model.vocabularies import HEAD_NAMES, vocabulary

TONE_CLASSES = 53
"""Classes of a tone: commas within the octave."""

INSTRUMENT_NAMES = tuple(
    name for kind in (load_tables().instruments, load_tables().kits, load_tables().drumsets) for name in kind
)
"""Whatever can sound in a clip."""

WINDOWS_PER_CLIP = 2
_TARGETS_PER_FRAME = HOP_SAMPLES // TARGET_SAMPLES
_A4_KEY = 69


@dataclass(frozen=True)
class Windows:
    """N windows, two to a clip, in the clips' order."""

    audio: Tensor
    """`[N, 120000] int16`."""
    features: Tensor
    """`[N, frames, channels] float16`."""
    tones: Tensor
    """`[N, frames] int64`: the melody's comma class above the tonic, or -1."""
    strokes: Tensor
    """`[N, frames, 2] float32`: whether a light, and whether a low stroke falls within 27 ms of the frame."""
    tonics: Tensor
    """`[N] int64`: the comma class of the tonic, counted from A."""
    heads: Tensor
    """`[N] int64`: the index of the window's head in `HEAD_NAMES`."""
    modes: Tensor
    """`[N] int64`: the index of the clip's one mode in the tables, or -1 where nobody plays it or it changes."""
    metres: Tensor
    """`[N] int64`: the index of the metre in the tables, or -1 where no percussion plays it."""
    instruments: Tensor
    """`[N, instruments] float32`: which of `INSTRUMENT_NAMES` sound."""
    labels: dict[str, Tensor]
    """By head: `[N, K] float32`, which labels hold; only the rows of the head's own windows mean something."""

    def __len__(self) -> int:
        return len(self.heads)

    def of_head(self, head: str) -> "Windows":
        """The windows of one head's clips."""
        return self.select(self.heads == HEAD_NAMES.index(head))

    def select(self, rows: Tensor | slice) -> "Windows":
        """The windows that a mask or a slice names."""
        tensors = {each.name: getattr(self, each.name) for each in fields(self) if each.name != "labels"}
        return Windows(
            **{name: values[rows] for name, values in tensors.items()},
            labels={name: targets[rows] for name, targets in self.labels.items()},
        )


def to_windows(clips: ClipSet, receptive_field: int) -> Windows:
    """The windows of all clips; a frame's targets are those at the centre of what the frame sees."""
    count, frame_count = len(clips.clips), clips.features.shape[2]
    delay = receptive_field // 2 // TARGET_SAMPLES
    targets = clips.frames.reshape(count * WINDOWS_PER_CLIP, -1, 2)
    strokes = _stroke_targets(targets[:, :, 1])
    seen = slice(delay, delay + _TARGETS_PER_FRAME * frame_count, _TARGETS_PER_FRAME)
    tonics = [round((clip.tonic - _A4_KEY) / 12 * TONE_CLASSES) % TONE_CLASSES for clip in clips.clips]
    return Windows(
        audio=torch.from_numpy(clips.audio.reshape(count * WINDOWS_PER_CLIP, -1)),
        features=torch.from_numpy(clips.features.reshape(-1, frame_count, clips.features.shape[3])),
        tones=torch.from_numpy(targets[:, seen, 0].astype(np.int64)),
        strokes=torch.from_numpy(strokes[:, seen]),
        tonics=_per_window(tonics),
        heads=_per_window([HEAD_NAMES.index(clip.head) for clip in clips.clips]),
        modes=_per_window([_mode_class(clip) for clip in clips.clips]),
        metres=_per_window([_metre_class(clip) for clip in clips.clips]),
        instruments=_instrument_targets(clips),
        labels={name: _label_targets(clips, name) for name in HEAD_NAMES},
    )


def _per_window(values: list[int]) -> Tensor:
    return torch.tensor(values).repeat_interleave(WINDOWS_PER_CLIP)


def _mode_class(clip: Clip) -> int:
    return list(load_tables().modes).index(clip.modes[0]) if len(clip.modes) == 1 and clip.melodic else -1


def _metre_class(clip: Clip) -> int:
    return list(load_tables().metres).index(clip.metre) if clip.percussive else -1


def _instrument_targets(clips: ClipSet) -> Tensor:
    rows = [[float(name in clip.instruments) for name in INSTRUMENT_NAMES] for clip in clips.clips]
    return torch.tensor(rows).repeat_interleave(WINDOWS_PER_CLIP, dim=0)


def _stroke_targets(strokes: np.ndarray) -> np.ndarray:
    hits = np.stack([strokes == 1, strokes == 2], axis=2)
    near = hits.copy()
    for shift in (1, 2):
        near[:, shift:] |= hits[:, :-shift]
        near[:, :-shift] |= hits[:, shift:]
    return near.astype(np.float32)


def _label_targets(clips: ClipSet, head: str) -> Tensor:
    names = [label.name for label in vocabulary(head).labels]
    rows = [[float(clip.head == head and name in clip.labels) for name in names] for clip in clips.clips]
    return torch.tensor(rows).repeat_interleave(WINDOWS_PER_CLIP, dim=0)
