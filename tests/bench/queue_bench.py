"""What the queue promises, measured on the real server.

    .venv/bin/python tests/bench/queue_bench.py [--bundle bundles/demo] [--only overload,saturation,bulk,cancel]

One block for each promise, as JSON. Clips are PCM at the model's rate, so that decoding costs next to nothing.

- saturation: windows a second of the server with enough requests in flight, against the model alone in a loop at the
  batch size that the server chose (engine_bench), in turns; the median of the ratios to both neighbours.
- overload: three times the capacity for a minute, with deadlines, sent by `culturetag bench` when the schedule says and
  not when answers come; goodput, how fast refusals are, how many admitted requests meet their deadline. The capacity is
  what the same client measures in a closed loop. With --apart the server keeps to the first core and the clients to the
  others, as if they ran on another machine; else what a client costs shows in passes that take longer.
- bulk: clips one after the other, alone and beside a track of three hours in BULK.
- cancel: how long the gauge of pending windows takes to fall after a hundred queued requests are cancelled.
"""

import argparse
import asyncio
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import grpc
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))

from culturetag.v1 import tagging_pb2, tagging_pb2_grpc
from real_server import BUNDLE, ROOT, UNLIMITED, Server, running_server

RATE = 24_000
CLIENT = ROOT / "build/release/bin/culturetag"
ENGINE_BENCH = ROOT / "build/release/bin/engine_bench"


def noise(seconds: float) -> bytes:
    return np.random.default_rng(0).uniform(-3000, 3000, round(seconds * RATE)).astype("<i2").tobytes()


def clip(seconds: float) -> bytes:
    """A request."""
    pcm = tagging_pb2.Pcm(
        encoding=tagging_pb2.ENCODING_S16LE, sample_rate_hz=RATE, channel_count=1, samples=noise(seconds)
    )
    return tagging_pb2.TagRequest(audio=tagging_pb2.Audio(pcm=pcm), top_k=1).SerializeToString()


def percentile(values: list[float], percent: float) -> float:
    return float(np.percentile(values, percent)) if values else float("nan")


class Calls:
    """A stock asyncio client of one server."""

    def __init__(self, server: Server):
        self.server = server
        self.channel = grpc.aio.insecure_channel(server.address, options=[*UNLIMITED, ("grpc.enable_retries", 0)])
        self.stub = tagging_pb2_grpc.TaggingServiceStub(self.channel)
        # Requests are serialised once, since the client shares the server's cores.
        self._tag = self.channel.unary_unary("/culturetag.v1.TaggingService/Tag")

    async def tag(self, request: bytes, timeout: float) -> tuple[str, float]:
        """The status code's name and the seconds until it came."""
        start = time.monotonic()
        try:
            await self._tag(request, timeout=timeout)
        except grpc.aio.AioRpcError as error:
            return error.code().name, time.monotonic() - start
        return "OK", time.monotonic() - start


def largest_batch(server: Server) -> int:
    return int(float(re.search(r"culturetag_max_batch_windows\{[^}]*\} (\S+)", server.http("/metrics"))[1]))


def load(server: Server, seconds: float, *flags: str) -> dict:
    """What `culturetag bench` saw of one run with clips of a window."""
    command = [CLIENT, "bench", f"--server={server.address}", "--clips=5s", f"--length={seconds}s", "--json", *flags]
    return json.loads(subprocess.run(command, check=False, capture_output=True, text=True).stdout)["steps"][0]


def capacity_of(server: Server, seconds: float) -> float:
    """Windows a second with enough requests in flight for its batches; a clip is a window."""
    return load(server, seconds, f"--concurrency={4 * largest_batch(server) + 4}")["answered_per_second"]


def engine_rate(bundle: Path, batch: int, seconds: float) -> float:
    command = [ENGINE_BENCH, f"--bundle={bundle}", f"--batch={batch}", f"--seconds={seconds}"]
    return json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)["windows_per_second"]


async def saturation(calls: Calls, options: argparse.Namespace) -> dict:
    batch = largest_batch(calls.server)
    engine = [engine_rate(options.bundle, batch, options.seconds)]
    turns = []
    for _ in range(options.turns):
        served = capacity_of(calls.server, options.seconds)
        engine.append(engine_rate(options.bundle, batch, options.seconds))
        turns.append({"engine": engine[-2:], "server": served, "ratio": served / statistics.mean(engine[-2:])})
    return {"batch": batch, "turns": turns, "median_ratio": statistics.median(turn["ratio"] for turn in turns)}


