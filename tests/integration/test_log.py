"""The log of the real server: its configuration, a line for each call, and no flood."""

import re
import threading
import time

import grpc
import numpy as np
import pytest
from conftest import encode, request
from culturetag.v1 import tagging_pb2, tagging_pb2_grpc
from real_server import running_server

TIMEOUT_S = 60
RATE = 24_000
TOKEN = "web-0123456789abcdef"


@pytest.fixture(scope="module")
def logged(tmp_path_factory):
    folder = tmp_path_factory.mktemp("log")
    file = folder / "tokens"
    file.write_text(f"web {TOKEN}\n")
    with running_server(folder, f"--auth_tokens_file={file}", "--max_batch_windows=2") as server:
        yield server


def lines(server, message: str) -> list[dict[str, str]]:
    """The fields of the lines with this message."""
    texts = [line for line in server.log() if re.match(rf"\S+ \w+ {message} ", line)]
    return [
        {key: value.strip('"') for key, value in re.findall(r'(\w+)=("(?:[^"\\]|\\.)*"|\S*)', text)} for text in texts
    ]


def test_every_flag_is_logged_at_the_start_and_of_the_tokens_only_their_file(logged):
    (configuration,) = lines(logged, "configuration")
    assert configuration["max_batch_windows"] == "2"
    assert configuration["drain_timeout"] == "30s"
    assert configuration["auth_tokens_file"].endswith("/tokens")
    assert {"bundle", "listen", "tls_key", "max_request_bytes", "spool_folder"} <= configuration.keys()
    assert TOKEN not in logged.log_file.read_text()


@pytest.mark.parametrize("method", ["Tag", "Embed", "TagStream"])
def test_a_call_that_was_scored_says_with_which_model_and_where_its_time_went(logged, method):
    clip = encode(np.random.default_rng(0).uniform(-0.5, 0.5, 6 * RATE).astype(np.float32), RATE)
    options = {
        "timeout": TIMEOUT_S,
        "metadata": [("authorization", f"Bearer {TOKEN}"), ("x-request-id", f"r-{method}"), ("traceparent", "00-ab-cd-01")],
    }
    with logged.channel() as channel:
        stub = tagging_pb2_grpc.TaggingServiceStub(channel)
        if method == "Tag":
            response = stub.Tag(request(clip), **options)
        elif method == "Embed":
            response = stub.Embed(tagging_pb2.EmbedRequest(audio=tagging_pb2.Audio(encoded=clip)), **options)
        else:
            config = tagging_pb2.TagStreamRequest(config=tagging_pb2.TagStreamConfig())
            messages = iter([config, tagging_pb2.TagStreamRequest(data=clip)])
            response = list(stub.TagStream(messages, **options))[-1].summary
    (line,) = [line for line in lines(logged, "request") if line["request_id"] == f"r-{method}"]
    assert (line["method"], line["code"], line["client"], line["traceparent"]) == (method, "OK", "web", "00-ab-cd-01")
    assert (line["model"], line["version"], line["windows"]) == ("demo", response.model_version, "2")
    stages = [float(line[stage]) for stage in ("decode_ms", "queue_ms", "inference_ms")]
    assert all(stage >= 0 for stage in stages)
    assert max(stages) <= float(line["ms"])
    assert float(line["inference_ms"]) > 0


def test_a_flood_of_refused_calls_is_thinned_out_and_counted(logged):
    refused = 0
    deadline = time.monotonic() + TIMEOUT_S
    wrong = [("authorization", "Bearer wrong-0123456789abcdef")]
    with logged.channel() as channel:
        stub = tagging_pb2_grpc.TaggingServiceStub(channel)

        def refuse(count: int) -> None:
            nonlocal refused
            calls = [stub.ListModels.future(tagging_pb2.ListModelsRequest(), metadata=wrong) for _ in range(count)]
            assert {call.code() for call in calls} == {grpc.StatusCode.UNAUTHENTICATED}
            refused += count

        def counted() -> tuple[int, int]:
            found = [line for line in lines(logged, "request") if line["code"] == "UNAUTHENTICATED"]
            return len(found), sum(int(line["suppressed"]) for line in found)

        # More than a hundred within a second, sooner or later, on any machine.
        while counted()[1] == 0:
            assert time.monotonic() < deadline
            refuse(500)
        threading.Event().wait(1)  # a period of the limit
        refuse(1)
    written, suppressed = counted()
    assert written + suppressed == refused
