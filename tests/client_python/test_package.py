"""The package as it is shipped: its wheel in an empty environment, its types, its page."""

import re
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "client/python"

PROGRAM = """
import sys, importlib.util
import numpy
from culturetag import Client

assert importlib.util.find_spec("pandas") is None
with Client(sys.argv[1]) as client:
    result = client.tag(numpy.zeros(100, numpy.float32), sample_rate=8000)
    print(result.heads["makam"][0].label)
    try:
        result.to_dataframe()
    except ModuleNotFoundError as error:
        print(error.name)
"""


def run(*command, **options) -> subprocess.CompletedProcess:
    done = subprocess.run(command, capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done


def pip_wheel(project: Path, folder: Path) -> Path:
    run(sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, project)
    return next(folder.glob("*.whl"))


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return pip_wheel(PACKAGE, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def python(wheel, tmp_path_factory):
    """The interpreter of an environment that holds the wheel and what it asks for, and nothing else."""
    folder = tmp_path_factory.mktemp("empty") / "venv"
    venv.create(folder, with_pip=True)
    run(folder / "bin/pip", "install", "--disable-pip-version-check", wheel)
    return folder / "bin/python"


def test_installs_from_its_wheel_into_an_empty_environment(python, service, address):
    done = run(python, "-c", PROGRAM, address)
    assert done.stdout.split() == ["Hüseyni", "pandas"]
    assert len(service.calls) == 1


def test_ships_its_types_and_the_generated_modules(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    generated = {f"{name}_pb2{suffix}" for name in ("tagging", "bundle") for suffix in (".py", ".pyi", "_grpc.py")}
    assert {f"culturetag/v1/{name}" for name in generated} <= names
    assert "culturetag/py.typed" in names


def test_shares_no_file_with_the_package_of_the_model_tool(wheel, tmp_path):
    other = pip_wheel(ROOT / "model", tmp_path)
    modules = [
        {name for name in zipfile.ZipFile(each).namelist() if ".dist-info/" not in name} for each in (wheel, other)
    ]
    assert all(modules)
    assert modules[0].isdisjoint(modules[1])


def test_is_well_typed_and_formatted():
    run(sys.executable, "-m", "mypy", cwd=PACKAGE)
    for check in (["format", "--check"], ["check"]):
        run(
            sys.executable,
            "-m",
            "ruff",
            *check,
            "--config",
            "pyproject.toml",
            ".",
            ROOT / "tests/client_python",
            cwd=PACKAGE,
        )


@pytest.fixture(scope="module")
def examples():
    """The programs of the page, by their first line."""
    blocks = re.findall(r"^```python\n(.*?)^```", (PACKAGE / "README.md").read_text(), re.MULTILINE | re.DOTALL)
    assert len(blocks) == 5
    return blocks


def test_its_page_is_well_typed(examples, tmp_path):
    for number, block in enumerate(examples):
        (tmp_path / f"example_{number}.py").write_text(block)
    run(sys.executable, "-m", "mypy", *tmp_path.glob("*.py"), cwd=PACKAGE)


def test_its_page_runs(examples, service, address, tmp_path):
    (tmp_path / "song.flac").write_bytes(b"fLaC")
    for block in examples[:3]:  # the others define a function, or ask for a server of the reader's
        program = re.sub(r"Client\([^)]*\)", f'Client("{address}")', block, count=1)
        done = run(sys.executable, "-c", program, cwd=tmp_path, input="x" * 1000)
        assert "Traceback" not in done.stderr
    assert service.methods() == ["Tag", "TagStream", "Embed", "Embed"]
