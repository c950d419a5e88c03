"""What the benches share: the load generator, what processes use, clips, and tables."""

import contextlib
import dataclasses
import hashlib
import io
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import soundfile
import torch

ROOT = Path(__file__).resolve().parents[2]
GENERATOR = ROOT / "build/bench/load"
CULTURETAG_TAG = "culturetag.v1.TaggingService/Tag"
WINDOWS_TOTAL = "culturetag_windows_total"

sys.path.insert(0, str(ROOT / "tests/integration"))

from culturetag.v1 import tagging_pb2
from long_streams import cheap_bundle
from real_server import Server


def build_generator() -> None:
    """Builds load/ with Go from .venv, if something changed."""
    GENERATOR.parent.mkdir(parents=True, exist_ok=True)
    go = ROOT / ".venv/bin/go"
    subprocess.run([go, "build", "-o", GENERATOR, "."], cwd=ROOT / "tests/bench/load", check=True)


def load(
    url: str,
    bodies: Sequence[Path],
    *,
    seconds: float,
    warmup: float = 1,
    concurrency: int = 0,
    rate: float = 0,
    content_type: str = "application/octet-stream",
) -> dict:
    """Runs the generator: a closed loop of `concurrency`, or an open one of `rate` a second. What it prints; see load/main.go."""
    command = [GENERATOR, "-url", url, "-content-type", content_type, "-seconds", str(seconds), "-warmup", str(warmup)]
    command += ["-concurrency", str(concurrency)] if concurrency else ["-rate", str(rate)]
    done = subprocess.run([*command, *bodies], check=True, capture_output=True, text=True)
    return json.loads(done.stdout)


def coloured_noise(seconds: float, rate: int, channels: int, seed: int = 0) -> np.ndarray:
    """Samples `[N, channels]` whose spectrum falls with the frequency, as music's does: what a decoder has to work for."""
    samples = np.cumsum(np.random.default_rng(seed).normal(0, 0.002, (round(seconds * rate), channels)), axis=0)
    samples -= np.linspace(samples[0], samples[-1], len(samples))
    return samples * (0.5 / np.abs(samples).max())


def encoded(samples: np.ndarray, rate: int, container: str) -> bytes:
    """An audio file of `samples [N, channels]`."""
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=container)
    return file.getvalue()


def pcm_request(samples: np.ndarray, rate: int, **options) -> bytes:
    """A serialised TagRequest with `samples [N, 1]` as 16 bit PCM."""
    pcm = tagging_pb2.Pcm(
        encoding=tagging_pb2.ENCODING_S16LE,
        sample_rate_hz=rate,
        channel_count=1,
        samples=(samples[:, 0] * 32767).astype("<i2").tobytes(),
    )
    return tagging_pb2.TagRequest(audio=tagging_pb2.Audio(pcm=pcm), **options).SerializeToString()


def file_request(file: bytes, **options) -> bytes:
    """A serialised TagRequest with an audio file."""
    return tagging_pb2.TagRequest(audio=tagging_pb2.Audio(encoded=file), **options).SerializeToString()


class _Nothing(torch.nn.Module):
    """Hidden states `[B, L, D]` of zeros for samples `[B, T]`."""

    def __init__(self, layer_count: int, hidden_size: int):
        super().__init__()
        self.layer_count = layer_count
        self.hidden_size = hidden_size

    def forward(self, samples: torch.Tensor) -> torch.Tensor:
        return torch.zeros((samples.size(0), self.layer_count, self.hidden_size), device=samples.device)


def null_bundle(folder: Path) -> Path:
    """A bundle of six heads whose backbone computes nothing, so that what is left is the server's own work."""
    bundle = cheap_bundle(folder)
    manifest = json.loads((bundle / "manifest.json").read_text())
    torch.jit.script(_Nothing(manifest["layerCount"], manifest["hiddenSize"])).save(bundle / "backbone.ts")
    manifest["sha256"]["backbone.ts"] = hashlib.sha256((bundle / "backbone.ts").read_bytes()).hexdigest()
    (bundle / "manifest.json").write_text(json.dumps(manifest))
    return bundle


@dataclasses.dataclass(frozen=True)
class Served:
    """What a server did under a load, and what it took."""

    found: dict  # what the generator prints
    seconds: float
    windows: float
    cpu_seconds: float  # of the server

    @property
    def cpu_ms_per_window(self) -> float:
        return 1000 * self.cpu_seconds / self.windows


def serve_load(server: Server, body: Path, *, concurrency: int, seconds: float) -> Served:
    """A closed loop on `server`, which must answer everything."""
    begin, windows, cpu = time.monotonic(), server.metric(WINDOWS_TOTAL), cpu_seconds(server.process.pid)
    url = f"grpc://{server.address}/{CULTURETAG_TAG}"
    found = load(url, [body], concurrency=concurrency, seconds=seconds, warmup=0)
    if found["failures"]:
        raise RuntimeError(f"with {concurrency} in flight: {found['failures']}")
    windows, cpu = server.metric(WINDOWS_TOTAL) - windows, cpu_seconds(server.process.pid) - cpu
    return Served(found, time.monotonic() - begin, windows, cpu)


def process_tree(pid: int) -> list[int]:
    """The process and all that it started, directly or not."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                # pid (name) state parent ...; a name may hold spaces and parentheses
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except (FileNotFoundError, ProcessLookupError):
                continue  # It ended meanwhile.
    tree = [pid]
    for process in tree:
        tree += [child for child, parent in parents.items() if parent == process]
    return tree


def cpu_seconds(pid: int) -> float:
    """The time that a process and its children, those that are there, have computed so far."""
    total = 0
    for process in process_tree(pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            fields = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
    return total / os.sysconf("SC_CLK_TCK")


def memory_mb(pid: int) -> float:
    """What a process and its children hold, with pages that several share counted once (PSS)."""
    total = 0
    for process in process_tree(pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            rollup = Path(f"/proc/{process}/smaps_rollup").read_text()
            total += sum(int(line.split()[1]) for line in rollup.splitlines() if line.startswith("Pss:"))
    return total / 1024


def table(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """A Markdown table; numbers with three digits that mean something."""

    def cell(value: object) -> str:
        if not isinstance(value, float):
            return str(value)
        return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"

    lines = [header, ["---"] * len(header), *([cell(value) for value in row] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)
