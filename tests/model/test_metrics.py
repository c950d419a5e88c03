import numpy as np
import pytest

from culturetag_model.metrics import MetricsError, best_threshold, measure, scorable

# Two labels over four recordings, small enough to count by hand.
TARGETS = np.array([[1, 0], [0, 1], [1, 1], [0, 0]])
SCORES = np.array([[0.9, 0.1], [0.2, 0.7], [0.4, 0.3], [0.6, 0.4]])
TRAINED = np.array([True, True])


def test_metrics_are_those_counted_by_hand():
    metrics = measure(SCORES, TARGETS, 0.5, TRAINED)

    # Of label 0's four pairs of an example and a counterexample, three are in order; of label 1's, three.
    assert metrics.roc_auc == pytest.approx((3 / 4 + 3 / 4) / 2)
    # Ranks of the examples: label 0 at 1 and 3, label 1 at 1 and 3.
    assert metrics.map == pytest.approx(((1 + 2 / 3) / 2 + (1 + 2 / 3) / 2) / 2)
    # At 0.5 label 0: one hit, one miss, one false alarm; label 1: one hit, one miss.
    assert metrics.micro_f1 == pytest.approx(2 * 2 / (2 * 2 + 2 + 1))
    assert metrics.macro_f1 == pytest.approx((2 * 1 / (2 * 1 + 1 + 1) + 2 * 1 / (2 * 1 + 1)) / 2)
    assert metrics.labels == 2


def test_a_score_at_the_threshold_counts_as_decided():
    assert measure(SCORES, TARGETS, 0.7, TRAINED).micro_f1 == pytest.approx(2 * 2 / (2 * 2 + 2))


def test_labels_without_examples_or_counterexamples_or_training_are_left_out():
    targets = np.array([[1, 0, 1, 1], [0, 0, 1, 0]])

    assert scorable(targets, np.array([True, True, True, False])).tolist() == [True, False, False, False]


def test_nothing_to_measure_is_an_error():
    with pytest.raises(MetricsError, match="no label has both an example and a counterexample"):
        measure(SCORES, np.ones((4, 2)), 0.5, TRAINED)


def test_the_best_threshold_is_the_lowest_of_the_best():
    scores = np.array([[0.31], [0.29], [0.1]])

    assert best_threshold(scores, np.array([[1], [1], [0]]), np.array([True])) == pytest.approx(0.12)
