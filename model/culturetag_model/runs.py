"""What `train` leaves on disk and `evaluate` and `bundle create` read: a folder of probes for one backbone.

FOLDER/HEAD/training.json        features, recipe, untrained labels; by seed: epochs, threshold, validation figures
FOLDER/HEAD/seed-N.safetensors   a probe's weights
FOLDER/HEAD/evaluation.json      the figures of every seed on the test split, once `evaluate` ran
"""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.torch import load_file, save_file

from culturetag.v1.bundle_pb2 import BundleHead, BundleMetric
from culturetag_model.errors import CultureTagModelError
from culturetag_model.features import Features, read_features
from culturetag_model.heads import ProbeHead
from culturetag_model.metrics import METRIC_NAMES, measure
from culturetag_model.probes import Probe, Recipe, track_scores, train_probe, untrained_labels
from culturetag_model.vocabularies import HEAD_NAMES, vocabulary

TRAINING_FILE, EVALUATION_FILE = "training.json", "evaluation.json"


class RunError(CultureTagModelError):
    """A folder holds no trained probes."""


@dataclass(frozen=True)
class Result:
    """The figures of one head's probes on the test split."""

    head: str
    backbone: str
    recordings: int
    seeds: tuple[dict[str, float], ...]
    """The four metrics of each seed's probe, in the order of training.json."""

    def mean(self, metric: str) -> float:
        return float(np.mean([seed[metric] for seed in self.seeds]))

    def deviation(self, metric: str) -> float:
        """The standard deviation over the seeds (n - 1); 0 for a single seed."""
        values = [seed[metric] for seed in self.seeds]
        return float(np.std(values, ddof=1)) if len(values) > 1 else 0.0


def train_run(features_folder: Path, recipe: Recipe, seeds: Sequence[int], output: Path) -> Path:
    """Trains a probe for each seed and writes them to `output/HEAD`, which it returns.

    Raises:
        RunError: The run already holds probes of another backbone.
        culturetag_model.features.FeaturesError, culturetag_model.probes.TrainingError: See there.
    """
    features = read_features(features_folder)
    for other in _heads_of(output):
        backbone = _read(other / TRAINING_FILE)["backbone"]
        if other.name != features.head and backbone != features.backbone:
            raise RunError(
                f"{other} was trained on {backbone}, not on {dict(features.backbone)}; a run has one backbone"
            )
    probes = [train_probe(features, recipe, seed) for seed in seeds]
    folder = output / features.head
    folder.mkdir(parents=True, exist_ok=True)
    # Figures of earlier probes must not stand beside these.
    (folder / EVALUATION_FILE).unlink(missing_ok=True)
    for probe in probes:
        save_file(probe.head.state_dict(), folder / f"seed-{probe.seed}.safetensors")
    labels = vocabulary(features.head).labels
    training = {
        "head": features.head,
        "features": str(features_folder.resolve()),
        "backbone": dict(features.backbone),
        "split": features.split_source,
        "layers": features.states.shape[1],
        "width": features.states.shape[2],
        "recipe": asdict(recipe),
        "untrained": {labels[index].name: reason for index, reason in untrained_labels(features).items()},
        "seeds": [_described(probe) for probe in probes],
    }
    (folder / TRAINING_FILE).write_text(json.dumps(training, indent=1, ensure_ascii=False), encoding="utf-8")
    return folder


def trained_heads(folder: Path) -> list[Path]:
    """The folders HEAD of a run, in the order of the heads. Raises `RunError` if there are none."""
    found = _heads_of(folder)
    if not found:
        raise RunError(f"{folder} holds no trained probes; `culturetag-model train` writes them")
    return found


def evaluate_run(folder: Path) -> Result:
    """Measures every probe of a folder HEAD on the test split and writes evaluation.json beside them."""
    training = _read(folder / TRAINING_FILE)
    features = read_features(Path(training["features"]))
    seeds = [_measured(folder, training, row, features) for row in training["seeds"]]
    recordings = int((features.splits == "test").sum())
    evaluation = {"recordings": recordings, "split": training["split"], "seeds": seeds}
    (folder / EVALUATION_FILE).write_text(json.dumps(evaluation, indent=1), encoding="utf-8")
    return Result(features.head, training["backbone"]["backbone"], recordings, tuple(seeds))


def chosen_head(folder: Path) -> tuple[BundleHead, ProbeHead, dict[str, Any]]:
    """The probe of a folder HEAD with the best validation mAP, as a bundle takes it.

    Returns:
        Its description, with the test figures if it was evaluated; the probe; the backbone's identity.
    """
    training = _read(folder / TRAINING_FILE)
    index, row = max(enumerate(training["seeds"]), key=lambda pair: pair[1]["validation"]["map"])
    description = vocabulary(training["head"])
    for label in description.labels:
        label.untrained_reason = training["untrained"].get(label.name, "")
    if (folder / EVALUATION_FILE).is_file():
        evaluation = _read(folder / EVALUATION_FILE)
        description.metrics.extend(_bundle_metrics(evaluation, index, row))
    return description, _load_head(folder, training, row), training["backbone"]


def _heads_of(folder: Path) -> list[Path]:
    return [folder / name for name in HEAD_NAMES if (folder / name / TRAINING_FILE).is_file()]


def _described(probe: Probe) -> dict[str, Any]:
    weights = probe.head.layer_logits.detach().softmax(dim=0)
    return {
        "seed": probe.seed,
        "epochs": probe.epochs,
        "threshold": probe.threshold,
        "validation": asdict(probe.validation),
        "layer_weights": [round(weight, 4) for weight in weights.tolist()],
    }


def _measured(folder: Path, training: dict[str, Any], row: dict[str, Any], features: Features) -> dict[str, float]:
    head = _load_head(folder, training, row)
    scores, targets = track_scores(head, features, "test")
    metrics = measure(scores, targets, row["threshold"], ~head.untrained.numpy())
    return metrics.values() | {"labels": metrics.labels}


def _load_head(folder: Path, training: dict[str, Any], row: dict[str, Any]) -> ProbeHead:
    count = len(vocabulary(training["head"]).labels)
    head = ProbeHead(training["layers"], training["width"], count, inner=training["recipe"]["inner"])
    head.load_state_dict(load_file(folder / f"seed-{row['seed']}.safetensors"))
    return head.eval()


def _bundle_metrics(evaluation: dict[str, Any], index: int, row: dict[str, Any]) -> list[BundleMetric]:
    seeds = evaluation["seeds"]
    result = Result("", "", evaluation["recordings"], tuple(seeds))
    metrics = []
    for name in METRIC_NAMES:
        protocol = (
            f"test split of {evaluation['recordings']} recordings ({evaluation['split']}); a recording's score is the "
            f"mean over its windows; {seeds[index]['labels']} labels with examples and counterexamples; frozen "
            f"backbone, probe of seed {row['seed']}, chosen by validation mAP among {len(seeds)} seeds, whose mean is "
            f"{result.mean(name):.3f} and standard deviation {result.deviation(name):.3f}"
        )
        if name.endswith("f1"):
            protocol += f"; threshold {row['threshold']:g}, chosen on the validation split"
        metrics.append(BundleMetric(name=name, value=round(seeds[index][name], 4), protocol=protocol))
    return metrics


def _read(path: Path) -> dict[str, Any]:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise RunError(f"{path}: {error}") from error
