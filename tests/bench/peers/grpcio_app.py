"""The gRPC server that one writes in Python: the same contract, a pool of threads, no batching.

WORKERS passes run side by side, each with THREADS threads of its own: torch leaves Python's lock while it computes.
"""

import os
import threading
from concurrent import futures

import grpc
import numpy as np
import soxr
from culturetag.v1 import tagging_pb2, tagging_pb2_grpc
from pipeline import Tagger

THREADS_THAT_DECODE = 8


class Service(tagging_pb2_grpc.TaggingServiceServicer):
    def __init__(self) -> None:
        self._tagger = Tagger()
        self._passes = threading.Semaphore(int(os.environ["WORKERS"]))

    def Tag(self, request, context):
        if request.audio.HasField("pcm"):
            samples = np.frombuffer(request.audio.pcm.samples, "<i2").astype(np.float32) / 32768
            windows = self._tagger.cut(soxr.resample(samples, request.audio.pcm.sample_rate_hz, self._tagger.rate))
        else:
            windows = self._tagger.windows(request.audio.encoded)
        with self._passes:
            scores = self._tagger.scores(windows)
        response = tagging_pb2.TagResponse()
        for head, tags in self._tagger.tags(scores).items():
            response.heads.add(head=head, tags=[tagging_pb2.Tag(**tag) for tag in tags])
        return response


def main() -> None:
    server = grpc.server(
        futures.ThreadPoolExecutor(THREADS_THAT_DECODE), options=[("grpc.max_receive_message_length", -1)]
    )
    tagging_pb2_grpc.add_TaggingServiceServicer_to_server(Service(), server)
    server.add_insecure_port(f"127.0.0.1:{os.environ['PORT']}")
    server.start()
    server.wait_for_termination()


if __name__ == "__main__":
    main()
