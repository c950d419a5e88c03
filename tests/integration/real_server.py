"""The real server as a process, for every test that calls it as its users do."""

import contextlib
import dataclasses
import re
import subprocess
import time
import urllib.request
from collections.abc import Iterator, Sequence
from pathlib import Path

import grpc
import pytest

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
    log_file: Path

    def log(self) -> list[str]:
        """Its lines so far."""
        return self.log_file.read_text().splitlines()

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
def running_server(folder: Path, *flags: str, bundle: Path = BUNDLE, prefix: Sequence[str] = ()) -> Iterator[Server]:
    """A server that serves, with its log in `folder`; at the end it is drained, and must say that it lost nothing."""
    server = start_server(folder, *flags, bundle=bundle, prefix=prefix)
    try:
        yield server
    except BaseException:
        server.process.kill()
        server.process.wait()
        raise
    if server.process.poll() is None:
        server.process.terminate()
    assert server.process.wait(timeout=60) == 0


def start_server(folder: Path, *flags: str, bundle: Path = BUNDLE, prefix: Sequence[str] = ()) -> Server:
    """Starts the server and returns once it serves. `prefix`: a command that runs it, such as prlimit."""
    log = folder / "server.log"
    command = [*prefix, SERVER, f"--bundle={bundle}", "--listen=127.0.0.1:0", "--metrics_listen=127.0.0.1:0", *flags]
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
    return Server(process, int(ports[1]), int(ports[2]), log)
