"""The tools that scripts/setup installs for the tests of deploy/, and where things are."""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
TOOLS = ROOT / ".cache/tools"

ENVIRONMENT = os.environ | {"PATH": f"{TOOLS}/bin:{TOOLS}/usr/bin:{ROOT}/.venv/bin:{os.environ['PATH']}"}


def run_tool(*command: str | Path) -> str:
    """Runs a tool that has to succeed, and returns what it printed on standard output."""
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True)
    assert done.returncode == 0, f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout


def run_failing_tool(*command: str | Path) -> str:
    """Runs a tool that has to end with 1, and returns all that it printed."""
    done = subprocess.run(command, env=ENVIRONMENT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    assert done.returncode == 1, f"{command} ended with {done.returncode}:\n{done.stdout}"
    return done.stdout


def load_module(path: Path) -> ModuleType:
    """A Python file that is in no package, imported under its own name."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module
