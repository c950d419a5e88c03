"""Plays a score through FluidSynth into memory.

Pitches are tuned by MIDI pitch bend: a part that bends has one channel and one voice at a time, and its bend carries
the distance between the tempered key and the wanted pitch, slides and oscillations included.
"""

import ctypes
import math
from dataclasses import dataclass
from pathlib import Path

import fluidsynth
import numpy as np

from culturetag_model.demo.score import Note, Part, Score

SAMPLE_RATE_HZ = 24_000
SOUNDFONT_FILES = {"fluid": "FluidR3_GM.sf2", "tim": "TimGM6mb.sf2"}
DEFAULT_SOUNDFONT_FOLDER = Path("/usr/share/sounds/sf2")
"""Where Debian and Ubuntu install the packages fluid-soundfont-gm and timgm6mb-soundfont."""

_BEND_RANGE = 3
"""The pitch bend range in semitones: a slide of two, an oscillation, and the distance to the tempered key."""
_BEND_STEP_SECONDS = 0.012
_SLIDE_SECONDS = 0.09
_OSCILLATION_HZ = 5.0
_KIT_BANK = 128


# The library's own wrapper renders dithered 16-bit samples, whose dither depends on what was rendered before.
_write_float = fluidsynth.cfunc(
    "fluid_synth_write_float",
    ctypes.c_int,
    ("synth", ctypes.c_void_p, 1),
    ("len", ctypes.c_int, 1),
    ("lout", ctypes.c_void_p, 1),
    ("loff", ctypes.c_int, 1),
    ("lincr", ctypes.c_int, 1),
    ("rout", ctypes.c_void_p, 1),
    ("roff", ctypes.c_int, 1),
    ("rincr", ctypes.c_int, 1),
)


class SoundfontNotFoundError(FileNotFoundError):
    """A soundfont file is missing; the message names the packages that hold them."""


@dataclass(frozen=True)
class Reverb:
    """`room` and `level` in [0, 1]; a level of 0 is dry."""

    room: float
    level: float


@dataclass(frozen=True, order=True)
class _Event:
    sample: int
    order: int
    channel: int
    name: str
    values: tuple[int, ...]


def check_soundfonts(folder: Path = DEFAULT_SOUNDFONT_FOLDER) -> None:
    """Raises `SoundfontNotFoundError` if a soundfont isn't in `folder`."""
    missing = [str(folder / file) for file in SOUNDFONT_FILES.values() if not (folder / file).is_file()]
    if missing:
        raise SoundfontNotFoundError(
            f"missing soundfonts: {', '.join(missing)}; install fluid-soundfont-gm and timgm6mb-soundfont"
        )


def render(score: Score, reverb: Reverb, soundfont_folder: Path = DEFAULT_SOUNDFONT_FOLDER) -> np.ndarray:
    """The clip as `[score.duration * 24000] float32` mono, scaled to a peak of 1. The same score sounds the same.

    Raises:
        SoundfontNotFoundError: A soundfont isn't in `soundfont_folder`.
        ValueError: A soundfont lacks a program of the score.
    """
    check_soundfonts(soundfont_folder)
    # A synthesizer carries the phases of its oscillators from score to score, so each score gets one of its own. With
    # dynamic loading, which reads only the samples of selected programs, that takes a few hundredths of a second.
    synth = fluidsynth.Synth(gain=0.4, samplerate=float(SAMPLE_RATE_HZ), channels=32)
    try:
        synth.setting("synth.chorus.active", 0)
        synth.setting("synth.dynamic-sample-loading", 1)
        synth.set_reverb(reverb.room, 0.4, 0.5, reverb.level)
        soundfonts = {name: synth.sfload(str(soundfont_folder / file)) for name, file in SOUNDFONT_FILES.items()}
        events: list[_Event] = []
        for channel, part in enumerate(score.parts):
            _prepare(synth, soundfonts[part.program.soundfont], channel, part)
            events += _bent_events(channel, part) if part.bends else _plain_events(channel, part)
        audio = _play(synth, sorted(events), round(score.duration * SAMPLE_RATE_HZ))
    finally:
        synth.delete()
    peak = float(np.abs(audio).max())
    return audio / peak if peak > 0 else audio


