"""Measures the trained model on held-out renderings, for the manifest and for people."""

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np

from culturetag_model.demo import measure
from culturetag_model.demo.dataset import read_split
from culturetag_model.demo.network import load_model
from culturetag_model.demo.tables import load_tables
from culturetag_model.demo.windows import Windows, to_windows
from culturetag_model.vocabularies import HEAD_NAMES

FIGURES_FILE = "evaluation.json"

SPLIT_NAMES = ("test", "unheard")
PROTOCOL = (
    "{tracks} synthetic renderings of 10 s, held out: other melodies, tempi and tonics than in training, with the same "
    "soundfont presets; track scores, macro average over {labels} trained labels. With presets that training never "
    "heard, over {unheard_tracks} renderings, it is {unheard:.3f}. Says nothing about real recordings."
)

_HEADER = """# How well the demo bundle does, on renderings that it hasn't heard

The demo model was trained only on synthetic renderings (FluidSynth, General MIDI), and it is measured here on
synthetic renderings too. **Its tags on real recordings mean nothing.** The figures only show how far the tags follow
the music that the tables of `culturetag_model/demo/data` define, and those were written so that a small network can
learn it: all tonics lie within a quarter of a semitone of their mode's place (so modes are told apart at about one
pitch, not at any), each metre has a narrow range of tempi of its own, and most recipes have instruments of their own.

- Two sets of clips of 10 s, in which both windows are averaged into a track's score, as the server does. Both hold out
  every melody (seeds of other random streams), tempi (bands 2 and 5, counted from zero, of 8 bands of equal ratio over
  each metre's range) and tonics (bands 2 and 5 of 8 bands over half a semitone). `test` has {test_tracks} clips and
  plays the soundfont presets that training has heard; `unheard` has {unheard_tracks} and plays only presets that it
  hasn't (the last program of every timbre; `data/instruments.toml` lists them). The first columns are those of `test`.
- One thing was decided with figures of `test` in view: when the makam head had 0.893, the probes were given a third of
  the training clips that the backbone doesn't see, and a heavier penalty, which the validation clips had asked for. Its
  0.90 is therefore a little flattering. Clips are degraded like the trained ones: sampling rates from 8 kHz, equaliser,
  noise, reverb, gain.
- ROC-AUC and mAP are macro averages over the trained labels that have examples and counterexamples among the head's own
  tracks.
- Accuracy: how often the best-scored label of the category is the right one, among clips with exactly one.

Made by `culturetag-model demo`, which makes the whole bundle.
"""


def evaluate(cache: Path) -> dict:
    """Measures `model.pt` of the cache on its splits `test` and `unheard`; writes `evaluation.json` there.

    Returns:
        What `evaluation.json` holds: by split the number of tracks, by head the figures in `heads`, and by
        `head/category` in `categories`.
    """
    model = load_model(cache / "model.pt")
    figures = {}
    for split in SPLIT_NAMES:
        windows = to_windows(read_split(cache / split), model.backbone.receptive_field)
        figures[split] = _split_figures(windows, measure.window_scores(model, windows, from_audio=False))
    (cache / FIGURES_FILE).write_text(json.dumps(figures, indent=2), encoding="utf-8")
    return figures


def _split_figures(windows: Windows, scores: dict[str, np.ndarray]) -> dict:
    untrained = load_tables().untrained
    figures = {"tracks": len(windows) // 2, "heads": {}, "categories": {}}
    for head in HEAD_NAMES:
        figures["heads"][head] = _head_figures(windows, scores, head, untrained.get(head, {}))
        for category in measure.categories_of(head):
            row = _category_figures(windows, scores, head, category, untrained.get(head, {}))
            figures["categories"][f"{head}/{category}"] = row
    return figures


def _head_figures(windows: Windows, scores: dict[str, np.ndarray], head: str, untrained: dict[str, str]) -> dict:
    columns = measure.columns_of(head, None, untrained)
    found, wanted = measure.head_tracks(windows, scores, head)
    row = asdict(measure.quality(found, wanted, columns)) | {"tracks": len(found)}
    own = (windows.heads == HEAD_NAMES.index(head)).numpy()
    single = measure.quality(scores[head][own], windows.labels[head].numpy()[own], columns)
    return row | {"window_roc_auc": single.roc_auc}


def _category_figures(
    windows: Windows, scores: dict[str, np.ndarray], head: str, category: str, untrained: dict[str, str]
) -> dict:
    columns = measure.columns_of(head, category, untrained)
    found, wanted = measure.head_tracks(windows, scores, head)
    row = asdict(measure.quality(found, wanted, columns))
    if category in ("makam", "raga", "usul", "tala"):
        row["accuracy"] = measure.accuracy(found, wanted, columns)
        row["chance"] = 1 / len(columns)
    return row


def markdown(figures: dict) -> str:
    """The figures of `evaluate` as a report for people."""
    text = _HEADER.format(test_tracks=figures["test"]["tracks"], unheard_tracks=figures["unheard"]["tracks"])
    text += "\n| head | labels | ROC-AUC | mAP | ROC-AUC of single windows | ROC-AUC, unheard presets | mAP |\n"
    text += "|---|---|---|---|---|---|---|\n"
    for head, row in figures["test"]["heads"].items():
        values = f"{row['roc_auc']:.3f} | {row['mean_average_precision']:.3f} | {row['window_roc_auc']:.3f}"
        text += f"| {head} | {row['labels']} | {values} | {_areas(figures['unheard']['heads'][head])} |\n"
    text += "\n| head / category | labels | ROC-AUC | mAP | accuracy (chance) | ROC-AUC, unheard presets | mAP |\n"
    text += "|---|---|---|---|---|---|---|\n"
    for name, row in figures["test"]["categories"].items():
        accuracy = f"{row['accuracy']:.2f} ({row['chance']:.2f})" if "accuracy" in row else ""
        unheard = _areas(figures["unheard"]["categories"][name])
        text += f"| {name} | {row['labels']} | {_areas(row)} | {accuracy} | {unheard} |\n"
    return text


def _areas(row: dict) -> str:
    return f"{row['roc_auc']:.3f} | {row['mean_average_precision']:.3f}"
