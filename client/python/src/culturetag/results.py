"""What a server answers, as plain values. Durations are seconds; collections keep the server's order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas


@dataclass(frozen=True, slots=True)
class Tag:
    """One label and how well it fits."""

    label: str
    """As its data set spells it, for example `Hüseyni`."""
    category: str
    """The kind of label, for example `makam`, `usul`, `instrument`."""
    score: float
    """In [0, 1]. Each label is scored by itself, so that scores don't add up to 1."""


@dataclass(frozen=True, slots=True)
class Window:
    """The tags of one window."""

    start: float
    """Where the window starts in the audio."""
    duration: float
    heads: Mapping[str, tuple[Tag, ...]]
    """By head, the best tag first."""


@dataclass(frozen=True, slots=True)
class AudioInfo:
    """What the server made of the audio."""

    duration: float
    sample_rate: int
    """Of the source, in Hz."""
    channels: int
    format: str
    """Container and encoding, for example `FLAC/PCM_16`."""
    window_count: int


@dataclass(frozen=True, slots=True)
class Timing:
    """Where the time went, as the server saw it."""

    decode: float
    queue: float
    inference: float
    total: float


@dataclass(frozen=True, slots=True)
class TagResult:
    """The tags of one clip or track."""

    model: str
    model_version: str
    audio: AudioInfo
    heads: Mapping[str, tuple[Tag, ...]]
    """The tags of the whole clip by head, in the order asked for, the best tag first."""
    windows: tuple[Window, ...]
    """In order of time; empty unless `windows=True` was asked for."""
    timing: Timing

    def to_dataframe(self) -> pandas.DataFrame:
        """One row a tag of the whole clip: `head`, `label`, `category`, `score`.

        Raises:
            ModuleNotFoundError: pandas isn't installed; `pip install culturetag[pandas]` brings it.
        """
        return _dataframe(_rows(self.heads), ["head", "label", "category", "score"])

    def windows_to_dataframe(self) -> pandas.DataFrame:
        """One row a tag of a window: `start` and `duration` in seconds, then the columns of `to_dataframe`.

        Raises:
            ModuleNotFoundError: As `to_dataframe`.
        """
        rows = [(window.start, window.duration, *row) for window in self.windows for row in _rows(window.heads)]
        return _dataframe(rows, ["start", "duration", "head", "label", "category", "score"])


@dataclass(frozen=True, slots=True)
class Label:
    """One label that a head scores."""

    name: str
    category: str
    untrained_reason: str
    """Why the label was left out of training, so that its score is always next to 0; empty for a trained label."""


@dataclass(frozen=True, slots=True)
class Head:
    """One set of labels and the probe that scores them."""

    name: str
    title: str
    dataset: str
    labels: tuple[Label, ...]
    metrics: Mapping[str, float]
    """What was measured on held-out recordings: `roc_auc`, `map` and others, each in [0, 1]; may be empty."""


@dataclass(frozen=True, slots=True)
class Model:
    """One model that the server serves."""

    name: str
    version: str
    backbone: str
    license: str
    description: str
    sample_rate: int
    """The rate that audio is resampled to, in Hz."""
    window: float
    layer_count: int
    """L, the number of hidden states."""
    hidden_size: int
    """D, the width of a hidden state."""
    device: str
    precision: str
    heads: tuple[Head, ...]


def _rows(heads: Mapping[str, tuple[Tag, ...]]) -> list[tuple[str, str, str, float]]:
    return [(head, tag.label, tag.category, tag.score) for head, tags in heads.items() for tag in tags]


def _dataframe(
    rows: list[tuple[str, str, str, float]] | list[tuple[float, float, str, str, str, float]], columns: list[str]
) -> pandas.DataFrame:
    import pandas  # optional, and slow to import

    return pandas.DataFrame(rows, columns=columns)
