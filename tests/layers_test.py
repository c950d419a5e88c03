"""Holds server/ to the layers of the design: who includes whom, where third parties enter, how large things grow.

base < {audio, observability} < inference < {batching, labeling} < service < server < main: a file includes from its own
folder and from the left of it; folders within braces don't include each other.
"""

import pathlib
import re

import pytest

SERVER = pathlib.Path(__file__).resolve().parents[1] / "server"
SOURCES = sorted(path for path in SERVER.rglob("*") if path.suffix in {".cc", ".h"})

# The lowest layer first. `server` and `main` are the files right in server/.
LAYERS = (
    {"base"},
    {"audio", "observability"},
    {"inference"},
    {"batching", "labeling"},
    {"service"},
    {"server"},
    {"main"},
)
RANKS = {folder: rank for rank, layer in enumerate(LAYERS) for folder in layer}

# Includes of each third party, and the one file that may have them.
THIRD_PARTIES = {
    r"sndfile\.h": "audio/decoder.cc",
    r"soxr\.h": "audio/resampler.cc",
    r"(torch|ATen|c10)/.*": "inference/torch_model.cc",
    r"openssl/.*": "base/crypto.cc",
    r"prometheus/.*": "observability/metrics.cc",
    r"(CivetServer|civetweb)\.h": "observability/http_endpoint.cc",
    r"spdlog/.*": "base/logging.cc",
}

# About 300 lines a file and 40 a function is the aim; these bounds leave room for the odd exception and no more.
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 60
MAX_MAIN_LINES = 80


def relative(path: pathlib.Path) -> str:
    return path.relative_to(SERVER).as_posix()


def folder_of(path: str) -> str:
    """The layer's name for a path below server/: its folder, or `server` or `main` for the files right there."""
    head, _, rest = path.partition("/")
    if rest:
        return head
    return "main" if head == "main.cc" else "server"


def includes(text: str) -> list[str]:
    return re.findall(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', text, re.MULTILINE)


def forbidden_includes(path: str, text: str) -> list[str]:
    """The includes of the file `path` (below server/) that its layer may not have."""
    own = folder_of(path)
    ours = (header for header in includes(text) if (SERVER / header).is_file())
    return [header for header in ours if folder_of(header) != own and RANKS[folder_of(header)] >= RANKS[own]]


def functions(text: str) -> list[tuple[str, int]]:
    """First line and length of everything that looks like a function: a line with a parenthesis and with an opening brace at
    its end, up to a closing brace at the same indentation. The code's uniform layout makes this exact enough."""
    lines = text.splitlines()
    found = []
    start = None
    for number, line in enumerate(lines):
        indentation = len(line) - len(line.lstrip())
        if start is None and indentation <= 2 and re.search(r"\).*\{$", line):
            start = (number, indentation)
        elif start and line.startswith(" " * start[1] + "}"):
            found.append((lines[start[0]].strip(), number - start[0] + 1))
            start = None
    return found


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_a_file_includes_only_from_lower_layers(path: pathlib.Path) -> None:
    assert forbidden_includes(relative(path), path.read_text()) == []


def test_every_folder_has_its_layer() -> None:
    assert {folder_of(relative(path)) for path in SOURCES} <= RANKS.keys()


@pytest.mark.parametrize("pattern", THIRD_PARTIES)
def test_a_third_party_enters_through_one_file(pattern: str) -> None:
    users = [relative(path) for path in SOURCES if any(re.fullmatch(pattern, name) for name in includes(path.read_text()))]
    assert users == [THIRD_PARTIES[pattern]]


@pytest.mark.parametrize("path", SOURCES, ids=relative)
def test_files_and_functions_stay_small(path: pathlib.Path) -> None:
    text = path.read_text()
    limit = MAX_MAIN_LINES if path.name == "main.cc" else MAX_FILE_LINES
    assert len(text.splitlines()) <= limit
    assert [function for function in functions(text) if function[1] > MAX_FUNCTION_LINES] == []


def test_the_check_of_layers_can_fail() -> None:
    assert forbidden_includes("audio/x.cc", '#include "base/clock.h"\n#include "audio/decoder.h"\n#include <vector>') == []
    assert forbidden_includes("base/x.cc", '#include "audio/decoder.h"') == ["audio/decoder.h"]
    assert forbidden_includes("audio/x.cc", '#include "observability/metrics.h"') == ["observability/metrics.h"]
    assert forbidden_includes("labeling/x.h", '  #  include "batching/batch_policy.h"') == ["batching/batch_policy.h"]
    assert forbidden_includes("service/x.h", '#include "config.h"') == ["config.h"]
    assert forbidden_includes("main.cc", '#include "server.h"') == []


def test_the_measure_of_functions_sees_them() -> None:
    body = "  work();\n" * 70
    assert functions(f"namespace n {{\nvoid Long() {{\n{body}}}\n}}\n") == [("void Long() {", 72)]
    assert functions("class C {\n  void Short() {\n    if (x) {\n    }\n  }\n};\n") == [("void Short() {", 4)]
