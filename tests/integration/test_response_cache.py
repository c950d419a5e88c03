"""The real server's cache of responses."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from conftest import encode, request
from culturetag.v1 import tagging_pb2, tagging_pb2_grpc
from real_server import Server, running_server
from reloads import values_of

LOOKUPS = 'culturetag_response_cache_lookups_total{result="%s"}'


@pytest.fixture
def caching(tmp_path) -> Iterator[Server]:
    with running_server(tmp_path, "--response_cache_bytes=1000000", "--max_batch_windows=1") as server:
        yield server


@pytest.fixture
def asked(caching) -> Iterator[tagging_pb2_grpc.TaggingServiceStub]:
    with caching.channel() as channel:
        yield tagging_pb2_grpc.TaggingServiceStub(channel)


@pytest.fixture
def clip(melody) -> bytes:
    samples, rate = melody
    return encode(samples[: 7 * rate], rate)


def test_the_same_question_is_answered_once_by_the_device(caching, asked, clip):
    first = asked.Tag(request(clip))
    scored = caching.metric("culturetag_windows_total")
    second = asked.Tag(request(clip))
    assert caching.metric("culturetag_windows_total") == scored == first.audio.window_count
    assert values_of(second) == values_of(first)
    assert second.model_version == first.model_version
    assert first.timing.inference.ToNanoseconds() > 0
    assert second.timing.inference.ToNanoseconds() == second.timing.queue.ToNanoseconds() == 0
    assert asked.Tag(request(clip, top_k=1)).heads[0].tags[0] == first.heads[0].tags[0]
    embed = tagging_pb2.EmbedRequest(audio=tagging_pb2.Audio(encoded=clip))
    assert asked.Embed(embed).values == asked.Embed(embed).values
    assert caching.metric(LOOKUPS % "hit") == 2
    assert caching.metric(LOOKUPS % "miss") == 3
    assert 0 < caching.metric("culturetag_response_cache_bytes") < 1_000_000


def test_identical_calls_that_come_together_are_scored_once(caching, asked, clip):
    calls = 50
    with ThreadPoolExecutor(calls) as threads:
        answers = list(threads.map(lambda _: values_of(asked.Tag(request(clip))), range(calls)))
    assert all(answer == answers[0] for answer in answers)
    assert caching.metric(LOOKUPS % "miss") == 1
    assert caching.metric(LOOKUPS % "hit") + caching.metric(LOOKUPS % "coalesced") == calls - 1
    assert caching.metric("culturetag_windows_total") == 2
