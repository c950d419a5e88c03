"""Composes a clip: draws a recipe and everything it leaves open, and writes the score with its labels."""

import numpy as np

from culturetag_model.demo.draft import Draft
from culturetag_model.demo.melody import compose_melody
from culturetag_model.demo.parts import add_backing, add_percussion, add_unison
from culturetag_model.demo.score import Score, commas_to_keys
from culturetag_model.demo.splits import Split
from culturetag_model.demo.tables import Recipe, Tables

_TONIC_KEY = 57.0
"""The middle of the tonics: A3, 220 Hz."""
_TONIC_SPREAD = 0.25
"""Tonics lie within so many semitones of their modes' places."""
_CARNATIC_GARLAND = "carnatic.ragamalika"


def compose(
    tables: Tables, split: Split, seed: int, *, duration: float, head: str | None = None, mode: str | None = None
) -> Score:
    """Clip number `seed` of a split.

    Args:
        duration: Seconds.
        head: Only recipes of this head; all of them otherwise.
        mode: The mode to use, as the tables name it, instead of a drawn one; only recipes that have it are drawn.
    """
    rng = split.generator(seed)
    draft = _draft(tables, split, rng, duration, head, mode)
    draft.earn(*draft.recipe.labels)
    _write_melody(draft, mode)
    _add_leads(draft)
    for backing in draft.recipe.backing:
        if rng.random() < backing.chance:
            add_backing(draft, backing)
    add_percussion(draft)
    return draft.score


def _draft(
    tables: Tables, split: Split, rng: np.random.Generator, duration: float, head: str | None, mode: str | None
) -> Draft:
    recipes = [recipe for recipe in tables.recipes if head in (None, recipe.head)]
    if mode is not None:
        recipes = [recipe for recipe in recipes if mode in _mode_names(tables, recipe)]
    weights = np.array([recipe.weight for recipe in recipes])
    recipe = recipes[rng.choice(len(recipes), p=weights / weights.sum())]
    metre_names = [name for entry in recipe.metres for name in tables.metres_named(entry)]
    metre = tables.metres[metre_names[rng.integers(len(metre_names))]]
    mode_names = [mode] if mode is not None else _mode_names(tables, recipe)
    first = tables.modes[mode_names[rng.integers(len(mode_names))]]
    tempo = split.draw_ratio(rng, *metre.bpm)
    tonic = _TONIC_KEY + commas_to_keys(first.tonic) + split.draw(rng, -_TONIC_SPREAD, _TONIC_SPREAD)
    score = Score(recipe.head, set(), duration, tonic, tempo, metre=metre.name)
    return Draft(recipe, tables, split, rng, score, first, metre, beat=60.0 / tempo, harmony=int(rng.integers(4)))


def _mode_names(tables: Tables, recipe: Recipe) -> list[str]:
    return [name for entry in recipe.modes for name in tables.modes_named(entry)]


def _write_melody(draft: Draft, fixed_mode: str | None) -> None:
    """One mode all through, or a garland of ragas that change every few seconds."""
    score, rng = draft.score, draft.rng
    if fixed_mode is None and rng.random() < draft.recipe.garland_chance:
        names = [*draft.tables.modes_named("carnatic.*"), *draft.tables.modes_named("other.*")]
        order = rng.permutation(names)
        draft.earn(_CARNATIC_GARLAND.split(".")[1])
    else:
        order = np.array([draft.mode.name])
        draft.earn(draft.mode.name.split(".", 1)[1])
    starts, time = [], 0.0
    while time < score.duration:
        starts.append(time)
        time += rng.uniform(2.5, 4.0) if len(order) > 1 else score.duration
    for index, (start, end) in enumerate(zip(starts, [*starts[1:], score.duration], strict=True)):
        mode = draft.tables.modes[order[index % len(order)]]
        score.melody += compose_melody(mode, draft.recipe, rng, beat=draft.beat, start=start, end=end)
    score.modes = tuple(order[: len(starts)].tolist())


def _add_leads(draft: Draft) -> None:
    low, high = draft.recipe.lead_count
    count = min(int(draft.rng.integers(low, high + 1)), len(set(draft.recipe.leads)))
    chosen = draft.rng.permutation(draft.recipe.leads).tolist() if draft.recipe.leads else []
    leads = list(dict.fromkeys(chosen))[:count]
    if not leads:
        # Without a lead nobody plays the melody, so nothing may be learnt from it.
        draft.score.melody = []
    for index, name in enumerate(leads):
        add_unison(draft, name, loose=index > 0)
