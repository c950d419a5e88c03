"""TagStream through both clients: asked for, and where a clip is too long for one message."""

import io
import os
import queue
import threading

import grpc
import numpy as np
import pytest
from fake_server import STREAM_WINDOW_BYTES, FakeService, Refusal, serving

from culturetag import (
    CultureTagError,
    DeadlineExceededError,
    InvalidRequestError,
    NotSupportedError,
    OverloadedError,
    PcmFormat,
)
from culturetag.v1 import tagging_pb2 as pb

MIB = 1 << 20
TOO_LONG = Refusal(grpc.StatusCode.INVALID_ARGUMENT, "the audio is longer than 15m", field="audio.encoded")


@pytest.fixture(scope="module")
def large():
    """Bytes that don't repeat, over the size from which on clips are streamed."""
    return np.random.default_rng(1).bytes(8 * MIB + 1)


# --- Long clips, without being asked


def test_streams_what_is_large(client, service, large):
    result = client.tag(large, heads="makam", windows=True)
    assert service.methods() == ["TagStream"]
    assert service.calls[0].data == large
    assert service.calls[0].config == pb.TagStreamConfig(
        heads=["makam"], include_windows=True, priority=pb.PRIORITY_INTERACTIVE
    )
    assert len(result.windows) == 2


def test_streams_a_large_file_in_chunks(client, service, large, tmp_path):
    path = tmp_path / "opera.wav"
    path.write_bytes(large)
    client.tag(path)
    assert service.calls[0].data == large
    assert service.calls[0].largest_chunk == 256 * 1024


def test_streams_many_samples_with_their_form(client, service):
    samples = np.arange(6 * MIB, dtype=np.int64).astype(np.int16).reshape(-1, 2)
    client.tag(samples, sample_rate=48000)
    assert service.calls[0].config.pcm == pb.PcmFormat(
        encoding=pb.ENCODING_S16LE, sample_rate_hz=48000, channel_count=2
    )
    assert service.calls[0].data == samples.tobytes()


def test_streams_what_the_server_finds_too_long_for_one_request(client, service):
    service.refuse("Tag", TOO_LONG)
    client.tag(bytes(2 * MIB))
    assert service.methods() == ["Tag", "TagStream"]
    assert len(service.calls[1].data) == 2 * MIB


def test_reports_a_small_file_that_is_refused_at_once(client, service):
    service.refuse("Tag", TOO_LONG)
    with pytest.raises(InvalidRequestError):
        client.tag(b"no audio")
    assert service.methods() == ["Tag"]


def test_reports_what_the_stream_says_of_a_large_file_that_is_broken(client, service):
    service.refuse("Tag", TOO_LONG)
    service.refuse("TagStream", Refusal(grpc.StatusCode.INVALID_ARGUMENT, "no audio", field="audio.encoded"))
    with pytest.raises(InvalidRequestError, match="no audio"):
        client.tag(bytes(2 * MIB))


def test_doesnt_stream_where_an_option_is_wrong(client, service):
    service.refuse("Tag", Refusal(grpc.StatusCode.INVALID_ARGUMENT, field="min_score"))
    with pytest.raises(InvalidRequestError):
        client.tag(bytes(2 * MIB), min_score=2)
    assert service.methods() == ["Tag"]


def test_streams_what_is_larger_than_the_servers_messages_may_be(connect):
    service = FakeService()
    with serving(service, max_message_bytes=MIB) as address, connect(address) as client:
        client.tag(bytes(2 * MIB))
    assert service.methods() == ["TagStream"], "gRPC refused Tag's message before the service saw it"


def test_doesnt_stream_where_the_queue_is_full(client, service):
    full = Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, retry_delay_s=0.001, pushback_ms="1")
    service.refuse("Tag", *[full] * 4)
    with pytest.raises(OverloadedError):
        client.tag(bytes(2 * MIB))
    assert set(service.methods()) == {"Tag"}


def test_gives_up_a_stream_in_which_nothing_moves(connect, large):
    class Frozen(FakeService):
        def TagStream(self, requests, context):
            gone = threading.Event()
            context.add_callback(gone.set)
            gone.wait()
            yield from ()

    frozen = serving(Frozen())
    with frozen as address, connect(address) as client, pytest.raises(DeadlineExceededError, match=r"for 0\.2 s"):
        client.tag(large, timeout=0.2)


# --- Streams, asked for


def test_gives_each_window_while_the_upload_goes_on(client, service):
    heard: queue.Queue = queue.Queue()

    def recording():
        for _ in range(3):
            yield bytes(STREAM_WINDOW_BYTES)
            heard.get(timeout=30)  # goes on only when the window of what was sent has come back

    windows = []
    stream = client.tag_stream(recording())
    for window in stream:
        windows.append(window.start)
        heard.put(None)
    assert windows == [0, 5, 10]
    assert stream.result().model == "demo"


def test_needs_no_look_at_the_windows(client):
    assert client.tag_stream([bytes(5000)]).result().heads["makam"][0].label == "Hüseyni"


