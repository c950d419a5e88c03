"""Both clients against the real server on the demo bundle."""

import numpy as np
import pytest
import soundfile
from conftest import PATIENCE_S
from real_server import MELODY, running_server

from culturetag import InvalidRequestError, NotFoundError, PcmFormat


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """Takes at most 20 s of audio in one request."""
    with running_server(
        tmp_path_factory.mktemp("server"), "--max_batch_windows=4", "--max_audio_duration=20s"
    ) as running:
        yield running


@pytest.fixture
def client(connect, server):
    with connect(server.address, timeout=PATIENCE_S) as client:
        yield client


@pytest.fixture(scope="module")
def samples():
    """The melody, `[N] int16`, at 16 kHz."""
    data, rate = soundfile.read(MELODY, dtype="int16")
    assert rate == 16000
    return data


def scores(heads):
    return {(head, tag.label): tag.score for head, tags in heads.items() for tag in tags}


def test_gives_the_same_tags_for_every_form_of_a_clip(client, samples):
    whole = client.tag(MELODY, windows=True)
    assert (whole.audio.duration, whole.audio.format, len(whole.windows)) == (14.0, "FLAC/PCM_16", 3)
    encoded = MELODY.read_bytes()
    others = [
        client.tag(encoded, windows=True),
        client.tag(samples, sample_rate=16000, windows=True),
        client.tag((samples / 32768).astype(np.float32), sample_rate=16000, windows=True),
        client.tag_stream(MELODY, windows=True).result(),
        client.tag_stream([encoded[i : i + 1000] for i in range(0, len(encoded), 1000)], windows=True).result(),
        client.tag_stream([samples[:1], samples[1:]], sample_rate=16000, windows=True).result(),
        client.tag_stream([samples.tobytes()], pcm=PcmFormat("s16le", 16000), windows=True).result(),
    ]
    for other in others:
        assert scores(other.heads) == pytest.approx(scores(whole.heads), abs=1e-4)
        assert [scores(window.heads) for window in other.windows] == [
            pytest.approx(scores(window.heads), abs=1e-4) for window in whole.windows
        ]


def test_gives_a_streams_windows_as_the_result_does(client):
    stream = client.tag_stream(MELODY, windows=True)
    windows = tuple(stream)
    assert [(window.start, window.duration) for window in windows] == [(0, 5), (5, 5), (9, 5)]
    assert windows == stream.result().windows


def test_streams_a_track_that_is_too_long_for_one_request(client, samples, tmp_path):
    track = tmp_path / "track.wav"
    soundfile.write(track, np.tile(samples, 3), 16000)
    result = client.tag(track, heads="makam", top_k=1)
    assert (result.audio.duration, result.audio.window_count) == (42.0, 9)


def test_embeds_as_the_model_is_wide(client):
    (model,) = client.models()
    states = client.embed(MELODY)
    by_window = client.embed(MELODY, windows=True)
    assert states.shape == (model.layer_count, model.hidden_size)
    assert by_window.shape == (3, *states.shape)
    np.testing.assert_allclose(by_window.mean(axis=0), states, atol=1e-5)


def test_names_what_is_wrong(client):
    with pytest.raises(InvalidRequestError) as no_audio:
        client.tag(b"no audio")
    assert [violation.field for violation in no_audio.value.violations] == ["audio.encoded"]
    with pytest.raises(InvalidRequestError) as no_score:
        client.tag(MELODY, min_score=2)
    assert [violation.field for violation in no_score.value.violations] == ["min_score"]
    with pytest.raises(NotFoundError, match="makam, hindustani, carnatic, lyra, fma, mtat"):
        client.tag_stream(MELODY, heads="raga").result()
