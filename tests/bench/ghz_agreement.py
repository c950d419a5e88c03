"""Whether `culturetag bench` and ghz find the same throughput in a closed loop.

    .venv/bin/python tests/bench/ghz_agreement.py [--concurrency 8] [--rounds 5] [--seconds 4]

Both send the demo's melody over one connection, in turns; which of the two goes first changes from round to round. Once to a
stub that answers after 50 ms, and once to the real server on the demo bundle, which keeps to the first core while the tools
have the others: what a tool costs would else be taken from the server.

The machine's speed changes within seconds, by more than the tools differ. So a rate is also given as the share of the time
that the device would need for it: answers a second times the seconds of the device that an answer took in that turn. That is
what a tool found of the server's capacity, whatever it was just then. Prints both tables; exit code 1 if the median of the
shares' ratios is further than 3 % from 1.
"""

import argparse
import concurrent.futures
import contextlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))

from culturetag.v1 import tagging_pb2, tagging_pb2_grpc
from real_server import MELODY, ROOT, UNLIMITED, running_server

CLIENT = ROOT / "build/release/bin/culturetag"
GHZ = ROOT / ".cache/tools/bin/ghz"
TOLERANCE = 0.03
STUB_SECONDS = 0.05
BUSY = "culturetag_device_busy_seconds_total"


class Stub(tagging_pb2_grpc.TaggingServiceServicer):
    def Tag(self, request, context):
        time.sleep(STUB_SECONDS)
        return tagging_pb2.TagResponse()


@contextlib.contextmanager
def stub_server(concurrency: int) -> Iterator[str]:
    """The address of a stub on which no call waits for another."""
    server = grpc.server(concurrent.futures.ThreadPoolExecutor(concurrency), options=UNLIMITED)
    tagging_pb2_grpc.add_TaggingServiceServicer_to_server(Stub(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(grace=None).wait()


def output_of(*command: str | Path) -> dict:
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def culturetag_bench(address: str, options: argparse.Namespace) -> tuple[int, float]:
    """How many answers, and how many a second."""
    load = [f"--concurrency={options.concurrency}", f"--length={options.seconds}s", "--json"]
    step = output_of(CLIENT, "bench", f"--server={address}", *load, MELODY)["steps"][0]
    assert step["answered"] == step["sent"], step["failures"]
    return step["answered"], step["answered_per_second"]


def ghz(address: str, options: argparse.Namespace) -> tuple[int, float]:
    """How many answers, and how many a second."""
    load = [f"--concurrency={options.concurrency}", f"--duration={options.seconds}s", "--duration-stop=wait"]
    call = ["--insecure", "--connections=1", "--timeout=60s", "--call=culturetag.v1.TaggingService/Tag"]
    schema = [f"--proto={ROOT / 'proto/culturetag/v1/tagging.proto'}", f"--import-paths={ROOT / 'proto'}"]
    report = output_of(GHZ, *call, *schema, f"--binary-file={options.request}", *load, "--format=json", address)
    assert report["statusCodeDistribution"] == {"OK": report["count"]}, report["statusCodeDistribution"]
    return report["count"], report["count"] / (report["total"] / 1e9)


def compare(name: str, address: str, busy_seconds: Callable[[int], float], options: argparse.Namespace) -> float:
    """Prints the table; the median of the shares' ratios. `busy_seconds(answers)`: of the device since it was last asked."""
    columns = [name, "culturetag bench, answers/s", "share", "ghz, answers/s", "share", "ratio of rates", "ratio of shares"]
    print(f"\n| {' | '.join(columns)} |\n|{'---|' * len(columns)}")
    ratios = []
    tools = [culturetag_bench, ghz]
    for number in range(1, options.rounds + 1):
        found = {}
        for tool in tools if number % 2 else reversed(tools):
            answers, rate = tool(address, options)
            found[tool] = (rate, rate * busy_seconds(answers) / answers)
        (rate, share), (ghz_rate, ghz_share) = found[culturetag_bench], found[ghz]
        ratios.append((rate / ghz_rate, share / ghz_share))
        print(
            f"| {number} | {rate:.2f} | {share:.3f} | {ghz_rate:.2f} | {ghz_share:.3f} "
            f"| {rate / ghz_rate:.3f} | {share / ghz_share:.3f} |"
        )
    of_rates, of_shares = (statistics.median(column) for column in zip(*ratios, strict=True))
    print(f"| median | | | | | {of_rates:.3f} | {of_shares:.3f} |", flush=True)
    return of_shares


def compare_on_stub(options: argparse.Namespace) -> float:
    with stub_server(options.concurrency) as address:
        return compare("stub", address, lambda answers: answers * STUB_SECONDS / options.concurrency, options)


def compare_on_server(folder: Path, options: argparse.Namespace) -> float:
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})  # what is started now inherits it
    with running_server(folder, "--compute_threads=1") as server:
        os.sched_setaffinity(0, cores - {min(cores)})
        seen = server.metric(BUSY)

        def busy_seconds(_: int) -> float:
            nonlocal seen
            before, seen = seen, server.metric(BUSY)
            return seen - before

        return compare("server", server.address, busy_seconds, options)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--concurrency", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        options.request = Path(folder) / "request.binpb"
        audio = tagging_pb2.Audio(encoded=MELODY.read_bytes())
        options.request.write_bytes(tagging_pb2.TagRequest(audio=audio).SerializeToString())
        medians = [compare_on_stub(options), compare_on_server(Path(folder), options)]
    return 0 if all(abs(median - 1) <= TOLERANCE for median in medians) else 1


if __name__ == "__main__":
    sys.exit(main())
