"""The demo's composer and renderer, by what comes out of FluidSynth."""

import numpy as np
import pytest
import soundfile

from culturetag_model.demo.compose import compose
from culturetag_model.demo.dataset import SILENT, frame_targets, make_clip
from culturetag_model.demo.degrade import degrade
from culturetag_model.demo.score import MelodyNote, Note, Part, Score
from culturetag_model.demo.showcase import write_melody
from culturetag_model.demo.splits import TEST, TRAIN
from culturetag_model.demo.synth import Reverb, SoundfontNotFoundError, render
from culturetag_model.demo.tables import Program, load_tables

TABLES = load_tables()
DRY = Reverb(room=0.2, level=0.0)


def score_of(notes: list[Note], program: Program, *, bends: bool = True, duration: float = 1.5) -> Score:
    return Score("makam", set(), duration, 57.0, 100.0, parts=[Part(program, notes, bends=bends)])


def pitch_in_cents(audio: np.ndarray, key: float) -> float:
    """How far the strongest of the first three partials lies from that of an exact tone at `key`, in cents."""
    window = audio[12_000:30_000] * np.hanning(18_000)
    spectrum = np.abs(np.fft.rfft(window, 2**19))
    frequencies = np.fft.rfftfreq(2**19, 1 / 24_000)
    exact = 440.0 * 2 ** ((key - 69) / 12)
    partials = []
    for partial in (1, 2, 3):
        near = np.abs(np.log2(np.maximum(frequencies, 1.0) / (exact * partial))) < 50 / 1200
        peak = np.argmax(np.where(near, spectrum, 0.0))
        partials.append((spectrum[peak], 1200 * np.log2(frequencies[peak] / (exact * partial))))
    return max(partials)[1]


@pytest.mark.parametrize("degree", TABLES.modes["makam.Hüzzam"].rising)
@pytest.mark.parametrize("program", [Program("fluid", 0, 71), Program("tim", 0, 24)], ids=["clarinet", "guitar"])
def test_tones_of_a_makam_sound_within_ten_cents_of_the_table(program, degree):
    key = 57.3 + degree * 12 / 53

    audio = render(score_of([Note(0.1, 1.3, key, 100)], program), DRY)

    assert abs(pitch_in_cents(audio, key)) < 10


def test_a_chord_is_tuned_with_the_tonic():
    chord = [Note(0.1, 1.3, 57.37 + interval, 100) for interval in (0.0, 7.0)]

    audio = render(score_of(chord, Program("fluid", 0, 71), bends=False), DRY)

    assert abs(pitch_in_cents(audio, 57.37)) < 10
    assert abs(pitch_in_cents(audio, 64.37)) < 10


def test_a_slide_arrives_at_its_tone():
    audio = render(score_of([Note(0.1, 1.3, 60.0, 100, slide=-1.8)], Program("fluid", 0, 71)), DRY)

    assert abs(pitch_in_cents(audio, 60.0)) < 10


def test_the_same_seed_sounds_the_same_whatever_was_rendered_before():
    first = make_clip(TRAIN, 3)
    make_clip(TRAIN, 4)
    again = make_clip(TRAIN, 3)

    assert first[0] == again[0]
    np.testing.assert_array_equal(first[1], again[1])
    np.testing.assert_array_equal(first[2], again[2])


def test_another_seed_and_another_split_sound_different():
    audio = [make_clip(split, seed)[1] for split, seed in ((TRAIN, 3), (TRAIN, 5), (TEST, 3))]

    assert all(np.abs(audio[one].astype(int) - audio[other]).max() > 100 for one, other in ((0, 1), (0, 2), (1, 2)))


def test_a_clip_of_a_makam_carries_the_labels_of_what_sounds_in_it():
    score = compose(TABLES, TEST, 0, duration=10.0, mode="makam.Rast")

    assert score.modes == ("makam.Rast",)
    assert "Rast" in score.labels
    assert score.labels <= {"Rast"} | set(TABLES.instruments) | set(TABLES.kits) | {score.metre.split(".")[1]}


def test_the_tones_of_a_melody_are_tones_of_its_mode():
    mode = TABLES.modes["makam.Segah"]
    allowed = {degree % 53 for degree in (*mode.rising, *mode.falling, *mode.below)}

    score = compose(TABLES, TRAIN, 1, duration=30.0, mode="makam.Segah")

    assert {note.commas % 53 for note in score.melody} <= allowed


def test_a_garland_of_ragas_changes_its_raga_within_five_seconds():
    garlands = [
        score
        for seed in range(40)
        for score in [compose(TABLES, TRAIN, seed, duration=10.0, head="carnatic")]
        if "ragamalika" in score.labels
    ]

    assert garlands
    assert all(len(set(score.modes)) >= 3 for score in garlands)


def test_frame_targets_name_the_degree_and_the_strokes():
    score = Score("makam", set(), 2.0, 57.0, 100.0)
    score.melody = [MelodyNote(0.0, 0.4, 22.0), MelodyNote(0.8, 0.4, -9.0)]
    score.strokes = [(0.0, ("D",)), (1.0, ("t",))]

    frames = frame_targets(score)

    assert frames.shape == (150, 2)
    assert frames[0].tolist() == [22, 2]
    assert frames[40].tolist() == [SILENT, 0]
    assert frames[60].tolist() == [44, 0]
    assert frames[75].tolist() == [44, 1]


def test_degraded_audio_keeps_its_length_and_stays_within_full_scale():
    audio = np.sin(np.arange(48_000) / 20).astype(np.float32)

    for seed in range(10):
        degraded = degrade(audio, np.random.default_rng(seed))
        assert degraded.shape == audio.shape
        assert 10 ** (-30 / 20) * 0.999 <= np.abs(degraded).max() <= 1.0001


def test_a_missing_soundfont_is_named_with_the_packages_that_hold_it(tmp_path):
    with pytest.raises(SoundfontNotFoundError, match="FluidR3_GM.sf2.*install fluid-soundfont-gm and timgm6mb"):
        render(score_of([Note(0.0, 1.0, 60.0, 100)], Program("fluid", 0, 0)), DRY, soundfont_folder=tmp_path)


def test_a_program_that_a_soundfont_lacks_is_an_error():
    with pytest.raises(ValueError, match="tim has no program 16:25"):
        render(score_of([Note(0.0, 1.0, 60.0, 100)], Program("tim", 16, 25)), DRY)


def test_the_melody_of_the_demo_is_written_as_its_file_name_asks(tmp_path):
    labels = write_melody(tmp_path / "melody.flac", "Hicaz", seed=0, seconds=3.0)

    info = soundfile.info(tmp_path / "melody.flac")
    assert (info.format, info.samplerate, info.channels, info.frames) == ("FLAC", 24_000, 1, 72_000)
    assert "Hicaz" in labels