def _prepare(synth: fluidsynth.Synth, soundfont: int, channel: int, part: Part) -> None:
    program = part.program
    if synth.program_select(channel, soundfont, program.bank, program.number) != 0:
        raise ValueError(f"{program.soundfont} has no program {program.bank}:{program.number}")
    # The registered parameter 0 is the pitch bend range.
    for controller, value in ((101, 0), (100, 0), (6, _BEND_RANGE), (38, 0)):
        synth.cc(channel, controller, value)
    synth.cc(channel, 7, min(127, round(100 * part.level)))


def _play(synth: fluidsynth.Synth, events: list[_Event], length: int) -> np.ndarray:
    left, right = np.zeros(length, np.float32), np.zeros(length, np.float32)
    position = 0
    for event in events:
        until = min(event.sample, length)
        _write(synth, left, right, position, until)
        position = max(position, until)
        if event.sample >= length:
            break
        getattr(synth, event.name)(event.channel, *event.values)
    _write(synth, left, right, position, length)
    return (left + right) / 2


def _write(synth: fluidsynth.Synth, left: np.ndarray, right: np.ndarray, start: int, end: int) -> None:
    if end > start:
        _write_float(synth.synth, end - start, left.ctypes.data, start, 1, right.ctypes.data, start, 1)


def bend_value(semitones: float) -> int:
    """The pitch bend, centred on 0, that shifts a channel by `semitones` within the bend range."""
    return max(-8192, min(8191, round(semitones / _BEND_RANGE * 8192)))


def _plain_events(channel: int, part: Part) -> list[_Event]:
    """Notes that may overlap. A tuned program bends once and for all, by the first note's distance from its key."""
    events = []
    tuning = 0.0
    if part.program.bank != _KIT_BANK and part.notes:
        tuning = part.notes[0].pitch - round(part.notes[0].pitch)
        events.append(_Event(0, 0, channel, "pitch_bend", (bend_value(tuning),)))
    for note in part.notes:
        key = round(note.pitch - tuning)
        events.append(_Event(_sample(note.start), 2, channel, "noteon", (key, note.velocity)))
        events.append(_Event(_sample(note.start + note.duration), 1, channel, "noteoff", (key,)))
    return events


def _bent_events(channel: int, part: Part) -> list[_Event]:
    """One voice, each note tuned by itself. A note ends with the next one's start at the latest, so bends never mix."""
    events = []
    starts = [note.start for note in part.notes[1:]] + [math.inf]
    for note, next_start in zip(part.notes, starts, strict=True):
        end = min(note.start + note.duration, next_start)
        key = round(note.pitch)
        events.append(_Event(_sample(note.start), 2, channel, "noteon", (key, note.velocity)))
        events.append(_Event(_sample(end), 1, channel, "noteoff", (key,)))
        events += [
            _Event(_sample(note.start + time), 0, channel, "pitch_bend", (bend_value(note.pitch - key + offset),))
            for time, offset in _bend_curve(note, end - note.start)
        ]
    return events


def _bend_curve(note: Note, duration: float) -> list[tuple[float, float]]:
    """Times from the note's start, and how far the pitch is from the note's own then, in semitones."""
    if not note.slide and not note.oscillation:
        return [(0.0, 0.0)]
    moving = duration if note.oscillation else min(duration, _SLIDE_SECONDS + _BEND_STEP_SECONDS)
    curve = []
    for index in range(max(1, int(moving / _BEND_STEP_SECONDS))):
        time = index * _BEND_STEP_SECONDS
        slide = note.slide * max(0.0, 1.0 - time / _SLIDE_SECONDS)
        curve.append((time, slide + note.oscillation * math.sin(2 * math.pi * _OSCILLATION_HZ * time)))
    if not note.oscillation:
        curve.append((min(duration, moving), 0.0))
    return curve


def _sample(seconds: float) -> int:
    return round(seconds * SAMPLE_RATE_HZ)
