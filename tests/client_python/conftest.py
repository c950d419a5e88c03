"""A fake server, both clients of it, and the real server."""

import sys
from pathlib import Path

import pytest
from blocking import BlockingClient
from fake_server import FakeService, serving

from culturetag import Client

# The real server as a process stands with its end-to-end tests.
sys.path.append(str(Path(__file__).resolve().parents[1] / "integration"))

CLIENTS = {"Client": Client, "AsyncClient": BlockingClient}


PATIENCE_S = 300.0
"""A call's timeout where none is tested: machines that run other tests besides are slow at times."""


@pytest.fixture
def service():
    return FakeService()


@pytest.fixture
def address(service):
    with serving(service) as address:
        yield address


@pytest.fixture(params=CLIENTS)
def connect(request):
    """The class of one of the clients."""
    return CLIENTS[request.param]


@pytest.fixture
def client(connect, address):
    with connect(address, timeout=PATIENCE_S) as client:
        yield client
