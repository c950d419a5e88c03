import numpy as np
import pytest
import soundfile
import torch
from conftest import noise, tiny_manifest

from culturetag_model.bundle import read_bundle
from culturetag_model.reference import cut_windows, load_mono, normalize, tag_file, tag_samples

SECOND = 24_000


def tone(seconds, rate):
    """A 440 Hz sine at half of full scale."""
    return (0.5 * np.sin(2 * np.pi * 440 * np.arange(int(seconds * rate)) / rate)).astype(np.float32)


@pytest.mark.parametrize(
    ("length", "windows"),
    [
        (12_000, [(0, 12_000)]),
        (119_999, [(0, 119_999)]),
        (120_000, [(0, 120_000)]),
        (120_001, [(0, 120_000), (1, 120_000)]),
        (240_000, [(0, 120_000), (120_000, 120_000)]),
        (300_000, [(0, 120_000), (120_000, 120_000), (180_000, 120_000)]),
    ],
)
def test_windows_start_every_hop_and_the_last_ends_with_the_clip(length, windows):
    audio = np.arange(length, dtype=np.float32)

    cut = cut_windows(audio, tiny_manifest())

    assert [(start, len(window)) for start, window in cut] == windows
    assert all(window[0] == start for start, window in cut)


def test_overlapping_windows_follow_the_manifests_hop():
    manifest = tiny_manifest()
    manifest.hop.FromSeconds(2)

    starts = [start for start, _ in cut_windows(np.zeros(10 * SECOND, np.float32), manifest)]

    assert starts == [0, 2 * SECOND, 4 * SECOND, 5 * SECOND]


def test_a_clip_under_the_shortest_length_is_refused():
    with pytest.raises(ValueError, match="has 11999 samples, and the shortest that is accepted has 12000"):
        cut_windows(np.zeros(11_999, np.float32), tiny_manifest())


def test_channels_are_averaged(tmp_path):
    left, right = tone(1, SECOND), np.zeros(SECOND, np.float32)
    soundfile.write(tmp_path / "stereo.wav", np.stack([left, right], axis=1), SECOND, subtype="FLOAT")

    np.testing.assert_array_equal(load_mono(tmp_path / "stereo.wav", SECOND), left / 2)


@pytest.mark.parametrize("rate", [8_000, 44_100, 48_000, 96_000])
def test_any_rate_arrives_as_the_same_tone(tmp_path, rate):
    soundfile.write(tmp_path / "tone.wav", tone(2, rate), rate, subtype="FLOAT")

    audio = load_mono(tmp_path / "tone.wav", SECOND)

    assert len(audio) == 2 * SECOND
    middle = slice(SECOND // 2, -SECOND // 2)
    np.testing.assert_allclose(audio[middle], tone(2, SECOND)[middle], atol=1e-3)


def test_normalised_windows_have_zero_mean_and_unit_variance():
    window = normalize(3.0 + 0.01 * noise(SECOND).numpy())

    assert window.dtype == np.float32
    assert abs(window.mean()) < 1e-4
    assert window.var() == pytest.approx(1e-6 / (1e-6 + 1e-7), rel=0.02)


def test_silence_normalises_to_silence():
    assert not normalize(np.zeros(SECOND, np.float32)).any()


def test_a_tracks_score_is_the_mean_of_its_windows_scores(bundle_folder, backbone, head):
    bundle = read_bundle(bundle_folder)
    audio = noise(12 * SECOND).numpy()

    track = tag_samples(audio, bundle.manifest, backbone, {"makam": head})

    assert [window.start for window in track.windows] == [0, 5 * SECOND, 7 * SECOND]
    mean = sum(window.scores["makam"] for window in track.windows) / 3
    np.testing.assert_allclose(track.scores["makam"], mean, atol=1e-7)
    with torch.no_grad():
        first = torch.sigmoid(head(backbone(torch.from_numpy(normalize(audio[: 5 * SECOND]))[None])))[0]
    np.testing.assert_allclose(track.windows[0].scores["makam"], first, atol=1e-6)


def test_the_manifest_decides_whether_windows_are_normalised(backbone, head):
    raw = tiny_manifest()
    raw.normalize = False
    audio = noise(SECOND).numpy()

    unscaled = tag_samples(audio, raw, backbone, {"makam": head})
    scaled = tag_samples(normalize(audio), raw, backbone, {"makam": head})
    asked = tag_samples(audio, tiny_manifest(), backbone, {"makam": head})

    np.testing.assert_array_equal(asked.scores["makam"], scaled.scores["makam"])
    assert (asked.scores["makam"] != unscaled.scores["makam"]).any()


def test_the_bundle_scores_a_file_as_eager_pytorch_does(tmp_path, bundle_folder, backbone, head):
    soundfile.write(tmp_path / "clip.flac", tone(7, 44_100), 44_100)
    bundle = read_bundle(bundle_folder)

    track = tag_file(tmp_path / "clip.flac", bundle)

    audio = load_mono(tmp_path / "clip.flac", SECOND)
    eager = tag_samples(audio, bundle.manifest, backbone, {"makam": head})
    assert track.scores["makam"].dtype == np.float32
    np.testing.assert_allclose(track.scores["makam"], eager.scores["makam"], atol=1e-5)
    assert track.scores["makam"][1] < 1e-12
