"""Tag, Embed and ListModels through both clients."""

import time

import grpc
import numpy as np
import pytest
from fake_server import FakeService, Refusal, serving

import culturetag
from culturetag import (
    AudioInfo,
    CultureTagError,
    DeadlineExceededError,
    FieldViolation,
    InvalidRequestError,
    NotFoundError,
    NotSupportedError,
    OverloadedError,
    Tag,
    UnauthenticatedError,
    UnavailableError,
)
from culturetag.v1 import tagging_pb2 as pb

INT16 = np.array([[1, -2], [3, -4], [5, 32767]], np.int16)
FULL = Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, "the queue is full", retry_delay_s=0.001, pushback_ms="1")


# --- What is sent


@pytest.mark.parametrize("audio", [b"fLaC", bytearray(b"fLaC"), memoryview(b"xfLaCx")[1:5]])
def test_sends_a_files_bytes_as_they_are(client, service, audio):
    client.tag(audio)
    assert service.calls[0].request.audio == pb.Audio(encoded=b"fLaC")


@pytest.mark.parametrize("as_path", [str, lambda path: path])
def test_reads_a_file(client, service, tmp_path, as_path):
    path = tmp_path / "güzel ezgi.flac"
    path.write_bytes(b"fLaC")
    client.tag(as_path(path))
    assert service.calls[0].request.audio == pb.Audio(encoded=b"fLaC")


@pytest.mark.parametrize(
    ("samples", "encoding", "channels", "data"),
    [
        (INT16, pb.ENCODING_S16LE, 2, INT16.tobytes()),
        (INT16[:, 0], pb.ENCODING_S16LE, 1, INT16[:, 0].tobytes()),
        (INT16.astype(">i2"), pb.ENCODING_S16LE, 2, INT16.tobytes()),
        (np.array([0.5, -1], np.float32), pb.ENCODING_F32LE, 1, np.array([0.5, -1], "<f4").tobytes()),
        (np.array([0.5, -1], np.float64), pb.ENCODING_F32LE, 1, np.array([0.5, -1], "<f4").tobytes()),
        (np.array([0.5, -1], np.float16), pb.ENCODING_F32LE, 1, np.array([0.5, -1], "<f4").tobytes()),
        (np.zeros(0, np.float32), pb.ENCODING_F32LE, 1, b""),
    ],
)
def test_sends_samples_interleaved_and_little_endian(client, service, samples, encoding, channels, data):
    client.tag(samples, sample_rate=8000)
    assert service.calls[0].request.audio.pcm == pb.Pcm(
        encoding=encoding, sample_rate_hz=8000, channel_count=channels, samples=data
    )


def test_sends_the_options(client, service):
    client.tag(b"x", model="m", heads=["makam", "fma"], top_k=3, min_score=0.25, windows=True, priority="bulk")
    assert service.calls[0].request == pb.TagRequest(
        audio=pb.Audio(encoded=b"x"),
        model="m",
        heads=["makam", "fma"],
        top_k=3,
        min_score=0.25,
        include_windows=True,
        priority=pb.PRIORITY_BULK,
    )


def test_takes_one_head_as_a_string(client, service):
    client.tag(b"x", heads="makam")
    assert service.calls[0].request.heads == ["makam"]


def test_asks_for_everything_by_default(client, service):
    client.tag(b"x")
    assert service.calls[0].request == pb.TagRequest(audio=pb.Audio(encoded=b"x"), priority=pb.PRIORITY_INTERACTIVE)


def test_names_itself_and_shows_its_token(connect, service, address):
    with connect(address, client_id="archive", token="secret") as client:
        client.models()
    metadata = service.calls[0].metadata
    assert metadata["x-client-id"] == "archive"
    assert metadata["authorization"] == "Bearer secret"
    assert metadata["user-agent"].startswith("culturetag-python/")


def test_sends_no_name_and_no_token_by_default(client, service):
    client.models()
    assert service.calls[0].metadata.keys().isdisjoint({"x-client-id", "authorization"})


