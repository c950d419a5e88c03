"""Mixed traffic for as long as one likes, and what it does to the server's memory, threads and descriptors.

`scripts/soak` runs this. The server may not grow: a line is fitted to its memory over all but the first quarter of the run,
in which caches, arenas and pools fill up, and the run fails if the line rises by more than its own noise and by more than
an allowance. Threads and descriptors must be back, once the clients have left, where they were after the first of them left.
"""

import argparse
import dataclasses
import json
import os
import re
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np
from real_server import Server, running_server
from soak_traffic import Traffic

WARM_UP = 0.25  # of the run
# What the fitted line may rise by within a run, whatever its noise says: malloc keeps what one burst has needed, and a burst
# of a run of 30 minutes took 60 MB. A leak that is slower than this takes a longer run to find.
ALLOWANCE_MB = 96
SAMPLES = 120
# Connections of clients that are gone are closed at once; gRPC's threads end when they have had nothing to do for a while.
SETTLE_TIMEOUT_S = 120


@dataclasses.dataclass
class Sample:
    """The server at one moment."""

    seconds: float
    memory_mb: float
    threads: int
    descriptors: int
    windows: float


@dataclasses.dataclass
class Report:
    """What a soak has found."""

    samples: list[Sample]
    answers: dict[str, int]
    unexpected: dict[str, int]
    slope_mb_per_hour: float
    noise_mb_per_hour: float  # two standard errors of the slope
    rise_mb: float  # of the fitted line, over what it is fitted to
    threads_before: int
    threads_after: int
    descriptors_before: int
    descriptors_after: int

    def faults(self) -> list[str]:
        """Why the run failed; nothing if it didn't."""
        faults = [f"{count} x {what}" for what, count in self.unexpected.items()]
        if self.slope_mb_per_hour > self.noise_mb_per_hour and self.rise_mb > ALLOWANCE_MB:
            faults.append(f"memory rises by {self.slope_mb_per_hour:.1f} MB an hour")
        if self.threads_after > self.threads_before:
            faults.append(f"{self.threads_before} threads became {self.threads_after}")
        if self.descriptors_after > self.descriptors_before:
            faults.append(f"{self.descriptors_before} descriptors became {self.descriptors_after}")
        return faults


def sample(server: Server, start: float) -> Sample:
    process = Path(f"/proc/{server.process.pid}")
    threads = int(re.search(r"Threads:\s+(\d+)", (process / "status").read_text())[1])
    descriptors = len(os.listdir(process / "fd"))
    return Sample(
        time.monotonic() - start, server.resident_mb(), threads, descriptors, server.metric("culturetag_windows_total")
    )


def fit(samples: list[Sample]) -> tuple[float, float, float]:
    """The slope of the memory, two standard errors of it (both in MB an hour), and by how much the line rises (MB)."""
    hours = np.array([sample.seconds for sample in samples]) / 3600
    memory = np.array([sample.memory_mb for sample in samples])
    centred = hours - hours.mean()
    slope = (centred @ memory) / (centred @ centred)
    residuals = memory - memory.mean() - slope * centred
    error = np.sqrt((residuals @ residuals) / (len(samples) - 2) / (centred @ centred))
    return float(slope), float(2 * error), float(slope * (hours[-1] - hours[0]))


def settled(server: Server, threads: int, descriptors: int) -> Sample:
    """The server once it has no more threads and descriptors than that, or when it has had the time to."""
    start = time.monotonic()
    while True:
        now = sample(server, start)
        if (now.threads <= threads and now.descriptors <= descriptors) or now.seconds > SETTLE_TIMEOUT_S:
            return now
        threading.Event().wait(0.5)


def run(server: Server, seconds: float) -> Report:
    with Traffic(server):  # every kind of call once, at least
        threading.Event().wait(min(30, seconds / 10))
    threading.Event().wait(1)
    before = sample(server, time.monotonic())
    samples = []
    start = time.monotonic()
    with Traffic(server) as traffic:
        while time.monotonic() < start + seconds:
            threading.Event().wait(seconds / SAMPLES)
            samples.append(sample(server, start))
    after = settled(server, before.threads, before.descriptors)
    return Report(
        samples,
        {f"{kind}: {code}": count for (kind, code), count in sorted(traffic.answers.items())},
        traffic.unexpected(),
        *fit([sample for sample in samples if sample.seconds > WARM_UP * seconds]),
        before.threads, after.threads, before.descriptors, after.descriptors,
    )  # fmt: skip


def show(report: Report) -> None:
    print("minutes  memory MB  threads  descriptors  windows")
    for sample in report.samples[9 :: len(report.samples) // 10]:
        print(f"{sample.seconds / 60:7.1f} {sample.memory_mb:10.1f} {sample.threads:8} {sample.descriptors:12} {sample.windows:8.0f}")
    print(f"memory: {report.slope_mb_per_hour:+.1f} MB an hour, noise {report.noise_mb_per_hour:.1f}, rise {report.rise_mb:+.1f} MB")
    print(f"threads: {report.threads_before} before, {report.threads_after} after")
    print(f"descriptors: {report.descriptors_before} before, {report.descriptors_after} after")
    for what, count in report.answers.items():
        print(f"{count:8} {what}")
    for fault in report.faults():
        print("FAULT:", fault)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30, help="how long (default: %(default)s)")
    parser.add_argument("--report", type=Path, help="a file for the samples and the result, as JSON")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, running_server(Path(folder), "--max_batch_windows=4") as server:
        report = run(server, 60 * arguments.minutes)
    show(report)
    if arguments.report:
        arguments.report.write_text(json.dumps({**dataclasses.asdict(report), "faults": report.faults()}, indent=1) + "\n")
    return 1 if report.faults() else 0


if __name__ == "__main__":
    sys.exit(main())
