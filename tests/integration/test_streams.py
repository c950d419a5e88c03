"""TagStream and Embed over gRPC: the same windows and scores whichever way the audio comes."""

import itertools
import random
import time
from collections.abc import Iterator

import grpc
import numpy as np
import pytest
from conftest import encode, request, scores
from culturetag.v1 import tagging_pb2, tagging_pb2_grpc
from culturetag_model.embedders import LocalEmbedder
from culturetag_model.reference import cut_windows
from real_server import BUNDLE, Server

TIMEOUT_S = 60
RATE = 24_000


def chunks(data: bytes, size: int | None) -> Iterator[tagging_pb2.TagStreamRequest]:
    """`data` in messages of `size` bytes; None: of random sizes."""
    generator = random.Random(0)
    start = 0
    while start < len(data):
        end = start + (size or generator.randint(1, 50_000))
        yield tagging_pb2.TagStreamRequest(data=data[start:end])
        start = end


def pcm_format(rate: int = RATE, encoding: int = tagging_pb2.ENCODING_F32LE) -> tagging_pb2.PcmFormat:
    return tagging_pb2.PcmFormat(encoding=encoding, sample_rate_hz=rate, channel_count=1)


def tag_stream(
    stub: tagging_pb2_grpc.TaggingServiceStub, data: bytes, size: int | None = 1 << 16, **config
) -> tuple[list[tagging_pb2.WindowResult], tagging_pb2.TagResponse]:
    first = tagging_pb2.TagStreamRequest(config=tagging_pb2.TagStreamConfig(**config))
    responses = list(stub.TagStream(itertools.chain([first], chunks(data, size)), timeout=TIMEOUT_S))
    assert all(response.HasField("window") for response in responses[:-1])
    return [response.window for response in responses[:-1]], responses[-1].summary


def window_scores(window: tagging_pb2.WindowResult) -> np.ndarray:
    tags = {(head.head, tag.label): tag.score for head in window.heads for tag in head.tags}
    return np.array([tags[key] for key in sorted(tags)])


def assert_same(
    windows: list[tagging_pb2.WindowResult], summary: tagging_pb2.TagResponse, whole: tagging_pb2.TagResponse
) -> None:
    assert [w.start_offset for w in windows] == [w.start_offset for w in whole.windows]
    assert [w.duration for w in windows] == [w.duration for w in whole.windows]
    for window, expected in zip(windows, whole.windows, strict=True):
        assert np.abs(window_scores(window) - window_scores(expected)).max() < 1e-4
    mine, expected_scores = scores(summary), scores(whole)
    assert mine.keys() == expected_scores.keys()
    assert max(abs(mine[key] - expected_scores[key]) for key in mine) < 1e-4
    assert summary.audio == whole.audio


@pytest.mark.parametrize(("container", "subtype"), [("FLAC", None), ("MP3", None), ("WAV", None), ("OGG", "VORBIS")])
def test_a_stream_gives_what_tag_gives_in_any_chunking(stub, melody, container, subtype) -> None:
    samples, rate = melody
    data = encode(samples[: 12 * rate], rate, container, subtype)
    whole = stub.Tag(request(data, include_windows=True), timeout=TIMEOUT_S)
    for size in (1000, 1 << 20, None):
        assert_same(*tag_stream(stub, data, size), whole)


def test_a_stream_in_single_bytes_gives_what_tag_gives(stub, melody) -> None:
    samples, rate = melody
    data = encode(samples[: 1 * rate], rate, "FLAC")
    whole = stub.Tag(request(data, include_windows=True), timeout=TIMEOUT_S)
    assert_same(*tag_stream(stub, data, 1), whole)


def test_pcm_gives_what_the_file_gives(stub, melody) -> None:
    samples, rate = melody
    data = samples[: 12 * rate].astype("<f4")
    whole = stub.Tag(request(encode(data, rate, "WAV", "FLOAT"), include_windows=True), timeout=TIMEOUT_S)
    windows, summary = tag_stream(stub, data.tobytes(), None, pcm=pcm_format(rate))
    assert summary.audio.format == "PCM/F32LE"
    summary.audio.format = whole.audio.format
    assert_same(windows, summary, whole)