@pytest.mark.parametrize("chunks", [[b"fLaC"], [b"f", b"", b"La", b"C"], [bytearray(b"fL"), memoryview(b"aC")]])
def test_takes_chunks_of_any_size(client, service, chunks):
    client.tag_stream(chunks).result()
    assert service.calls[0].data == b"fLaC"
    assert not service.calls[0].config.HasField("pcm")


def test_takes_a_binary_file(client, service):
    client.tag_stream(io.BytesIO(b"RIFF"), pcm=PcmFormat("f32le", 44100)).result()
    assert service.calls[0].data == b"RIFF"
    assert service.calls[0].config.pcm == pb.PcmFormat(
        encoding=pb.ENCODING_F32LE, sample_rate_hz=44100, channel_count=1
    )


def test_doesnt_wait_until_a_pipe_fills_a_chunk(client, service):
    reading_end, writing_end = os.pipe()
    with open(reading_end, "rb") as reading, open(writing_end, "wb") as writing:
        writing.write(bytes(STREAM_WINDOW_BYTES))
        writing.flush()
        stream = client.tag_stream(reading, pcm=PcmFormat("s16le", 8000))
        assert next(stream).start == 0
        writing.close()
        stream.result()


def test_takes_arrays_as_they_come(client, service):
    blocks = [np.zeros((size, 2), np.float32) for size in (10, 1, 500)]
    client.tag_stream(iter(blocks), sample_rate=16000, priority="bulk").result()
    assert service.calls[0].config.pcm == pb.PcmFormat(
        encoding=pb.ENCODING_F32LE, sample_rate_hz=16000, channel_count=2
    )
    assert service.calls[0].config.priority == pb.PRIORITY_BULK
    assert service.calls[0].data == bytes(511 * 8)


def test_sends_the_config_of_a_stream_without_data(client, service):
    client.tag_stream([], top_k=1).result()
    assert service.calls[0].config.top_k == 1


def test_tries_again_what_is_refused_before_the_first_window(client, service):
    service.refuse("TagStream", Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, pushback_ms="1"))
    client.tag_stream(iter([bytes(500), bytes(600)])).result()
    assert service.methods() == ["TagStream"] * 2
    assert len(service.calls[1].data) == 1100


@pytest.mark.parametrize(
    ("chunks", "options", "error", "words"),
    [
        (
            [np.zeros(4, np.float32), np.zeros(4, np.int16)],
            {"sample_rate": 8000},
            ValueError,
            "s16le.* in a stream of .*f32le",
        ),
        ([np.zeros(4), b"x"], {"sample_rate": 8000}, TypeError, "pcm=PcmFormat"),
        ([np.zeros(4)], {"pcm": PcmFormat("s16le", 8000)}, TypeError, "give sample_rate instead"),
        ([np.zeros(4)], {}, ValueError, "need their sample_rate"),
        (["text"], {}, TypeError, "not str"),
        ([b"x"], {"pcm": PcmFormat("u8", 8000)}, ValueError, "'u8' is none of s16le, f32le"),
    ],
)
def test_says_what_is_wrong_with_a_chunk(client, chunks, options, error, words):
    with pytest.raises(error, match=words):
        client.tag_stream(chunks, **options).result()


def test_raises_what_the_chunks_raise(client):
    def recording():
        yield bytes(10)
        raise OSError("the microphone is gone")

    with pytest.raises(OSError, match="the microphone is gone"):
        client.tag_stream(recording()).result()


@pytest.mark.parametrize(
    ("audio", "options", "error", "words"),
    [
        (42, {}, TypeError, "not int"),
        ("no-such-file.wav", {}, FileNotFoundError, "no-such-file"),
        ([], {"sample_rate": 8000, "pcm": PcmFormat("s16le", 8000)}, ValueError, "give one of them"),
    ],
)
def test_refuses_wrong_arguments_at_once(client, service, audio, options, error, words):
    with pytest.raises(error, match=words):
        client.tag_stream(audio, **options)
    assert service.calls == []


def test_says_that_a_server_doesnt_stream(client, service):
    service.refuse("TagStream", Refusal(grpc.StatusCode.UNIMPLEMENTED, "not yet"))
    with pytest.raises(NotSupportedError, match="not yet"):
        next(client.tag_stream([b"x"]))


def test_takes_a_stream_without_a_summary_for_a_failure(connect):
    class Silent(FakeService):
        def TagStream(self, requests, context):
            for _ in requests:
                pass
            return iter(())

    silent = serving(Silent())
    with silent as address, connect(address) as client, pytest.raises(CultureTagError, match="without a summary"):
        client.tag_stream([b"x"]).result()


def test_can_be_given_up(client):
    go_on: queue.Queue = queue.Queue()

    def recording():
        yield bytes(STREAM_WINDOW_BYTES)
        go_on.get(timeout=30)

    stream = client.tag_stream(recording())
    next(stream)
    stream.cancel()
    go_on.put(None)
    with pytest.raises(CultureTagError) as raised:
        stream.result()
    assert raised.value.code is grpc.StatusCode.CANCELLED
