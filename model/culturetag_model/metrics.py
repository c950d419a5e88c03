"""The figures of merit of multi-label tagging, by scikit-learn."""

from dataclasses import asdict, dataclass

import numpy as np
from sklearn.metrics import average_precision_score, f1_score, roc_auc_score

from culturetag_model.errors import CultureTagModelError

METRIC_NAMES = ("roc_auc", "map", "micro_f1", "macro_f1")

_THRESHOLDS = np.round(np.arange(0.02, 1.0, 0.02), 2)


class MetricsError(CultureTagModelError):
    """There is nothing to measure."""


@dataclass(frozen=True)
class Metrics:
    """Fractions in [0, 1]. Macro averages are over the labels that `scorable` selects."""

    roc_auc: float
    """Macro ROC-AUC."""
    map: float
    """Macro average precision."""
    micro_f1: float
    """F1 of all decisions together."""
    macro_f1: float
    """The mean of the labels' F1."""
    labels: int
    """How many labels were averaged over."""

    def values(self) -> dict[str, float]:
        """The four metrics by the names of `METRIC_NAMES`."""
        return {name: value for name, value in asdict(self).items() if name in METRIC_NAMES}


def scorable(targets: np.ndarray, trained: np.ndarray) -> np.ndarray:
    """`[K] bool`: the labels that were trained and have both an example and a counterexample in `[R, K]` targets.

    ROC-AUC isn't defined for others.
    """
    positives = targets.sum(axis=0)
    return trained & (positives > 0) & (positives < len(targets))


def measure(scores: np.ndarray, targets: np.ndarray, threshold: float, trained: np.ndarray) -> Metrics:
    """Compares `[R, K]` scores of R recordings with targets of 0 and 1.

    Args:
        scores: In [0, 1].
        targets: Of the same shape.
        threshold: A label is decided for where its score is at least this.
        trained: `[K] bool`: the labels that count at all.

    Raises:
        MetricsError: No label is scorable.
    """
    scores, targets = _scorable_columns(scores, targets, trained)
    decisions = (scores >= threshold).astype(int)
    return Metrics(
        roc_auc=float(roc_auc_score(targets, scores, average="macro")),
        map=float(average_precision_score(targets, scores, average="macro")),
        micro_f1=float(f1_score(targets, decisions, average="micro", zero_division=0)),
        macro_f1=float(f1_score(targets, decisions, average="macro", zero_division=0)),
        labels=targets.shape[1],
    )


def mean_average_precision(scores: np.ndarray, targets: np.ndarray, trained: np.ndarray) -> float:
    """`Metrics.map` alone. Arguments and errors as for `measure`."""
    scores, targets = _scorable_columns(scores, targets, trained)
    return float(average_precision_score(targets, scores, average="macro"))


def best_threshold(scores: np.ndarray, targets: np.ndarray, trained: np.ndarray) -> float:
    """The one threshold for all labels, of 0.02, 0.04, ..., 0.98, with the best micro-F1; the lowest of equals.

    To be chosen on validation recordings, never on those that are reported.
    """
    scores, targets = _scorable_columns(scores, targets, trained)
    results = [f1_score(targets, scores >= threshold, average="micro", zero_division=0) for threshold in _THRESHOLDS]
    return float(_THRESHOLDS[int(np.argmax(results))])


def _scorable_columns(scores: np.ndarray, targets: np.ndarray, trained: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    columns = scorable(targets, trained)
    if not columns.any():
        raise MetricsError("no label has both an example and a counterexample among the recordings")
    return scores[:, columns], targets[:, columns].astype(int)
