"""Trains the demo's backbone and probes together on rendered clips.

The labels' loss goes through the real probes on the time-means of the hidden states, exactly as the model is served.
Since a few thousand clip labels teach a network little, the renderer's own knowledge helps, as the constant-Q teacher
does in MERT's training: linear readouts of single hidden states predict, frame by frame, which tone sounds, what the
tonic is, which degree that makes the tone, and where the percussion strikes. The readouts are dropped afterwards.

Two stages: first the front end stays fixed and its stored features are used, then everything is trained on audio. In
the end the probes are fitted once more to the finished backbone.
"""

import json
import math
import time
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from culturetag_model.demo.dataset import read_split
from culturetag_model.demo.measure import scores_by_category
from culturetag_model.demo.network import TaggingModel, load_model, normalized, reads_features, save_model
from culturetag_model.demo.probes import refit_probes
from culturetag_model.demo.tables import load_tables
from culturetag_model.demo.windows import TONE_CLASSES, Windows, to_windows
from culturetag_model.vocabularies import HEAD_NAMES

_FRAME_SAMPLES = 320
_CROP_FRAMES = (369, 240, 150, 150, 75)
"""The lengths of a batch's windows, drawn evenly; clips shorter than a window are served as they are."""
_WEIGHTS = {"labels": 0.5, "stroke": 1.0, "tonic": 0.5, "tone": 0.5, "degree": 1.0}
_WEIGHT_DECAY = 0.02


@dataclass(frozen=True)
class Stage:
    """`steps` batches of `batch` windows, with a learning rate that rises for a tenth of them and falls to zero."""

    steps: int
    batch: int
    peak_rate: float
    from_audio: bool


@dataclass(frozen=True)
class Batch:
    """Windows of one length; fields as in `Windows`. `inputs` is audio `[B, T]` or features `[B, channels, frames]`."""

    inputs: Tensor
    tones: Tensor
    strokes: Tensor
    tonics: Tensor
    heads: Tensor
    labels: dict[str, Tensor]


class Readouts(nn.Module):
    """Linear readouts of single hidden states; the deeper the state, the more musical the target."""

    def __init__(self, hidden_size: int):
        super().__init__()
        self.tone = nn.Linear(hidden_size, TONE_CLASSES)
        self.tonic = nn.Linear(hidden_size, TONE_CLASSES)
        self.degree = nn.Linear(hidden_size, TONE_CLASSES)
        self.stroke = nn.Linear(hidden_size, 2)

    def losses(self, states: list[Tensor], batch: Batch) -> dict[str, Tensor]:
        """The loss of each readout: the mean over the frames that have its target."""
        sounding = batch.tones >= 0
        absolute = (batch.tones + batch.tonics[:, None]) % TONE_CLASSES
        tonics = batch.tonics[:, None].expand_as(batch.tones)
        return {
            "stroke": functional.binary_cross_entropy_with_logits(self.stroke(states[1]), batch.strokes),
            "tone": _tone_loss(self.tone(states[1]), absolute, sounding),
            "tonic": _tone_loss(self.tonic(states[2]), tonics, torch.ones_like(sounding)),
            "degree": _tone_loss(self.degree(states[3]), batch.tones, sounding),
        }


class Observer:
    """Collects the losses of a stage and now and then measures the averaged model, and writes both to the log."""

    def __init__(self, model: TaggingModel, validation: Windows, log: TextIO, stage: Stage, *, every: int):
        self._model, self._validation, self._log = model, validation, log
        self._stage, self._every = stage, every
        self._started = time.monotonic()
        self._losses: list[dict[str, float]] = []

    def step_done(self, step: int, losses: dict[str, Tensor]) -> None:
        self._losses.append({name: float(loss.detach()) for name, loss in losses.items()})
        if step % self._every and step != self._stage.steps:
            return
        means = {name: sum(row[name] for row in self._losses) / len(self._losses) for name in losses}
        self._losses.clear()
        row = {"stage": "audio" if self._stage.from_audio else "features", "step": step}
        row |= {"seconds": round(time.monotonic() - self._started)}
        row |= {"loss": {name: round(mean, 3) for name, mean in means.items()}}
        _log_quality(self._model, self._validation, self._log, row, from_audio=self._stage.from_audio)


def _log_quality(model: TaggingModel, validation: Windows, log: TextIO, row: dict, *, from_audio: bool) -> None:
    model.eval()
    areas = scores_by_category(model, validation, load_tables().untrained, from_audio=from_audio)
    log.write(json.dumps(row | {"roc_auc": areas}, ensure_ascii=False) + "\n")
    log.flush()


