"""The demo's front end, training loop, measures and bundle, on a handful of clips."""

import json
import shutil

import numpy as np
import pytest
import soundfile
import torch
from click.testing import CliRunner

from culturetag_model.bundle import read_bundle
from culturetag_model.demo import cli, dataset, measure
from culturetag_model.demo.cli import demo
from culturetag_model.demo.dataset import read_split, render_split
from culturetag_model.demo.network import TaggingModel, demo_backbone, load_model, normalized
from culturetag_model.demo.probes import refit_probes
from culturetag_model.demo.splits import TEST, TRAIN, UNHEARD, VALIDATION
from culturetag_model.demo.train import Plan, train
from culturetag_model.demo.windows import Windows, to_windows


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    """A cache with the same four clips as every split, and the model after two steps."""
    folder = tmp_path_factory.mktemp("cache")
    render_split(TRAIN, 4, folder / TRAIN.name, workers=1)
    for split in (VALIDATION, TEST, UNHEARD):
        shutil.copytree(folder / TRAIN.name, folder / split.name)
    train(folder, Plan(steps=2, batch=2, peak_rate=1e-3), evaluate_every=1)
    return folder


def label_loss(model: TaggingModel, windows: Windows) -> float:
    """The mean cross-entropy of the trained labels over the windows of their own head."""
    scores = measure.window_scores(model, windows, from_audio=False)
    losses = []
    for index, (head, found) in enumerate(scores.items()):
        own = (windows.heads == index).numpy()
        targets = windows.labels[head].numpy()[own]
        losses.append(-np.log(np.where(targets == 1, found[own], 1 - found[own])).ravel())
    return float(np.concatenate(losses).mean())


def tone(frequency: float) -> torch.Tensor:
    wave = torch.sin(2 * torch.pi * frequency * torch.arange(24_000) / 24_000)
    return (wave / wave.std())[None]


@pytest.mark.parametrize(("frequency", "band"), [(110.0, 0), (220.0, 16), (440.0, 32), (440.0 * 2 ** (3 / 16), 35)])
def test_the_untrained_front_end_is_a_filter_bank_with_sixteen_bands_to_the_octave(frequency, band):
    with torch.no_grad():
        channels = demo_backbone().hubert.feature_extractor(tone(frequency))[0].mean(dim=1)

    # Four channels, the phases of one filter, make a band.
    assert channels[:300].reshape(75, 4).sum(dim=1).argmax() == band


def test_a_clip_sounds_the_same_to_the_model_at_any_gain():
    audio = torch.randn(1, 24_000, generator=torch.Generator().manual_seed(0))

    torch.testing.assert_close(normalized(0.03 * audio), normalized(audio), atol=5e-4, rtol=0)


def test_rendering_goes_on_where_it_stopped(cache, monkeypatch):
    def no_job(job):
        raise AssertionError(f"{job} is rendered a second time")

    monkeypatch.setattr(dataset, "_make_job", no_job)
    render_split(TRAIN, 4, cache / "train", workers=1)

    assert [clip.seed for clip in read_split(cache / "train").clips] == [0, 1, 2, 3]


def test_windows_keep_the_order_of_the_clips(cache):
    clips = read_split(cache / "train")

    windows = to_windows(clips, receptive_field=2076)

    assert len(windows) == 8
    assert windows.audio.shape == (8, 120_000)
    np.testing.assert_array_equal(windows.audio[3], clips.audio[1, 120_000:])
    # Frame 0 is centred on sample 1038, which is in the fourth hop of 320, and the next ones follow four hops apart.
    assert windows.tones[3, 0] == clips.frames[1, 375 + 3, 0]
    assert windows.tones[3, 10] == clips.frames[1, 375 + 43, 0]
    assert windows.tones.shape[1] == windows.features.shape[1]


def test_stored_features_give_the_hidden_states_of_the_audio(cache):
    windows = to_windows(read_split(cache / "train"), receptive_field=2076)
    model = TaggingModel().eval()

    stored = measure.window_scores(model, windows, from_audio=False)
    computed = measure.window_scores(model, windows, from_audio=True)

    for head in stored:
        np.testing.assert_allclose(stored[head], computed[head], atol=5e-3)


