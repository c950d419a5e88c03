"""What the end-to-end tests share: the real server on the demo bundle, on free loopback ports, and stock clients of it."""

import dataclasses
import io
import re
import subprocess
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


def start_server(folder: Path, *flags: str, bundle: Path = BUNDLE) -> Server:
    """Starts the server and returns once it serves; its log is in `folder`."""
    log = folder / "server.log"
    command = [SERVER, f"--bundle={bundle}", "--listen=127.0.0.1:0", "--metrics_listen=127.0.0.1:0", *flags]
    with log.open("w") as out:
        process = subprocess.Popen(command, stderr=out, stdout=out)
    # The log's lines come while this waits; the process's end is what ends a wait in vain.
    while " serving " not in (text := log.read_text()):
        try:
            process.wait(timeout=0.1)
        except subprocess.TimeoutExpired:
            continue
        pytest.fail(f"the server ended with {process.returncode}:\n{text}")
    ports = re.search(r"port=(\d+) metrics_port=(\d+)", text)
    return Server(process, int(ports[1]), int(ports[2]))


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests that don't change it."""
    running = start_server(tmp_path_factory.mktemp("server"), "--max_batch_windows=4")
    yield running
    running.process.terminate()
    assert running.process.wait(timeout=60) == 0, "a drain with nothing pending must be complete"


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
