"""Writes the reference of resampler_test.cc: what the `soxr` package makes of a known signal.

Usage: python make_resampler_reference.py     (needs numpy and soxr; the committed files are of soxr 1.1.0)

Writes, beside itself, RATE.f32 for each input rate (the little-endian float32 output at 24 kHz of SAMPLES samples) and
lengths.csv (input rate, input length, output length).
"""

import csv
import pathlib

import numpy as np
import soxr

OUTPUT_RATE_HZ = 24000
SAMPLES = 1000
RATES_HZ = (8000, 22050, 44100, 48000, 96000)
LENGTHS = (1, 2, 7, 100, 999, 1000, 4097, 44100)


def known_signal(length: int) -> np.ndarray:
    """Noise in [-0.5, 0.5) from the generator of Numerical Recipes (x <- 1664525 x + 1013904223 mod 2**32), as float32."""
    state, samples = 1, np.empty(length, np.float32)
    for i in range(length):
        state = (1664525 * state + 1013904223) % 2**32
        samples[i] = (state - 2**32 * (state >= 2**31)) / 2**32
    return samples


def main() -> None:
    folder = pathlib.Path(__file__).parent
    rows = []
    for rate in RATES_HZ:
        output = soxr.resample(known_signal(SAMPLES), rate, OUTPUT_RATE_HZ, quality="HQ")
        (folder / f"{rate}.f32").write_bytes(output.astype("<f4").tobytes())
        for length in LENGTHS:
            rows.append((rate, length, len(soxr.resample(known_signal(length), rate, OUTPUT_RATE_HZ, quality="HQ"))))
    with open(folder / "lengths.csv", "w", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows(rows)


if __name__ == "__main__":
    main()
