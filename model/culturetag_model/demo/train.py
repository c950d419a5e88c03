"""Trains the demo's backbone and probes together on rendered clips.

The labels' loss goes through the real probes on the time-means of the hidden states, exactly as the model is served.
Since a few thousand clip labels teach a network little, the renderer's own knowledge helps, as the constant-Q teacher
does in MERT's training: see `culturetag_model.demo.readouts`.

The front end keeps its initial weights, a filter bank, so its features are computed once, when a clip is rendered, and
only the transformer is trained. In the end the probes are fitted once more to the finished backbone, on clips that it
has learnt from and on others: it knows the former nearly by heart, and probes of those alone trust it too much.
"""

import json
import math
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TextIO

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from culturetag_model.demo.batches import Batch, draw_batch, endless_order
from culturetag_model.demo.dataset import read_split
from culturetag_model.demo.measure import scores_by_category
from culturetag_model.demo.network import TaggingModel, reads_features, save_model
from culturetag_model.demo.probes import refit_probes
from culturetag_model.demo.readouts import FRAME_WEIGHTS, WINDOW_WEIGHTS, Readouts
from culturetag_model.demo.tables import load_tables
from culturetag_model.demo.windows import WINDOWS_PER_CLIP, Windows, to_windows
from culturetag_model.vocabularies import HEAD_NAMES

SEED = 0
LOG_FILE = "training.jsonl"
_WEIGHTS = {"labels": 0.5} | FRAME_WEIGHTS | WINDOW_WEIGHTS
"""How much each loss counts."""
_WEIGHT_DECAY = 0.02
_BACKBONE_SHARE = 2 / 3
"""The share of the training clips, from the first, that the backbone learns from; the probes take all of them."""


@dataclass(frozen=True)
class Plan:
    """`steps` batches of `batch` windows, with a learning rate that rises for a tenth of them and falls to zero."""

    steps: int
    batch: int
    peak_rate: float


class Observer:
    """Collects the losses of a training and now and then measures the averaged model, and writes both to the log."""

    def __init__(self, model: TaggingModel, validation: Windows, log: TextIO, plan: Plan, *, every: int):
        self._model, self._validation, self._log = model, validation, log
        self._plan, self._every = plan, every
        self._started = time.monotonic()
        self._losses: list[dict[str, float]] = []

    def step_done(self, step: int, losses: Mapping[str, Tensor]) -> None:
        self._losses.append({name: float(loss.detach()) for name, loss in losses.items()})
        if step % self._every and step != self._plan.steps:
            return
        means = {name: sum(row[name] for row in self._losses) / len(self._losses) for name in losses}
        self._losses.clear()
        row = {"step": step, "seconds": round(time.monotonic() - self._started)}
        row |= {"loss": {name: round(mean, 3) for name, mean in means.items()}}
        self.log_quality(row)

    def log_quality(self, row: Mapping[str, object]) -> None:
        """Writes a line: `row` and the model's present figures."""
        self._model.eval()
        areas = scores_by_category(self._model, self._validation, load_tables().untrained)
        self._log.write(json.dumps(row | {"roc_auc": areas}, ensure_ascii=False) + "\n")
        self._log.flush()


def train(cache: Path, plan: Plan, *, seed: int = SEED, evaluate_every: int = 200) -> None:
    """Trains on the split `train`, watches `validation`, and writes `model.pt` and `training.jsonl` to `cache`.

    The log's first line says what is trained on and how; the others hold losses and figures.
    """
    torch.manual_seed(seed)
    model = TaggingModel()
    receptive_field = model.backbone.receptive_field
    training = to_windows(read_split(cache / "train"), receptive_field)
    clips = len(training) // WINDOWS_PER_CLIP
    backbone_clips = round(_BACKBONE_SHARE * clips)
    validation = to_windows(read_split(cache / "validation"), receptive_field)
    readouts = Readouts(model.backbone.hidden_size)
    average = averaged(model)
    with (cache / LOG_FILE).open("w", encoding="utf-8") as log:
        log.write(json.dumps({"clips": clips, "backbone_clips": backbone_clips, "seed": seed} | asdict(plan)) + "\n")
        observer = Observer(average.module, validation, log, plan, every=evaluate_every)
        seen = training.select(slice(0, WINDOWS_PER_CLIP * backbone_clips))
        fit(plan, model, readouts, average, seen, _WEIGHTS, observer.step_done)
        refit_probes(average.module, training)
        save_model(average.module, cache / "model.pt")
        observer.log_quality({"step": "probes"})


def averaged(model: TaggingModel) -> AveragedModel:
    """A running average of the model's weights over about 100 steps, which `fit` keeps up to date."""
    return AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.99))


def fit(
    plan: Plan,
    model: TaggingModel,
    readouts: Readouts,
    average: AveragedModel,
    training: Windows,
    weights: Mapping[str, float],
    step_done: Callable[[int, Mapping[str, Tensor]], None] = lambda step, losses: None,
) -> None:
    """Trains everything but the front end, by the losses that `weights` names.

    The losses are `labels` and those of `Readouts`. `step_done` is told each step's number, from 1, and all losses.
    """
    model.backbone.hubert.feature_extractor.requires_grad_(False)
    parameters = [each for each in (*model.parameters(), *readouts.parameters()) if each.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=plan.peak_rate, betas=(0.9, 0.98), weight_decay=_WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, plan.steps))
    order = endless_order(len(training))
    for step in tqdm(range(1, plan.steps + 1), desc="training", unit="step"):
        model.train()
        batch = draw_batch(training, [next(order) for _ in range(plan.batch)])
        with reads_features(model.backbone):
            states = model.backbone.hidden_states(batch.inputs)
        losses = {"labels": _label_loss(model, states, batch)} | readouts.losses(states, batch)
        loss = sum(weight * losses[name] for name, weight in weights.items())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        average.update_parameters(model)
        step_done(step, losses)


def _rate(step: int, steps: int) -> float:
    warm = max(1, steps // 10)
    return step / warm if step < warm else 0.5 + 0.5 * math.cos(math.pi * (step - warm) / max(1, steps - warm))


def _label_loss(model: TaggingModel, states: list[Tensor], batch: Batch) -> Tensor:
    """Each window's cross-entropies summed over the labels of its own head, averaged over the windows."""
    means = torch.stack([state.mean(dim=1) for state in states], dim=1)
    total = means.new_zeros(())
    for index, name in enumerate(HEAD_NAMES):
        own = batch.heads == index
        if own.any():
            logits, targets = model.heads[name](means[own]), batch.labels[name][own]
            total = total + functional.binary_cross_entropy_with_logits(logits, targets, reduction="sum")
    return total / len(batch.heads)
