import json
from concurrent.futures import ThreadPoolExecutor

import grpc
import numpy as np
import pytest
import torch
from click.testing import CliRunner
from dataset_trees import recording_id, write_audio, write_dunya
from google.protobuf.duration_pb2 import Duration

from culturetag.v1 import tagging_pb2, tagging_pb2_grpc
from culturetag_model.bundle import read_bundle
from culturetag_model.cli import main
from culturetag_model.datasets import open_dataset
from culturetag_model.embedders import EmbedderError, LocalEmbedder, ServerEmbedder
from culturetag_model.features import FeaturesError, extract, read_features
from culturetag_model.reference import cut_windows, load_mono, normalize

LABELS = [{"makam": ["Hicaz"]}, {"makam": ["Rast"], "instrument": ["Ney"]}] * 5


@pytest.fixture
def root(tmp_path):
    """Ten recordings of makam music of 1 s, the first of 12 s."""
    folder = tmp_path / "makam"
    ids = write_dunya(folder, "makam", LABELS, suffix=".flac")
    write_audio(folder / "audios" / f"{ids[0]}.flac", seconds=12.0, rate=44_100)
    return folder


@pytest.fixture(scope="module")
def bundle(shared_bundle):
    return read_bundle(shared_bundle)


@pytest.fixture(scope="module")
def local(shared_bundle):
    return LocalEmbedder(shared_bundle)


class CountingEmbedder:
    """Counts what it embeds, and stops like a user's interrupt after `limit` calls."""

    def __init__(self, embedder, limit=None):
        self.identity, self.manifest = embedder.identity, embedder.manifest
        self.calls, self._embedder, self._limit = 0, embedder, limit

    def embed(self, windows):
        if self.calls == self._limit:
            raise KeyboardInterrupt
        self.calls += 1
        return self._embedder.embed(windows)


def test_states_are_those_of_the_reference_chain(tmp_path, root, bundle, local):
    extraction = extract(open_dataset(root), local, tmp_path / "features")

    features = read_features(extraction.folder)
    assert features.head == "makam"
    assert features.states.shape == (12, 3, 32)
    first = features.ids.index(recording_id(0))
    audio = load_mono(root / f"audios/{recording_id(0)}.flac", 24_000)
    windows = [torch.from_numpy(normalize(window)) for _, window in cut_windows(audio, bundle.manifest)]
    expected = bundle.backbone(torch.stack(windows))
    np.testing.assert_allclose(features.states[features.owners == first], expected, atol=1e-5)


def test_labels_and_splits_travel_with_the_states(tmp_path, root, local):
    dataset = open_dataset(root)

    features = read_features(extract(dataset, local, tmp_path / "features").folder)

    assert features.ids == tuple(recording.id for recording in dataset.recordings)
    assert features.splits.tolist() == [recording.split for recording in dataset.recordings]
    names = list(dataset.label_counts())
    for row, recording in zip(features.targets, dataset.recordings, strict=True):
        assert {names[index] for index in row.nonzero()[0]} == recording.labels


def test_an_interrupted_run_goes_on_where_it_stopped_and_a_second_one_does_nothing(tmp_path, root, local):
    dataset = open_dataset(root)
    interrupted = CountingEmbedder(local, limit=4)
    with pytest.raises(KeyboardInterrupt):
        extract(dataset, interrupted, tmp_path / "features")
    rest, again = CountingEmbedder(local), CountingEmbedder(local)

    folder = extract(dataset, rest, tmp_path / "features").folder
    times = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    second = extract(dataset, again, tmp_path / "features")

    assert (interrupted.calls, rest.calls, again.calls) == (4, 6, 0)
    assert second.new_windows == 0
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == times


def test_features_that_were_not_finished_are_not_read(tmp_path, root, local):
    embedder = CountingEmbedder(local, limit=4)
    with pytest.raises(KeyboardInterrupt):
        extract(open_dataset(root), embedder, tmp_path / "features")

    with pytest.raises(FeaturesError, match="holds no complete features"):
        read_features(next((tmp_path / "features").iterdir()))


def test_two_backbones_never_share_features(tmp_path, root, local):
    dataset, embedder = open_dataset(root), CountingEmbedder(local)
    first = extract(dataset, embedder, tmp_path / "features").folder
    embedder.identity = embedder.identity | {"normalize": False}

    assert extract(dataset, embedder, tmp_path / "features").folder != first
    assert embedder.calls == 20


