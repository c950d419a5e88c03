"""Trains probes on a frozen backbone's features: the constrained probing of the published evaluations.

A probe is a `ProbeHead`: a learnt softmax weighting of the L hidden states and a linear layer, or one hidden layer of
512. It learns from single windows with the labels of their recording, by binary cross-entropy and Adam, and stops when
the validation mAP of whole recordings no longer rises (Yuan et al. 2023, arXiv:2306.10548, constrained track; Kanatas
et al. 2025, arXiv:2506.17818, five seeds).
"""

import copy
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from culturetag_model.errors import CultureTagModelError
from culturetag_model.features import Features
from culturetag_model.heads import ProbeHead
from culturetag_model.metrics import Metrics, best_threshold, mean_average_precision, measure


class TrainingError(CultureTagModelError):
    """The features can't be learnt from."""


@dataclass(frozen=True)
class Recipe:
    """How a probe is trained."""

    inner: int = 0
    """The width of the hidden layer; 0 for a linear probe. The studies' other choice is 512."""
    learning_rate: float = 1e-3
    batch: int = 64
    """Windows in a step."""
    max_epochs: int = 100
    patience: int = 10
    """Epochs without a better validation mAP after which training stops."""
    dropout: float = 0.0


@dataclass(frozen=True)
class Probe:
    """A trained probe: the weights of its best epoch, in evaluation mode."""

    head: ProbeHead
    seed: int
    epochs: int
    """How many epochs its weights were trained for."""
    threshold: float
    """For F1, chosen on the validation recordings."""
    validation: Metrics


def untrained_labels(features: Features) -> dict[int, str]:
    """The labels that can't be learnt, by index, with the reason."""
    targets = features.targets[features.splits == "train"]
    positives = targets.sum(axis=0)
    reasons = {}
    for index, count in enumerate(positives):
        if count == 0:
            reasons[index] = "no recording of the training split has it"
        elif count == len(targets):
            reasons[index] = "every recording of the training split has it"
    return reasons


def train_probe(features: Features, recipe: Recipe, seed: int) -> Probe:
    """Trains one probe; the result depends on its arguments alone.

    Raises:
        TrainingError: A split that it takes is empty.
        culturetag_model.metrics.MetricsError: No label can be measured on the validation split.
    """
    for split in ("train", "valid"):
        if not (features.splits == split).any():
            raise TrainingError(f"the features of {features.head} have no recording in the split {split}")
    untrained = untrained_labels(features)
    _, layers, width = features.states.shape
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        head = ProbeHead(
            layers, width, features.targets.shape[1], untrained=untrained, dropout=recipe.dropout, inner=recipe.inner
        )
        return _train(head, features, recipe, seed)


def track_scores(head: ProbeHead, features: Features, split: str) -> tuple[np.ndarray, np.ndarray]:
    """The scores of a split's recordings, each the mean over its windows, and their targets: `[R, K]` both."""
    recordings = np.flatnonzero(features.splits == split)
    windows = np.flatnonzero(np.isin(features.owners, recordings))
    with torch.no_grad():
        scores = torch.sigmoid(head.eval()(torch.from_numpy(features.states[windows]))).double()
    owners = torch.from_numpy(np.searchsorted(recordings, features.owners[windows]))
    sums = torch.zeros(len(recordings), scores.shape[1], dtype=torch.float64).index_add(0, owners, scores)
    counts = torch.bincount(owners, minlength=len(recordings))
    return (sums / counts[:, None]).numpy(), features.targets[recordings]


def _train(head: ProbeHead, features: Features, recipe: Recipe, seed: int) -> Probe:
    optimizer = torch.optim.Adam(head.parameters(), lr=recipe.learning_rate)
    trained = ~head.untrained.numpy()
    best, best_epoch, best_precision = head, 0, -1.0
    for epoch in range(1, recipe.max_epochs + 1):
        _train_epoch(head, optimizer, features, recipe.batch)
        precision = mean_average_precision(*track_scores(head, features, "valid"), trained)
        if precision > best_precision:
            best, best_epoch, best_precision = copy.deepcopy(head), epoch, precision
        elif epoch - best_epoch >= recipe.patience:
            break
    scores, targets = track_scores(best, features, "valid")
    threshold = best_threshold(scores, targets, trained)
    return Probe(best, seed, best_epoch, threshold, measure(scores, targets, threshold, trained))


def _train_epoch(head: ProbeHead, optimizer: torch.optim.Optimizer, features: Features, batch: int) -> None:
    head.train()
    windows = torch.from_numpy(np.flatnonzero(features.splits[features.owners] == "train"))
    targets = torch.from_numpy(features.targets)
    owners, states = torch.from_numpy(features.owners), torch.from_numpy(features.states)
    for rows in windows[torch.randperm(len(windows))].split(batch):
        optimizer.zero_grad()
        _loss(head, states[rows], targets[owners[rows]]).backward()
        optimizer.step()


def _loss(head: ProbeHead, states: Tensor, targets: Tensor) -> Tensor:
    """The mean over windows and trained labels."""
    kept = ~head.untrained
    return nn.functional.binary_cross_entropy_with_logits(head(states)[:, kept], targets[:, kept])
