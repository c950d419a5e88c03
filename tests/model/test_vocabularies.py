import pytest

from culturetag_model.vocabularies import HEAD_NAMES, vocabulary


def test_the_six_benchmarks_have_their_published_numbers_of_labels():
    counts = {name: len(vocabulary(name).labels) for name in HEAD_NAMES}

    assert counts == {"makam": 30, "hindustani": 20, "carnatic": 20, "lyra": 30, "fma": 20, "mtat": 50}


@pytest.mark.parametrize("name", HEAD_NAMES)
def test_every_label_is_unique_and_has_a_category(name):
    labels = vocabulary(name).labels

    assert len({label.name for label in labels}) == len(labels)
    assert all(label.category for label in labels)


def test_spelling_and_order_are_the_data_sets():
    makam = vocabulary("makam")

    assert (makam.title, makam.dataset) == ("Turkish makam music", "Turkish-makam (Dunya / CompMusic)")
    assert [label.name for label in makam.labels if label.category == "makam"] == [
        "Hicaz",
        "Nihavent",
        "Hüzzam",
        "Kürdilihicazkar",
        "Uşşak",
        "Rast",
        "Segah",
        "Hüseyni",
    ]


def test_an_unknown_vocabulary_is_an_error():
    with pytest.raises(KeyError, match="flamenco"):
        vocabulary("flamenco")
