import csv
import dataclasses

import pytest
from PIL import Image

from culturetag_model.metrics import METRIC_NAMES
from culturetag_model.runs import Result
from culturetag_model.tables import draw, measured_rows, published_rows, text_tables, write_csv
from culturetag_model.vocabularies import HEAD_NAMES


def result(head, *values):
    """A result whose seeds have one value for every metric."""
    return Result(head, "mine", 9, tuple(dict.fromkeys(METRIC_NAMES, value) for value in values))


def test_published_averages_are_the_stated_ones_and_near_the_mean_of_the_published_figures():
    for row in published_rows():
        for pair, stated in row.stated_averages.items():
            assert row.average(pair) == stated
            # The card's F1 average of CultureMERT-95M, 52.9, is 53.0 by its own figures.
            assert dataclasses.replace(row, stated_averages={}).average(pair) == pytest.approx(stated, abs=0.12)


def test_the_tables_show_mean_and_deviation_beside_the_published_figures():
    rows = measured_rows([[result("makam", 0.8, 0.9), result("mtat", 0.5, 0.5)]]) + published_rows()

    lines = text_tables(rows).splitlines()

    cells = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    assert cells[0] == [
        *("ROC-AUC / mAP", "Turkish-makam", "Hindustani", "Carnatic", "Lyra", "FMA-medium", "MTAT", "Avg."),
    ]
    assert cells[2] == ["mine (measured)", "85.0 ± 7.1 / 85.0 ± 7.1", *["-"] * 4, "50.0 ± 0.0 / 50.0 ± 0.0", "-"]
    assert cells[5] == [
        *("CultureMERT-TA-95M (published)", "89.0 / 61.0", "87.5 / 59.3", "79.1 / 43.3"),
        *("87.3 / 57.3", "90.8 / 49.1", "89.6 / 36.4", "69.1"),
    ]
    assert cells[7][0] == "Micro-F1 / Macro-F1"
    assert cells[12][1:3] == ["76.9 / 45.4", "74.2 / 45.0"]
    assert lines[-1].startswith("Published: CultureMERT-TA-95M model card")


def test_a_row_with_every_head_has_an_average():
    row = measured_rows([[result(head, 0.1 * index) for index, head in enumerate(HEAD_NAMES)]])[0]

    assert row.average(("roc_auc", "map")) == pytest.approx(25.0)


def test_a_single_seed_has_no_spread():
    assert result("makam", 0.8).deviation("map") == 0.0


def test_the_csv_holds_a_line_for_every_figure(tmp_path):
    write_csv(measured_rows([[result("makam", 0.8, 0.9)]]) + published_rows(), tmp_path / "results.csv")

    with (tmp_path / "results.csv").open() as file:
        lines = list(csv.DictReader(file))
    assert len(lines) == 4 + 3 * 6 * 4
    assert lines[0] == {
        "backbone": "mine",
        "source": "measured",
        "head": "makam",
        "metric": "roc_auc",
        "mean_percent": "85.00",
        "deviation_percent": "7.07",
    }


def test_the_figure_is_a_png(tmp_path):
    draw(measured_rows([[result("makam", 0.8, 0.9)]]) + published_rows(), tmp_path / "results.png")

    with Image.open(tmp_path / "results.png") as image:
        assert image.format == "PNG"
        assert image.width > 1000
