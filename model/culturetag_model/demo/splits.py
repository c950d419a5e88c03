"""What separates training from held-out renderings: seeds, tempi, tonics and soundfont presets.

A range of tempi or tonics is cut into eight equal bands (tempi by ratio). Bands 2 and 5, counted from zero, are kept
for held-out renderings; training draws from the six others. So a held-out value always lies between trained ones, and
never among them. Melodies differ by their seed. Presets: the last program of every timbre is held out
(`tables.Timbre`) and sounds in one split only, which asks for more than the others: whether an instrument is known
from a soundfont that it was never heard from.
"""

import math
from dataclasses import dataclass

import numpy as np

BAND_COUNT = 8
HELD_OUT_BANDS = (2, 5)


@dataclass(frozen=True)
class Split:
    """`stream` keeps the random numbers of two splits apart; `held_out` selects the bands, `unheard` the presets."""

    name: str
    stream: int
    held_out: bool
    unheard: bool = False

    def generator(self, seed: int) -> np.random.Generator:
        """The source of every random choice about clip number `seed` of this split."""
        return np.random.default_rng([self.stream, seed])

    def bands(self) -> tuple[int, ...]:
        return tuple(band for band in range(BAND_COUNT) if (band in HELD_OUT_BANDS) == self.held_out)

    def draw(self, rng: np.random.Generator, low: float, high: float) -> float:
        """A value of this split's bands of [low, high]."""
        band = rng.choice(self.bands()) + rng.random()
        return low + (high - low) * band / BAND_COUNT

    def draw_ratio(self, rng: np.random.Generator, low: float, high: float) -> float:
        """As `draw`, with bands of equal ratio."""
        return math.exp(self.draw(rng, math.log(low), math.log(high)))


TRAIN = Split("train", 1, held_out=False)
VALIDATION = Split("validation", 2, held_out=False)
"""New melodies over the trained bands and presets: what training may look at to choose between its own variants."""
TEST = Split("test", 3, held_out=True)
"""New melodies over held-out bands with the trained presets: what is reported. Nothing is chosen by it."""
UNHEARD = Split("unheard", 5, held_out=True, unheard=True)
"""As `TEST`, with presets that training never heard: reported beside it."""
DEMO = Split("demo", 4, held_out=True)
"""The default melodies of the demo: as `TEST`, with melodies that not even the report has seen."""

SPLITS = {split.name: split for split in (TRAIN, VALIDATION, TEST, UNHEARD, DEMO)}
