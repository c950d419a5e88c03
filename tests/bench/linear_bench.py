"""Whether the server's cost grows with the work and with nothing else: clients, clip length, heads.

    .venv/bin/python tests/bench/linear_bench.py [--only clients,lengths,heads] [--seconds 4]

The model costs nothing (see plumbing_bench.py), so that whatever grows faster than it should isn't hidden by it. One figure
says it: the server's processor time for a window, which should stay what it is from one row to the next. Clips are 16 bit PCM
at the model's rate.
"""

import argparse
import tempfile
from pathlib import Path

import harness
from real_server import Server, running_server

RATE = 24_000
HEADS = ("makam", "hindustani", "carnatic", "lyra", "fma", "mtat")
HEADER = ["in flight", "clip s", "heads", "requests/s", "windows/s", "p50 ms", "p99 ms", "CPU ms a window", "memory MB"]

# (requests under way, seconds of a clip, heads asked for)
CASES = {
    "clients": [(count, 5, 6) for count in (1, 10, 100, 1000)],
    "lengths": [(2, seconds, 6) for seconds in (1, 5, 15, 60, 600, 3600)],
    "heads": [(16, 5, heads) for heads in range(1, 7)],
}


def measure(server: Server, folder: Path, concurrency: int, clip_seconds: int, heads: int, seconds: float) -> list[object]:
    body = folder / "body"
    noise = harness.coloured_noise(clip_seconds, RATE, 1)
    body.write_bytes(harness.pcm_request(noise, RATE, heads=HEADS[:heads]))
    served = harness.serve_load(server, body, concurrency=concurrency, seconds=seconds)
    latency = served.found["latency_ms"]
    return [
        concurrency,
        clip_seconds,
        heads,
        served.found["per_second"],
        served.windows / served.seconds,
        latency["p50"],
        latency["p99"],
        served.cpu_ms_per_window,
        server.resident_mb(),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", type=lambda text: text.split(","), default=list(CASES))
    parser.add_argument("--seconds", type=float, default=4, help="of each measurement")
    options = parser.parse_args()
    harness.build_generator()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        flags = ["--log_requests=false", "--max_audio_duration=2h"]
        with running_server(folder, *flags, bundle=harness.null_bundle(folder)) as server:
            for case in options.only:
                measure(server, folder, *CASES[case][0], 1)  # so that no row pays for the first connections
                rows = [measure(server, folder, *numbers, options.seconds) for numbers in CASES[case]]
                print(f"\n{case}\n\n{harness.table(HEADER, rows)}", flush=True)


if __name__ == "__main__":
    main()
