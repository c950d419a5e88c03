"""The tables of `data/*.toml` as typed values. The files document their fields and name their sources."""

import re
import tomllib
from dataclasses import dataclass, field
from functools import cache
from importlib.resources import files
from typing import Any

OCTAVE = 53.0
"""Commas in an octave."""

_STROKE = re.compile(r"(.+?)(\d*\.?\d+)")


@dataclass(frozen=True)
class Mode:
    """A makam, raga or scale. Pitches are commas above the tonic; degrees lie in [0, 53)."""

    name: str
    rising: tuple[float, ...]
    falling: tuple[float, ...]
    dominant: float
    rests: tuple[float, ...]
    opening: float
    direction: str
    below: tuple[float, ...]
    phrases: tuple[tuple[float, ...], ...]
    cadences: tuple[tuple[float, ...], ...]
    oscillated: dict[float, float]
    tonic: float
    """Where the tonic stands, in commas from the middle of all tonics."""


@dataclass(frozen=True)
class Stroke:
    """`sounds` strike together and last `beats`; no sound is a rest."""

    sounds: tuple[str, ...]
    beats: float


@dataclass(frozen=True)
class Metre:
    """A cycle of strokes. `bpm` is the range of tempi in beats a minute."""

    name: str
    beats: float
    strokes: tuple[Stroke, ...]
    bpm: tuple[float, float]


@dataclass(frozen=True)
class Program:
    """One sound of a soundfont. Bank 128 holds the drum kits, in which the key selects the drum."""

    soundfont: str
    bank: int
    number: int


@dataclass(frozen=True)
class Timbre:
    """Interchangeable programs; the last one is kept from training, for the split `unheard`."""

    programs: tuple[Program, ...]

    def variants(self, *, unheard: bool) -> tuple[Program, ...]:
        return self.programs[-1:] if unheard else self.programs[:-1]


@dataclass(frozen=True)
class Instrument:
    name: str
    timbre: Timbre
    octave: int
    decays: bool


@dataclass(frozen=True)
class Drum:
    """A percussion sound. `key` is a MIDI key, or None for a sound tuned to the tonic."""

    timbre: Timbre
    key: int | None


@dataclass(frozen=True)
class Backing:
    """`part` is how the instrument accompanies; `label` is a label that it earns, beside its own name."""

    instrument: str
    part: str
    chance: float
    label: str = ""


@dataclass(frozen=True)
class Recipe:
    """What a clip is made of; `data/recipes.toml` explains the fields."""

    head: str
    modes: tuple[str, ...]
    metres: tuple[str, ...]
    lead_count: tuple[int, int]
    pace: str
    labels: tuple[str, ...] = ()
    weight: float = 1.0
    leads: tuple[str, ...] = ()
    glide: float = 0.0
    repeats: float = 0.0
    lines: float = 0.0
    garland_chance: float = 0.0
    backing: tuple[Backing, ...] = ()
    kits: tuple[str, ...] = ()
    kit_chance: float = 0.0
    kit_strokes: str = ""
    more_kits: tuple[str, ...] = ()
    more_chance: float = 0.0
    extra_kit: str = ""
    drums: str = ""
    drum_label: str = ""


@dataclass(frozen=True)
class Tables:
    """Modes and metres are keyed as the recipes name them, for example `makam.Hicaz`."""

    modes: dict[str, Mode]
    metres: dict[str, Metre]
    instruments: dict[str, Instrument]
    kits: dict[str, dict[str, Drum]]
    drumsets: dict[str, dict[str, Drum]]
    stroke_sounds: dict[str, tuple[str, ...]]
    recipes: tuple[Recipe, ...]
    untrained: dict[str, dict[str, str]] = field(default_factory=dict)

    def modes_named(self, pattern: str) -> list[str]:
        """The names of modes that a recipe's entry stands for: itself, or all of a group for `group.*`."""
        return _expand(self.modes, pattern)

    def metres_named(self, pattern: str) -> list[str]:
        return _expand(self.metres, pattern)


