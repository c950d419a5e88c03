"""The command `culturetag-model merge`."""

from pathlib import Path

import click

from culturetag_model.commands import FOLDER, errors_as_messages


@click.command()
@click.option("--base", metavar="FOLDER_OR_ID", required=True, help="theta_0: what every model was trained on from.")
@click.option("--models", is_flag=True, help="Introduces MODEL...; may be left out.")
@click.argument("model", nargs=-1, required=True)
@click.option("--lambda", "scales", type=float, multiple=True, required=True, help="May be repeated, for a sweep.")
@click.option("--output", type=FOLDER, required=True, help="The snapshot's folder; a sweep's snapshots stand in it.")
@click.option("--force", is_flag=True, help="Replace snapshots that stand there.")
def merge(
    base: str, models: bool, model: tuple[str, ...], scales: tuple[float, ...], output: Path, force: bool
) -> None:
    """Merge models by task arithmetic: base + lambda * sum(MODEL - base).

    Base and models are checkpoints of one architecture: local snapshots or hub ids. The result is a snapshot that
    `export` reads, with its recipe in the metadata of its weights. Memory stays at two models.

    \b
    Examples:
      culturetag-model merge --base MERT-v1-95M --models makam hindustani carnatic lyra --lambda 0.2 --output merged
      culturetag-model merge --base MERT-v1-95M --models makam lyra --lambda 0.1 --lambda 0.2 --output sweep
    """
    del models  # MODEL... is an argument, because a click option can't take a list.
    with errors_as_messages():
        from culturetag_model import merge as arithmetic
        from culturetag_model.snapshot import resolve

        folders = [resolve(each) for each in (base, *model)]
        for scale in scales:
            target = output if len(scales) == 1 else output / f"lambda-{scale:g}"
            arithmetic.merge(folders[0], folders[1:], scale, target, force=force)
            click.echo(f"wrote {target}")
