"""What the tests of deploy/ share: the tools that scripts/setup installs for them, and the real server."""

import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
TOOLS = ROOT / ".cache/tools"


def load_module(path: Path, name: str) -> ModuleType:
    """A Python file outside of any package, imported under `name`."""
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    spec.loader.exec_module(module)
    return module


# The server's fixtures stand with its end-to-end tests. Both folders' conftest.py have the same name.
integration = load_module(ROOT / "tests/integration/conftest.py", "integration_conftest")


def run_tool(*command: str | Path, cwd: Path = ROOT, code: int = 0) -> str:
    """Runs a tool that has to end with `code`, and returns what it printed."""
    environment = os.environ | {"PATH": f"{TOOLS}/bin:{TOOLS}/usr/bin:{ROOT}/.venv/bin:{os.environ['PATH']}"}
    done = subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == code, f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator:
    with integration.running_server(tmp_path_factory.mktemp("server"), "--max_batch_windows=4") as running:
        yield running
