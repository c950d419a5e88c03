"""What the tests of examples/ share: the real server on the demo bundle, and the tools of .venv."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# The server as a process stands with its end-to-end tests, the one that can be told to refuse with those of the client.
sys.path += [str(Path(__file__).resolve().parents[1] / folder) for folder in ("integration", "client_python")]

from real_server import ROOT, Server, running_server

ENVIRONMENT = os.environ | {"PATH": f"{ROOT / '.venv/bin'}{os.pathsep}{os.environ['PATH']}"}


def run(*command: str | Path, **options) -> subprocess.CompletedProcess:
    """Runs a program with Python, Go, Node.js and buf from .venv, and waits for its end."""
    return subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT | options.pop("env", {}), **options)


def must_run(*command: str | Path, **options) -> str:
    """What a program that must succeed prints."""
    done = run(*command, **options)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("server"), "--max_batch_windows=4") as running:
        yield running
