"""The command `culturetag-model features`."""

from pathlib import Path

import click

from culturetag_model.commands import EXISTING_FOLDER, FOLDER, errors_as_messages
from culturetag_model.commands.datasets import dataset_option


@click.command()
@click.option("--backbone", type=EXISTING_FOLDER, help="A folder that `export` wrote, or a bundle.")
@click.option("--server", metavar="HOST:PORT", help="Take the states from a running server's Embed RPC instead.")
@click.option("--model", default="", help="With --server: the model's name [default: the server's default].")
@click.option("--root", type=EXISTING_FOLDER, required=True, help="The data set's folder: see `datasets check --help`.")
@dataset_option
@click.option("--device", default="cpu", show_default=True, help="With --backbone: a PyTorch device, such as cuda.")
@click.option("--batch", type=click.IntRange(1), default=4, show_default=True, help="With --backbone: windows a pass.")
@click.option("--output", type=FOLDER, required=True, help="Where the features of all data sets are kept.")
def features(
    backbone: Path | None,
    server: str | None,
    model: str,
    root: Path,
    dataset: str | None,
    device: str,
    batch: int,
    output: Path,
) -> None:
    """Compute the hidden states of a data set once, for `train` and `evaluate`.

    Each recording is cut into windows as the server cuts it; kept are the time-means of every hidden state, under a
    digest of the backbone. A run that was interrupted goes on where it stopped. Broken audio is listed and skipped.

    \b
    Examples:
      culturetag-model features --backbone exported --root ~/data/mtat --output features
      culturetag-model features --backbone exported --root ~/data/fma --device cuda --batch 64 --output features
      culturetag-model features --server localhost:50051 --root ~/data/makam --output features
    """
    if (backbone is None) == (server is None):
        raise click.UsageError("give either --backbone or --server")
    with errors_as_messages():
        from culturetag_model.datasets import open_dataset
        from culturetag_model.embedders import LocalEmbedder, ServerEmbedder
        from culturetag_model.features import extract

        data = open_dataset(root, dataset)
        if backbone is not None:
            embedder = LocalEmbedder(backbone, device=device, batch=batch)
        else:
            embedder = ServerEmbedder(server, model)
        result = extract(data, embedder, output)
    for line in (*data.missing, *(f"{id}: {reason}" for id, reason in result.skipped.items())):
        click.echo(f"skipped: {line}", err=True)
    rate = result.new_windows / result.seconds if result.new_windows else 0.0
    click.echo(f"{result.folder}: {result.new_windows} new windows in {result.seconds:.1f} s ({rate:.2f} a second)")
