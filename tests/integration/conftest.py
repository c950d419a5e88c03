"""What the end-to-end tests share: the real server on the demo bundle, on free loopback ports, and stock clients of it."""

import contextlib
import dataclasses
import io
import re
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
import soundfile

from culturetag.v1 import tagging_pb2, tagging_pb2_grpc

ROOT = Path(__file__).resolve().parents[2]
SERVER = ROOT / "build/release/bin/culturetag-server"
BUNDLE = ROOT / "bundles/demo"
MELODY = BUNDLE / "melody.flac"

UNLIMITED = [("grpc.max_receive_message_length", -1), ("grpc.max_send_message_length", -1)]


@dataclasses.dataclass
class Server:
    """A server process that serves."""

    process: subprocess.Popen
    port: int
    metrics_port: int

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    def channel(self) -> grpc.Channel:
        return grpc.insecure_channel(self.address, options=UNLIMITED)

    def http(self, path: str) -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics_port}{path}") as response:
            return response.read().decode()

    def metric(self, name: str) -> float:
        """The value of the one series that has this name and these labels."""
        found = re.findall(rf"^{re.escape(name)} (\S+)$", self.http("/metrics"), re.MULTILINE)
        assert len(found) == 1, f"{name}: {found}"
        return float(found[0])

    def resident_mb(self) -> float:
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status)[1]) / 1024


START_TIMEOUT_S = 120


@contextlib.contextmanager
def running_server(folder: Path, *flags: str, bundle: Path = BUNDLE) -> Iterator[Server]:
    """A server that serves, with its log in `folder`; at the end it is drained, and must say that it lost nothing."""
    server = start_server(folder, *flags, bundle=bundle)
    try:
        yield server
    except BaseException:
        server.process.kill()
        server.process.wait()
        raise
    if server.process.poll() is None:
        server.process.terminate()
    assert server.process.wait(timeout=60) == 0


def start_server(folder: Path, *flags: str, bundle: Path = BUNDLE) -> Server:
    """Starts the server and returns once it serves."""
    log = folder / "server.log"
    command = [SERVER, f"--bundle={bundle}", "--listen=127.0.0.1:0", "--metrics_listen=127.0.0.1:0", *flags]
    with log.open("w") as out:
        process = subprocess.Popen(command, stderr=out, stdout=out)
    deadline = time.monotonic() + START_TIMEOUT_S
    while " serving " not in (text := log.read_text()):
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=0.1)
        if process.returncode is not None or time.monotonic() > deadline:
            process.kill()
            pytest.fail(f"the server doesn't serve (exit code {process.returncode}):\n{text}")
    ports = re.search(r"port=(\d+) metrics_port=(\d+)", text)
    return Server(process, int(ports[1]), int(ports[2]))


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
