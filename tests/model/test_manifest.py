import json

import pytest
from conftest import tiny_manifest
from google.protobuf.duration_pb2 import Duration

from culturetag.v1.bundle_pb2 import BundleLabel, BundleMetric
from culturetag_model.manifest import is_inside, manifest_problems, read_manifest, samples, write_manifest


def test_survives_writing_and_reading(tmp_path):
    manifest = tiny_manifest()
    manifest.sha256["heads/makam.ts"] = "ab"

    write_manifest(manifest, tmp_path)

    assert read_manifest(tmp_path) == manifest


def test_equal_manifests_are_equal_files(tmp_path):
    texts = []
    for paths in (["LICENSE", "backbone.ts"], ["backbone.ts", "LICENSE"]):
        manifest = tiny_manifest()
        for path in paths:
            manifest.sha256[path] = "ab"
        write_manifest(manifest, tmp_path)
        texts.append((tmp_path / "manifest.json").read_bytes())

    assert texts[0] == texts[1]


def test_json_is_the_canonical_form_with_readable_letters(tmp_path):
    write_manifest(tiny_manifest(), tmp_path)

    text = (tmp_path / "manifest.json").read_text(encoding="utf-8")

    content = json.loads(text)
    assert list(content)[:5] == ["name", "version", "backbone", "license", "description"]
    assert (content["window"], content["minClip"], content["sampleRateHz"]) == ("5s", "0.500s", 24000)
    assert "Hüseyni" in text


def test_an_unknown_field_is_an_error(tmp_path):
    (tmp_path / "manifest.json").write_text('{"name": "tiny", "nmae": "tiny"}')

    with pytest.raises(ValueError, match="nmae"):
        read_manifest(tmp_path)


def test_a_duration_is_a_whole_number_of_samples():
    assert samples(Duration(seconds=5), 24_000) == 120_000
    assert samples(Duration(nanos=500_000_000), 24_000) == 12_000
    with pytest.raises(ValueError, match="0.001s is not a whole number of samples at 22050 Hz"):
        samples(Duration(nanos=1_000_000), 22_050)


def test_a_good_manifest_has_no_problems():
    assert manifest_problems(tiny_manifest()) == []


@pytest.mark.parametrize(
    ("spoil", "problem"),
    [
        (lambda m: setattr(m, "name", "Tiny!"), "name 'Tiny!' is not 1 to 63 of a-z, 0-9, '-', '_' and '.'"),
        (lambda m: setattr(m, "license", ""), "license is empty"),
        (lambda m: setattr(m, "version", "1 beta"), "version '1 beta' holds a space"),
        (lambda m: setattr(m, "sample_rate_hz", 0), "sample_rate_hz is 0"),
        (lambda m: m.hop.FromSeconds(6), "hop of 144000 samples is not in [1, 120000], the window's length"),
        (lambda m: m.min_clip.FromSeconds(0), "min_clip of 0 samples is not in [1, 120000], the window's length"),
        (lambda m: m.window.FromNanoseconds(5), "window: 0.000000005s is not a whole number of samples at 24000 Hz"),
        (lambda m: m.heads.append(m.heads[0]), "head 'makam' stands there twice"),
        (lambda m: setattr(m.heads[0], "name", "a/b"), "head name 'a/b' is not 1 to 63 of a-z, 0-9, '-', '_' and '.'"),
        (lambda m: m.heads[0].ClearField("labels"), "head makam has no labels"),
        (lambda m: m.heads[0].labels.append(BundleLabel(name="Rast")), "label of head makam 'Rast' stands there twice"),
        (
            lambda m: m.heads[0].metrics.append(BundleMetric(name="map", value=0.5)),
            "head makam: metric 'map' = 0.5 must be one of ['macro_f1', 'map', 'micro_f1', 'roc_auc'], "
            "lie in [0, 1] and state its protocol",
        ),
    ],
)
def test_names_what_is_wrong(spoil, problem):
    manifest = tiny_manifest()
    spoil(manifest)

    assert manifest_problems(manifest) == [problem]


@pytest.mark.parametrize(
    ("path", "inside"),
    [("backbone.ts", True), ("heads/a.ts", True), ("", False), ("/etc/a", False), ("../a", False), ("a\\..\\b", False)],
)
def test_paths_must_stay_inside_the_bundle(path, inside):
    assert is_inside(path) == inside
