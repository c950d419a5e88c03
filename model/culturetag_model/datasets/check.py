"""What a data set holds and what it lacks, in words."""

from collections.abc import Iterator
from dataclasses import dataclass

import soundfile
from tqdm import tqdm

from culturetag_model.datasets.recordings import SPLITS, Dataset, Recording


@dataclass(frozen=True)
class Check:
    """The result of opening every audio file of a data set."""

    dataset: Dataset
    seconds: float
    """The length of all readable recordings together."""
    broken: tuple[str, ...]
    """One sentence for each recording whose audio can't be read."""

    @property
    def complete(self) -> bool:
        return not self.broken and not self.dataset.missing


def check_dataset(dataset: Dataset) -> Check:
    """Opens every audio file and reads its header and its first block, with a progress bar."""
    seconds, broken = 0.0, []
    for recording in tqdm(dataset.recordings, desc=dataset.head, unit="file"):
        try:
            seconds += _seconds(recording)
        except (OSError, ValueError, soundfile.SoundFileError) as error:
            broken.append(f"{recording.id}: {error}")
    return Check(dataset, seconds, tuple(broken))


def report(check: Check) -> Iterator[str]:
    """The lines of `culturetag-model datasets check`."""
    dataset = check.dataset
    count = len(dataset.recordings) - len(check.broken)
    yield f"{dataset.head}: {count} recordings, {check.seconds / 3600:.2f} h"
    sizes = ", ".join(f"{name} {len(dataset.split(name))}" for name in SPLITS)
    yield f"split: {sizes} ({dataset.split_source})"
    counts = dataset.label_counts()
    yield f"labels: {sum(map(bool, counts.values()))} of {len(counts)} occur"
    for name, number in counts.items():
        yield f"  {number:6d}  {name}"
    yield f"missing: {len(dataset.missing)}"
    yield from (f"  {line}" for line in dataset.missing)
    yield f"broken: {len(check.broken)}"
    yield from (f"  {line}" for line in check.broken)


def _seconds(recording: Recording) -> float:
    """The recording's length. Raises what `soundfile` raises, or `ValueError` if the file holds no audio there."""
    with soundfile.SoundFile(recording.audio) as file:
        end = file.frames / file.samplerate
        if recording.end_s is not None:
            end = min(end, recording.end_s)
        file.seek(min(int(recording.start_s * file.samplerate), file.frames))
        if end <= recording.start_s or not len(file.read(1024)):
            raise ValueError(f"{recording.audio.name} holds no audio from {recording.start_s:g} s on")
    return end - recording.start_s
