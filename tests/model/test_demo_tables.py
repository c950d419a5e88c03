"""The demo's tables against themselves and against the vocabularies."""

import pytest

from culturetag_model.demo.splits import DEMO, SPLITS, TEST, TRAIN, UNHEARD, VALIDATION
from culturetag_model.demo.tables import OCTAVE, Stroke, load_tables, parse_strokes
from culturetag_model.vocabularies import HEAD_NAMES, vocabulary

TABLES = load_tables()

# Tones that belong to no scale of the raga and occur only inside one of its moves.
TOUCHED_IN_ONE_MOVE = {"hindustani.Yaman kalyan": {22.0}, "hindustani.Bageshree": {31.0}}


def labels_that_recipes_can_earn(head: str) -> set[str]:
    """Everything that some clip of the head could be labelled, whether or not the head has such a label."""
    earned: set[str] = set()
    for recipe in TABLES.recipes:
        if recipe.head != head:
            continue
        earned.update(recipe.labels, recipe.leads, recipe.kits, recipe.more_kits, [recipe.drum_label])
        earned.update(name for part in recipe.backing for name in (part.instrument, part.label))
        modes = [name for entry in recipe.modes for name in TABLES.modes_named(entry)]
        metres = [name for entry in recipe.metres for name in TABLES.metres_named(entry)]
        earned.update(name.split(".", 1)[1] for name in [*modes, *metres])
        earned.update(["ragamalika"] if recipe.garland_chance else [])
    return earned


@pytest.mark.parametrize("head", HEAD_NAMES)
def test_every_label_is_either_rendered_or_has_a_reason(head):
    labels = {label.name for label in vocabulary(head).labels}
    untrained = set(TABLES.untrained.get(head, {}))

    assert labels - labels_that_recipes_can_earn(head) == untrained


def test_every_reason_is_a_sentence_about_a_label_of_the_vocabulary():
    for head, reasons in TABLES.untrained.items():
        assert set(reasons) <= {label.name for label in vocabulary(head).labels}
        assert all(reason.endswith(".") for reason in reasons.values())


@pytest.mark.parametrize(
    ("name", "degrees"),
    [
        ("makam.Hicaz", (0, 5, 17, 22, 31, 39, 44)),
        ("makam.Rast", (0, 9, 17, 22, 31, 40, 48)),
        ("makam.Hüzzam", (0, 5, 14, 19, 31, 36, 48)),
        ("hindustani.Bhairabi", (0, 5, 14, 22, 31, 36, 45)),
        ("carnatic.kalyani", (0, 9, 17, 26, 31, 39, 48)),
    ],
)
def test_intervals_add_up_to_the_degrees_of_theory(name, degrees):
    assert TABLES.modes[name].rising == degrees


@pytest.mark.parametrize("mode", TABLES.modes.values(), ids=list(TABLES.modes))
def test_characteristic_moves_use_only_tones_of_the_mode(mode):
    tones = {*mode.rising, *mode.falling, *(degree % OCTAVE for degree in mode.below)}

    moves = [tone % OCTAVE for move in (*mode.phrases, *mode.cadences) for tone in move]
    resting = [tone % OCTAVE for tone in (mode.dominant, *mode.rests)]

    assert set(moves) <= tones | TOUCHED_IN_ONE_MOVE.get(mode.name, set())
    # A tempered dominant is computed, so it may miss its degree by rounding.
    assert all(min(abs(rest - tone) for tone in tones) < 1e-9 for rest in resting)


@pytest.mark.parametrize("mode", TABLES.modes.values(), ids=list(TABLES.modes))
def test_cadences_end_on_the_tonic(mode):
    assert all(cadence[-1] == 0.0 for cadence in mode.cadences)


@pytest.mark.parametrize(
    ("name", "beats"),
    [
        ("usul.Aksak", 9),
        ("usul.Düyek", 8),
        ("usul.Curcuna", 10),
        ("usul.Yürüksemai", 6),
        ("tala.Teentaal", 16),
        ("tala.Ektaal", 12),
        ("tala.Jhaptaal", 10),
        ("tala.Rupak", 7),
        ("tala.adi", 8),
        ("tala.khanda chapu", 5),
    ],
)
def test_strokes_fill_the_cycle(name, beats):
    assert sum(stroke.beats for stroke in TABLES.metres[name].strokes) == pytest.approx(beats)


def test_strokes_are_parsed_with_their_lengths_and_simultaneous_sounds():
    assert parse_strokes("D2 K+H.5 -1") == (Stroke(("D",), 2.0), Stroke(("K", "H"), 0.5), Stroke((), 1.0))


def test_a_stroke_without_a_length_is_refused():
    with pytest.raises(ValueError, match="'D' is not a stroke with a length"):
        parse_strokes("D2 D")


def test_every_stroke_of_a_metre_has_a_sound_on_the_kits_that_play_it():
    for recipe in TABLES.recipes:
        metres = [TABLES.metres[name] for entry in recipe.metres for name in TABLES.metres_named(entry)]
        sounds = {sound for metre in metres for stroke in metre.strokes for sound in stroke.sounds}
        if recipe.drums:
            assert sounds <= set(TABLES.drumsets[recipe.drums]), recipe.labels
        elif recipe.kits:
            assert sounds <= set(TABLES.stroke_sounds), recipe.labels


def test_training_never_uses_an_unheard_preset():
    timbres = [instrument.timbre for instrument in TABLES.instruments.values()]
    timbres += [drum.timbre for kit in [*TABLES.kits.values(), *TABLES.drumsets.values()] for drum in kit.values()]

    assert all(not set(timbre.variants(unheard=False)) & set(timbre.variants(unheard=True)) for timbre in timbres)


def test_tonics_and_tempi_of_training_and_test_lie_in_different_bands():
    assert TRAIN.bands() == VALIDATION.bands() == (0, 1, 3, 4, 6, 7)
    assert TEST.bands() == UNHEARD.bands() == DEMO.bands() == (2, 5)
    for split in (TRAIN, TEST):
        rng = split.generator(0)
        drawn = {int(split.draw(rng, 0.0, 8.0)) for _ in range(200)}
        assert drawn == set(split.bands())


def test_the_same_seed_gives_other_random_numbers_in_every_split():
    drawn = {split.generator(5).integers(2**62) for split in SPLITS.values()}

    assert len(drawn) == len(SPLITS)


def test_only_the_split_unheard_plays_unheard_presets():
    assert [split.name for split in SPLITS.values() if split.unheard] == ["unheard"]


def test_makams_stand_at_their_own_places_in_the_system_of_tones():
    places = {name.split(".")[1]: mode.tonic for name, mode in TABLES.modes.items() if name.startswith("makam.")}

    assert {name for name, place in places.items() if place == 0} == {"Hicaz", "Uşşak", "Hüseyni"}
    assert {name for name, place in places.items() if place == -9} == {"Rast", "Nihavent", "Kürdilihicazkar"}
    assert {name for name, place in places.items() if place == 8} == {"Segah", "Hüzzam"}
