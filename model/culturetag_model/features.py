"""The hidden states of a data set, computed once and kept.

    FOLDER/HEAD-DIGEST/index.json             what it is made of: data set, backbone, recordings, splits, labels
    FOLDER/HEAD-DIGEST/states/ID.safetensors  `states`: [windows, L, D] float32, one file a recording

DIGEST is the backbone's, so two backbones never mix. A recording's file appears when it is complete, and recordings
that have one are never computed again: an interrupted run goes on where it stopped, and a second run has nothing to do.
"""

import hashlib
import json
import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from safetensors.numpy import load_file, save_file
from tqdm import tqdm

from culturetag_model.datasets.recordings import AudioError, Dataset, Recording
from culturetag_model.embedders import Embedder
from culturetag_model.errors import CultureTagModelError
from culturetag_model.reference import cut_windows
from culturetag_model.vocabularies import vocabulary

INDEX_FILE = "index.json"


class FeaturesError(CultureTagModelError):
    """A folder holds no complete features; the message says what to run."""


@dataclass(frozen=True)
class Extraction:
    """What a run did."""

    folder: Path
    """Where the features are."""
    new_windows: int
    """Windows that were computed, not found."""
    seconds: float
    """How long computing them took."""
    skipped: Mapping[str, str]
    """By recording, why it has no features."""


@dataclass(frozen=True)
class Features:
    """The states of a data set's recordings, with what to learn from them. R recordings, W windows."""

    head: str
    backbone: Mapping[str, Any]
    """The identity of what made them: see `culturetag_model.embedders.Embedder`."""
    split_source: str
    ids: tuple[str, ...]
    splits: np.ndarray
    """`[R]` of `train`, `valid` or `test`."""
    targets: np.ndarray
    """`[R, K] float32` of 0 and 1, in the order of the head's vocabulary."""
    states: np.ndarray
    """`[W, L, D] float32`."""
    owners: np.ndarray
    """`[W] int64`: the recording of each window, an index of `ids`, in ascending order."""


def extract(dataset: Dataset, embedder: Embedder, output: Path) -> Extraction:
    """Computes what is missing of a data set's features, with a progress bar and a rate.

    Recordings whose audio is broken or too short are skipped and listed; a later run tries them again.
    """
    folder = output / f"{dataset.head}-{_digest(embedder.identity)}"
    (folder / "states").mkdir(parents=True, exist_ok=True)
    missing = [recording for recording in dataset.recordings if not _states_file(folder, recording.id).exists()]
    skipped, windows, start = {}, 0, time.perf_counter()
    with tqdm(total=len(dataset.recordings), initial=len(dataset.recordings) - len(missing), unit="recording") as bar:
        bar.set_description(dataset.head)
        for recording in missing:
            try:
                windows += _extract_one(recording, embedder, folder)
            except AudioError as error:
                skipped[recording.id] = str(error)
            bar.update()
            bar.set_postfix_str(f"{windows / (time.perf_counter() - start):.1f} windows/s")
    _write_index(dataset, embedder, skipped, folder)
    return Extraction(folder, windows, time.perf_counter() - start, skipped)


def read_features(folder: Path) -> Features:
    """Reads a folder `HEAD-DIGEST` into memory: L * D * 4 bytes a window, 40 kB for the 95M models.

    Raises:
        FeaturesError: There is no index, or files that it lists are gone.
    """
    try:
        index = json.loads((folder / INDEX_FILE).read_text(encoding="utf-8"))
        parts = [load_file(_states_file(folder, row["id"]))["states"] for row in index["recordings"]]
    except OSError as error:
        raise FeaturesError(f"{folder} holds no complete features; `culturetag-model features` ends them") from error
    names = [label.name for label in vocabulary(index["head"]).labels]
    rows = index["recordings"]
    return Features(
        head=index["head"],
        backbone=index["backbone"],
        split_source=index["split_source"],
        ids=tuple(row["id"] for row in rows),
        splits=np.array([row["split"] for row in rows]),
        targets=np.array([[name in row["labels"] for name in names] for row in rows], np.float32),
        states=np.concatenate(parts),
        owners=np.repeat(np.arange(len(parts)), [len(part) for part in parts]),
    )


def _extract_one(recording: Recording, embedder: Embedder, folder: Path) -> int:
    audio = recording.load(embedder.manifest.sample_rate_hz)
    try:
        windows = [window for _, window in cut_windows(audio, embedder.manifest)]
    except ValueError as error:
        raise AudioError(str(error)) from error
    path = _states_file(folder, recording.id)
    draft = path.with_suffix(".draft")
    save_file({"states": embedder.embed(windows)}, draft)
    os.replace(draft, path)
    return len(windows)


def _write_index(dataset: Dataset, embedder: Embedder, skipped: Mapping[str, str], folder: Path) -> None:
    index = {
        "head": dataset.head,
        "backbone": dict(embedder.identity),
        "split_source": dataset.split_source,
        "recordings": [
            {"id": recording.id, "split": recording.split, "labels": sorted(recording.labels)}
            for recording in dataset.recordings
            if recording.id not in skipped
        ],
        "skipped": dict(skipped),
        "missing": list(dataset.missing),
    }
    text = json.dumps(index, indent=1, ensure_ascii=False)
    path = folder / INDEX_FILE
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        path.write_text(text, encoding="utf-8")


def _states_file(folder: Path, id: str) -> Path:
    return folder / "states" / f"{quote(id, safe='')}.safetensors"


def _digest(identity: Mapping[str, str | bool]) -> str:
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:12]
