"""Fits the probes to a trained backbone once more, to convergence.

With the backbone fixed, a probe is a logistic regression on the windows' time-mean hidden states, which takes seconds
to solve: many more passes over the training windows than the joint training can afford.
"""

import torch
from torch import Tensor
from torch.nn import functional

from culturetag_model.demo.measure import window_means
from culturetag_model.demo.network import TaggingModel
from culturetag_model.demo.windows import Windows
from culturetag_model.heads import ProbeHead
from culturetag_model.vocabularies import HEAD_NAMES

_ITERATIONS = 150


_PENALTY = 1e-2
"""Weighs the squared weights against the mean loss of a window; chosen on the validation split."""


def refit_probes(model: TaggingModel, training: Windows) -> None:
    """Changes the heads of `model` in place."""
    means = window_means(model.backbone, training, from_audio=False)
    for index, name in enumerate(HEAD_NAMES):
        own = training.heads == index
        if own.any():
            _fit(model.heads[name], means[own], training.labels[name][own])


def _fit(head: ProbeHead, means: Tensor, targets: Tensor) -> None:
    head.eval()
    optimizer = torch.optim.LBFGS(head.parameters(), max_iter=_ITERATIONS, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = functional.binary_cross_entropy_with_logits(head(means), targets, reduction="sum") / len(means)
        loss = loss + _PENALTY * head.linear.weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
