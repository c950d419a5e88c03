"""The command `culturetag-model demo`."""

import os
from pathlib import Path

import click

_FOLDER = click.Path(file_okay=False, path_type=Path)
_SIZES = {"train": 2400, "validation": 100, "test": 400, "unheard": 200}


def _default_cache() -> Path:
    return Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "culturetag-demo"


_cache_option = click.option(
    "--cache-dir",
    type=_FOLDER,
    default=_default_cache,
    show_default="~/.cache/culturetag-demo",
    help="Where renderings and weights are kept.",
)
_makam_option = click.option(
    "--makam", default="Hicaz", show_default=True, help="The makam of the melody, as in data/modes.toml."
)


def _makam(text: str) -> str:
    """The makam of that name in any case, since makams have letters that not every keyboard has."""
    from culturetag_model.demo.showcase import MAKAM_NAMES

    for name in MAKAM_NAMES:
        if name.casefold() == text.casefold():
            return name
    raise click.BadParameter(f"{text!r} is none of {', '.join(MAKAM_NAMES)}", param_hint="--makam")


@click.group(invoke_without_command=True)
@click.option("--output", type=_FOLDER, default="demo-bundle", show_default=True, help="The bundle's folder.")
@_cache_option
@click.option("--force", is_flag=True, help="Replace the bundle in that folder.")
@click.pass_context
def demo(context: click.Context, output: Path, cache_dir: Path, force: bool) -> None:
    """Build the demo bundle from nothing: compose and render music, train a small model on it, and measure it.

    The demo model has only ever heard synthetic renderings: what it says about real recordings means nothing.

    Without a command all steps run, each with its defaults and from fixed seeds. Renderings that stand in the cache
    are used again. The commands are the single steps, and `miniature` and `melody`, which stand apart. Options before a
    command belong to the whole, and mean nothing to a step.

    \b
    Everything, from nothing:
      culturetag-model demo --output bundles/demo
    """
    if context.invoked_subcommand is not None:
        return
    context.invoke(render, cache_dir=cache_dir)
    context.invoke(train, cache_dir=cache_dir)
    context.invoke(evaluate, cache_dir=cache_dir)
    context.invoke(bundle, cache_dir=cache_dir, output=output, force=force)


@demo.command()
@_cache_option
@click.option("--split", type=click.Choice(list(_SIZES)), multiple=True, help="Only this split; may be repeated.")
@click.option("--clips", type=click.IntRange(1), help="Clips of each split [default: 2400, 100, 400 and 200].")
@click.option("--workers", type=click.IntRange(1), default=os.cpu_count(), show_default="all cores")
def render(cache_dir: Path, split: tuple[str, ...], clips: int | None, workers: int) -> None:
    """Render the clips of 10 s that training and evaluation use: about 1 MB each."""
    from culturetag_model.demo.dataset import render_split
    from culturetag_model.demo.splits import SPLITS

    for name in split or _SIZES:
        render_split(SPLITS[name], clips or _SIZES[name], cache_dir / name, workers=workers)


@demo.command()
@_cache_option
@click.option("--steps", type=click.IntRange(1), default=1800, show_default=True, help="Batches of 32 windows.")
@click.option("--threads", type=click.IntRange(1), default=os.cpu_count(), show_default="all cores")
def train(cache_dir: Path, steps: int, threads: int) -> None:
    """Train the backbone and the probes; writes model.pt and training.jsonl to the cache."""
    import torch

    from culturetag_model.demo.train import Plan
    from culturetag_model.demo.train import train as run

    torch.set_num_threads(threads)
    run(cache_dir, Plan(steps=steps, batch=32, peak_rate=2e-3))


@demo.command()
@_cache_option
def evaluate(cache_dir: Path) -> None:
    """Measure the trained model on held-out renderings."""
    from culturetag_model.demo.evaluate import evaluate as run

    for name, split in run(cache_dir).items():
        for head, row in split["heads"].items():
            click.echo(f"{name:8} {head:12} ROC-AUC {row['roc_auc']:.3f}  mAP {row['mean_average_precision']:.3f}")


@demo.command()
@_cache_option
@click.option("--output", type=_FOLDER, required=True, help="The bundle's folder.")
@click.option("--version", default="2.0.0", show_default=True, help="The version that responses report.")
@_makam_option
@click.option("--melody-seed", type=click.IntRange(0), default=0, show_default=True, help="Which of its melodies.")
@click.option("--force", is_flag=True, help="Replace the bundle in that folder.")
def bundle(cache_dir: Path, output: Path, version: str, makam: str, melody_seed: int, force: bool) -> None:
    """Write the trained and measured model as a bundle, with a report and a melody to try it with."""
    from culturetag_model.demo.package import write_demo_bundle

    write_demo_bundle(cache_dir, output, version=version, makam=_makam(makam), melody_seed=melody_seed, force=force)


@demo.command()
@_cache_option
@click.option(
    "--output", type=_FOLDER, required=True, help="Where the tables, the figure and the snapshots are written."
)
def miniature(cache_dir: Path, output: Path) -> None:
    """Repeat CultureMERT's study in miniature: a base, four single-culture continuations and their merge.

    Takes the renderings of `demo render`. Every backbone is probed on all six corpora with five seeds; the results
    stand in results.md, results.csv and results.png.
    """
    from culturetag_model.demo.miniature import run_miniature

    click.echo(run_miniature(cache_dir, output), nl=False)


@demo.command()
@click.option(
    "--output", type=click.Path(dir_okay=False, path_type=Path), required=True, help="The audio file to write."
)
@_makam_option
@click.option("--seed", type=click.IntRange(0), default=0, show_default=True, help="Which of the makam's melodies.")
@click.option("--seconds", type=click.FloatRange(1.0, 600.0), default=25.0, show_default=True)
def melody(output: Path, makam: str, seed: int, seconds: float) -> None:
    """Render a melody in a makam that the demo model has never heard, as a WAV, FLAC or Ogg file."""
    from culturetag_model.demo.showcase import write_melody

    name = _makam(makam)
    write_melody(output, name, seed, seconds)
    click.echo(f"{output}: a melody in makam {name}")