def test_broken_and_short_audio_is_listed_skipped_and_tried_again(tmp_path, root, shared_bundle):
    broken, short = (root / f"audios/{recording_id(index)}.flac" for index in (1, 2))
    broken.write_bytes(b"no audio")
    write_audio(short, seconds=0.4)
    arguments = ("features", "--backbone", shared_bundle, "--root", root, "--output", tmp_path / "features")

    first = CliRunner().invoke(main, [str(argument) for argument in arguments])
    write_audio(broken)
    second = CliRunner().invoke(main, [str(argument) for argument in arguments])

    assert (first.exit_code, second.exit_code) == (0, 0)
    skipped = sorted(line for line in first.stderr.splitlines() if line.startswith("skipped: "))
    assert len(skipped) == 2
    assert any(line.startswith(f"skipped: {recording_id(1)}: {broken.name}: ") for line in skipped)
    reason = "the clip has 9600 samples, and the shortest that is accepted has 12000"
    assert f"skipped: {recording_id(2)}: {reason}" in skipped
    assert ": 10 new windows in " in first.stdout
    assert ": 1 new windows in " in second.stdout
    folder = next((tmp_path / "features").iterdir())
    assert json.loads((folder / "index.json").read_text())["skipped"] == {recording_id(2): reason}


class FakeService(tagging_pb2_grpc.TaggingServiceServicer):
    """Serves a bundle's backbone as the real server does, one window a request."""

    def __init__(self, bundle):
        self._bundle = bundle
        self.refusals = 0
        """How many requests to refuse first, as a full queue does."""

    def ListModels(self, request, context):
        model = tagging_pb2.Model(
            name="tiny",
            version="1",
            backbone="random",
            sample_rate_hz=24_000,
            window=Duration(seconds=5),
            layer_count=3,
            hidden_size=32,
            precision="fp32",
        )
        return tagging_pb2.ListModelsResponse(models=[model])

    def Embed(self, request, context):
        if self.refusals:
            self.refusals -= 1
            context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "the queue is full")
        pcm = request.audio.pcm
        assert (pcm.encoding, pcm.sample_rate_hz, pcm.channel_count) == (tagging_pb2.ENCODING_F32LE, 24_000, 1)
        window = normalize(np.frombuffer(pcm.samples, "<f4"))
        states = self._bundle.backbone(torch.from_numpy(window)[None])[0]
        return tagging_pb2.EmbedResponse(layer_count=3, hidden_size=32, values=states.flatten().tolist())


@pytest.fixture
def service(bundle):
    return FakeService(bundle)


@pytest.fixture
def address(service):
    server = grpc.server(ThreadPoolExecutor(2))
    tagging_pb2_grpc.add_TaggingServiceServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(grace=None).wait()


def test_a_servers_states_are_the_local_ones(tmp_path, root, local, address):
    dataset = open_dataset(root)
    expected = read_features(extract(dataset, local, tmp_path / "features").folder)

    served = read_features(extract(dataset, ServerEmbedder(address), tmp_path / "features").folder)

    np.testing.assert_allclose(served.states, expected.states, atol=1e-6)
    assert served.backbone == {"backbone": "random", "server_model": "tiny", "version": "1", "precision": "fp32"}


def test_a_full_queue_is_asked_again(address, service):
    service.refusals = 2

    states = ServerEmbedder(address).embed([np.zeros(24_000, np.float32)])

    assert (states.shape, service.refusals) == ((1, 3, 32), 0)


def test_an_unknown_model_and_a_silent_server_are_errors(address):
    with pytest.raises(EmbedderError, match=r"has no model 'other', only \['tiny'\]"):
        ServerEmbedder(address, "other")
    with pytest.raises(EmbedderError, match="^127.0.0.1:1 does not answer: "):
        ServerEmbedder("127.0.0.1:1")


@pytest.mark.parametrize("options", [[], ["--backbone", "bundle", "--server", "localhost:1"]])
def test_the_command_wants_one_source_of_states(tmp_path, options):
    (tmp_path / "bundle").mkdir()
    options = [
        option.replace("bundle", str(tmp_path / "bundle")) if option == "bundle" else option for option in options
    ]

    result = CliRunner().invoke(main, ["features", *options, "--root", str(tmp_path), "--output", str(tmp_path)])

    assert result.exit_code == 2
    assert "give either --backbone or --server" in result.stderr
