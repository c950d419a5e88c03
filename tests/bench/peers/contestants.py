"""How each server of the comparison is started, called and stopped."""

import contextlib
import dataclasses
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import uuid
from collections.abc import Iterator, Sequence
from pathlib import Path

import grpc

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from harness import CULTURETAG_TAG, ROOT

APPS = Path(__file__).resolve().parent
VENV = ROOT / "build/bench/peers-venv"
SERVER = ROOT / "build/release/bin/culturetag-server"
TOP_K = 5
# Of the frameworks' dynamic batching.
MAX_BATCH_CLIPS = 8
BATCH_WAIT_MS = 5

_START_TIMEOUT_S = 300
_POLL_S = 0.02
_STOP_TIMEOUT_S = 30


@dataclasses.dataclass(frozen=True)
class Settings:
    """What is the same for all. culturetag measures its largest batch itself."""

    bundle: Path
    workers: int  # a peer's copies of the model, which share the cores
    max_pass_windows: int  # the largest batch that a peer's model gets

    def environment(self, port: int, folder: Path) -> dict[str, str]:
        threads = max(1, (os.cpu_count() or 1) // self.workers)
        return os.environ | {
            "PATH": f"{VENV / 'bin'}{os.pathsep}{os.environ['PATH']}",
            "PYTHONPATH": str(APPS),
            "BUNDLE": str(self.bundle.resolve()),
            "TOP_K": str(TOP_K),
            "WORKERS": str(self.workers),
            "THREADS": str(threads),
            "OMP_NUM_THREADS": str(threads),
            "MAX_PASS_WINDOWS": str(self.max_pass_windows),
            "MAX_BATCH_CLIPS": str(MAX_BATCH_CLIPS),
            "BATCH_WAIT_MS": str(BATCH_WAIT_MS),
            "PORT": str(port),
            "BENTOML_HOME": str(folder / "bentoml"),
            "BENTOML_DO_NOT_TRACK": "True",
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_worker_niceness": "0",  # else its workers yield to the load generator
            "RAY_AUTH_MODE": "disabled",  # It listens on loopback only.
        }


@dataclasses.dataclass(frozen=True)
class Contestant:
    name: str
    package: str  # whose version is reported; empty for culturetag
    path: str  # behind http://HOST:PORT/ or grpc://HOST:PORT/
    takes_forms: bool = False  # a file as a form's field `file`, not as the body

    def command(self, settings: Settings, port: int, folder: Path) -> list[str | Path]:
        """What starts it. `folder` is its own, for files that it needs."""
        return _COMMANDS[self.name](settings, port, folder)

    @property
    def is_grpc(self) -> bool:
        return self.path == CULTURETAG_TAG


def _culturetag(settings: Settings, port: int, _: Path) -> list[str | Path]:
    flags = [f"--bundle={settings.bundle}", f"--listen=127.0.0.1:{port}", "--metrics_listen=", "--log_requests=false"]
    return [SERVER, *flags]


def _grpcio(_: Settings, __: int, ___: Path) -> list[str | Path]:
    return [VENV / "bin/python", APPS / "grpcio_app.py"]


def _litserve(_: Settings, __: int, ___: Path) -> list[str | Path]:
    return [VENV / "bin/python", APPS / "litserve_app.py"]


def _bentoml(_: Settings, port: int, __: Path) -> list[str | Path]:
    return [VENV / "bin/bentoml", "serve", "bentoml_app:Tagging", "--working-dir", APPS, "--port", str(port)]


def _ray(_: Settings, port: int, folder: Path) -> list[str | Path]:
    config = folder / "serve.yaml"
    config.write_text(
        f"http_options: {{host: 127.0.0.1, port: {port}, request_timeout_s: 120}}\n"
        "logging_config: {enable_access_log: false}\n"
        "applications: [{name: tagging, import_path: 'ray_app:app', route_prefix: /}]\n"
    )
    return [VENV / "bin/serve", "run", config]


def _torchserve(settings: Settings, port: int, folder: Path) -> list[str | Path]:
    archive = folder / "tagging"
    archiver = [VENV / "bin/torch-model-archiver", "--model-name", "tagging", "--version", "1"]
    model = folder / "model.yaml"
    model.write_text(
        f"minWorkers: {settings.workers}\nmaxWorkers: {settings.workers}\n"
        f"batchSize: {MAX_BATCH_CLIPS}\nmaxBatchDelay: {BATCH_WAIT_MS}\nresponseTimeout: 300\nstartupTimeout: 300\n"
    )
    handler = ["--handler", APPS / "torchserve_handler.py", "--config-file", model, "--export-path", folder]
    subprocess.run([*archiver, *handler], check=True, env=os.environ | {"PYTHONPATH": str(APPS)})
    config = folder / "config.properties"
    config.write_text(
        f"inference_address=http://127.0.0.1:{port}\nmanagement_address=http://127.0.0.1:{_free_port()}\n"
        f"metrics_address=http://127.0.0.1:{_free_port()}\ngrpc_inference_port={_free_port()}\n"
        f"grpc_management_port={_free_port()}\ndisable_token_authorization=true\nmax_request_size=100000000\n"
        f"disable_system_metrics=true\njob_queue_size=4096\nmodel_store={folder}\nload_models={archive.name}.mar\n"
    )
    quiet = folder / "log4j2.xml"
    quiet.write_text('<Configuration><Loggers><Root level="error"/></Loggers></Configuration>')
    return [VENV / "bin/torchserve", "--start", "--foreground", "--ncs", "--ts-config", config, "--log-config", quiet]


_COMMANDS = {
    "culturetag": _culturetag,
    "grpcio": _grpcio,
    "LitServe": _litserve,
    "BentoML": _bentoml,
    "Ray Serve": _ray,
    "TorchServe": _torchserve,
}
CULTURETAG = Contestant("culturetag", "", CULTURETAG_TAG)
PEERS = [
    Contestant("grpcio", "grpcio", CULTURETAG_TAG),
    Contestant("LitServe", "litserve", "predict", takes_forms=True),
    Contestant("BentoML", "bentoml", "tag"),
    Contestant("Ray Serve", "ray", ""),
    Contestant("TorchServe", "torchserve", "predictions/tagging"),
]


@dataclasses.dataclass(frozen=True)
class Running:
    contestant: Contestant
    process: subprocess.Popen
    url: str
    start_up_s: float  # from the command to the first answer
    first_answer: bytes


@contextlib.contextmanager
def running(
    contestant: Contestant, settings: Settings, folder: Path, body: Path, content_type: str
) -> Iterator[Running]:
    """The server once it has answered `body`; at the end it and all that it started are gone."""
    port = _free_port()
    folder = folder / uuid.uuid4().hex
    folder.mkdir()
    command = contestant.command(settings, port, folder)
    log = folder / "log"
    start = time.monotonic()
    with log.open("w") as out:
        process = subprocess.Popen(
            command, env=settings.environment(port, folder), stdout=out, stderr=out, cwd=folder, start_new_session=True
        )
    try:
        url = f"{'grpc' if contestant.is_grpc else 'http'}://127.0.0.1:{port}/{contestant.path}"
        while (answer := _answer(contestant, port, url, body.read_bytes(), content_type)) is None:
            if process.poll() is not None or time.monotonic() > start + _START_TIMEOUT_S:
                raise RuntimeError(f"{contestant.name} doesn't serve:\n{log.read_text()[-4000:]}")
            time.sleep(_POLL_S)
        yield Running(contestant, process, url, time.monotonic() - start, answer)
    finally:
        _stop(process)


def _answer(contestant: Contestant, port: int, url: str, body: bytes, content_type: str) -> bytes | None:
    """What the server answers, or nothing if it doesn't serve yet."""
    try:
        if contestant.is_grpc:
            with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
                return channel.unary_unary(f"/{contestant.path}")(body, timeout=60)
        request = urllib.request.Request(url, body, {"Content-Type": content_type})
        with urllib.request.urlopen(request, timeout=60) as response:
            return response.read()
    except (grpc.RpcError, urllib.error.URLError, ConnectionError):
        return None


def _stop(process: subprocess.Popen) -> None:
    """As its operator would, and then for good: workers may have lost their parent."""
    process.send_signal(signal.SIGINT)
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(_STOP_TIMEOUT_S)
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()


def _free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def versions(contestants: Sequence[Contestant]) -> dict[str, str]:
    """The installed version of each peer; a peer that isn't installed is absent."""
    script = "import importlib.metadata as m, sys\nfor p in sys.argv[1:]:\n  try: print(p, m.version(p))\n  except m.PackageNotFoundError: pass"
    packages = [contestant.package for contestant in contestants]
    done = subprocess.run([VENV / "bin/python", "-c", script, *packages], check=True, capture_output=True, text=True)
    return dict(line.split() for line in done.stdout.splitlines())
