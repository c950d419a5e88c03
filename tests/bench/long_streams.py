"""What the server's memory does while hours of audio pass through TagStream.

    .venv/bin/python tests/bench/long_streams.py [--hours 3] [--streams 100] [--container FLAC --container MP3]

starts the server on a bundle whose model costs next to nothing, so that the plumbing and not the model sets the pace,
and prints one line for each container: first one stream alone, then many at once. Every stream must end OK with the
right number of windows.
"""

import argparse
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import soundfile
from click.testing import CliRunner

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))

from culturetag.v1 import tagging_pb2, tagging_pb2_grpc
from culturetag_model.cli import main as culturetag_model
from real_server import Server, running_server

RATE = 44_100
CHUNK = 1 << 18


def cheap_bundle(folder: Path) -> Path:
    """One transformer layer of random weights, and six heads of random weights."""
    for arguments in (
        ["export", "--random-init", "--layers", "1", "--hidden", "64", "--channels", "16", "--output", folder / "backbone"],
        ["bundle", "create", "--backbone", folder / "backbone", "--random-heads", "--output", folder / "bundle"],
    ):
        result = CliRunner().invoke(culturetag_model, [str(argument) for argument in arguments])
        assert result.exit_code == 0, result.output
    return folder / "bundle"


def write_audio(path: Path, hours: float) -> int:
    """Coloured noise with a beat, so that no codec makes it vanish; returns the number of frames."""
    generator = np.random.default_rng(0)
    minute = np.cumsum(generator.normal(0, 0.002, (60 * RATE, 2)), axis=0)
    minute -= np.linspace(minute[0], minute[-1], len(minute))
    minute *= 0.5 / np.abs(minute).max()
    with soundfile.SoundFile(path, "w", RATE, 2) as file:
        for _ in range(round(hours * 60)):
            file.write(minute)
        return file.frames


def messages(path: Path) -> Iterator[tagging_pb2.TagStreamRequest]:
    yield tagging_pb2.TagStreamRequest(config=tagging_pb2.TagStreamConfig(top_k=1, priority=tagging_pb2.PRIORITY_BULK))
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            yield tagging_pb2.TagStreamRequest(data=chunk)


def stream(server: Server, path: Path, windows: int, failures: list[str]) -> None:
    try:
        with grpc.insecure_channel(server.address) as channel:
            stub = tagging_pb2_grpc.TaggingServiceStub(channel)
            count = sum(response.HasField("window") for response in stub.TagStream(messages(path)))
        if count != windows:
            failures.append(f"{count} windows instead of {windows}")
    except grpc.RpcError as error:
        failures.append(f"{error.code()}: {error.details()}")


def run(server: Server, path: Path, windows: int, count: int) -> tuple[float, float, list[str]]:
    """Seconds, the most resident memory in MB, and what failed."""
    failures: list[str] = []
    threads = [threading.Thread(target=stream, args=(server, path, windows, failures)) for _ in range(count)]
    start = time.monotonic()
    for thread in threads:
        thread.start()
    peak = 0.0
    while any(thread.is_alive() for thread in threads):
        peak = max(peak, server.resident_mb())
        time.sleep(0.05)
    return time.monotonic() - start, peak, failures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--hours", type=float, default=3)
    parser.add_argument("--streams", type=int, default=100)
    parser.add_argument("--container", action="append", choices=["FLAC", "MP3", "WAV", "OGG"])
    options = parser.parse_args()
    failed = False
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bundle = cheap_bundle(folder)
        for container in options.container or ["FLAC", "MP3"]:
            path = folder / f"long.{container.lower()}"
            frames = write_audio(path, options.hours)
            windows = -(-frames // (5 * RATE))
            with running_server(folder, "--stream_idle_timeout=10m", bundle=bundle) as server:
                idle = server.resident_mb()
                for count in (1, options.streams):
                    seconds, peak, failures = run(server, path, windows, count)
                    failed = failed or bool(failures)
                    print(
                        f"{container} {options.hours:g} h ({path.stat().st_size >> 20} MB) x {count}: {seconds:.0f} s, "
                        f"{count * windows / seconds:.0f} windows/s, idle {idle:.0f} MB, peak {peak:.0f} MB "
                        f"(+{(peak - idle) / count:.1f} MB a stream), {len(failures)} failed {failures[:3]}",
                        flush=True,
                    )
    sys.exit(failed)


if __name__ == "__main__":
    main()
