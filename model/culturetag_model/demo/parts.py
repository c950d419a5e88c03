"""The parts of a score: who plays the melody, who accompanies it, and the percussion."""

import numpy as np

from culturetag_model.demo.draft import Draft
from culturetag_model.demo.score import MelodyNote, Note, Part, commas_to_keys
from culturetag_model.demo.tables import OCTAVE, Backing, Drum, Instrument, Stroke, parse_strokes

_PROGRESSIONS = ((0, 3, 4, 0), (0, 5, 3, 4), (0, 4, 5, 3), (0, 6, 5, 4))
"""Scale steps of the chords' roots, counted from the tonic; a chord lasts whole cycles, about two seconds."""
_CHORD_SECONDS = 2.0
_FIFTH, _FOURTH = 31.0, 22.0
_TAMBURA_SECONDS = 0.7


def add_unison(draft: Draft, name: str, *, loose: bool) -> None:
    """An instrument that plays the melody; `loose` ones are a little late and leave notes out, as in heterophony."""
    instrument = draft.tables.instruments[name]
    level = draft.rng.uniform(0.75, 1.0) if loose else 1.0
    notes = []
    for tone in draft.score.melody:
        if loose and draft.rng.random() < 0.1:
            continue
        notes.append(_play(draft, instrument, tone, delay=abs(draft.rng.normal(0, 0.015)) if loose else 0.0))
    draft.score.parts.append(Part(draft.program(instrument.timbre), notes, bends=True, level=level))
    draft.score.instruments.add(name)
    draft.earn(name)


def _play(draft: Draft, instrument: Instrument, tone: MelodyNote, delay: float) -> Note:
    rng = draft.rng
    slide = float(rng.choice([-1.8, -1.0, 1.0])) if rng.random() < draft.recipe.glide else 0.0
    if tone.oscillation and tone.duration > 0.2:
        oscillation = commas_to_keys(tone.oscillation)
    elif not instrument.decays and tone.duration > 0.45:
        oscillation = float(rng.uniform(0.0, 0.25))
    else:
        oscillation = 0.0
    velocity = int(np.clip(rng.normal(95, 12), 50, 127))
    # A bowed or blown note reaches the next one; a plucked one rings on anyway.
    length = tone.duration * rng.uniform(0.9, 1.0)
    return Note(tone.start + delay, length, draft.key(tone.commas, instrument.octave), velocity, slide, oscillation)


def add_backing(draft: Draft, backing: Backing) -> None:
    """Adds an accompanying instrument in the manner of its part, with the labels that it earns."""
    if backing.part == "unison":
        add_unison(draft, backing.instrument, loose=True)
    else:
        instrument = draft.tables.instruments[backing.instrument]
        notes = _BACKINGS[backing.part](draft, instrument)
        level = draft.rng.uniform(*((0.35, 0.55) if backing.part == "drone" else (0.4, 0.75)))
        draft.score.parts.append(Part(draft.program(instrument.timbre), notes, level=level))
        draft.score.instruments.add(backing.instrument)
        draft.earn(backing.instrument)
    draft.earn(backing.label)


def _drone(draft: Draft, instrument: Instrument) -> list[Note]:
    """The tonic with its fifth (or fourth): held, or plucked string after string as a tambura is."""
    second = _FIFTH if any(abs(degree - _FIFTH) < 2 for degree in draft.mode.rising) else _FOURTH
    tonic, other = draft.key(0.0, instrument.octave), draft.key(second - OCTAVE, instrument.octave)
    duration = draft.score.duration
    if not instrument.decays:
        return [Note(time, 4.1, key, 75) for time in np.arange(0.0, duration, 4.0) for key in (tonic, tonic - 12)]
    strings = (other, tonic, tonic, tonic - 12)
    times = np.arange(0.0, duration, _TAMBURA_SECONDS * draft.rng.uniform(0.8, 1.2))
    return [Note(time, 2.5, strings[index % 4], 80) for index, time in enumerate(times)]


def _chords(draft: Draft, instrument: Instrument) -> list[Note]:
    return [
        Note(start, length, key, 78)
        for start, length, chord in _harmony(draft)
        for key in _keys(draft, instrument, chord)
    ]


def _strum(draft: Draft, instrument: Instrument) -> list[Note]:
    """The chord again with every stroke of the metre, or every beat where it has none."""
    notes = []
    for start, length, chord in _harmony(draft):
        for time, stroke in _strokes(draft, draft.metre.strokes, start, start + length):
            accent = 95 if "D" in stroke.sounds or "K" in stroke.sounds else 75
            ringing = min(stroke.beats, 2.0) * draft.beat * 0.95
            notes += [Note(time, ringing, key, accent) for key in _keys(draft, instrument, chord)]
    return notes


def _arpeggio(draft: Draft, instrument: Instrument) -> list[Note]:
    step = draft.beat * 2.0 ** round(np.log2(0.22 / draft.beat))
    notes = []
    for start, length, chord in _harmony(draft):
        keys = _keys(draft, instrument, chord)
        keys = [*keys, keys[0] + 12, *keys[:0:-1]]
        notes += [
            Note(time, step * 1.2, keys[index % len(keys)], 82)
            for index, time in enumerate(np.arange(start, start + length - 0.01, step))
        ]
    return notes


