"""What the server carries when the model costs nothing: receiving, decoding, resampling, queueing, staging and answering.

    .venv/bin/python tests/bench/plumbing_bench.py [--seconds 5] [--concurrency 32] [--rounds 3]

A closed loop on the real server with a bundle whose backbone returns zeros. The load generator shares the cores, so that the
figures to look at are those for a second of the server's own processor time, that is for each core that it keeps busy.
Medians over the rounds, in which the kinds of clips take turns.
"""

import argparse
import statistics
import tempfile
from pathlib import Path

import harness
from real_server import running_server

MODEL_RATE = 24_000
FILE_RATE = 44_100


def write_bodies(folder: Path) -> dict[str, Path]:
    """A serialised request of each kind."""
    bodies = {}
    for seconds in (5, 60):
        mono, stereo = (harness.coloured_noise(seconds, rate, n) for rate, n in ((MODEL_RATE, 1), (FILE_RATE, 2)))
        bodies[f"PCM, 24 kHz mono, {seconds} s"] = harness.pcm_request(mono, MODEL_RATE, top_k=5)
        for container in ("WAV", "FLAC"):
            file = harness.encoded(stereo, FILE_RATE, container)
            bodies[f"{container}, 44.1 kHz stereo, {seconds} s"] = harness.file_request(file, top_k=5)
    paths = {}
    for index, (name, body) in enumerate(bodies.items()):
        paths[name] = folder / f"{index}.body"
        paths[name].write_bytes(body)
    return paths


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=5, help="of each measurement")
    parser.add_argument("--concurrency", type=int, default=32)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    harness.build_generator()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        bodies = write_bodies(folder)
        served = {kind: [] for kind in bodies}
        with running_server(folder, "--log_requests=false", bundle=harness.null_bundle(folder)) as server:
            for _ in range(options.rounds):
                for kind, body in bodies.items():
                    one = harness.serve_load(server, body, concurrency=options.concurrency, seconds=options.seconds)
                    served[kind].append(one)
    rows = []
    for kind, turns in served.items():
        of = lambda figure, turns=turns: statistics.median(map(figure, turns))
        windows_per_cpu_second = of(lambda one: one.windows / one.cpu_seconds)
        rows.append(
            [
                kind,
                of(lambda one: one.found["per_second"]),
                of(lambda one: one.windows / one.seconds),
                of(lambda one: one.cpu_seconds / one.seconds),
                windows_per_cpu_second / of(lambda one: one.windows / one.found["answered"]),
                windows_per_cpu_second,
                5 * windows_per_cpu_second,
            ]
        )
    header = ["clip", "requests/s", "windows/s", "cores busy", "requests/s a core", "windows/s a core", "x real time a core"]
    print(harness.table(header, rows))


if __name__ == "__main__":
    main()
