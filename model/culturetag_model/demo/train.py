"""Trains the demo's backbone and probes together on rendered clips.

The labels' loss goes through the real probes on the time-means of the hidden states, exactly as the model is served.
Since a few thousand clip labels teach a network little, the renderer's own knowledge helps, as the constant-Q teacher
does in MERT's training: linear readouts of single hidden states predict, frame by frame, which tone sounds, what the
tonic is, which degree that makes the tone, and where the percussion strikes. The readouts are dropped afterwards.

Two stages: first the front end stays fixed and its stored features are used, then everything is trained on audio.
"""

import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from tqdm import tqdm

from culturetag_model.backbone import Backbone
from culturetag_model.demo.dataset import read_split
from culturetag_model.demo.measure import scores_by_category
from culturetag_model.demo.network import TaggingModel, normalized, save_model
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


class Readouts(nn.Module):
    """Linear readouts of single hidden states; the deeper the state, the more musical the target."""

    def __init__(self, hidden_size: int):
        super().__init__()
        self.tone = nn.Linear(hidden_size, TONE_CLASSES)
        self.tonic = nn.Linear(hidden_size, TONE_CLASSES)
        self.degree = nn.Linear(hidden_size, TONE_CLASSES)
        self.stroke = nn.Linear(hidden_size, 2)

    def losses(self, states: list[Tensor], windows: "Batch") -> dict[str, Tensor]:
        """The loss of each readout: the mean over the frames that have its target."""
        sounding = windows.tones >= 0
        absolute = (windows.tones + windows.tonics[:, None]) % TONE_CLASSES
        tonics = windows.tonics[:, None].expand_as(windows.tones)
        return {
            "stroke": functional.binary_cross_entropy_with_logits(self.stroke(states[1]), windows.strokes),
            "tone": _tone_loss(self.tone(states[1]), absolute, sounding),
            "tonic": _tone_loss(self.tonic(states[2]), tonics, torch.ones_like(sounding)),
            "degree": _tone_loss(self.degree(states[3]), windows.tones, sounding),
        }


@dataclass(frozen=True)
class Batch:
    """Windows of one length; fields as in `Windows`. `inputs` is audio `[B, T]` or features `[B, channels, frames]`."""

    inputs: Tensor
    tones: Tensor
    strokes: Tensor
    tonics: Tensor
    heads: Tensor
    labels: dict[str, Tensor]


def train(cache: Path, stages: list[Stage], *, seed: int = 0, evaluate_every: int = 200) -> None:
    """Trains on the split `train`, watches `validation`, and writes `model.pt` and `training.jsonl` to `cache`."""
    torch.manual_seed(seed)
    model = TaggingModel()
    receptive_field = model.backbone.receptive_field
    training = to_windows(read_split(cache / "train"), receptive_field)
    validation = to_windows(read_split(cache / "validation"), receptive_field)
    readouts = Readouts(model.backbone.hidden_size)
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.99))
    log = (cache / "training.jsonl").open("a", encoding="utf-8")
    for stage in stages:
        step_done = _evaluator(average.module, validation, log, cache / "model.pt", evaluate_every, stage)
        _run_stage(stage, model, readouts, average, training, step_done)


def _run_stage(
    stage: Stage,
    model: TaggingModel,
    readouts: Readouts,
    average: AveragedModel,
    training: Windows,
    step_done: Callable[[int, dict[str, float]], None],
) -> None:
    parameters = [*model.parameters(), *readouts.parameters()]
    optimizer = torch.optim.AdamW(parameters, lr=stage.peak_rate, betas=(0.9, 0.98), weight_decay=_WEIGHT_DECAY)
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: _rate(step, stage.steps))
    order = _endless_order(len(training))
    for step in tqdm(range(1, stage.steps + 1), desc="audio" if stage.from_audio else "features", unit="step"):
        model.train()
        batch = _draw(training, [next(order) for _ in range(stage.batch)], stage.from_audio)
        states = _hidden_states(model.backbone, batch.inputs, stage.from_audio)
        losses = {"labels": _label_loss(model, states, batch)} | readouts.losses(states, batch)
        loss = sum(weight * losses[name] for name, weight in _WEIGHTS.items())
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        average.update_parameters(model)
        step_done(step, {name: float(value.detach()) for name, value in losses.items()})


def _rate(step: int, steps: int) -> float:
    warm = max(1, steps // 10)
    return step / warm if step < warm else 0.5 + 0.5 * math.cos(math.pi * (step - warm) / max(1, steps - warm))


def _endless_order(count: int):
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


def _hidden_states(backbone: Backbone, inputs: Tensor, from_audio: bool) -> list[Tensor]:
    """The hidden states `[B, F, D]` of audio, or of stored features, which take the front end's place."""
    if from_audio:
        return backbone.hidden_states(inputs)
    front_end = backbone.hubert.feature_extractor
    backbone.hubert.feature_extractor = nn.Identity()
    try:
        return backbone.hidden_states(inputs)
    finally:
        backbone.hubert.feature_extractor = front_end


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


def _evaluator(
    model: TaggingModel, validation: Windows, log: TextIO, weights: Path, every: int, stage: Stage
) -> Callable[[int, dict[str, float]], None]:
    """What to do after each step: now and then save and measure the averaged model, and write a line to the log."""
    started = time.monotonic()
    losses: list[dict[str, float]] = []

    def step_done(step: int, loss: dict[str, float]) -> None:
        losses.append(loss)
        if step % every and step != stage.steps:
            return
        save_model(model, weights)
        model.eval()
        areas = scores_by_category(model, validation, load_tables().untrained, from_audio=stage.from_audio)
        row = {"stage": "audio" if stage.from_audio else "features", "step": step}
        row |= {"seconds": round(time.monotonic() - started), "loss": _means(losses)}
        log.write(json.dumps(row | {"roc_auc": areas}, ensure_ascii=False) + "\n")
        log.flush()
        losses.clear()

    return step_done


def _means(losses: list[dict[str, float]]) -> dict[str, float]:
    return {name: round(sum(loss[name] for loss in losses) / len(losses), 3) for name in losses[0]}
