"""The study of CultureMERT in miniature, on the demo's renderings.

A base backbone learns from one corpus, the clips of MagnaTagATune's recipes, as MERT learnt from mostly Western music.
It is trained on from there four times, each time on the clips of one culture, and task arithmetic joins the four
(`culturetag_model.merge`). All of that is without labels: the losses are the readouts of single frames, which stand
where MERT has its acoustic teacher. Then probes of five seeds measure every backbone on all six corpora, as
`culturetag-model train` and `evaluate` do.

It is very small: 3 layers of 128 over a fixed front end, 700 clips of 10 s for all six corpora together. What it shows,
it shows of renderings.
"""

import copy
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from culturetag_model import merge as arithmetic
from culturetag_model import tables
from culturetag_model.backbone import SAMPLE_RATE_HZ, Backbone
from culturetag_model.demo.dataset import read_split
from culturetag_model.demo.measure import window_means
from culturetag_model.demo.network import TaggingModel
from culturetag_model.demo.readouts import FRAME_WEIGHTS, Readouts
from culturetag_model.demo.train import Plan, averaged, fit
from culturetag_model.demo.windows import WINDOWS_PER_CLIP, Windows, to_windows
from culturetag_model.features import Features
from culturetag_model.metrics import measure
from culturetag_model.probes import Recipe, track_scores, train_probe
from culturetag_model.runs import Result
from culturetag_model.snapshot import CONFIG_FILE, PREPROCESSOR_FILE, load_snapshot
from culturetag_model.vocabularies import HEAD_NAMES
from culturetag_model.weights import SAFETENSORS

BASE = "mtat"
CULTURES = ("makam", "hindustani", "carnatic", "lyra")
SCALE = 0.2
"""Lambda: that of CultureMERT-TA-95M."""
_SEEDS = range(5)
_CLIPS = {"train": 400, "validation": 100, "test": 200}
"""How many clips, from the first, are taken of each of the demo's splits."""
_SPLITS = {"train": "train", "validation": "valid", "test": "test"}
"""The demo's splits under the names of data sets' splits."""


@dataclass(frozen=True)
class Study:
    """How much is trained: the base, each continuation, and the probes."""

    base: Plan
    continuation: Plan
    probes: Recipe


DEFAULT_STUDY = Study(
    base=Plan(steps=120, batch=16, peak_rate=2e-3),
    continuation=Plan(steps=40, batch=16, peak_rate=1e-3),
    probes=Recipe(learning_rate=1e-2, max_epochs=30, patience=5),
)


def run_miniature(cache: Path, output: Path, study: Study = DEFAULT_STUDY) -> str:
    """Runs the whole study on the splits that stand in `cache`.

    Writes to `output`: `snapshots/` with the six backbones, and `results.md`, `results.csv` and `results.png`, in the
    layout of `culturetag-model evaluate`.

    Returns:
        The tables of `results.md`.

    Raises:
        FileNotFoundError: A split hasn't been rendered.
    """
    torch.manual_seed(0)
    splits = {split: _windows(cache, split) for split in _SPLITS}
    snapshots = _train_backbones(splits["train"], output / "snapshots", study)
    rows = tables.measured_rows(
        [
            [_measured(name, load_snapshot(folder).backbone, splits, head, study.probes) for head in HEAD_NAMES]
            for name, folder in snapshots.items()
        ]
    )
    text = tables.text_tables(rows)
    (output / "results.md").write_text(text, encoding="utf-8")
    tables.write_csv(rows, output / "results.csv")
    tables.draw(rows, output / "results.png")
    return text


def _windows(cache: Path, split: str) -> Windows:
    windows = to_windows(read_split(cache / split), TaggingModel().backbone.receptive_field)
    return windows.select(slice(0, WINDOWS_PER_CLIP * _CLIPS[split]))


def _train_backbones(training: Windows, folder: Path, study: Study) -> dict[str, Path]:
    """Writes a snapshot of every backbone into `folder`; by name, where it stands."""
    fresh = TaggingModel()
    base = _trained_on(fresh, Readouts(fresh.backbone.hidden_size), training.of_head(BASE), study.base)
    snapshots = {f"base: {BASE}": _write_snapshot(base[0].backbone, folder / "base")}
    for culture in CULTURES:
        model, _ = _trained_on(*copy.deepcopy(base), training.of_head(culture), study.continuation)
        snapshots[f"base + {culture}"] = _write_snapshot(model.backbone, folder / culture)
    continued = [folder / culture for culture in CULTURES]
    arithmetic.merge(folder / "base", continued, SCALE, folder / "merged", force=True)
    return snapshots | {f"merged, lambda {SCALE:g}": folder / "merged"}


def _trained_on(model: TaggingModel, readouts: Readouts, windows: Windows, plan: Plan) -> tuple[TaggingModel, Readouts]:
    """Trains by the frames' readouts; returns the averaged model and the readouts."""
    average = averaged(model)
    fit(plan, model, readouts, average, windows, FRAME_WEIGHTS)
    return average.module.eval(), readouts


def _write_snapshot(backbone: Backbone, folder: Path) -> Path:
    """Writes what `load_snapshot` reads, over what stands there."""
    folder.mkdir(parents=True, exist_ok=True)
    backbone.config.to_json_file(folder / CONFIG_FILE)
    preprocessor = {"sampling_rate": SAMPLE_RATE_HZ, "do_normalize": True}
    (folder / PREPROCESSOR_FILE).write_text(json.dumps(preprocessor), encoding="utf-8")
    tensors = {name: tensor.contiguous() for name, tensor in backbone.hubert.state_dict().items()}
    save_file(tensors, folder / SAFETENSORS, metadata={"format": "pt"})
    return folder


def _measured(name: str, backbone: Backbone, splits: Mapping[str, Windows], head: str, recipe: Recipe) -> Result:
    features = _features(name, backbone, {split: windows.of_head(head) for split, windows in splits.items()}, head)
    seeds = []
    for seed in _SEEDS:
        probe = train_probe(features, recipe, seed)
        scores, targets = track_scores(probe.head, features, "test")
        trained = ~probe.head.untrained.numpy()
        seeds.append(measure(scores, targets, probe.threshold, trained).values())
    return Result(head, name, int((features.splits == "test").sum()), tuple(seeds))


def _features(name: str, backbone: Backbone, splits: Mapping[str, Windows], head: str) -> Features:
    """The states of one corpus, each clip a recording of `WINDOWS_PER_CLIP` windows."""
    names = np.concatenate([np.repeat(_SPLITS[split], len(windows)) for split, windows in splits.items()])
    targets = np.concatenate([windows.labels[head].numpy() for windows in splits.values()])
    states = [window_means(backbone, windows, from_audio=False).numpy() for windows in splits.values()]
    count = len(names) // WINDOWS_PER_CLIP
    return Features(
        head=head,
        backbone={"backbone": name},
        split_source="the demo's",
        ids=tuple(map(str, range(count))),
        splits=names[::WINDOWS_PER_CLIP],
        targets=targets[::WINDOWS_PER_CLIP],
        states=np.concatenate(states),
        owners=np.repeat(np.arange(count), WINDOWS_PER_CLIP),
    )
