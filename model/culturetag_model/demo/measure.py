"""ROC-AUC and mean average precision of window and track scores, by head and by category."""

from dataclasses import dataclass

import numpy as np
import torch
from sklearn.metrics import average_precision_score, roc_auc_score
from torch import Tensor

from culturetag_model.backbone import Backbone
from culturetag_model.demo.network import TaggingModel, normalized, reads_features
from culturetag_model.demo.windows import WINDOWS_PER_CLIP, Windows
from culturetag_model.vocabularies import HEAD_NAMES, vocabulary

_BATCH = 16


@dataclass(frozen=True)
class Quality:
    """Macro averages over the labels that have both examples and counterexamples; `labels` counts them."""

    roc_auc: float
    mean_average_precision: float
    labels: int


def window_means(backbone: Backbone, windows: Windows, *, from_audio: bool) -> Tensor:
    """`[N, L, D]`: the time-mean hidden states of every window, from its audio or from its stored features."""
    with torch.no_grad():
        if from_audio:
            parts = [backbone(normalized(part.float() / 32768)) for part in windows.audio.split(_BATCH)]
        else:
            with reads_features(backbone):
                parts = [backbone(part.float().transpose(1, 2)) for part in windows.features.split(_BATCH)]
    return torch.cat(parts)


def window_scores(model: TaggingModel, windows: Windows, *, from_audio: bool) -> dict[str, np.ndarray]:
    """By head: `[N, K]` scores in [0, 1] of every window, whichever head it belongs to."""
    means = window_means(model.backbone, windows, from_audio=from_audio)
    with torch.no_grad():
        return {name: torch.sigmoid(model.heads[name](means)).numpy() for name in HEAD_NAMES}


def track_means(values: np.ndarray) -> np.ndarray:
    """`[N windows, K]` -> `[N / 2 tracks, K]`: the mean over a track's windows, as the server scores a track."""
    return values.reshape(-1, WINDOWS_PER_CLIP, values.shape[1]).mean(axis=1)


def quality(scores: np.ndarray, targets: np.ndarray, columns: list[int]) -> Quality:
    """The averages over some labels of `[tracks, K]` scores and targets."""
    usable = [column for column in columns if 0 < targets[:, column].sum() < len(targets)]
    areas = [roc_auc_score(targets[:, column], scores[:, column]) for column in usable]
    precisions = [average_precision_score(targets[:, column], scores[:, column]) for column in usable]
    return Quality(float(np.mean(areas)), float(np.mean(precisions)), len(usable)) if usable else Quality(0.5, 0.0, 0)


def accuracy(scores: np.ndarray, targets: np.ndarray, columns: list[int]) -> float:
    """How often the best of exclusive labels is the right one, among tracks that have exactly one of them."""
    one = targets[:, columns].sum(axis=1) == 1
    best = scores[one][:, columns].argmax(axis=1)
    return float((best == targets[one][:, columns].argmax(axis=1)).mean()) if one.any() else 0.0


def columns_of(head: str, category: str | None, untrained: dict[str, str]) -> list[int]:
    """The trained labels of a head, or of one of its categories."""
    return [
        index
        for index, label in enumerate(vocabulary(head).labels)
        if category in (None, label.category) and label.name not in untrained
    ]


def categories_of(head: str) -> list[str]:
    return list(dict.fromkeys(label.category for label in vocabulary(head).labels))


def head_tracks(windows: Windows, scores: dict[str, np.ndarray], head: str) -> tuple[np.ndarray, np.ndarray]:
    """Track scores and targets `[tracks, K]` of the tracks that belong to a head."""
    own = (windows.heads == HEAD_NAMES.index(head)).numpy()
    return track_means(scores[head][own]), track_means(windows.labels[head].numpy()[own])


def scores_by_category(model: TaggingModel, windows: Windows, untrained: dict[str, dict[str, str]]) -> dict[str, float]:
    """ROC-AUC by `head` and `head/category`, and the accuracy of raga and makam: what the training log records."""
    scores = window_scores(model, windows, from_audio=False)
    areas = {}
    for head in HEAD_NAMES:
        found, wanted = head_tracks(windows, scores, head)
        left_out = untrained.get(head, {})
        areas[head] = round(quality(found, wanted, columns_of(head, None, left_out)).roc_auc, 3)
        for category in categories_of(head):
            columns = columns_of(head, category, left_out)
            areas[f"{head}/{category}"] = round(quality(found, wanted, columns).roc_auc, 3)
            if category in ("makam", "raga"):
                areas[f"{head}/{category} accuracy"] = round(accuracy(found, wanted, columns), 3)
    return areas
