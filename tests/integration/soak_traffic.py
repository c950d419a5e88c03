"""The traffic of a soak: clients of many kinds, all at once, for as long as it takes."""

import collections
import itertools
import random
import socket
import threading
from collections.abc import Callable
from typing import Self

import grpc
import malformed
import numpy as np
from conftest import encode
from culturetag.v1 import tagging_pb2, tagging_pb2_grpc
from real_server import UNLIMITED, Server

RATE = 24_000
TIMEOUT_S = 300
# What each kind of client may be told. RESOURCE_EXHAUSTED: the queue is bounded, and a soak may fill it.
SERVED = {"OK", "RESOURCE_EXHAUSTED"}
EXPECTED = {
    "clips": SERVED,
    "streams": SERVED,
    "embeddings": SERVED,
    "newcomers": SERVED,
    "quitters": {*SERVED, "CANCELLED", "DEADLINE_EXCEEDED", "INVALID_ARGUMENT"},  # the last of a stream's first half
    "garbage": {*SERVED, "INVALID_ARGUMENT"},
}

# Raises grpc.RpcError, or returns the code of a call that was cancelled.
Call = Callable[[tagging_pb2_grpc.TaggingServiceStub, random.Random], grpc.StatusCode | None]


def noise(seconds: float) -> np.ndarray:
    return np.random.default_rng(0).uniform(-0.5, 0.5, int(seconds * RATE)).astype(np.float32)


FORMATS = [("WAV", "PCM_16"), ("FLAC", "PCM_16"), ("MP3", "MPEG_LAYER_III"), ("OGG", "VORBIS"), ("OGG", "OPUS")]
CLIPS = [encode(noise(seconds), RATE, *form) for form in FORMATS for seconds in (1, 6)]


def audio(rng: random.Random) -> tagging_pb2.Audio:
    return tagging_pb2.Audio(encoded=rng.choice(CLIPS))


def tag_a_clip(stub: tagging_pb2_grpc.TaggingServiceStub, rng: random.Random) -> None:
    bulk = rng.random() < 0.3
    priority = tagging_pb2.PRIORITY_BULK if bulk else tagging_pb2.PRIORITY_INTERACTIVE
    stub.Tag(tagging_pb2.TagRequest(audio=audio(rng), include_windows=bulk, priority=priority), timeout=TIMEOUT_S)


def stream(stub: tagging_pb2_grpc.TaggingServiceStub, rng: random.Random) -> None:
    """PCM as it comes, or a file in pieces, which for Ogg means the spool."""
    if rng.random() < 0.5:
        pcm = tagging_pb2.PcmFormat(encoding=tagging_pb2.ENCODING_F32LE, sample_rate_hz=RATE, channel_count=1)
        config, data = tagging_pb2.TagStreamConfig(pcm=pcm), noise(11).tobytes()
    else:
        config, data = tagging_pb2.TagStreamConfig(), rng.choice(CLIPS)
    size = rng.choice([1000, 20_000])
    chunks = (tagging_pb2.TagStreamRequest(data=data[start : start + size]) for start in range(0, len(data), size))
    list(stub.TagStream(itertools.chain([tagging_pb2.TagStreamRequest(config=config)], chunks), timeout=TIMEOUT_S))


def embed(stub: tagging_pb2_grpc.TaggingServiceStub, rng: random.Random) -> None:
    stub.Embed(tagging_pb2.EmbedRequest(audio=audio(rng), include_windows=True), timeout=TIMEOUT_S)


def give_up(stub: tagging_pb2_grpc.TaggingServiceStub, rng: random.Random) -> grpc.StatusCode | None:
    """A call that is cancelled, one whose deadline is too near, or a stream that is left in the middle."""
    kind = rng.randrange(3)
    if kind == 0:
        stub.Tag(tagging_pb2.TagRequest(audio=audio(rng)), timeout=rng.choice([0.001, 0.02]))
        return None
    if kind == 1:
        call = stub.Tag.future(tagging_pb2.TagRequest(audio=audio(rng)))
    else:
        config = tagging_pb2.TagStreamRequest(config=tagging_pb2.TagStreamConfig())
        half = tagging_pb2.TagStreamRequest(data=CLIPS[1][: len(CLIPS[1]) // 2])
        call = stub.TagStream(iter([config, half]))
    call.cancel()
    return call.code()


def send_garbage(stub: tagging_pb2_grpc.TaggingServiceStub, rng: random.Random) -> None:
    data = malformed.damaged_file(rng.randrange(100_000)).data
    stub.Tag(tagging_pb2.TagRequest(audio=tagging_pb2.Audio(encoded=data)), timeout=TIMEOUT_S)


class Traffic:
    """Clients at work, from `with` to its end."""

    def __init__(self, server: Server) -> None:
        self.answers: collections.Counter[tuple[str, str]] = collections.Counter()  # by (kind of client, code)
        self._server = server
        self._stop = threading.Event()
        self._lock = threading.Lock()
        kinds: list[tuple[str, Call]] = [
            ("clips", tag_a_clip), ("clips", tag_a_clip), ("streams", stream), ("embeddings", embed),
            ("quitters", give_up), ("garbage", send_garbage),
        ]  # fmt: skip
        self._threads = [
            threading.Thread(target=self._regular, args=(kind, call, number)) for number, (kind, call) in enumerate(kinds)
        ]
        self._threads.append(threading.Thread(target=self._newcomers))

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def unexpected(self) -> dict[str, int]:
        """How often a kind of client was told what it should never be told."""
        return {
            f"{kind}: {code}": count for (kind, code), count in self.answers.items() if code not in EXPECTED[kind]
        }

    def _regular(self, kind: str, call: Call, number: int) -> None:
        rng = random.Random(number)
        with self._server.channel() as channel:
            stub = tagging_pb2_grpc.TaggingServiceStub(channel)
            while not self._stop.is_set():
                self._count(kind, lambda: call(stub, rng))

    def _newcomers(self) -> None:
        """A connection for each call, and some that say nothing."""
        rng = random.Random(99)
        while not self._stop.is_set():
            own = [*UNLIMITED, ("grpc.use_local_subchannel_pool", 1)]  # or it would share one that is there
            channel_of_its_own = grpc.insecure_channel(self._server.address, options=own)
            with socket.create_connection(("127.0.0.1", self._server.port)), channel_of_its_own as channel:
                stub = tagging_pb2_grpc.TaggingServiceStub(channel)
                self._count("newcomers", lambda: tag_a_clip(stub, rng))  # noqa: B023, called at once

    def _count(self, kind: str, call: Callable[[], grpc.StatusCode | None]) -> None:
        try:
            code = (call() or grpc.StatusCode.OK).name
        except grpc.RpcError as error:
            code = error.code().name
        with self._lock:
            self.answers[kind, code] += 1
