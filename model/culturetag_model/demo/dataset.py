"""Renders the clips of a split to files, and reads them.

A clip has two windows of 5 s. Beside its audio stand the features that the untrained front end makes of each window,
since training starts with the front end fixed, and the frame targets.
"""

import json
from dataclasses import asdict, dataclass
from functools import cache
from multiprocessing import get_context
from pathlib import Path

import numpy as np
import torch
from torch import nn
from tqdm import tqdm

from culturetag_model.demo.compose import compose
from culturetag_model.demo.degrade import degrade
from culturetag_model.demo.network import demo_backbone, normalized
from culturetag_model.demo.score import Score
from culturetag_model.demo.splits import SPLITS, Split
from culturetag_model.demo.synth import SAMPLE_RATE_HZ, Reverb, check_soundfonts, render
from culturetag_model.demo.tables import load_tables
from culturetag_model.vocabularies import HEAD_NAMES

WINDOW_SECONDS = 5.0
CLIP_SECONDS = 10.0
TARGET_SAMPLES = 320
"""A frame target stands for so many samples."""
PART_CLIPS = 200
SILENT = -1
"""The comma class of a frame without melody."""

_HEAD_WEIGHTS = {"makam": 3.0, "hindustani": 1.6, "carnatic": 1.6, "lyra": 1.6, "fma": 1.1, "mtat": 1.6}
_LOW_SOUNDS = {"D", "K", "Dha", "Dhin", "Ge"}


@dataclass(frozen=True)
class Clip:
    """What is true of a clip. `tonic` is a fractional MIDI key, `tempo` in beats of the metre a minute.

    `melodic` says that somebody plays the melody, `percussive` that somebody strikes the metre.
    """

    seed: int
    head: str
    labels: list[str]
    tonic: float
    tempo: float
    modes: list[str]
    metre: str
    instruments: list[str]
    melodic: bool
    percussive: bool


@dataclass(frozen=True)
class ClipSet:
    """The rendered clips of a split."""

    clips: list[Clip]
    audio: np.ndarray
    """`[clips, 240000] int16`."""
    features: np.ndarray
    """`[clips, 2, frames, channels] float16`: see `window_features`."""
    frames: np.ndarray
    """`[clips, 750, 2] int8`: see `frame_targets`."""


def make_clip(split: Split, seed: int) -> tuple[Clip, np.ndarray, np.ndarray]:
    """Composes, renders and degrades clip number `seed`: what it is, its audio (int16) and its frame targets."""
    rng = split.generator(seed + 2**32)  # Apart from the numbers that compose the same clip.
    weights = np.array([_HEAD_WEIGHTS[name] for name in HEAD_NAMES])
    head = HEAD_NAMES[rng.choice(len(HEAD_NAMES), p=weights / weights.sum())]
    score = compose(load_tables(), split, seed, duration=CLIP_SECONDS, head=head)
    reverb = Reverb(room=rng.uniform(0.1, 0.8), level=rng.uniform(0.0, 0.6))
    audio = degrade(render(score, reverb), rng)
    clip = Clip(
        seed,
        head,
        sorted(score.labels),
        score.tonic,
        score.tempo,
        list(score.modes),
        score.metre,
        sorted(score.instruments),
        melodic=bool(score.melody),
        percussive=bool(score.strokes),
    )
    return clip, np.round(audio * 32767).astype(np.int16), frame_targets(score)


def window_features(audio: np.ndarray) -> np.ndarray:
    """`[240000] int16` -> `[2, frames, channels] float16`: the untrained front end's output for each window."""
    waveforms = torch.from_numpy(audio.astype(np.float32)).reshape(2, -1)
    with torch.no_grad():
        return _front_end()(normalized(waveforms)).transpose(1, 2).numpy().astype(np.float16)


@cache
def _front_end() -> nn.Module:
    return demo_backbone().hubert.feature_extractor


def frame_targets(score: Score) -> np.ndarray:
    """`[frames, 2] int8` for frames of 320 samples.

    Column 0 is the melody's comma class above the tonic (0 to 52, or `SILENT`), column 1 the percussion that is struck
    in the frame (0 none, 1 light, 2 low).
    """
    count = round(score.duration * SAMPLE_RATE_HZ) // TARGET_SAMPLES
    frames = np.zeros((count, 2), np.int8)
    frames[:, 0] = SILENT
    rate = SAMPLE_RATE_HZ / TARGET_SAMPLES
    for note in score.melody:
        frames[round(note.start * rate) : round((note.start + note.duration) * rate), 0] = round(note.commas) % 53
    for time, sounds in score.strokes:
        index = int(time * rate)
        if index < count:
            frames[index, 1] = max(frames[index, 1], 2 if _LOW_SOUNDS & set(sounds) else 1)
    return frames


def render_split(split: Split, count: int, folder: Path, *, workers: int) -> None:
    """Renders clips 0 to `count` - 1 of a split into `folder`, in so many processes, with a progress bar.

    Clips come in parts of `PART_CLIPS`. Parts that stand there already are left as they are, so that an interrupted run
    goes on, and a finished part may be read while the next ones are rendered.

    Raises:
        culturetag_model.demo.synth.SoundfontNotFoundError: Nothing is written.
    """
    check_soundfonts()
    folder.mkdir(parents=True, exist_ok=True)
    starts = [start for start in range(0, count, PART_CLIPS) if not _part_file(folder, start).exists()]
    seeds = [seed for start in starts for seed in range(start, min(start + PART_CLIPS, count))]
    with get_context("spawn").Pool(workers) as pool:
        results = pool.imap(_make_job, [(split.name, seed) for seed in seeds], chunksize=4)
        bar = iter(tqdm(results, total=len(seeds), desc=split.name, unit="clip"))
        for start in starts:
            _write_part(_part_file(folder, start), [next(bar) for _ in range(min(PART_CLIPS, count - start))])


def read_split(folder: Path) -> ClipSet:
    """All finished parts of a split. Raises `FileNotFoundError` if there is none."""
    paths = sorted(folder.glob("part-*.npz"))
    if not paths:
        raise FileNotFoundError(f"no renderings in {folder}; `culturetag-model demo render` makes them")
    clips: list[Clip] = []
    arrays: dict[str, list[np.ndarray]] = {"audio": [], "features": [], "frames": []}
    for path in paths:
        with np.load(path) as part:
            clips += [Clip(**row) for row in json.loads(str(part["clips"]))]
            for name, values in arrays.items():
                values.append(part[name])
    return ClipSet(clips, **{name: np.concatenate(values) for name, values in arrays.items()})


def _part_file(folder: Path, start: int) -> Path:
    return folder / f"part-{start:06d}.npz"


def _write_part(path: Path, rows: list[tuple[Clip, np.ndarray, np.ndarray, np.ndarray]]) -> None:
    clips, audio, features, frames = zip(*rows, strict=True)
    text = json.dumps([asdict(clip) for clip in clips], ensure_ascii=False)
    # Written under another name first: a file that ends in .npz is complete.
    draft = path.with_suffix(".draft")
    with draft.open("wb") as file:
        np.savez(file, clips=text, audio=np.stack(audio), features=np.stack(features), frames=np.stack(frames))
    draft.rename(path)


def _make_job(job: tuple[str, int]) -> tuple[Clip, np.ndarray, np.ndarray, np.ndarray]:
    name, seed = job
    torch.set_num_threads(1)
    clip, audio, frames = make_clip(SPLITS[name], seed)
    return clip, audio, window_features(audio), frames
