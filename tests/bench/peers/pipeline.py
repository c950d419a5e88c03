"""What every peer does with a clip: the same bundle, the same windows, the same answer, by soundfile, soxr and torch.

The peers differ in what stands around this. Settings come from the environment, which all of the frameworks pass on to
their workers; `Settings` in contestants.py says what they mean.
"""

import io
import json
import os
from pathlib import Path

import numpy as np
import soundfile
import soxr
import torch

MAX_BATCH_CLIPS = int(os.environ["MAX_BATCH_CLIPS"])
BATCH_WAIT_S = int(os.environ["BATCH_WAIT_MS"]) / 1000

_EPSILON = 1e-7  # of normalisation, as in the bundle's training
_WARM_UP_PASSES = 3  # TorchScript specialises in the first ones of each shape


class Clips:
    """What needs no model: a file's windows, and the tags of scores. Thread-safe."""

    def __init__(self) -> None:
        self.folder = Path(os.environ["BUNDLE"])
        self.manifest = json.loads((self.folder / "manifest.json").read_text())
        self.rate = self.manifest["sampleRateHz"]
        self.window_samples = round(float(self.manifest["window"].removesuffix("s")) * self.rate)
        self._top_k = int(os.environ["TOP_K"])
        self._labels = {head["name"]: [label["name"] for label in head["labels"]] for head in self.manifest["heads"]}

    def windows(self, audio: bytes) -> np.ndarray:
        """The windows `[W, T] float32` of an audio file that is at least one window long; the last is right-aligned."""
        samples, rate = soundfile.read(io.BytesIO(audio), dtype="float32", always_2d=True)
        mono = samples.mean(axis=1)
        return self.cut(mono if rate == self.rate else soxr.resample(mono, rate, self.rate))

    def cut(self, mono: np.ndarray) -> np.ndarray:
        """The windows `[W, T]` of samples `[N] float32` at the model's rate."""
        starts = list(range(0, len(mono) - self.window_samples + 1, self.window_samples))
        if starts[-1] + self.window_samples < len(mono):
            starts.append(len(mono) - self.window_samples)
        windows = np.stack([mono[start : start + self.window_samples] for start in starts])
        if self.manifest["normalize"]:
            windows -= windows.mean(axis=1, keepdims=True)
            windows /= np.sqrt(windows.var(axis=1, keepdims=True) + _EPSILON)
        return windows

    def tags(self, scores: np.ndarray) -> dict[str, list[dict]]:
        """The best labels of each head, for the mean of a clip's windows `[W, K]`."""
        mean, heads, first = scores.mean(axis=0), {}, 0
        for name, labels in self._labels.items():
            own = mean[first : first + len(labels)]
            first += len(labels)
            best = np.argsort(-own)[: self._top_k]
            heads[name] = [{"label": labels[i], "score": float(own[i])} for i in best]
        return heads


class Tagger(Clips):
    """And one copy of the model."""

    def __init__(self) -> None:
        super().__init__()
        torch.set_num_threads(int(os.environ["THREADS"]))
        self._max_pass_windows = int(os.environ["MAX_PASS_WINDOWS"])
        self._backbone = torch.jit.load(self.folder / "backbone.ts").eval()
        self._heads = [torch.jit.load(self.folder / head["file"]).eval() for head in self.manifest["heads"]]
        for count in range(1, self._max_pass_windows + 1):
            for _ in range(_WARM_UP_PASSES):
                self.scores(np.zeros((count, self.window_samples), np.float32))

    @torch.inference_mode()
    def scores(self, windows: np.ndarray) -> np.ndarray:
        """The scores `[W, K]` of windows `[W, T]`, all heads' labels side by side."""
        passes = []
        for some in torch.from_numpy(windows).split(self._max_pass_windows):
            hidden = self._backbone(some)
            passes.append(torch.cat([head(hidden) for head in self._heads], 1).sigmoid())
        return torch.cat(passes).numpy()

    def scores_of_clips(self, clips: list[np.ndarray]) -> list[np.ndarray]:
        """The scores of several clips' windows, in as few passes as hold them: all windows have one length."""
        scores = self.scores(np.concatenate(clips))
        return np.split(scores, np.cumsum([len(clip) for clip in clips])[:-1])
