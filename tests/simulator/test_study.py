"""The script that writes the simulator's findings into server/batching/README.md."""

import importlib.util
import pathlib
from types import ModuleType

import pytest

ROOT = pathlib.Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def study() -> ModuleType:
    spec = importlib.util.spec_from_file_location("study", ROOT / "simulator" / "study.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_section_is_replaced_and_the_rest_stays(study: ModuleType) -> None:
    page = "before\n<!-- study: loads -->\nold\n<!-- end -->\nbetween\n<!-- study: track -->\n<!-- end -->\n"
    assert study.replace_section(page, "loads", "new\n") == (
        "before\n<!-- study: loads -->\n\nnew\n\n<!-- end -->\nbetween\n<!-- study: track -->\n<!-- end -->\n"
    )


def test_a_section_that_isnt_there_is_an_error(study: ModuleType) -> None:
    with pytest.raises(ValueError, match="0 sections named fleets"):
        study.replace_section("nothing", "fleets", "new\n")


@pytest.mark.parametrize(("name", "plot"), [("loads", "loads.svg"), ("track", None), ("fleets", "fleets.svg")])
def test_the_page_has_every_study_with_its_table_and_plot(study: ModuleType, name: str, plot: str | None) -> None:
    page = study.PAGE.read_text()
    section = page.split(f"<!-- study: {name} -->")[1].split("<!-- end -->")[0]
    assert section.count("\n| ") >= 4
    if plot is not None:
        assert f"](plots/{plot})" in page
        assert (study.PLOTS / plot).is_file()
