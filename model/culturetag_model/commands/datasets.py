"""The commands `culturetag-model datasets ...`."""

from pathlib import Path

import click

from culturetag_model.commands import EXISTING_FOLDER, errors_as_messages

HEADS = ("makam", "hindustani", "carnatic", "lyra", "fma", "mtat")
"""`culturetag_model.vocabularies.HEAD_NAMES`, without the imports that it takes."""

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
