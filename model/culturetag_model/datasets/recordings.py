"""What every adapter makes of a data set on disk: recordings with audio, labels and a split."""

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile
import soxr

from culturetag_model.errors import CultureTagModelError
from culturetag_model.vocabularies import vocabulary

SPLITS = ("train", "valid", "test")

AUDIO_SUFFIXES = (".mp3", ".flac", ".wav", ".ogg", ".opus", ".aiff", ".au")


class DatasetError(CultureTagModelError):
    """A folder isn't the data set that it is taken for; the message names the file or the column."""


class AudioError(CultureTagModelError):
    """A recording's audio can't be used; the message says why."""


@dataclass(frozen=True)
class Recording:
    """One clip or track. Its scores are the mean over its windows, and it belongs to one split."""

    id: str
    """The data set's own name for it, unique in the data set."""
    audio: Path
    labels: frozenset[str]
    """Names from the head's vocabulary."""
    split: str
    """One of `SPLITS`."""
    start_s: float = 0.0
    """Where it starts in the file, in seconds."""
    end_s: float | None = None
    """Where it ends in the file; absent: with the file."""

    def load(self, sample_rate_hz: int) -> np.ndarray:
        """The recording's `[N] float32` samples: decoded, channels averaged, resampled with soxr HQ.

        Raises:
            AudioError: The file is missing, damaged, empty, or holds values that aren't finite.
        """
        try:
            with soundfile.SoundFile(self.audio) as file:
                file.seek(min(round(self.start_s * file.samplerate), file.frames))
                length = -1 if self.end_s is None else round((self.end_s - self.start_s) * file.samplerate)
                channels = file.read(length, dtype="float32", always_2d=True)
                rate = file.samplerate
        except (OSError, soundfile.SoundFileError) as error:
            raise AudioError(f"{self.audio.name}: {error}") from error
        if not len(channels):
            raise AudioError(f"{self.audio.name} holds no audio")
        mono = channels.mean(axis=1, dtype=np.float32)
        if not np.isfinite(mono).all():
            raise AudioError(f"{self.audio.name} holds values that are not finite")
        return mono if rate == sample_rate_hz else soxr.resample(mono, rate, sample_rate_hz, quality="HQ")


@dataclass(frozen=True)
class Dataset:
    """A data set as it was found on disk."""

    head: str
    """The head whose vocabulary the labels come from, one of `culturetag_model.vocabularies.HEAD_NAMES`."""
    root: Path
    recordings: tuple[Recording, ...]
    """In the order of their ids."""
    split_source: str
    """Where the split comes from, in words."""
    missing: tuple[str, ...] = field(default=())
    """What the metadata or a split speak of and the folder lacks, one sentence each."""

    def split(self, name: str) -> list[Recording]:
        return [recording for recording in self.recordings if recording.split == name]

    def label_counts(self) -> dict[str, int]:
        """How many recordings have each label of the vocabulary, in the vocabulary's order."""
        counts = Counter(label for recording in self.recordings for label in recording.labels)
        return {label.name: counts[label.name] for label in vocabulary(self.head).labels}


def new_dataset(
    head: str, root: Path, recordings: Iterable[Recording], split_source: str, missing: Sequence[str]
) -> Dataset:
    """A data set whose recordings are sorted and belong to one split each.

    Raises:
        DatasetError: An id stands there twice, or there are no recordings.
    """
    ordered = sorted(recordings, key=lambda recording: recording.id)
    if not ordered:
        raise DatasetError(f"{root} holds no recording with both audio and metadata; missing: {list(missing)[:3]}")
    for before, after in zip(ordered, ordered[1:], strict=False):
        if before.id == after.id:
            raise DatasetError(f"recording {after.id} stands there twice")
    return Dataset(head, root, tuple(ordered), split_source, tuple(missing))


def audio_files(folder: Path) -> dict[str, Path]:
    """Every audio file under `folder` by its name without suffix, which the data sets here use as an id."""
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in AUDIO_SUFFIXES)
    return {path.stem: path for path in paths}
