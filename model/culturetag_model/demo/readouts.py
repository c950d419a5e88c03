"""Linear readouts of hidden states, which teach the backbone what the renderer knows; dropped after training."""

import torch
from torch import Tensor, nn
from torch.nn import functional

from culturetag_model.demo.batches import Batch
from culturetag_model.demo.tables import load_tables
from culturetag_model.demo.windows import INSTRUMENT_NAMES, TONE_CLASSES

FRAME_WEIGHTS = {"stroke": 1.0, "tonic": 0.25, "tone": 0.5, "degree": 0.5}
"""How much the readouts of single frames count in training."""
WINDOW_WEIGHTS = {"mode": 1.0, "metre": 1.0, "instruments": 0.5}
"""How much the readouts of whole windows count."""


class Readouts(nn.Module):
    """Linear readouts of single hidden states; the deeper the state, the more musical the target.

    Those of clips (mode, metre, instruments) read the state's mean over time, as the probes do. Unlike labels, they are
    known for clips of every head.
    """

    def __init__(self, hidden_size: int):
        super().__init__()
        self.tone = nn.Linear(hidden_size, TONE_CLASSES)
        self.tonic = nn.Linear(hidden_size, TONE_CLASSES)
        self.degree = nn.Linear(hidden_size, TONE_CLASSES)
        self.stroke = nn.Linear(hidden_size, 2)
        self.mode = nn.Linear(hidden_size, len(load_tables().modes))
        self.metre = nn.Linear(hidden_size, len(load_tables().metres))
        self.instruments = nn.Linear(hidden_size, len(INSTRUMENT_NAMES))

    def losses(self, states: list[Tensor], batch: Batch) -> dict[str, Tensor]:
        """The loss of each readout: the mean over the frames, or the windows, that have its target."""
        return self._frame_losses(states, batch) | self._window_losses([state.mean(dim=1) for state in states], batch)

    def _frame_losses(self, states: list[Tensor], batch: Batch) -> dict[str, Tensor]:
        sounding = batch.tones >= 0
        absolute = (batch.tones + batch.tonics[:, None]) % TONE_CLASSES
        tonics = batch.tonics[:, None].expand_as(batch.tones)
        return {
            "stroke": functional.binary_cross_entropy_with_logits(self.stroke(states[1]), batch.strokes),
            "tone": _tone_loss(self.tone(states[1]), absolute, sounding),
            "tonic": _tone_loss(self.tonic(states[2]), tonics, torch.ones_like(sounding)),
            "degree": _tone_loss(self.degree(states[3]), batch.tones, sounding),
        }

    def _window_losses(self, means: list[Tensor], batch: Batch) -> dict[str, Tensor]:
        instruments = functional.binary_cross_entropy_with_logits(
            self.instruments(means[2]), batch.instruments, reduction="sum"
        )
        return {
            "mode": _class_loss(self.mode(means[3]), batch.modes),
            "metre": _class_loss(self.metre(means[2]), batch.metres),
            "instruments": instruments / len(batch.instruments),
        }


def _class_loss(logits: Tensor, classes: Tensor) -> Tensor:
    """The mean cross-entropy of the rows whose class is known, not -1; zero if there is none."""
    known = classes >= 0
    return functional.cross_entropy(logits[known], classes[known]) if known.any() else logits.new_zeros(())


def _tone_loss(logits: Tensor, classes: Tensor, valid: Tensor) -> Tensor:
    """Cross-entropy with targets that are blurred over neighbouring commas, around the octave."""
    distance = torch.arange(TONE_CLASSES)
    distance = torch.minimum(distance, TONE_CLASSES - distance).float()
    blur = torch.softmax(-(distance**2) / 2.0, dim=0)
    shifts = (torch.arange(TONE_CLASSES)[None, :] - classes[valid][:, None]) % TONE_CLASSES
    if len(shifts) == 0:
        return logits.new_zeros(())
    return functional.cross_entropy(logits[valid], blur[shifts])
