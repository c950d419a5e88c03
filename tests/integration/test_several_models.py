"""Several models side by side on one real server."""

from collections.abc import Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
from conftest import encode, request
from culturetag.v1 import tagging_pb2, tagging_pb2_grpc
from real_server import BUNDLE, Server, start_server
from reloads import await_version, make_versions, turn, values_of

FLAGS = ("--max_batch_windows=1", "--reload_period=100ms")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("models")


@pytest.fixture(scope="module")
def other(folder) -> dict[str, Path]:
    """Versions of a second model, and a link to the first of them."""
    versions = make_versions(folder, ("1", "2"), name="other")
    return versions | {"link": folder / "other"}


@pytest.fixture(scope="module")
def two_models(folder, other) -> Iterator[Server]:
    """The demo model, which is the default, and the other one, each named by a flag of its own."""
    other["link"].symlink_to(other["1"])
    server = start_server(folder, f"--bundle={other['link']}", *FLAGS, bundle=BUNDLE)
    yield server
    server.process.terminate()
    assert server.process.wait(timeout=60) == 0


@pytest.fixture
def two(two_models) -> Iterator[tagging_pb2_grpc.TaggingServiceStub]:
    with two_models.channel() as channel:
        yield tagging_pb2_grpc.TaggingServiceStub(channel)


@pytest.fixture(scope="module")
def clip(melody) -> bytes:
    samples, rate = melody
    return encode(samples[: 7 * rate], rate)


def test_each_is_listed_and_the_first_is_the_default(two_models, two, clip):
    assert [model.name for model in two.ListModels(tagging_pb2.ListModelsRequest()).models] == ["demo", "other"]
    assert two.Tag(request(clip)).model == "demo"
    for name in ("demo", "other"):
        assert f'model="{name}"' in two_models.http("/metrics")


def test_each_answers_with_its_own_scores_and_hidden_states(two, clip):
    tags = {name: two.Tag(request(clip, model=name)) for name in ("demo", "other")}
    assert [tags[name].model for name in tags] == ["demo", "other"]
    assert not np.allclose(values_of(tags["demo"]), values_of(tags["other"]), atol=1e-3)
    audio = tagging_pb2.Audio(encoded=clip)
    sizes = {name: two.Embed(tagging_pb2.EmbedRequest(audio=audio, model=name)) for name in ("demo", "other")}
    assert [(sizes[name].layer_count, sizes[name].hidden_size) for name in sizes] == [(4, 128), (2, 64)]
    with pytest.raises(grpc.RpcError) as refused:
        two.Tag(request(clip, model="third"))
    assert refused.value.code() == grpc.StatusCode.NOT_FOUND
    assert "demo, other" in refused.value.details()


def test_a_clip_for_one_does_not_wait_for_a_track_that_the_other_is_at(two, melody):
    samples, rate = melody
    track = encode(np.resize(samples, 600 * rate), rate, "FLAC")
    under_way = two.Tag.future(request(track, model="demo"), metadata=[("x-client-id", "a")])
    clip = two.Tag(request(encode(samples[: 5 * rate], rate), model="other"), metadata=[("x-client-id", "b")])
    assert clip.model == "other"
    assert not under_way.done()
    assert under_way.result().audio.window_count == 120


def test_one_is_reloaded_while_the_other_stays_as_it_is(two_models, two, other, clip):
    before = values_of(two.Tag(request(clip, model="demo")))
    turn(other["link"], other["2"])
    await_version(two, "2", "other")
    assert values_of(two.Tag(request(clip, model="demo"))) == pytest.approx(before, abs=1e-4)
    assert two_models.metric('culturetag_bundle_reloads_total{model="demo",result="ok"}') == 0
    assert two_models.metric('culturetag_bundle_reloads_total{model="other",result="ok"}') == 1