@pytest.mark.parametrize(
    ("arguments", "options", "error", "words"),
    [
        ((np.zeros(3),), {}, ValueError, "need their sample_rate"),
        ((np.zeros((2, 2, 2)),), {"sample_rate": 8000}, ValueError, r"not of shape \[2, 2, 2\]"),
        ((np.zeros(3, np.int32),), {"sample_rate": 8000}, TypeError, "int16 or floats in .*, not int32"),
        ((b"x",), {"sample_rate": 8000}, ValueError, "a file's header gives its own"),
        ((42,), {}, TypeError, "not int"),
        (("no-such-file.wav",), {}, FileNotFoundError, "no-such-file.wav"),
        ((b"x",), {"priority": "high"}, ValueError, "not 'high'"),
        ((b"x",), {"topk": 1}, TypeError, "no such option: topk"),
    ],
)
def test_refuses_wrong_arguments_before_it_sends_anything(client, service, arguments, options, error, words):
    with pytest.raises(error, match=words):
        client.tag(*arguments, **options)
    assert service.calls == []


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"token": "two\n"}, "visible ASCII"),
        ({"client_id": "the archive"}, "a client_id is visible ASCII"),
        ({"client_id": "arşiv"}, "a client_id is visible ASCII"),
        ({"tls_cert": b"x"}, "go together"),
        ({"tls_key": b"x"}, "go together"),
        ({"max_attempts": 0}, "1 to 5, not 0"),
        ({"max_attempts": 6}, "1 to 5, not 6"),
    ],
)
def test_refuses_a_wrong_connection(connect, options, words):
    with pytest.raises(ValueError, match=words):
        connect("localhost:1", **options)


# --- What comes back


def test_gives_the_tags_of_a_clip(client):
    result = client.tag(b"x")
    assert (result.model, result.model_version) == ("demo", "1.0.0")
    assert result.audio == AudioInfo(7.5, 44100, 2, "FLAC/PCM_16", 2)
    assert result.heads == {"makam": (Tag("Hüseyni", "makam", 0.75), Tag("Ney", "instrument", 0.5)), "fma": ()}
    assert result.windows == ()
    assert result.timing.total == pytest.approx(0.02)


def test_gives_the_tags_of_windows_on_request(client):
    windows = client.tag(b"x", windows=True).windows
    assert [(window.start, window.duration) for window in windows] == [(0, 5), (5, 5)]
    assert windows[1].heads["makam"][0] == Tag("Hüseyni", "makam", 0.75)


def test_makes_a_table_of_the_tags(client):
    pytest.importorskip("pandas")
    table = client.tag(b"x").to_dataframe()
    assert table.to_dict("list") == {
        "head": ["makam", "makam"],
        "label": ["Hüseyni", "Ney"],
        "category": ["makam", "instrument"],
        "score": [0.75, 0.5],
    }


def test_makes_a_table_of_the_tags_of_windows(client):
    pytest.importorskip("pandas")
    table = client.tag(b"x", windows=True).windows_to_dataframe()
    assert list(table.columns) == ["start", "duration", "head", "label", "category", "score"]
    assert list(table["start"]) == [0, 0, 5, 5]
    assert list(table["label"]) == ["Hüseyni", "Ney"] * 2


def test_embeds_a_clip(client, service):
    states = client.embed(INT16, sample_rate=8000, model="m")
    assert states.dtype == np.float32
    assert states.tolist() == [[0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11]]
    assert service.calls[0].request.model == "m"
    assert not service.calls[0].request.include_windows


def test_embeds_each_window_on_request(client):
    assert client.embed(b"x", windows=True).shape == (2, 3, 4)


def test_lists_the_models(client):
    (model,) = client.models()
    assert (model.name, model.window, model.layer_count) == ("demo", 5.0, 3)
    (head,) = model.heads
    assert (head.name, head.title, head.dataset, head.metrics) == ("makam", "Makam", "a corpus", {"map": 0.5})
    assert [label.name for label in head.labels] == ["Hüseyni", "Ney"]
    assert head.labels[1].untrained_reason == "never heard"


