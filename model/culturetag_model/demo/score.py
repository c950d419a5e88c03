"""What a composed clip consists of, before it sounds."""

from dataclasses import dataclass, field

from culturetag_model.demo.tables import OCTAVE, Program


@dataclass(frozen=True)
class Note:
    """Times in seconds; `pitch` in fractional MIDI keys. `slide` starts the note that many semitones off its pitch.

    `oscillation` is the half-width in semitones of a slow shake of the pitch (gamaka, vibrato); 0 for a steady tone.
    """

    start: float
    duration: float
    pitch: float
    velocity: int
    slide: float = 0.0
    oscillation: float = 0.0


@dataclass
class Part:
    """The notes of one sound. `bends` says that each note is tuned by itself, so that notes must not overlap.

    Without it the part may play chords, all tuned as its first note is. Drum kits (bank 128) are never tuned.
    """

    program: Program
    notes: list[Note]
    bends: bool = False
    level: float = 1.0


@dataclass(frozen=True)
class MelodyNote:
    """A melody note in time (seconds) and commas above the tonic: what the training targets are made from.

    `oscillation` is the half-width in commas of the shake that the mode puts on the tone.
    """

    start: float
    duration: float
    commas: float
    oscillation: float = 0.0


@dataclass
class Score:
    """A clip: its sounds, and what is true of it. `labels` are labels of `head`."""

    head: str
    labels: set[str]
    duration: float
    tonic: float
    tempo: float
    parts: list[Part] = field(default_factory=list)
    melody: list[MelodyNote] = field(default_factory=list)
    strokes: list[tuple[float, tuple[str, ...]]] = field(default_factory=list)
    """The percussion's strokes: time in seconds, and the names of the sounds."""
    modes: tuple[str, ...] = ()
    metre: str = ""
    instruments: set[str] = field(default_factory=set)
    """Whatever sounds: melodic instruments, kits and drum sets, as the tables name them."""


def commas_to_keys(commas: float) -> float:
    """An interval in commas as one in semitones."""
    return commas * 12.0 / OCTAVE
