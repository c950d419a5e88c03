"""From a data set on disk to scores over gRPC: every command in turn, and the real server at the end."""

import json
import re
import subprocess
from pathlib import Path

import grpc
import numpy as np
import pytest
from click.testing import CliRunner
from conftest import tiny_config
from dataset_trees import write_audio, write_dunya
from test_snapshot import write_snapshot

from culturetag.v1 import tagging_pb2, tagging_pb2_grpc
from culturetag_model.backbone import build_backbone
from culturetag_model.bundle import read_bundle
from culturetag_model.cli import main
from culturetag_model.features import read_features
from culturetag_model.probes import track_scores
from culturetag_model.reference import tag_file
from culturetag_model.runs import chosen_head

SERVER = Path(__file__).resolve().parents[2] / "build/release/bin/culturetag-server"
COUNT = 40


def run(*arguments):
    result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output
    return result


@pytest.fixture(scope="module")
def work(tmp_path_factory):
    """A corpus in two makams that differ in pitch, and all that the commands make of it."""
    work = tmp_path_factory.mktemp("chain")
    labels = [{"makam": ["Hicaz" if index % 2 else "Rast"], "instrument": ["Ney"]} for index in range(COUNT)]
    for index, id in enumerate(write_dunya(work / "makam", "makam", labels, suffix=".wav")):
        pitch = (220 if index % 2 else 1760) + index
        write_audio(work / f"makam/audios/{id}.wav", seconds=1 + 6 * (index % 7 == 0), pitch=pitch, rate=44_100)
    (work / "snapshot").mkdir()
    write_snapshot(work / "snapshot", build_backbone(tiny_config(), seed=0).hubert.state_dict())
    run(
        "export",
        "--backbone",
        work / "snapshot",
        "--license",
        "CC0-1.0",
        "--name",
        "chain",
        "--output",
        work / "exported",
    )
    run("features", "--backbone", work / "exported", "--root", work / "makam", "--output", work / "features")
    folder = next((work / "features").iterdir())
    run("train", folder, "--seeds", 2, "--learning-rate", 0.03, "--batch", 8, "--output", work / "probes")
    run("evaluate", work / "probes", "--output", work / "results")
    run("bundle", "create", "--backbone", work / "exported", "--probes", work / "probes", "--output", work / "bundle")
    return work


@pytest.fixture(scope="module")
def evaluated(work):
    """By id, the evaluator's scores of every test recording."""
    training = json.loads((work / "probes/makam/training.json").read_text())
    features = read_features(Path(training["features"]))
    _, head, _ = chosen_head(work / "probes/makam")
    scores, _ = track_scores(head, features, "test")
    ids = [id for id, split in zip(features.ids, features.splits, strict=True) if split == "test"]
    assert len(ids) == COUNT // 5
    return dict(zip(ids, scores, strict=True))


def test_the_probe_tells_the_makams_apart(work):
    evaluation = json.loads((work / "probes/makam/evaluation.json").read_text())

    assert evaluation["recordings"] == 8
    assert [seed["labels"] for seed in evaluation["seeds"]] == [2, 2]
    assert all(seed["roc_auc"] > 0.99 for seed in evaluation["seeds"])


def test_results_are_written_as_text_csv_and_figure(work):
    assert {path.name for path in (work / "results").iterdir()} == {"results.md", "results.csv", "results.png"}
    assert "| snapshot (measured)" in (work / "results/results.md").read_text()


def test_the_manifest_carries_the_figures_their_protocol_and_what_was_not_trained(work):
    head = read_bundle(work / "bundle").manifest.heads[0]
    evaluation = json.loads((work / "probes/makam/evaluation.json").read_text())
    training = json.loads((work / "probes/makam/training.json").read_text())

    assert [metric.name for metric in head.metrics] == ["roc_auc", "map", "micro_f1", "macro_f1"]
    best = max(range(2), key=lambda index: training["seeds"][index]["validation"]["map"])
    assert head.metrics[2].value == pytest.approx(evaluation["seeds"][best]["micro_f1"], abs=1e-4)
    assert "test split of 8 recordings (70/10/20 by recording, at random from seed 0)" in head.metrics[0].protocol
    assert f"threshold {training['seeds'][best]['threshold']:g}, chosen on the validation" in head.metrics[3].protocol
    reasons = {label.name: label.untrained_reason for label in head.labels}
    assert (reasons["Hicaz"], reasons["Rast"]) == ("", "")
    assert reasons["Ney"] == "every recording of the training split has it"
    assert reasons["Kanun"] == "no recording of the training split has it"


