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


def run_tool(*command: str | Path, code: int = 0, **options) -> str:
    """Runs a tool that has to end with `code`, and returns what it printed. Options are those of subprocess.run."""
    done = subprocess.run(command, env=ENVIRONMENT, capture_output=True, text=True, **options)
    assert done.returncode == code, f"{command} ended with {done.returncode}:\n{done.stdout}{done.stderr}"
    return done.stdout


def load_module(path: Path) -> ModuleType:
    """A Python file that is in no package, imported under its own name."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules[path.stem] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module
