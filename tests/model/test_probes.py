import numpy as np
import pytest
import torch

from culturetag_model.features import Features
from culturetag_model.metrics import measure
from culturetag_model.probes import Recipe, TrainingError, track_scores, train_probe, untrained_labels
from culturetag_model.vocabularies import vocabulary

RECORDINGS, WINDOWS, LAYERS, WIDTH = 400, 3, 5, 16
PLANTED_LAYER = 3
LABELS = len(vocabulary("fma").labels)

# Quick, and able to move the layer weights within a few epochs.
RECIPE = Recipe(learning_rate=1e-2, batch=32, max_epochs=60, patience=8)


def planted_features(shuffled=False):
    """Noise in every layer, and in one of them two labels that are linear in it."""
    random = np.random.default_rng(0)
    states = random.normal(size=(RECORDINGS, WINDOWS, LAYERS, WIDTH)).astype(np.float32)
    directions = random.normal(size=(WIDTH, 2))
    directions /= np.linalg.norm(directions, axis=0)
    targets = np.zeros((RECORDINGS, LABELS), np.float32)
    targets[:, :2] = random.random((RECORDINGS, 2)) < 0.5
    states[:, :, PLANTED_LAYER] += 1.4 * ((2 * targets[:, :2] - 1) @ directions.T)[:, None].astype(np.float32)
    if shuffled:
        targets = random.permutation(targets)
    return features_of(states, targets)


def features_of(states, targets, splits=None):
    count = len(states)
    if splits is None:
        splits = np.where(np.arange(count) < 0.7 * count, "train", "valid")
        splits[int(0.8 * count) :] = "test"
    return Features(
        head="fma",
        backbone={"backbone": "planted"},
        split_source="a test's",
        ids=tuple(map(str, range(count))),
        splits=splits,
        targets=targets,
        states=states.reshape(-1, *states.shape[2:]),
        owners=np.repeat(np.arange(count), states.shape[1]),
    )


def test_a_planted_linear_label_is_recovered(probe_of_planted):
    probe, metrics = probe_of_planted

    assert metrics.roc_auc > 0.99
    assert metrics.labels == 2


@pytest.fixture(scope="module")
def probe_of_planted():
    """The probe and its metrics on the test split."""
    features = planted_features()
    probe = train_probe(features, RECIPE, seed=0)
    scores, targets = track_scores(probe.head, features, "test")
    return probe, measure(scores, targets, probe.threshold, ~probe.head.untrained.numpy())


def test_most_weight_goes_to_the_planted_layer(probe_of_planted):
    weights = probe_of_planted[0].head.layer_logits.softmax(dim=0)

    assert weights.argmax() == PLANTED_LAYER
    assert weights[PLANTED_LAYER] > 0.5


def test_shuffled_labels_give_chance():
    features = planted_features(shuffled=True)
    results = []
    for seed in range(3):
        probe = train_probe(features, RECIPE, seed)
        scores, targets = track_scores(probe.head, features, "test")
        results.append(measure(scores, targets, probe.threshold, ~probe.head.untrained.numpy()).roc_auc)

    # 80 recordings and two labels: the standard error of an AUC at chance is 0.046.
    assert np.mean(results) == pytest.approx(0.5, abs=0.14)


def test_training_depends_on_the_seed_alone(probe_of_planted):
    features = planted_features()
    torch.manual_seed(99)

    again = train_probe(features, RECIPE, seed=0)
    other = train_probe(features, RECIPE, seed=1)

    first = probe_of_planted[0]
    assert torch.equal(first.head.linear.weight, again.head.linear.weight)
    assert (first.epochs, first.threshold) == (again.epochs, again.threshold)
    assert not torch.equal(first.head.linear.weight, other.head.linear.weight)


def test_a_hidden_layer_learns_what_a_linear_one_cannot():
    random = np.random.default_rng(1)
    states = random.normal(size=(600, 1, 1, 2)).astype(np.float32)
    targets = np.zeros((600, LABELS), np.float32)
    targets[:, 0] = states[:, 0, 0, 0] * states[:, 0, 0, 1] > 0
    features = features_of(states, targets)

    linear, inner = (train_probe(features, Recipe(inner=width, learning_rate=1e-2, batch=32), 0) for width in (0, 64))

    assert linear.validation.roc_auc < 0.7
    assert inner.validation.roc_auc > 0.95


def test_labels_without_examples_or_counterexamples_are_untrained():
    features = planted_features()
    features.targets[:, 5] = 1

    reasons = untrained_labels(features)

    assert reasons[5] == "every recording of the training split has it"
    assert reasons[2] == "no recording of the training split has it"
    assert sorted(reasons) == list(range(2, LABELS))
    assert train_probe(features, Recipe(max_epochs=1), 0).head.untrained.nonzero().flatten().tolist() == sorted(reasons)


def test_a_recordings_score_is_the_mean_over_its_windows(probe_of_planted):
    features, head = planted_features(), probe_of_planted[0].head

    scores, targets = track_scores(head, features, "test")

    recording = int(0.8 * RECORDINGS)
    with torch.no_grad():
        windows = torch.sigmoid(head(torch.from_numpy(features.states[features.owners == recording])))
    np.testing.assert_allclose(scores[0], windows.mean(0), atol=1e-6)
    np.testing.assert_array_equal(targets[0], features.targets[recording])


@pytest.mark.parametrize("split", ["train", "valid"])
def test_an_empty_split_is_an_error(split):
    features = planted_features()
    features.splits[features.splits == split] = "test"

    with pytest.raises(TrainingError, match=f"^the features of fma have no recording in the split {split}$"):
        train_probe(features, RECIPE, 0)
