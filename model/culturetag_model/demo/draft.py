"""A score in the making, shared by the modules that write it."""

from dataclasses import dataclass
from functools import cache

import numpy as np

from culturetag_model.demo.score import Score, commas_to_keys
from culturetag_model.demo.splits import Split
from culturetag_model.demo.tables import Metre, Mode, Program, Recipe, Tables, Timbre
from culturetag_model.vocabularies import vocabulary


@dataclass
class Draft:
    """A score in the making, with what its parts have to agree on."""

    recipe: Recipe
    tables: Tables
    split: Split
    rng: np.random.Generator
    score: Score
    mode: Mode
    metre: Metre
    beat: float
    """Seconds."""
    harmony: int = 0
    """Which chord progression all parts follow."""

    def program(self, timbre: Timbre) -> Program:
        variants = timbre.variants(unheard=self.split.unheard)
        return variants[self.rng.integers(len(variants))]

    def key(self, commas: float, octave: int) -> float:
        """The fractional MIDI key of a melody tone in an instrument's octave."""
        return self.score.tonic + 12 * octave + commas_to_keys(commas)

    def earn(self, *labels: str) -> None:
        """Adds the labels that the clip's head has, and passes over the others."""
        self.score.labels.update(set(labels) & labels_of(self.score.head))


@cache
def labels_of(head: str) -> frozenset[str]:
    """The names of a head's labels."""
    return frozenset(label.name for label in vocabulary(head).labels)