def _bass(draft: Draft, instrument: Instrument) -> list[Note]:
    """The root on the low strokes of the metre, or on every beat where it has no strokes."""
    notes = []
    for start, length, chord in _harmony(draft):
        key = _keys(draft, instrument, chord)[0]
        for time, stroke in _strokes(draft, draft.metre.strokes, start, start + length):
            if not stroke.sounds or {"D", "K", "Dha", "Dhin"} & set(stroke.sounds):
                notes.append(Note(time, max(stroke.beats * draft.beat, 0.2), key, 92))
    return notes


_BACKINGS = {"drone": _drone, "chords": _chords, "strum": _strum, "arpeggio": _arpeggio, "bass": _bass}


def _harmony(draft: Draft) -> list[tuple[float, float, tuple[float, ...]]]:
    """Start and length in seconds of each chord, with its tones in commas. Outside Western modes: tonic and fifth."""
    cycle = draft.metre.beats * draft.beat
    length = cycle * max(1, round(_CHORD_SECONDS / cycle))
    scale = draft.mode.rising
    tonal = len(scale) == 7 and draft.mode.name.startswith("western.")
    progression = _PROGRESSIONS[draft.harmony] if tonal else (0,)
    harmony = []
    for index, start in enumerate(np.arange(0.0, draft.score.duration, length)):
        root = progression[index % len(progression)]
        steps = (root, root + 2, root + 4)
        chord = tuple(scale[step % 7] + OCTAVE * (step // 7) for step in steps) if tonal else (0.0, _FIFTH)
        harmony.append((float(start), length, chord))
    return harmony


def _keys(draft: Draft, instrument: Instrument, chord: tuple[float, ...]) -> list[float]:
    return [draft.key(tone - (OCTAVE if chord[0] > _FIFTH else 0.0), instrument.octave) for tone in chord]


def _strokes(draft: Draft, pattern: tuple[Stroke, ...], start: float, end: float) -> list[tuple[float, Stroke]]:
    """The strokes of a repeated pattern with their times in seconds; a long rest is cut into beats."""
    strokes = []
    time = start
    while time < end - 0.01:
        for stroke in pattern:
            pieces = int(stroke.beats) if not stroke.sounds and stroke.beats > 1 else 1
            for _ in range(pieces):
                if time < end - 0.01:
                    strokes.append((time, Stroke(stroke.sounds, stroke.beats / pieces)))
                time += stroke.beats / pieces * draft.beat
    return strokes


def add_percussion(draft: Draft) -> None:
    """The recipe's drum set or kits on the strokes of the metre. The metre's label is earned only if it is heard."""
    recipe, rng = draft.recipe, draft.rng
    if recipe.drums:
        _add_drums(draft, draft.tables.drumsets[recipe.drums], draft.metre.strokes)
        draft.score.instruments.add(recipe.drums)
        draft.earn(draft.metre.name.split(".", 1)[1], recipe.drum_label)
    if not recipe.kits or rng.random() >= recipe.kit_chance:
        return
    names = [str(rng.choice(recipe.kits))]
    if recipe.more_kits and rng.random() < recipe.more_chance:
        names.append(str(rng.choice(recipe.more_kits)))
    if recipe.extra_kit:
        names.append(recipe.extra_kit)
    pattern = parse_strokes(recipe.kit_strokes) if recipe.kit_strokes else draft.metre.strokes
    for name in names:
        _add_drums(draft, draft.tables.kits[name], pattern)
    draft.score.instruments.update(names)
    draft.earn(draft.metre.name.split(".", 1)[1], recipe.drum_label, *names)


def _add_drums(draft: Draft, kit: dict[str, Drum], pattern: tuple[Stroke, ...]) -> None:
    """One part for each sound that the pattern uses, since each may have a program of its own."""
    rng, level = draft.rng, draft.rng.uniform(0.75, 1.0)
    variant = int(rng.integers(8))
    notes: dict[str, list[Note]] = {}
    for time, stroke in _strokes(draft, pattern, 0.0, draft.score.duration):
        draft.score.strokes.append((time, stroke.sounds))
        for name in stroke.sounds:
            strong = name in {"D", "Dha", "Dhin", "K", "S", "T"}
            velocity = int(np.clip(rng.normal(105 if strong else 80, 8), 40, 127))
            for sound in draft.tables.stroke_sounds.get(name, (name,)) if name not in kit else (name,):
                drum = kit[sound]
                key = draft.key(0.0, -1) if drum.key is None else float(drum.key)
                notes.setdefault(sound, []).append(Note(time, 0.3, key, velocity))
    for sound, hits in notes.items():
        variants = kit[sound].timbre.variants(unheard=draft.split.unheard)
        draft.score.parts.append(Part(variants[variant % len(variants)], hits, level=level))