# --- What goes wrong


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (grpc.StatusCode.INVALID_ARGUMENT, InvalidRequestError),
        (grpc.StatusCode.NOT_FOUND, NotFoundError),
        (grpc.StatusCode.UNAUTHENTICATED, UnauthenticatedError),
        (grpc.StatusCode.UNIMPLEMENTED, NotSupportedError),
        (grpc.StatusCode.INTERNAL, CultureTagError),
    ],
)
def test_names_what_is_wrong_and_asks_once(client, service, code, error):
    service.refuse("Tag", Refusal(code, "the reason"))
    with pytest.raises(CultureTagError, match=f"^{code.name}: the reason$") as raised:
        client.tag(b"x")
    assert type(raised.value) is error
    assert (raised.value.code, raised.value.message, raised.value.retry_after) == (code, "the reason", None)
    assert service.methods() == ["Tag"]


def test_names_the_field_that_is_wrong(client, service):
    service.refuse("Tag", Refusal(grpc.StatusCode.INVALID_ARGUMENT, "must be in [0, 1]", field="min_score"))
    with pytest.raises(InvalidRequestError) as raised:
        client.tag(b"x", min_score=2)
    assert raised.value.violations == (FieldViolation("min_score", "must be in [0, 1]"),)
    assert str(raised.value) == "INVALID_ARGUMENT (min_score): must be in [0, 1]"


def test_says_when_there_is_no_answer_in_time(connect, service, address):
    with connect(address, timeout=0.001) as client, pytest.raises(TimeoutError) as raised:
        client.tag(bytes(10_000_000))
    assert type(raised.value) is DeadlineExceededError


def test_says_where_no_server_answers(connect):
    with connect("127.0.0.1:1") as client, pytest.raises(UnavailableError, match=r"127\.0\.0\.1:1: .*refused"):
        client.models()


def test_passes_over_details_that_are_no_details(connect):
    class Broken(FakeService):
        def ListModels(self, request, context):
            context.set_trailing_metadata([("grpc-status-details-bin", b"\xff\xff")])
            context.abort(grpc.StatusCode.NOT_FOUND, "gone")

    with serving(Broken()) as address, connect(address) as client, pytest.raises(NotFoundError, match="gone"):
        client.models()


# --- What is tried again


@pytest.mark.parametrize("method", ["Tag", "Embed", "ListModels"])
def test_tries_again_what_may_pass(client, service, method):
    service.refuse(method, FULL, FULL, Refusal(grpc.StatusCode.UNAVAILABLE, pushback_ms="1"))
    calls = {"Tag": lambda: client.tag(b"x"), "Embed": lambda: client.embed(b"x"), "ListModels": client.models}
    calls[method]()
    assert service.methods() == [method] * 4


def test_tries_again_what_is_larger_than_grpc_keeps_by_default(client, service):
    service.refuse("Tag", FULL)
    client.tag(bytes(3 << 20))
    assert [len(call.request.audio.encoded) for call in service.calls] == [3 << 20] * 2


def test_waits_as_long_as_the_server_asks(client, service):
    service.refuse("Tag", Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, pushback_ms="800"))
    start = time.monotonic()
    client.tag(b"x")
    assert time.monotonic() - start >= 0.8, "gRPC's own first wait would be 0.24 s at most"


def test_doesnt_try_again_where_the_server_forbids_it(client, service):
    service.refuse("Tag", Refusal(grpc.StatusCode.UNAVAILABLE, pushback_ms="-1"))
    with pytest.raises(UnavailableError):
        client.tag(b"x")
    assert service.methods() == ["Tag"]


def test_gives_up_after_four_attempts_and_says_when_to_come_back(client, service):
    service.refuse("Tag", *[FULL] * 9)
    with pytest.raises(OverloadedError, match="the queue is full") as raised:
        client.tag(b"x")
    assert raised.value.retry_after == pytest.approx(0.001)
    assert service.methods() == ["Tag"] * 4


@pytest.mark.parametrize("attempts", [1, 2, 5])
def test_makes_as_many_attempts_as_it_is_told(connect, service, address, attempts):
    service.refuse("Tag", *[FULL] * 9)
    with connect(address, max_attempts=attempts) as client, pytest.raises(OverloadedError):
        client.tag(b"x")
    assert service.methods() == ["Tag"] * attempts


def test_exports_every_error_and_result():
    assert set(culturetag.__all__) <= vars(culturetag).keys()