def test_the_bundle_scores_as_the_evaluator_does(work, evaluated):
    bundle = read_bundle(work / "bundle")

    for id, expected in evaluated.items():
        scores = tag_file(work / f"makam/audios/{id}.wav", bundle).scores["makam"]
        np.testing.assert_allclose(scores, expected, atol=1e-3)


def test_probes_of_another_backbone_are_refused(work, tmp_path):
    run("export", "--random-init", "--layers", 2, "--hidden", 64, "--channels", 8, "--output", tmp_path / "other")
    arguments = ["bundle", "create", "--backbone", tmp_path / "other", "--probes", work / "probes"]

    result = CliRunner().invoke(main, [str(argument) for argument in [*arguments, "--output", tmp_path / "bundle"]])

    assert result.exit_code == 1
    assert result.stderr.startswith("Error: the probe makam was trained on the backbone snapshot (")
    assert not (tmp_path / "bundle").exists()


def test_training_again_discards_the_figures_of_earlier_probes(work, tmp_path):
    folder = next((work / "features").iterdir())
    run("train", folder, "--seeds", 1, "--max-epochs", 1, "--output", tmp_path / "probes")
    run("evaluate", tmp_path / "probes", "--output", tmp_path / "results")

    run("train", folder, "--seeds", 1, "--max-epochs", 1, "--output", tmp_path / "probes")

    assert not (tmp_path / "probes/makam/evaluation.json").exists()
    description, _, _ = chosen_head(tmp_path / "probes/makam")
    assert not description.metrics


def test_a_run_has_one_backbone(work, tmp_path):
    (tmp_path / "lyra").mkdir()
    (tmp_path / "lyra/training.json").write_text('{"backbone": {"backbone": "other"}}')
    folder = next((work / "features").iterdir())

    result = CliRunner().invoke(main, ["train", str(folder), "--output", str(tmp_path)])

    assert result.exit_code == 1
    assert result.stderr.startswith(f"Error: {tmp_path / 'lyra'} was trained on {{'backbone': 'other'}}, not on ")


def test_a_folder_without_probes_is_a_message(tmp_path):
    result = CliRunner().invoke(main, ["evaluate", str(tmp_path), "--output", str(tmp_path / "results")])

    assert (result.exit_code, result.stderr) == (
        1,
        f"Error: {tmp_path} holds no trained probes; `culturetag-model train` writes them\n",
    )


@pytest.fixture(scope="module")
def address(work):
    """The address of the real server on the bundle, a free loopback port."""
    if not SERVER.exists():
        pytest.skip("the server isn't built; scripts/test builds it")
    command = [SERVER, f"--bundle={work / 'bundle'}", "--listen=127.0.0.1:0", "--metrics_listen=127.0.0.1:0"]
    log = work / "server.log"
    with log.open("w") as out:
        process = subprocess.Popen([*command, "--max_batch_windows=4"], stdout=out, stderr=out)
    # The log's lines come while this waits; the process's end is what ends a wait in vain.
    while " serving " not in (text := log.read_text()):
        try:
            process.wait(timeout=0.1)
        except subprocess.TimeoutExpired:
            continue
        pytest.fail(f"the server ended with {process.returncode}:\n{text}")
    port = re.search(r"port=(\d+) metrics_port=", text)[1]
    yield f"127.0.0.1:{port}"
    process.terminate()
    process.wait(timeout=60)


def test_scores_over_grpc_equal_the_evaluators(work, evaluated, address):
    stub = tagging_pb2_grpc.TaggingServiceStub(grpc.insecure_channel(address))
    labels = [label.name for label in read_bundle(work / "bundle").manifest.heads[0].labels]

    for id, expected in evaluated.items():
        audio = tagging_pb2.Audio(encoded=(work / f"makam/audios/{id}.wav").read_bytes())
        tags = {tag.label: tag.score for tag in stub.Tag(tagging_pb2.TagRequest(audio=audio)).heads[0].tags}
        np.testing.assert_allclose([tags[label] for label in labels], expected, atol=1e-3)


def test_features_of_a_server_are_the_local_ones(work, address):
    run("features", "--server", address, "--root", work / "makam", "--output", work / "served")

    local, served = (read_features(next((work / name).iterdir())) for name in ("features", "served"))
    assert served.ids == local.ids
    np.testing.assert_allclose(served.states, local.states, atol=1e-4)
