"""The commands `culturetag-model train` and `culturetag-model evaluate`."""

from pathlib import Path

import click

from culturetag_model.commands import EXISTING_FOLDER, FOLDER, errors_as_messages


@click.command()
@click.argument("features", nargs=-1, required=True, type=EXISTING_FOLDER)
@click.option("--output", type=FOLDER, required=True, help="The run's folder: the probes of one backbone, by head.")
@click.option("--seeds", type=click.IntRange(1), default=5, show_default=True, help="Train with seeds 0, 1, ...")
@click.option(
    "--inner", type=click.IntRange(0), default=0, show_default=True, help="Width of a hidden layer: 0 or 512."
)
@click.option("--learning-rate", type=click.FloatRange(0, min_open=True), default=1e-3, show_default=True)
@click.option("--batch", type=click.IntRange(1), default=64, show_default=True, help="Windows in a step.")
@click.option("--max-epochs", type=click.IntRange(1), default=100, show_default=True)
@click.option("--patience", type=click.IntRange(1), default=10, show_default=True, help="Epochs without a better mAP.")
@click.option("--dropout", type=click.FloatRange(0, 1, max_open=True), default=0.0, show_default=True)
def train(features: tuple[Path, ...], output: Path, seeds: int, **recipe: float) -> None:
    """Train probes on FEATURES..., folders that `features` wrote, all of one backbone.

    The published constrained probing: the backbone frozen, a softmax weighting of its hidden states, a linear layer,
    binary cross-entropy, Adam, stopping by the validation mAP of whole recordings. The threshold of F1 is chosen on the
    validation recordings too.

    \b
    Example:
      culturetag-model train features/makam-* features/lyra-* --output probes/culturemert
    """
    with errors_as_messages():
        from culturetag_model.probes import Recipe
        from culturetag_model.runs import train_run

        for folder in features:
            trained = train_run(folder, Recipe(**recipe), range(seeds), output)
            click.echo(f"wrote {trained}")


@click.command()
@click.argument("runs", nargs=-1, required=True, type=EXISTING_FOLDER)
@click.option("--output", type=FOLDER, required=True, help="Where results.md, results.csv and results.png are written.")
def evaluate(runs: tuple[Path, ...], output: Path) -> None:
    """Measure the probes of RUNS..., folders that `train` wrote, on their test splits.

    Prints mean and standard deviation over the seeds in the layout of the CultureMERT model card, beside the published
    figures. Each head's figures are kept with its probes, for `bundle create`.

    \b
    Example:
      culturetag-model evaluate probes/mert probes/culturemert --output results
    """
    with errors_as_messages():
        from culturetag_model import tables
        from culturetag_model.runs import evaluate_run, trained_heads

        results = [[evaluate_run(folder) for folder in trained_heads(run)] for run in runs]
        rows = tables.measured_rows(results) + tables.published_rows()
        text = tables.text_tables(rows)
        output.mkdir(parents=True, exist_ok=True)
        (output / "results.md").write_text(text, encoding="utf-8")
        tables.write_csv(rows, output / "results.csv")
        tables.draw(rows, output / "results.png")
    click.echo(text, nl=False)
