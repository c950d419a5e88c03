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
    with connect(address) as client:
        yield client
