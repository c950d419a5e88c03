"""The commands `culturetag-model datasets ...`."""

import os
from pathlib import Path

import click

from culturetag_model.commands import EXISTING_FOLDER, FOLDER, errors_as_messages

HEADS = ("makam", "hindustani", "carnatic", "lyra", "fma", "mtat")
"""`culturetag_model.vocabularies.HEAD_NAMES`, without the imports that it takes."""

_RECORDINGS = dict.fromkeys(HEADS, 300) | {"mtat": 500}
"""How many recordings a synthetic corpus has by default: more of MagnaTagATune, which has the most labels."""

dataset_option = click.option(
    "--dataset", type=click.Choice(HEADS), help="Which data set it is [default: found out from its files]."
)


@click.group()
def datasets() -> None:
    """Look into the six benchmarks as they lie on disk."""


@datasets.command()
@click.argument("root", type=EXISTING_FOLDER)
@dataset_option
def check(root: Path, dataset: str | None) -> None:
    """Say what the data set in ROOT holds and what it lacks: audio, metadata, splits and labels.

    Opens every audio file. Exits with 1 if anything is missing or broken; features are made of the rest all the same.

    \b
    Layouts of ROOT:
      makam, hindustani, carnatic   audios/MBID.mp3, metadata/MBID.json (Dunya's API)
      lyra                          data/raw.tsv, data/split/*.tsv, audios/ID.* or audios/YOUTUBE-ID.*
      fma                           fma_metadata/tracks.csv, fma_metadata/genres.csv, fma_medium/000/000002.mp3
      mtat                          annotations_final.csv, 0/ to f/
      any                           split/train.npy, valid.npy, test.npy (or .txt): ids, instead of the usual split
    """
    with errors_as_messages():
        from culturetag_model.datasets import open_dataset
        from culturetag_model.datasets.check import check_dataset, report

        result = check_dataset(open_dataset(root, dataset))
    for line in report(result):
        click.echo(line)
    raise SystemExit(0 if result.complete else 1)


@datasets.command()
@click.argument("head", type=click.Choice((*HEADS, "all")))
@click.option(
    "--output", type=FOLDER, required=True, help="The corpus's folder; of `all`, the folder of their folders."
)
@click.option("--recordings", type=click.IntRange(10), help="In each corpus [default: 300, and 500 of mtat].")
@click.option("--seconds", type=(float, float), default=(15.0, 60.0), show_default=True, help="Shortest and longest.")
@click.option("--workers", type=click.IntRange(1), default=os.cpu_count(), show_default="all cores")
def render(head: str, output: Path, recordings: int | None, seconds: tuple[float, float], workers: int) -> None:
    """Render a synthetic corpus in the layout of HEAD's data set, to try the chain without the real recordings.

    `all` renders the six corpora, each into a folder with its head's name.

    Needs FluidSynth and its soundfonts, as `demo` does. Recordings that stand there already are kept.

    \b
    Examples:
      culturetag-model datasets render makam --output synthetic/makam
      culturetag-model datasets render all --output synthetic
    """
    with errors_as_messages():
        from culturetag_model.datasets.synthetic import render_corpus

        roots = {name: output / name for name in HEADS} if head == "all" else {head: output}
        for name, root in roots.items():
            render_corpus(name, root, recordings or _RECORDINGS[name], seconds, workers=workers)
            click.echo(f"wrote {root}")
