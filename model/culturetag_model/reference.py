"""The whole chain from an audio file to scores in plain Python: what the server is tested against.

Written for clarity, one step a function and one window at a time, so that nothing of the server's batching, streaming
or threading can hide in it. Scores of the server agree with these within 1e-3.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
import torch
from torch import Tensor

from culturetag.v1.bundle_pb2 import BundleManifest
from culturetag_model.bundle import Bundle
from culturetag_model.manifest import samples

Module = Callable[[Tensor], Tensor]


@dataclass(frozen=True)
class WindowScores:
    """The scores of one window."""

    start: int
    """The window's first sample at the model's rate."""
    length: int
    """Its length in samples at the model's rate."""
    scores: dict[str, np.ndarray]
    """By head, `[K]` float32 in [0, 1], in the order of the head's labels."""


@dataclass(frozen=True)
class TrackScores:
    """The scores of a track, the mean of its windows' scores, and the windows they come from."""

    scores: dict[str, np.ndarray]
    windows: list[WindowScores]


def tag_file(path: Path, bundle: Bundle) -> TrackScores:
    """The scores of an audio file under a bundle's own TorchScript. Raises as `load_mono` and `cut_windows` do."""
    audio = load_mono(path, bundle.manifest.sample_rate_hz)
    return tag_samples(audio, bundle.manifest, bundle.backbone, bundle.heads)


def tag_samples(
    audio: np.ndarray, manifest: BundleManifest, backbone: Module, heads: Mapping[str, Module]
) -> TrackScores:
    """The scores of `[N] float32` audio at the manifest's rate.

    Args:
        audio: Mono samples.
        manifest: Its windows and `normalize` are used.
        backbone: `[B, T] -> [B, L, D]`: a bundle's TorchScript or an eager `Backbone` in evaluation mode.
        heads: By name, `[B, L, D] -> [B, K]` logits, likewise.

    Raises:
        ValueError: The audio is shorter than the manifest's `min_clip`.
    """
    windows = []
    for start, window in cut_windows(audio, manifest):
        inputs = normalize(window) if manifest.normalize else window
        with torch.no_grad():
            states = backbone(torch.from_numpy(inputs)[None])
            scores = {name: torch.sigmoid(head(states))[0].numpy() for name, head in heads.items()}
        windows.append(WindowScores(start, len(window), scores))
    track = {name: np.mean([window.scores[name] for window in windows], axis=0) for name in heads}
    return TrackScores(track, windows)


def load_mono(path: Path, sample_rate_hz: int) -> np.ndarray:
    """Decodes a file, averages its channels and resamples with soxr HQ: `[N] float32`.

    Raises:
        soundfile.LibsndfileError: libsndfile can't read the file.
    """
    channels, rate = soundfile.read(path, dtype="float32", always_2d=True)
    mono = channels.mean(axis=1, dtype=np.float32)
    return mono if rate == sample_rate_hz else soxr.resample(mono, rate, sample_rate_hz, quality="HQ")


def cut_windows(audio: np.ndarray, manifest: BundleManifest) -> list[tuple[int, np.ndarray]]:
    """The windows of a clip with their first samples.

    Whole windows start every hop; if samples remain, one more ends with the clip. A clip shorter than a window is one
    window of its own length.

    Raises:
        ValueError: The audio is shorter than the manifest's `min_clip`.
    """
    rate = manifest.sample_rate_hz
    window, hop, shortest = (samples(length, rate) for length in (manifest.window, manifest.hop, manifest.min_clip))
    if len(audio) < shortest:
        raise ValueError(f"the clip has {len(audio)} samples, and the shortest that is accepted has {shortest}")
    if len(audio) < window:
        return [(0, audio)]
    last = len(audio) - window
    starts = list(range(0, last + 1, hop))
    if starts[-1] != last:
        starts.append(last)
    return [(start, audio[start : start + window]) for start in starts]


def normalize(window: np.ndarray) -> np.ndarray:
    """Zero mean and unit (biased) variance in float32, by the formula of transformers' Wav2Vec2FeatureExtractor.

    Computed in float64, so that a large constant offset costs no accuracy.
    """
    exact = window.astype(np.float64)
    return ((exact - exact.mean()) / np.sqrt(exact.var() + 1e-7)).astype(np.float32)
