"""What the tests of deploy/ share: the real server on the demo bundle."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

# The server as a process stands with its end-to-end tests.
sys.path.append(str(Path(__file__).resolve().parents[1] / "integration"))

from real_server import Server, running_server


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with running_server(tmp_path_factory.mktemp("server"), "--max_batch_windows=4") as running:
        yield running
