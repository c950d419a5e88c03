"""What was measured beside what was published, in the layout of the CultureMERT model card's two tables.

Rows are backbones, columns the six data sets and their average, figures percent. The published ones are in
published_results.json, which names its source.
"""

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path

import numpy as np

from culturetag_model.runs import Result
from culturetag_model.vocabularies import HEAD_NAMES

COLUMNS = {
    "makam": "Turkish-makam",
    "hindustani": "Hindustani",
    "carnatic": "Carnatic",
    "lyra": "Lyra",
    "fma": "FMA-medium",
    "mtat": "MTAT",
}

PAIRS = {"ROC-AUC / mAP": ("roc_auc", "map"), "Micro-F1 / Macro-F1": ("micro_f1", "macro_f1")}
"""The metrics of each table, by its title."""

# Of each table, the keys of its figures and of its averages in published_results.json.
_PUBLISHED_KEYS = {
    "ROC-AUC / mAP": ("roc_auc / map", "roc_auc_map"),
    "Micro-F1 / Macro-F1": ("micro_f1 / macro_f1", "f1"),
}


@dataclass(frozen=True)
class Figure:
    """A metric's mean over the seeds in percent, and its standard deviation where it is known."""

    mean: float
    deviation: float | None = None


@dataclass(frozen=True)
class Row:
    """A backbone: by head and metric, a figure."""

    backbone: str
    source: str
    """`measured` or `published`."""
    figures: dict[tuple[str, str], Figure]
    stated_averages: dict[tuple[str, ...], float] = field(default_factory=dict)
    """By pair of metrics, the average that was published."""

    def average(self, metrics: tuple[str, ...]) -> float | None:
        """The stated average, or the mean over all heads and `metrics`; None if any of them is absent."""
        if metrics in self.stated_averages:
            return self.stated_averages[metrics]
        keys = [(head, metric) for head in HEAD_NAMES for metric in metrics]
        if any(key not in self.figures for key in keys):
            return None
        return float(np.mean([self.figures[key].mean for key in keys]))


def measured_rows(results: Sequence[Sequence[Result]]) -> list[Row]:
    """A row for each run, from the results of its heads."""
    return [
        Row(
            run[0].backbone,
            "measured",
            {
                (result.head, metric): Figure(100 * result.mean(metric), 100 * result.deviation(metric))
                for result in run
                for pair in PAIRS.values()
                for metric in pair
            },
        )
        for run in results
    ]


def published_rows() -> list[Row]:
    """The rows of the model card."""
    content = published()
    rows: dict[str, Row] = {}
    for title, (figures_key, averages_key) in _PUBLISHED_KEYS.items():
        for backbone, cells in content[figures_key].items():
            row = rows.setdefault(backbone, Row(backbone, "published", {}))
            row.stated_averages[PAIRS[title]] = content["averages"][averages_key][backbone]
            for head, values in zip(content["columns"], cells, strict=True):
                for metric, value in zip(PAIRS[title], values, strict=True):
                    row.figures[head, metric] = Figure(value)
    return list(rows.values())


def published() -> dict:
    """The content of published_results.json; `source` says where its figures come from."""
    return json.loads((files("culturetag_model") / "published_results.json").read_text(encoding="utf-8"))


def text_tables(rows: Sequence[Row]) -> str:
    """Both tables, as Markdown, and where the published rows among them come from."""
    source = f"\nPublished: {published()['source']}.\n" if any(row.source == "published" for row in rows) else ""
    return "\n\n".join(_table(title, rows) for title in PAIRS) + "\n" + source


def write_csv(rows: Sequence[Row], path: Path) -> None:
    """One line a figure: backbone, source, head, metric, mean and standard deviation in percent."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["backbone", "source", "head", "metric", "mean_percent", "deviation_percent"])
        for row in rows:
            for (head, metric), figure in row.figures.items():
                deviation = "" if figure.deviation is None else f"{figure.deviation:.2f}"
                writer.writerow([row.backbone, row.source, head, metric, f"{figure.mean:.2f}", deviation])


def draw(rows: Sequence[Row], path: Path) -> None:
    """A PNG with one panel a metric: a group of bars a data set, a bar a backbone; published ones are hatched."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, panels = pyplot.subplots(4, 1, figsize=(11, 13), sharex=True, layout="constrained")
    metrics = [metric for pair in PAIRS.values() for metric in pair]
    titles = [name for title in PAIRS for name in title.split(" / ")]
    width = 0.8 / len(rows)
    for panel, metric, title in zip(panels, metrics, titles, strict=True):
        for index, row in enumerate(rows):
            bars = [
                (place, row.figures[head, metric])
                for place, head in enumerate(HEAD_NAMES)
                if (head, metric) in row.figures
            ]
            panel.bar(
                [place + (index - (len(rows) - 1) / 2) * width for place, _ in bars],
                [bar.mean for _, bar in bars],
                width,
                yerr=[bar.deviation or 0.0 for _, bar in bars],
                label=f"{row.backbone} ({row.source})",
                hatch="//" if row.source == "published" else None,
                edgecolor="white",
            )
        panel.set_ylabel(f"{title} (%)")
        panel.set_ylim(0, 100)
    panels[-1].set_xticks(range(len(HEAD_NAMES)), [COLUMNS[head] for head in HEAD_NAMES])
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=2)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def _table(title: str, rows: Sequence[Row]) -> str:
    metrics = PAIRS[title]
    header = [title, *COLUMNS.values(), "Avg."]
    lines = [
        header,
        *([_name(row), *(_cell(row, head, metrics) for head in COLUMNS), _average(row, metrics)] for row in rows),
    ]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    rule = ["-" * width for width in widths]
    return "\n".join(
        "| " + " | ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)) + " |"
        for line in (header, rule, *lines[1:])
    )


def _name(row: Row) -> str:
    return f"{row.backbone} ({row.source})"


def _cell(row: Row, head: str, metrics: tuple[str, ...]) -> str:
    figures = [row.figures.get((head, metric)) for metric in metrics]
    return "-" if None in figures else " / ".join(_figure(figure) for figure in figures)


def _figure(figure: Figure) -> str:
    return f"{figure.mean:.1f}" if figure.deviation is None else f"{figure.mean:.1f} ± {figure.deviation:.1f}"


def _average(row: Row, metrics: tuple[str, ...]) -> str:
    average = row.average(metrics)
    return "-" if average is None else f"{average:.1f}"