async def overload(calls: Calls, options: argparse.Namespace) -> dict:
    server = calls.server
    capacity = capacity_of(server, options.seconds)
    deadline = max(1.0, 20 / capacity)
    busy = server.metric("culturetag_device_busy_seconds_total")
    seen = load(
        server, options.overload_seconds, f"--rate={3 * capacity}", "--arrivals=constant", f"--timeout={deadline}s"
    )
    busy = (server.metric("culturetag_device_busy_seconds_total") - busy) / seen["elapsed_seconds"]
    failures, refusals = seen["failures"], seen["seconds"]["refusal"]["percentiles"]
    again = capacity_of(server, options.seconds)
    return {
        "capacity": [capacity, again],
        "offered": seen["sent"] / options.overload_seconds,
        "deadline_s": deadline,
        "device_busy": busy,
        "goodput_of_capacity": seen["answered_per_second"] / ((capacity + again) / 2),
        "admitted_in_time": seen["answered"] / (seen["answered"] + failures.pop("DEADLINE_EXCEEDED", 0)),
        "refused": failures.pop("RESOURCE_EXHAUSTED", 0),
        "refusal_ms": {name: 1000 * refusals[name[1:]] for name in ("p50", "p99")},
        "sending_delay_p99_ms": 1000 * seen["seconds"]["sending_delay"]["percentiles"]["99"],
        "others": failures,
    }


async def bulk(calls: Calls, options: argparse.Namespace) -> dict:
    """Clips at a fifth of the capacity, so that the device is mostly the track's."""
    batch = largest_batch(calls.server)
    capacity = capacity_of(calls.server, options.seconds)

    async def clips(seconds: float) -> list[float]:
        audio, took, start = clip(5), [], time.monotonic()

        async def one() -> None:
            code, seconds_taken = await calls.tag(audio, 600)
            assert code == "OK", code
            took.append(seconds_taken)

        tasks = []
        for index in range(round(seconds * capacity / 5)):
            await asyncio.sleep(max(0, start + index * 5 / capacity - time.monotonic()))
            tasks.append(asyncio.create_task(one()))
        await asyncio.gather(*tasks)
        return took

    alone = await clips(3 * options.seconds)

    async def track() -> None:
        def messages():
            config = tagging_pb2.TagStreamConfig(
                priority=tagging_pb2.PRIORITY_BULK,
                top_k=1,
                pcm=tagging_pb2.PcmFormat(encoding=tagging_pb2.ENCODING_S16LE, sample_rate_hz=RATE, channel_count=1),
            )
            yield tagging_pb2.TagStreamRequest(config=config)
            data = noise(60)
            for _ in range(180):
                yield tagging_pb2.TagStreamRequest(data=data)

        metadata = [("x-client-id", "bulk")]
        async for _ in calls.stub.TagStream(messages(), metadata=metadata):
            pass

    running = asyncio.create_task(track())
    await asyncio.sleep(3)
    before, start = calls.server.metric("culturetag_windows_total"), time.monotonic()
    beside = await clips(3 * options.seconds)
    seconds = time.monotonic() - start
    windows = calls.server.metric("culturetag_windows_total") - before
    running.cancel()
    track_rate = (windows - len(beside)) / seconds
    left = capacity - len(beside) / seconds
    return {
        "batch_time_s": batch / capacity,
        "clips": len(beside),
        "p50_s": [percentile(alone, 50), percentile(beside, 50)],
        "p99_s": [percentile(alone, 99), percentile(beside, 99)],
        "p99_more_in_batch_times": (percentile(beside, 99) - percentile(alone, 99)) / (batch / capacity),
        "track_windows_per_second": track_rate,
        "track_of_what_clips_leave": track_rate / left,
    }


async def cancel(calls: Calls, options: argparse.Namespace) -> dict:
    audio, took = clip(30), []
    for _ in range(5):
        tasks = [asyncio.create_task(calls.tag(audio, 600)) for _ in range(100)]
        while calls.server.metric("culturetag_pending_windows") < 500:
            await asyncio.sleep(0.02)
        start = time.monotonic()
        for task in tasks:
            task.cancel()
        while calls.server.metric("culturetag_pending_windows") > 2 * largest_batch(calls.server):
            await asyncio.sleep(0)
        took.append(1000 * (time.monotonic() - start))
    return {"requests": 100, "ms_until_the_gauge_fell": took, "median_ms": statistics.median(took)}


PROMISES = {"saturation": saturation, "overload": overload, "bulk": bulk, "cancel": cancel}


async def measure(server: Server, options: argparse.Namespace) -> None:
    calls = Calls(server)
    for name in options.only or PROMISES:
        print(json.dumps({name: await PROMISES[name](calls, options)}, indent=2), flush=True)
    await calls.channel.close()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, default=BUNDLE)
    parser.add_argument("--only", type=lambda text: text.split(","))
    parser.add_argument("--seconds", type=float, default=8, help="of each measurement of a rate")
    parser.add_argument("--turns", type=int, default=8, help="of saturation")
    parser.add_argument("--overload-seconds", type=float, default=60)
    parser.add_argument("--apart", action="store_true", help="the server on the first core, its clients on the others")
    parser.add_argument("--server-flags", default="", help="more flags of the server, separated by spaces")
    options = parser.parse_args()
    flags = options.server_flags.split()
    cores = os.sched_getaffinity(0)
    if options.apart:
        flags.append("--compute_threads=1")
        os.sched_setaffinity(0, {min(cores)})  # what is started now inherits it
    with tempfile.TemporaryDirectory() as folder, running_server(Path(folder), *flags, bundle=options.bundle) as server:
        if options.apart:
            os.sched_setaffinity(0, cores - {min(cores)})
        asyncio.run(measure(server, options))


if __name__ == "__main__":
    main()
