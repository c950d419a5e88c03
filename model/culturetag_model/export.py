"""Writes PyTorch modules as TorchScript files whose batch size and length stay free, and proves that they are.

A trace records the operations of one run. Python code that reads a shape as a number can bake that shape in without a
warning, so what was written is read back and compared with the eager module at shapes that the trace never saw.
"""

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from culturetag_model.backbone import SAMPLE_RATE_HZ, Backbone
from culturetag_model.errors import CultureTagModelError
from culturetag_model.heads import ProbeHead
from culturetag_model.lowered import LoweredBackbone

TOLERANCE = 1e-4
"""The largest difference of any output between the exported file and the eager module."""

_NOISE_LEVEL = 0.1
"""The standard deviation of the test signal: noise at -20 dBFS."""


class ExportError(CultureTagModelError):
    """The exported file doesn't compute what the module computes."""


def export_backbone(backbone: Backbone, path: Path) -> float:
    """Writes `[B, T] -> [B, L, D]` TorchScript and returns its largest difference from `backbone` in evaluation mode.

    What is written is the `LoweredBackbone`; what it is compared with is `backbone`, the layers of transformers. The file
    normalises nothing: `BundleManifest.normalize` tells the caller whether to. It is traced at 2 x 1 s and checked at
    three other shapes: one half second, an odd length in an odd batch, and a full 5 s window.

    Raises:
        ExportError: An output differs by more than `TOLERANCE`.
    """
    shapes = [(1, SAMPLE_RATE_HZ // 2), (3, SAMPLE_RATE_HZ + 4_321), (1, 5 * SAMPLE_RATE_HZ)]
    with _evaluating(backbone):
        return _export(LoweredBackbone(backbone), backbone, (2, SAMPLE_RATE_HZ), shapes, path)


def export_head(head: ProbeHead, path: Path) -> float:
    """Writes `[B, L, D] -> [B, K]` TorchScript and returns its largest difference from `head` in evaluation mode.

    Raises:
        ExportError: An output differs by more than `TOLERANCE`.
    """
    state_shape = (head.layer_count, head.hidden_size)
    shapes = [(batch, *state_shape) for batch in (1, 3, 33)]
    with _evaluating(head):
        return _export(head, head, (2, *state_shape), shapes, path)


def _export(
    module: nn.Module, reference: nn.Module, traced: Sequence[int], checked: Sequence[Sequence[int]], path: Path
) -> float:
    generator = torch.Generator().manual_seed(0)

    def noise(shape: Sequence[int]) -> Tensor:
        return _NOISE_LEVEL * torch.randn(*shape, generator=generator)

    with torch.no_grad():
        with _quiet_tracer():
            script = torch.jit.freeze(torch.jit.trace(module, noise(traced), check_trace=False))
        torch.jit.save(script, path)
        exported = torch.jit.load(path)
        return max(_difference(exported, reference, noise(shape), path) for shape in checked)


def _difference(exported: torch.jit.ScriptModule, reference: nn.Module, inputs: Tensor, path: Path) -> float:
    shape = list(inputs.shape)
    try:
        actual = exported(inputs)
    except RuntimeError as error:
        raise ExportError(f"{path.name} cannot run at {shape}: a shape was recorded as a constant") from error
    expected = reference(inputs)
    if actual.shape != expected.shape:
        raise ExportError(f"{path.name} at {shape} gives {list(actual.shape)} instead of {list(expected.shape)}")
    difference = (actual - expected).abs().max().item()
    if not difference <= TOLERANCE:  # Also true for NaN.
        raise ExportError(f"{path.name} at {shape} differs by {difference:.2g} from eager; allowed is {TOLERANCE:g}")
    return difference


@contextmanager
def _evaluating(module: nn.Module) -> Iterator[None]:
    """Puts `module` into evaluation mode, and afterwards back into the mode that it was in."""
    was_training = module.training
    module.eval()
    try:
        yield
    finally:
        module.train(was_training)


@contextmanager
def _quiet_tracer() -> Iterator[None]:
    """Hides the warnings of a trace.

    They concern shapes that Python code reads as numbers. `_difference` catches what they warn about.
    """
    transformers_log = logging.getLogger("transformers")
    level = transformers_log.level
    transformers_log.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        transformers_log.setLevel(level)
