"""What the end-to-end tests share: the real server on the demo bundle, on free loopback ports, and stock clients of it."""

import io
from collections.abc import Iterator

import numpy as np
import pytest
import soundfile
from real_server import MELODY, Server, running_server

from culturetag.v1 import tagging_pb2, tagging_pb2_grpc


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests that don't change it."""
    with running_server(tmp_path_factory.mktemp("server"), "--max_batch_windows=4") as running:
        yield running


@pytest.fixture(scope="session")
def stub(server: Server) -> Iterator[tagging_pb2_grpc.TaggingServiceStub]:
    with server.channel() as channel:
        yield tagging_pb2_grpc.TaggingServiceStub(channel)


@pytest.fixture(scope="session")
def melody() -> tuple[np.ndarray, int]:
    """The demo's default melody: `[N] float32` mono samples and their rate in Hz."""
    samples, rate = soundfile.read(MELODY, dtype="float32", always_2d=True)
    return samples.mean(axis=1), rate


def encode(samples: np.ndarray, rate: int, container: str = "WAV", subtype: str | None = None) -> bytes:
    """`[N]` or `[N, C]` float samples as the bytes of a file."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=container, subtype=subtype)
    return file.getvalue()


def request(data: bytes, **options) -> tagging_pb2.TagRequest:
    return tagging_pb2.TagRequest(audio=tagging_pb2.Audio(encoded=data), **options)


def scores(response: tagging_pb2.TagResponse) -> dict[tuple[str, str], float]:
    """By head and label."""
    return {(head.head, tag.label): tag.score for head in response.heads for tag in head.tags}


def largest_difference(a: tagging_pb2.TagResponse, b: tagging_pb2.TagResponse) -> float:
    first, second = scores(a), scores(b)
    assert first.keys() == second.keys()
    return max(abs(first[key] - second[key]) for key in first)