def test_training_changes_all_but_the_front_end_and_logs_the_validation(cache):
    trained, fresh = load_model(cache / "model.pt"), TaggingModel()
    rows = [json.loads(line) for line in (cache / "training.jsonl").read_text(encoding="utf-8").splitlines()]

    assert rows[0] == {"clips": 4, "backbone_clips": 3, "seed": 0, "steps": 2, "batch": 2, "peak_rate": 1e-3}
    assert [row["step"] for row in rows[1:]] == [1, 2, "probes"]
    for part, changes in (("feature_extractor", False), ("feature_projection", True), ("encoder", True)):
        before = torch.cat([weight.flatten() for weight in getattr(fresh.backbone.hubert, part).parameters()])
        after = torch.cat([weight.flatten() for weight in getattr(trained.backbone.hubert, part).parameters()])
        assert torch.equal(before, after) != changes, part


def test_refitted_probes_fit_their_windows_better(cache):
    windows = to_windows(read_split(cache / "train"), receptive_field=2076)
    model = load_model(cache / "model.pt")
    for head in model.heads.values():
        torch.nn.init.normal_(head.linear.weight)

    before = label_loss(model, windows)
    refit_probes(model, windows)

    assert label_loss(model, windows) < before / 4


def test_measures_of_a_perfect_and_of_an_inverted_ranking():
    targets = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.0]])

    perfect = measure.quality(targets * 0.8 + 0.1, targets, [0, 1])
    inverted = measure.quality(0.9 - targets * 0.8, targets, [0, 1])

    assert (perfect.roc_auc, perfect.mean_average_precision, perfect.labels) == (1.0, 1.0, 2)
    assert inverted.roc_auc == 0.0
    assert measure.accuracy(targets, targets, [0, 1]) == 1.0
    assert measure.accuracy(1 - targets, targets, [0, 1]) == 0.0


def test_labels_without_examples_are_left_out_of_the_averages():
    targets = np.array([[1.0, 0.0], [0.0, 0.0]])

    assert measure.quality(targets, targets, [0, 1]).labels == 1


def test_the_commands_measure_the_model_and_write_a_bundle_that_says_what_it_is(cache, tmp_path):
    runner = CliRunner()

    measured = runner.invoke(demo, ["evaluate", "--cache-dir", str(cache)])
    written = runner.invoke(demo, ["bundle", "--cache-dir", str(cache), "--output", str(tmp_path / "demo")])

    assert (measured.exit_code, written.exit_code) == (0, 0), measured.output + written.output
    report = (tmp_path / "demo" / "EVALUATION.md").read_text(encoding="utf-8")
    assert "Its tags on real recordings mean nothing" in report
    assert "2 steps of 2 windows, drawn from 3 clips" in report
    manifest = read_bundle(tmp_path / "demo").manifest
    assert (manifest.name, manifest.normalize) == ("demo", True)
    assert "only on synthetic renderings" in manifest.description
    reasons = {label.name: label.untrained_reason for head in manifest.heads for label in head.labels}
    assert reasons["Devr-i Kebir"].startswith("A cycle of 28 beats")
    assert reasons["Hicaz"] == ""
    assert all(len(head.metrics) == 2 for head in manifest.heads)
    assert soundfile.info(tmp_path / "demo" / "melody.flac").duration == 14.0


def test_one_command_renders_trains_measures_and_writes_the_bundle(cache, tmp_path, monkeypatch):
    plans = []

    def short_train(folder, plan):
        plans.append(plan)
        train(folder, Plan(steps=1, batch=2, peak_rate=1e-3), evaluate_every=1)

    monkeypatch.setattr(cli, "_SIZES", dict.fromkeys(cli._SIZES, 4))
    monkeypatch.setattr("culturetag_model.demo.train.train", short_train)
    work = tmp_path / "cache"
    shutil.copytree(cache / "train", work / "train")

    result = CliRunner().invoke(demo, ["--cache-dir", str(work), "--output", str(tmp_path / "bundle")])

    assert result.exit_code == 0, result.output
    assert plans == [Plan(steps=1800, batch=32, peak_rate=2e-3)]
    assert [len(read_split(work / split).clips) for split in cli._SIZES] == [4, 4, 4, 4]
    assert read_bundle(tmp_path / "bundle").manifest.version == "2.0.0"


def test_an_unknown_makam_is_refused_with_the_known_ones(tmp_path):
    result = CliRunner().invoke(demo, ["melody", "--output", str(tmp_path / "x.wav"), "--makam", "Saba"])

    assert result.exit_code == 2
    assert "'Saba' is none of Hicaz, Nihavent, Hüzzam" in result.output
