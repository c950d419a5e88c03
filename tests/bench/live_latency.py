"""How long after its last sample a live window's result comes, on an idle server.

    .venv/bin/python tests/bench/live_latency.py [--rate 44100] [--windows 6]

sends PCM in real time, a tenth of a second at a time, and prints for every window the seconds from the moment at which
its last sample was sent until its result was there, and the time of a pass of one window. The resampler holds back 38 ms
at 44.1 and 48 kHz, nothing at the model's own rate.
"""

import argparse
import json
import queue
import sys
import tempfile
import threading
import time
from pathlib import Path

import grpc
import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "integration"))

from culturetag.v1 import tagging_pb2, tagging_pb2_grpc
from real_server import running_server

WINDOW_S = 5
STEP_S = 0.1


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=int, default=24_000)
    parser.add_argument("--windows", type=int, default=6)
    options = parser.parse_args()
    samples = np.random.default_rng(0).uniform(-3000, 3000, options.rate).astype("<i2")
    step = round(STEP_S * options.rate)
    messages: queue.Queue = queue.Queue()
    started = threading.Event()
    start = 0.0

    def send() -> None:
        nonlocal start
        pcm = tagging_pb2.PcmFormat(
            encoding=tagging_pb2.ENCODING_S16LE, sample_rate_hz=options.rate, channel_count=1
        )
        messages.put(tagging_pb2.TagStreamRequest(config=tagging_pb2.TagStreamConfig(pcm=pcm, top_k=1)))
        start = time.monotonic()
        started.set()
        for index in range(round(options.windows * WINDOW_S / STEP_S)):
            # A piece can be sent once its last sample has been recorded.
            time.sleep(max(0.0, start + (index + 1) * STEP_S - time.monotonic()))
            at = index * step % (len(samples) - step)
            messages.put(tagging_pb2.TagStreamRequest(data=samples[at : at + step].tobytes()))
        messages.put(None)

    with tempfile.TemporaryDirectory() as folder, running_server(Path(folder)) as server:
        with grpc.insecure_channel(server.address) as channel:
            stub = tagging_pb2_grpc.TaggingServiceStub(channel)
            threading.Thread(target=send).start()
            late = []
            for response in stub.TagStream(iter(messages.get, None)):
                if response.HasField("window"):
                    late.append(time.monotonic() - start - (len(late) + 1) * WINDOW_S)
        passes = server.metric("culturetag_device_busy_seconds_total")
        count = sum(
            float(line.rsplit(" ", 1)[1])
            for line in server.http("/metrics").splitlines()
            if line.startswith("culturetag_batches_total")
        )
    print(json.dumps({"rate": options.rate, "late_s": [round(s, 3) for s in late], "pass_s": round(passes / count, 3)}))


if __name__ == "__main__":
    main()
