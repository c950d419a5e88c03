"""Melodies to try the demo bundle with: composed as its held-out renderings are, from seeds of their own."""

from pathlib import Path

import soundfile
import soxr

from culturetag_model.demo.compose import compose
from culturetag_model.demo.splits import DEMO
from culturetag_model.demo.synth import SAMPLE_RATE_HZ, Reverb, render
from culturetag_model.demo.tables import load_tables

MAKAM_NAMES = tuple(name.split(".", 1)[1] for name in load_tables().modes_named("makam.*"))

_REVERB = Reverb(room=0.4, level=0.3)
_PEAK = 0.7


def write_melody(path: Path, makam: str, seed: int, seconds: float, sample_rate_hz: int = SAMPLE_RATE_HZ) -> set[str]:
    """Renders melody number `seed` in a makam to a mono file, in the format that the file's name asks for.

    Returns:
        The labels of the head `makam` that hold for it.

    Raises:
        culturetag_model.demo.synth.SoundfontNotFoundError: The soundfonts aren't installed.
        soundfile.LibsndfileError: The file can't be written, or its name says no known format.
    """
    score = compose(load_tables(), DEMO, seed, duration=seconds, head="makam", mode=f"makam.{makam}")
    audio = soxr.resample(_PEAK * render(score, _REVERB), SAMPLE_RATE_HZ, sample_rate_hz)
    soundfile.write(path, audio, sample_rate_hz)
    return score.labels
