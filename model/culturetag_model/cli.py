"""The command line of `culturetag-model`.

Commands import PyTorch when they run, so that `--help` answers at once.
"""

from importlib.util import find_spec
from pathlib import Path

import click

from culturetag_model.commands import EXISTING_FILE, EXISTING_FOLDER, FOLDER, errors_as_messages
from culturetag_model.commands.datasets import datasets
from culturetag_model.commands.features import features
from culturetag_model.commands.merge import merge
from culturetag_model.commands.probes import evaluate, train


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="culturetag-model")
def main() -> None:
    """Build and check the model bundles that culturetag-server loads.

    A bundle is a folder: a backbone and its heads in TorchScript, and a manifest that describes them.

    \b
    From a checkpoint and a data set to a server:
      culturetag-model export --backbone ntua-slp/CultureMERT-95M --license CC-BY-NC-4.0 --output exported
      culturetag-model features --backbone exported --root ~/data/makam --output features
      culturetag-model train features/makam-* --output probes/culturemert
      culturetag-model evaluate probes/culturemert --output results
      culturetag-model bundle create --backbone exported --probes probes/culturemert --output bundles/mine
      culturetag-model bundle verify bundles/mine
      culturetag-server --bundle=bundles/mine
    """


@main.command()
@click.option(
    "--backbone", metavar="FOLDER_OR_ID", help="A checkpoint of the MERT layout: a local snapshot or a hub id."
)
@click.option("--license", metavar="SPDX", help="The licence of the checkpoint's weights, for example CC-BY-NC-4.0.")
@click.option("--random-init", is_flag=True, help="Random weights instead of a checkpoint, for load tests.")
@click.option("--layers", default=12, show_default=True, help="With --random-init: transformer layers.")
@click.option("--hidden", default=768, show_default=True, help="With --random-init: width, a multiple of 64.")
@click.option("--channels", default=512, show_default=True, help="With --random-init: channels of the convolutions.")
@click.option("--seed", default=0, show_default=True, help="With --random-init: the seed of the weights.")
@click.option("--name", help="The name that requests select the model by [default: from the backbone].")
@click.option("--version", default="1.0.0", show_default=True, help="The version that responses report.")
@click.option("--output", type=FOLDER, required=True, help="The folder to write.")
@click.option("--force", is_flag=True, help="Replace the bundle in that folder.")
def export(
    backbone: str | None,
    license: str | None,
    random_init: bool,
    layers: int,
    hidden: int,
    channels: int,
    seed: int,
    name: str | None,
    version: str,
    output: Path,
    force: bool,
) -> None:
    """Export a backbone to TorchScript: a bundle without heads, to be completed by `bundle create`.

    The file takes any batch size and any length from 17 ms on. It is compared with eager PyTorch at three shapes that
    the trace didn't see, and is written only if every value agrees within 1e-4.

    \b
    Examples:
      culturetag-model export --backbone ntua-slp/CultureMERT-95M --license CC-BY-NC-4.0 --output exported
      culturetag-model export --backbone ./snapshot --license CC-BY-NC-4.0 --output exported
      culturetag-model export --random-init --layers 12 --hidden 768 --seed 0 --output random95m
    """
    if (backbone is None) != random_init:
        raise click.UsageError("give either --backbone or --random-init")
    if backbone is not None and not license:
        raise click.UsageError("--backbone needs --license: a bundle never travels without the licence of its weights")
    with errors_as_messages():
        from culturetag_model import recipes

        if backbone is not None:
            source = recipes.checkpoint_source(backbone, license, name, version)
        else:
            source = recipes.random_source(layers, hidden, channels, seed, name, version)
        for tensor in source.ignored:
            click.echo(f"not used: {tensor}", err=True)
        recipes.export(source, output, force)
    click.echo(f"wrote {output}")


@main.group()
def bundle() -> None:
    """Join a backbone and heads into a bundle, or verify one."""


@bundle.command()
@click.option("--backbone", type=EXISTING_FOLDER, required=True, help="A folder that `export` wrote, or a bundle.")
@click.option(
    "--head",
    "heads",
    type=EXISTING_FILE,
    multiple=True,
    metavar="HEAD.json",
    help="A head: BundleHead of culturetag/v1/bundle.proto as JSON; `file` is its TorchScript beside it. Repeatable.",
)
@click.option(
    "--probes",
    type=EXISTING_FOLDER,
    help="Instead: the probes that `train` wrote there, of each head the seed with the best validation mAP.",
)
@click.option("--random-heads", is_flag=True, help="Instead: six heads of random weights with the real vocabularies.")
@click.option("--seed", default=0, show_default=True, help="With --random-heads: the seed of the weights.")
@click.option("--name", help="The name that requests select the model by [default: the backbone's].")
@click.option("--version", help="The version that responses report [default: the backbone's].")
@click.option("--description", help="What the model is for, in one or two sentences [default: the backbone's].")
@click.option("--output", type=FOLDER, required=True, help="The bundle's folder.")
@click.option("--force", is_flag=True, help="Replace the bundle in that folder.")
def create(
    backbone: Path,
    heads: tuple[Path, ...],
    probes: Path | None,
    random_heads: bool,
    seed: int,
    name: str | None,
    version: str | None,
    description: str | None,
    output: Path,
    force: bool,
) -> None:
    """Write a bundle from an exported backbone and its heads.

    The bundle is read back and run before it appears in its folder, so a mismatch of widths or label counts shows here.

    \b
    Examples:
      culturetag-model bundle create --backbone exported --probes probes/culturemert --output bundles/mine
      culturetag-model bundle create --backbone exported --head makam.json --head fma.json --output bundles/mine
      culturetag-model bundle create --backbone random95m --random-heads --seed 0 --output bundles/load-test
    """
    if sum((bool(heads), probes is not None, random_heads)) != 1:
        raise click.UsageError("give one of --probes, --head and --random-heads")
    with errors_as_messages():
        from culturetag_model import recipes

        fields = {"name": name, "version": version, "description": description}
        given = {field: value for field, value in fields.items() if value is not None}
        if random_heads:
            recipes.bundle_random_heads(backbone, seed, given, output, force)
        elif probes is not None:
            recipes.bundle_probes(backbone, probes, given, output, force)
        else:
            recipes.bundle_heads(backbone, heads, given, output, force)
    click.echo(f"wrote {output}")


@bundle.command()
@click.argument("folder", type=EXISTING_FOLDER)
def verify(folder: Path) -> None:
    """Check every digest, shape and label count of the bundle in FOLDER.

    Exits with 1 and a line for everything that disagrees.
    """
    with errors_as_messages():
        from culturetag_model.bundle import read_bundle

        manifest = read_bundle(folder).manifest
    click.echo(
        f"{manifest.name} {manifest.version}: {manifest.layer_count} x {manifest.hidden_size}, {manifest.license}"
    )
    for head in manifest.heads:
        untrained = sum(bool(label.untrained_reason) for label in head.labels)
        click.echo(f"  {head.name}: {len(head.labels)} labels, {untrained} of them untrained ({head.dataset})")


for command in (datasets, features, train, evaluate, merge):
    main.add_command(command)
if find_spec("culturetag_model.demo.cli"):
    from culturetag_model.demo.cli import demo

    main.add_command(demo)
