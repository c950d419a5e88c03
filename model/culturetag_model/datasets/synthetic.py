"""Synthetic corpora: the demo's renderer at the length and in the layout of the real data sets.

They exercise the whole chain where the real recordings can't be had. Recordings of the test split are composed and
rendered from what the demo keeps from training: other tempi and tonics (`culturetag_model.demo.splits`). What a model
scores on them says nothing about real recordings.
"""

import json
import os
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from tqdm import tqdm

from culturetag_model.datasets.layouts import LAYOUTS, Entry
from culturetag_model.datasets.recordings import DatasetError
from culturetag_model.demo.compose import compose
from culturetag_model.demo.splits import Split
from culturetag_model.demo.synth import SAMPLE_RATE_HZ, Reverb, check_soundfonts, render
from culturetag_model.demo.tables import load_tables

# Streams of random numbers that the demo doesn't use.
_TRAIN = Split("corpus-train", 11, held_out=False)
_TEST = Split("corpus-test", 12, held_out=True)
_PEAK = 0.7


@dataclass(frozen=True)
class _Job:
    head: str
    index: int
    held_out: bool
    seconds: tuple[float, float]
    audio: Path


def render_corpus(
    head: str, root: Path, count: int, seconds: tuple[float, float], *, workers: int = os.cpu_count() or 1
) -> None:
    """Renders `count` recordings into `root`, in the layout of the head's data set, with a progress bar.

    The result depends on its arguments alone. Recordings that stand there already aren't rendered again; a file
    render.json keeps the arguments, so that two corpora never mix.

    Args:
        head: One of `culturetag_model.vocabularies.HEAD_NAMES`.
        root: The corpus's folder.
        count: How many recordings.
        seconds: The shortest and the longest recording.
        workers: How many processes render.

    Raises:
        culturetag_model.demo.synth.SoundfontNotFoundError: Nothing is written.
        DatasetError: Another corpus stands there; nothing is written.
    """
    check_soundfonts()
    _claim(root, {"head": head, "count": count, "seconds": list(seconds)})
    layout = LAYOUTS[head](head, root, count)
    jobs = [_Job(head, index, layout.split(index) == "test", seconds, layout.audio(index)) for index in range(count)]
    with get_context("spawn").Pool(workers) as pool:
        labels = tqdm(pool.imap(_render, jobs, chunksize=4), total=count, desc=head, unit="recording")
        entries = [Entry(index, frozenset(found)) for index, found in enumerate(labels)]
    layout.describe(entries)


def _claim(root: Path, arguments: dict[str, Any]) -> None:
    path = root / "render.json"
    if not path.exists():
        root.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(arguments), encoding="utf-8")
    elif (found := json.loads(path.read_text(encoding="utf-8"))) != arguments:
        raise DatasetError(f"{root} holds a corpus of {found}, not of {arguments}")


def _render(job: _Job) -> set[str]:
    split = _TEST if job.held_out else _TRAIN
    rng = np.random.default_rng([split.stream, job.index, 1])
    score = compose(load_tables(), split, job.index, duration=rng.uniform(*job.seconds), head=job.head)
    if not job.audio.exists():
        job.audio.parent.mkdir(parents=True, exist_ok=True)
        reverb = Reverb(room=rng.uniform(0.1, 0.8), level=rng.uniform(0.0, 0.6))
        # Written under another name first: a file in its place is complete.
        draft = job.audio.with_suffix(".draft")
        soundfile.write(draft, _PEAK * render(score, reverb), SAMPLE_RATE_HZ, format="MP3")
        draft.rename(job.audio)
    return score.labels