def train(
    cache: Path, stages: list[Stage], *, initial: Path | None = None, seed: int = 0, evaluate_every: int = 200
) -> None:
    """Trains on the split `train`, watches `validation`, and writes `model.pt` and `training.jsonl` to `cache`.

    `initial` is a `model.pt` to go on from. The front end of a stage on features must be the untrained one.
    """
    torch.manual_seed(seed)
    model = TaggingModel() if initial is None else load_model(initial)
    receptive_field = model.backbone.receptive_field
    training = to_windows(read_split(cache / "train"), receptive_field)
    validation = to_windows(read_split(cache / "validation"), receptive_field)
    readouts = Readouts(model.backbone.hidden_size)
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.99))
    with (cache / "training.jsonl").open("a", encoding="utf-8") as log:
        for stage in stages:
            observer = Observer(average.module, validation, log, stage, every=evaluate_every)
            _run_stage(stage, model, readouts, average, training, observer)
        from_audio = any(stage.from_audio for stage in stages)
        refit_probes(average.module, training, from_audio=from_audio)
        save_model(average.module, cache / "model.pt")
        _log_quality(average.module, validation, log, {"stage": "probes"}, from_audio=from_audio)


def _run_stage(
    stage: Stage,
    model: TaggingModel,
    readouts: Readouts,
    average: AveragedModel,
    training: Windows,
    observer: Observer,
) -> None:
    parameters = [*model.parameters(), *readouts.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=stage.peak_rate, betas=(0.9, 0.98), weight_decay=_WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, stage.steps))
    order = _endless_order(len(training))
    for step in tqdm(range(1, stage.steps + 1), desc="audio" if stage.from_audio else "features", unit="step"):
        model.train()
        batch = _draw(training, [next(order) for _ in range(stage.batch)], stage.from_audio)
        with nullcontext() if stage.from_audio else reads_features(model.backbone):
            states = model.backbone.hidden_states(batch.inputs)
        losses = {"labels": _label_loss(model, states, batch)} | readouts.losses(states, batch)
        loss = sum(weight * losses[name] for name, weight in _WEIGHTS.items())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        average.update_parameters(model)
        observer.step_done(step, losses)


def _rate(step: int, steps: int) -> float:
    warm = max(1, steps // 10)
    return step / warm if step < warm else 0.5 + 0.5 * math.cos(math.pi * (step - warm) / max(1, steps - warm))


def _endless_order(count: int) -> Iterator[int]:
    """Every index once, in random order, again and again."""
    while True:
        yield from torch.randperm(count).tolist()


def _draw(windows: Windows, indices: list[int], from_audio: bool) -> Batch:
    """The windows at `indices`, all cut to one random length at a random place."""
    length = _CROP_FRAMES[int(torch.randint(len(_CROP_FRAMES), ()))]
    frame_count = windows.tones.shape[1]
    start = int(torch.randint(frame_count - length + 1, ()))
    frames = slice(start, start + length)
    if from_audio:
        # The samples that these frames see.
        samples = windows.audio.shape[1] - (frame_count - length) * _FRAME_SAMPLES
        audio = windows.audio[indices, start * _FRAME_SAMPLES : start * _FRAME_SAMPLES + samples]
        inputs = normalized(audio.float() / 32768)
    else:
        inputs = windows.features[indices, frames].float().transpose(1, 2)
    return Batch(
        inputs=inputs,
        tones=windows.tones[indices, frames],
        strokes=windows.strokes[indices, frames],
        tonics=windows.tonics[indices],
        heads=windows.heads[indices],
        labels={name: targets[indices] for name, targets in windows.labels.items()},
    )


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


def _tone_loss(logits: Tensor, classes: Tensor, valid: Tensor) -> Tensor:
    """Cross-entropy with targets that are blurred over neighbouring commas, around the octave."""
    distance = torch.arange(TONE_CLASSES)
    distance = torch.minimum(distance, TONE_CLASSES - distance).float()
    blur = torch.softmax(-(distance**2) / 2.0, dim=0)
    shifts = (torch.arange(TONE_CLASSES)[None, :] - classes[valid][:, None]) % TONE_CLASSES
    if len(shifts) == 0:
        return logits.new_zeros(())
    return functional.cross_entropy(logits[valid], blur[shifts])
