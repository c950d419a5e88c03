"""Melodies from the grammar of a mode: its scale, its characteristic moves, its resting tones and its seyir.

A melody is a row of phrases. A phrase walks mostly stepwise from where the last one ended to a resting tone, taking a
characteristic move on its way, and every third or so closes with a cadence to the tonic.
"""

from dataclasses import dataclass

import numpy as np

from culturetag_model.demo.score import MelodyNote
from culturetag_model.demo.tables import OCTAVE, Mode, Recipe

_TOP = 75.0
"""The highest tone of a melody, in commas above the tonic."""

_NOTE_SECONDS = {"slow": 0.8, "medium": 0.36, "quick": 0.19, "even": 0.28, "free": 0.3}


@dataclass(frozen=True)
class Phrase:
    """Pitches in commas with their lengths in beats; the last note is the one that rests."""

    pitches: list[float]
    beats: list[float]


def compose_melody(
    mode: Mode, recipe: Recipe, rng: np.random.Generator, *, beat: float, start: float, end: float
) -> list[MelodyNote]:
    """A melody between `start` and `end` seconds; `beat` is the length of a beat of the metre in seconds."""
    notes: list[MelodyNote] = []
    position = _first_tone(mode, rng)
    time, count = start, 0
    previous: Phrase | None = None
    while time < end:
        if previous is not None and rng.random() < recipe.lines:
            phrase = previous
        else:
            phrase = _phrase(mode, recipe, rng, position, _target(mode, rng, count), beat)
        # A repeated line gives way to a new one sooner or later.
        previous = phrase if previous is not phrase or rng.random() < 0.6 else None
        for pitch, beats in zip(phrase.pitches, phrase.beats, strict=True):
            shake = mode.oscillated.get(pitch % OCTAVE, 0.0)
            notes.append(MelodyNote(time, min(beats * beat, end - time), pitch, shake))
            time += beats * beat
            if time >= end:
                break
        position, count = phrase.pitches[-1], count + 1
        if rng.random() < 0.3:
            time += beat * rng.choice([0.5, 1.0])
    return [note for note in notes if note.duration > 0.04]


def _first_tone(mode: Mode, rng: np.random.Generator) -> float:
    around = [degree for degree in _ladder(mode, rising=True) if abs(degree - mode.opening) <= 10]
    return float(rng.choice(around))


def _target(mode: Mode, rng: np.random.Generator, count: int) -> float:
    """The tone on which phrase number `count` rests."""
    if count % 3 == 2 or rng.random() < 0.2:
        return 0.0
    if count == 0 or mode.direction == "descending":
        return mode.dominant if rng.random() < 0.7 else mode.opening
    choices = [mode.dominant, mode.dominant, *mode.rests]
    if mode.direction != "ascending" or count > 3:
        choices.append(OCTAVE)
    return float(rng.choice(choices))


def _phrase(
    mode: Mode, recipe: Recipe, rng: np.random.Generator, position: float, target: float, beat: float
) -> Phrase:
    goal = [target]
    if target == 0.0 and mode.cadences:
        goal = list(mode.cadences[rng.integers(len(mode.cadences))])
    pitches: list[float] = []
    if mode.phrases and rng.random() < 0.85:
        move = list(mode.phrases[rng.integers(len(mode.phrases))])
        pitches += _walk(mode, rng, position, move[0]) + move
        position = move[-1]
    else:
        middle = _ladder(mode, rising=True)
        wanted = position + rng.normal(0, 14)
        turn = min(middle, key=lambda degree: abs(degree - wanted))
        pitches += [*_walk(mode, rng, position, turn), turn]
        position = turn
    pitches += _walk(mode, rng, position, goal[0]) + goal
    pitches = _struck_again(pitches, recipe.repeats, rng)
    return Phrase(pitches, _lengths(len(pitches), recipe.pace, beat, rng))


def _ladder(mode: Mode, *, rising: bool) -> list[float]:
    degrees = mode.rising if rising else mode.falling
    tones = [*mode.below, *degrees, *(degree + OCTAVE for degree in degrees)]
    return sorted(tone for tone in tones if tone <= _TOP)


def _walk(mode: Mode, rng: np.random.Generator, start: float, goal: float) -> list[float]:
    """The tones between two tones, both excluded: every step, or now and then a skip or a neighbour note."""
    if start == goal:
        return []
    ladder = _ladder(mode, rising=goal > start)
    between = [tone for tone in ladder if min(start, goal) < tone < max(start, goal)]
    if goal < start:
        between.reverse()
    path: list[float] = []
    for tone in between:
        draw = rng.random()
        if draw < 0.12:
            continue
        path.append(tone)
        if draw > 0.88:
            neighbours = [other for other in ladder if 0 < abs(other - tone) < 13]
            if neighbours:
                path += [float(rng.choice(neighbours)), tone]
    return path


def _struck_again(pitches: list[float], chance: float, rng: np.random.Generator) -> list[float]:
    struck = []
    for pitch in pitches:
        struck += [pitch] * (1 + int(rng.random() < chance) * int(rng.integers(1, 3)))
    return struck


def _lengths(count: int, pace: str, beat: float, rng: np.random.Generator) -> list[float]:
    """Lengths in beats: binary fractions or multiples of the beat near the pace's note length; the last is longer."""
    seconds = _NOTE_SECONDS[pace]
    if pace == "free":
        lengths = np.clip(rng.lognormal(np.log(seconds), 0.5, count), 0.1, 1.6) / beat
        lengths[-1] += 0.7 / beat
        return lengths.tolist()
    unit = 2.0 ** round(np.log2(seconds / beat))
    if pace == "even":
        lengths = np.full(count, unit)
    else:
        lengths = unit * rng.choice([0.5, 1.0, 1.5, 2.0], count, p=[0.2, 0.5, 0.1, 0.2])
    lengths[-1] = unit * rng.choice([2.0, 3.0, 4.0])
    return lengths.tolist()