@cache
def load_tables() -> Tables:
    """Reads the tables of the package. Raises `KeyError` or `ValueError` for one that is malformed."""
    modes, rhythms, sounds = _read("modes"), _read("rhythms"), _read("instruments")
    return Tables(
        modes={f"{group}.{name}": _mode(f"{group}.{name}", row) for group, name, row in _rows(modes)},
        metres={f"{group}.{name}": _metre(f"{group}.{name}", row) for group, name, row in _rows(rhythms)},
        instruments={name: _instrument(name, row) for name, row in sounds["melodic"].items()},
        kits={name: _kit(row) for name, row in sounds["kit"].items()},
        drumsets={name: _drumset(row, sounds["drumset_keys"]) for name, row in sounds["drumset"].items()},
        stroke_sounds={name: tuple(drums) for name, drums in sounds["strokes"].items()},
        recipes=tuple(_recipe(row) for row in _read("recipes")["recipe"]),
        untrained=_read("untrained"),
    )


def parse_strokes(text: str) -> tuple[Stroke, ...]:
    """`D2 K+H.5 -1` -> strokes: sounds joined by `+`, then the length in beats. Raises `ValueError` otherwise."""
    strokes = []
    for word in text.split():
        match = _STROKE.fullmatch(word)
        if match is None:
            raise ValueError(f"{word!r} is not a stroke with a length")
        sounds = tuple(sound for sound in match[1].split("+") if sound != "-")
        strokes.append(Stroke(sounds, float(match[2])))
    return tuple(strokes)


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((files(__package__) / "data" / f"{name}.toml").read_text(encoding="utf-8"))


def _rows(groups: dict[str, Any]):
    return ((group, name, row) for group, names in groups.items() for name, row in names.items())


def _expand(names: dict[str, Any], pattern: str) -> list[str]:
    if pattern.endswith(".*"):
        return [name for name in names if name.startswith(pattern[:-1])]
    return [pattern]


def _mode(name: str, row: dict[str, Any]) -> Mode:
    if "semitones" in row:
        unit = OCTAVE / 12
        rising = tuple(degree * unit for degree in row["semitones"])
    else:
        unit = 1.0
        rising = tuple(float(sum(row["intervals"][:count])) for count in range(len(row["intervals"])))
        if sum(row["intervals"]) != OCTAVE:
            raise ValueError(f"the intervals of {name} sum to {sum(row['intervals'])} commas")
    falling = tuple(float(degree) for degree in row.get("descending", rising))
    dominant = row["dominant"] * unit
    default_below = tuple(degree - OCTAVE for degree in rising[:-4:-1])
    return Mode(
        name=name,
        rising=rising,
        falling=falling,
        dominant=dominant,
        rests=tuple(map(float, row.get("rests", ()))),
        opening=float(row.get("opening", dominant)),
        direction=row.get("direction", "both"),
        below=tuple(map(float, row.get("below", default_below))),
        phrases=tuple(tuple(map(float, phrase)) for phrase in row.get("phrases", ())),
        cadences=tuple(tuple(map(float, phrase)) for phrase in row.get("cadences", ())),
        oscillated={float(degree): float(width) for degree, width in row.get("oscillated", {}).items()},
        tonic=float(row.get("tonic", 0)) * unit,
    )


def _metre(name: str, row: dict[str, Any]) -> Metre:
    metre = Metre(name, float(row["beats"]), parse_strokes(row["strokes"]), tuple(map(float, row["bpm"])))
    length = sum(stroke.beats for stroke in metre.strokes)
    if abs(length - metre.beats) > 1e-9:
        raise ValueError(f"the strokes of {name} last {length} beats, not {metre.beats}")
    return metre


def _timbre(texts: list[str]) -> Timbre:
    programs = []
    for text in texts:
        parts = text.split(":")
        programs.append(Program(parts[0], int(parts[1]), int(parts[2])))
    if len(programs) < 2:
        raise ValueError(f"{texts} leaves nothing to hold out")
    return Timbre(tuple(programs))


def _instrument(name: str, row: dict[str, Any]) -> Instrument:
    return Instrument(name, _timbre(row["programs"]), row.get("octave", 0), row.get("decays", False))


def _kit(row: dict[str, Any]) -> dict[str, Drum]:
    return {
        sound: Drum(_timbre(drum["programs"]), None if drum["key"] == "tonic" else drum["key"])
        for sound, drum in row.items()
        if sound != "stand_in"
    }


def _drumset(row: dict[str, Any], keys: dict[str, int]) -> dict[str, Drum]:
    timbre = _timbre(row["programs"])
    return {sound: Drum(timbre, key) for sound, key in keys.items()}


def _recipe(row: dict[str, Any]) -> Recipe:
    values = {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}
    values["backing"] = tuple(Backing(**part) for part in row.get("backing", ()))
    return Recipe(**values)
