"""Makes clean renderings as varied as recordings: sampling rates, codecs' low-passes, equalisers, noise and gain."""

import numpy as np
import soxr

from culturetag_model.demo.synth import SAMPLE_RATE_HZ

_SOURCE_RATES_HZ = (8_000, 16_000, 22_050, 24_000)
_SOURCE_CHANCES = (0.12, 0.12, 0.16, 0.6)
"""Rates that a clip was once sampled at; 22,050 Hz also stands for a codec that cuts off at 11 kHz. Higher rates lose
nothing on their way to 24 kHz."""
_EQ_POINTS_HZ = (60.0, 250.0, 1000.0, 4000.0, 12000.0)
_EQ_SPREAD_DB = 3.0


def degrade(audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """`[samples] float32` at 24 kHz -> the same length, with a peak between -30 and 0 dBFS."""
    audio = _equalise(audio, rng)
    rate = int(rng.choice(_SOURCE_RATES_HZ, p=_SOURCE_CHANCES))
    if rate != SAMPLE_RATE_HZ:
        narrow = soxr.resample(audio, SAMPLE_RATE_HZ, rate)
        audio = _fit(soxr.resample(narrow, rate, SAMPLE_RATE_HZ), len(audio))
    if rng.random() < 0.5:
        snr_db = rng.uniform(30.0, 60.0)
        level = np.sqrt(np.mean(audio**2)) * 10 ** (-snr_db / 20)
        audio = audio + rng.normal(0.0, level, len(audio))
    peak = np.abs(audio).max()
    gain = 10 ** (rng.uniform(-30.0, 0.0) / 20)
    return (audio * (gain / peak) if peak > 0 else audio).astype(np.float32)


def _equalise(audio: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A smooth random frequency response."""
    spectrum = np.fft.rfft(audio)
    frequencies = np.fft.rfftfreq(len(audio), 1 / SAMPLE_RATE_HZ)
    gains_db = rng.normal(0.0, _EQ_SPREAD_DB, len(_EQ_POINTS_HZ))
    response_db = np.interp(np.log(np.maximum(frequencies, 20.0)), np.log(_EQ_POINTS_HZ), gains_db)
    return np.fft.irfft(spectrum * 10 ** (response_db / 20), len(audio)).astype(np.float32)


def _fit(audio: np.ndarray, length: int) -> np.ndarray:
    return np.pad(audio[:length], (0, max(0, length - len(audio))))