def test_many_streams_and_requests_at_once_keep_their_own_scores(stub, melody) -> None:
    samples, rate = melody
    clips = [encode(samples[i * rate : (i + 6) * rate], rate, "FLAC") for i in range(3)]
    alone = [stub.Tag(request(clip, include_windows=True), timeout=TIMEOUT_S) for clip in clips]
    calls = []
    for index, clip in enumerate(clips * 4):
        first = tagging_pb2.TagStreamRequest(config=tagging_pb2.TagStreamConfig())
        calls.append((index % 3, stub.TagStream(itertools.chain([first], chunks(clip, 5000)), timeout=TIMEOUT_S)))
    for index, call in calls:
        responses = list(call)
        assert_same([response.window for response in responses[:-1]], responses[-1].summary, alone[index])


def test_live_windows_come_while_the_sender_goes_on(server: Server, stub, melody) -> None:
    """In real time but for the waiting: each window's result comes before the next window is sent."""
    samples = np.resize(melody[0], 20 * RATE).astype("<f4")
    turns: list[float] = []
    sent: list[float] = []

    def send() -> Iterator[tagging_pb2.TagStreamRequest]:
        yield tagging_pb2.TagStreamRequest(config=tagging_pb2.TagStreamConfig(pcm=pcm_format(), top_k=1))
        for start in range(0, len(samples), 5 * RATE):
            while len(turns) < start // (5 * RATE):
                time.sleep(0.001)
            yield tagging_pb2.TagStreamRequest(data=samples[start : start + 5 * RATE].tobytes())
            sent.append(time.monotonic())

    for response in stub.TagStream(send(), timeout=TIMEOUT_S):
        if response.HasField("window"):
            turns.append(time.monotonic())
    assert len(turns) == 4


def test_a_dead_client_leaves_nothing_behind(server: Server, stub, melody) -> None:
    samples = np.resize(melody[0], 60 * RATE).astype("<f4")

    def send() -> Iterator[tagging_pb2.TagStreamRequest]:
        yield tagging_pb2.TagStreamRequest(config=tagging_pb2.TagStreamConfig(pcm=pcm_format()))
        yield from chunks(samples.tobytes(), 1 << 16)

    call = stub.TagStream(send(), timeout=TIMEOUT_S)
    next(call)
    call.cancel()
    deadline = time.monotonic() + 10
    while server.metric("culturetag_pending_windows") > 0:
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("messages", "wrong"),
    [
        ([tagging_pb2.TagStreamRequest(data=b"abc")], "the first message must be a config"),
        ([], "without a config"),
        ([tagging_pb2.TagStreamRequest(config=tagging_pb2.TagStreamConfig())] * 2, "twice"),
        ([tagging_pb2.TagStreamRequest(config=tagging_pb2.TagStreamConfig())], "empty"),
    ],
)
def test_a_stream_that_breaks_the_protocol_is_told_how(stub, messages, wrong) -> None:
    with pytest.raises(grpc.RpcError) as error:
        list(stub.TagStream(iter(messages), timeout=TIMEOUT_S))
    assert error.value.code() == grpc.StatusCode.INVALID_ARGUMENT
    assert wrong in error.value.details()


def embed(stub, audio: tagging_pb2.Audio) -> tagging_pb2.EmbedResponse:
    return stub.Embed(tagging_pb2.EmbedRequest(audio=audio, include_windows=True), timeout=TIMEOUT_S)


def test_embeddings_are_those_of_the_python_tool(stub, melody) -> None:
    clip = melody[0][: 12 * RATE].astype("<f4")  # taken for the model's own rate: no resampler stands between the two
    response = embed(stub, tagging_pb2.Audio(encoded=encode(clip, RATE, "WAV", "FLOAT")))
    shape = (response.layer_count, response.hidden_size)
    embedder = LocalEmbedder(BUNDLE)
    expected = embedder.embed([window for _, window in cut_windows(clip, embedder.manifest)])
    windows = np.array([window.values for window in response.windows]).reshape(-1, *shape)
    assert windows.shape == expected.shape
    assert np.abs(windows - expected).max() < 1e-4
    assert np.abs(np.array(response.values).reshape(shape) - expected.mean(axis=0)).max() < 1e-4


def test_embeddings_of_a_file_and_of_its_samples_agree(stub, melody) -> None:
    samples, rate = melody
    clip = samples[: 7 * rate].astype("<f4")
    file = embed(stub, tagging_pb2.Audio(encoded=encode(clip, rate, "WAV", "FLOAT")))
    pcm = tagging_pb2.Pcm(
        encoding=tagging_pb2.ENCODING_F32LE, sample_rate_hz=rate, channel_count=1, samples=clip.tobytes()
    )
    raw = embed(stub, tagging_pb2.Audio(pcm=pcm))
    assert np.abs(np.array(file.values) - np.array(raw.values)).max() < 1e-4
    assert len(file.windows) == len(raw.windows) == 2
