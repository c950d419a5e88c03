import pytest
import torch
from conftest import LICENSE_TEXT, noise, tiny_config, tiny_manifest

from culturetag_model.backbone import build_backbone
from culturetag_model.bundle import BundleError, read_bundle, sha256, write_bundle
from culturetag_model.export import export_backbone, export_head
from culturetag_model.heads import ProbeHead
from culturetag_model.manifest import read_manifest, write_manifest


def rewrite(folder, change):
    """Changes the manifest of a bundle behind its back."""
    manifest = read_manifest(folder)
    change(manifest)
    write_manifest(manifest, folder)


def replace(folder, path, write):
    """Replaces a file of a bundle and its digest, so that only a run of the file can find the difference."""
    write(folder / path)
    rewrite(folder, lambda manifest: manifest.sha256.update({path: sha256(folder / path)}))


def problems_of(folder):
    with pytest.raises(BundleError) as error:
        read_bundle(folder)
    return error.value.problems


def test_holds_what_the_server_needs_and_nothing_else(bundle_folder):
    files = sorted(path.relative_to(bundle_folder).as_posix() for path in bundle_folder.rglob("*") if path.is_file())

    assert files == ["LICENSE", "backbone.ts", "heads/makam.ts", "manifest.json"]
    assert (bundle_folder / "LICENSE").read_text() == LICENSE_TEXT


def test_manifest_states_what_the_files_decide(bundle_folder):
    manifest = read_manifest(bundle_folder)

    assert (manifest.layer_count, manifest.hidden_size) == (3, 32)
    assert manifest.heads[0].file == "heads/makam.ts"
    assert manifest.torch_version == "2.11.0"
    assert {path: digest == sha256(bundle_folder / path) for path, digest in manifest.sha256.items()} == {
        "LICENSE": True,
        "backbone.ts": True,
        "heads/makam.ts": True,
    }


def test_reading_gives_the_networks_that_were_written(bundle_folder, backbone, head):
    bundle = read_bundle(bundle_folder)

    with torch.no_grad():
        actual = bundle.heads["makam"](bundle.backbone(noise(2, 24_000)))
        expected = head(backbone(noise(2, 24_000)))

    torch.testing.assert_close(actual, expected, atol=1e-5, rtol=0)


def test_files_that_were_exported_before_make_the_same_bundle(tmp_path, bundle_folder, backbone, head):
    export_backbone(backbone, tmp_path / "b.ts")
    export_head(head, tmp_path / "h.ts")
    manifest = tiny_manifest()
    manifest.layer_count, manifest.hidden_size = 3, 32

    write_bundle(
        tmp_path / "copy",
        manifest,
        backbone=tmp_path / "b.ts",
        heads={"makam": tmp_path / "h.ts"},
        license_text=LICENSE_TEXT,
    )

    copied, exported = read_bundle(tmp_path / "copy"), read_bundle(bundle_folder)
    assert copied.manifest.heads == exported.manifest.heads
    states = noise(2, 3, 32)
    assert torch.equal(copied.heads["makam"](states), exported.heads["makam"](states))
    assert sha256(tmp_path / "copy/backbone.ts") == sha256(tmp_path / "b.ts")


def test_a_tampered_file_is_named_with_both_digests(bundle_folder):
    expected = sha256(bundle_folder / "LICENSE")
    (bundle_folder / "LICENSE").write_text("All yours.\n")
    actual = sha256(bundle_folder / "LICENSE")

    assert problems_of(bundle_folder) == [f"LICENSE has SHA-256 {actual}, and the manifest says {expected}"]


def test_everything_that_disagrees_is_named_at_once(bundle_folder):
    (bundle_folder / "heads/makam.ts").unlink()
    (bundle_folder / "notes.txt").write_text("hello")
    rewrite(bundle_folder, lambda manifest: setattr(manifest, "version", ""))

    assert problems_of(bundle_folder) == [
        "version is empty",
        "heads/makam.ts is missing",
        "notes.txt is not in the manifest",
    ]


def test_a_file_outside_the_bundle_is_refused(bundle_folder):
    rewrite(bundle_folder, lambda manifest: manifest.sha256.update({"../secret": "ab"}))

    assert problems_of(bundle_folder) == ["sha256 names '../secret', which is not inside the bundle"]


def test_a_head_file_without_a_digest_is_refused(bundle_folder):
    rewrite(bundle_folder, lambda manifest: setattr(manifest.heads[0], "file", "heads/other.ts"))

    assert problems_of(bundle_folder) == ["sha256 has no entry for 'heads/other.ts'"]


def test_a_bundle_without_a_licence_is_refused(bundle_folder):
    (bundle_folder / "LICENSE").unlink()
    rewrite(bundle_folder, lambda manifest: manifest.sha256.pop("LICENSE"))

    assert problems_of(bundle_folder) == ["there is no LICENSE file"]


def test_a_folder_without_a_manifest_is_no_bundle(tmp_path):
    assert len(problems_of(tmp_path)) == 1
    assert "manifest.json" in problems_of(tmp_path)[0]


def test_another_hidden_size_than_the_manifests_is_named(bundle_folder):
    rewrite(bundle_folder, lambda manifest: setattr(manifest, "hidden_size", 48))

    assert problems_of(bundle_folder) == ["backbone.ts gives [1, 3, 32], and the manifest says [1, 3, 48]"]


def test_another_label_count_than_the_manifests_is_named(bundle_folder):
    replace(bundle_folder, "heads/makam.ts", lambda path: export_head(ProbeHead(3, 32, 5), path))

    assert problems_of(bundle_folder) == ["heads/makam.ts gives [1, 5], and the manifest has 3 labels"]


def test_a_head_of_another_width_is_named(bundle_folder):
    replace(bundle_folder, "heads/makam.ts", lambda path: export_head(ProbeHead(3, 16, 3), path))

    (problem,) = problems_of(bundle_folder)
    assert problem.startswith("heads/makam.ts fails on [1, 3, 32]: ")


def test_a_head_that_scores_an_untrained_label_is_named(bundle_folder):
    replace(bundle_folder, "heads/makam.ts", lambda path: export_head(ProbeHead(3, 32, 3, untrained=[0, 1]), path))

    assert problems_of(bundle_folder) == [
        "heads/makam.ts gives 'Hicaz' the logit -30, but its untrained_reason is ''",
    ]


def test_a_backbone_that_cannot_run_the_shortest_clip_is_named(bundle_folder):
    rewrite(bundle_folder, lambda manifest: manifest.min_clip.FromMilliseconds(10))

    (problem,) = problems_of(bundle_folder)
    assert problem.startswith("backbone.ts fails on 240 samples: ")


def test_a_file_that_is_no_torchscript_is_an_error(bundle_folder):
    replace(bundle_folder, "backbone.ts", lambda path: path.write_text("not a model"))

    (problem,) = problems_of(bundle_folder)
    assert problem.startswith("a file is no TorchScript: ")


def test_an_existing_bundle_is_replaced_only_by_force(bundle_folder, head):
    other = build_backbone(tiny_config(), seed=7)
    parts = {"backbone": other, "heads": {"makam": head}, "license_text": LICENSE_TEXT}
    before = sha256(bundle_folder / "backbone.ts")

    with pytest.raises(FileExistsError, match="exists; force replaces it"):
        write_bundle(bundle_folder, tiny_manifest(), **parts)
    assert sha256(bundle_folder / "backbone.ts") == before

    write_bundle(bundle_folder, tiny_manifest(), **parts, force=True)
    assert sha256(bundle_folder / "backbone.ts") != before


def test_force_never_replaces_a_folder_that_is_no_bundle(tmp_path, backbone, head):
    (tmp_path / "music").mkdir()
    (tmp_path / "music/song.wav").touch()

    with pytest.raises(FileExistsError, match="is no bundle, so it is not replaced"):
        write_bundle(
            tmp_path / "music",
            tiny_manifest(),
            backbone=backbone,
            heads={"makam": head},
            license_text=LICENSE_TEXT,
            force=True,
        )

    assert (tmp_path / "music/song.wav").exists()


def test_parts_that_disagree_leave_nothing_behind(tmp_path, backbone):
    with pytest.raises(BundleError, match="gives \\[1, 4\\], and the manifest has 3 labels"):
        write_bundle(
            tmp_path / "bundle",
            tiny_manifest(),
            backbone=backbone,
            heads={"makam": ProbeHead(3, 32, 4)},
            license_text=LICENSE_TEXT,
        )

    assert list(tmp_path.iterdir()) == []


def test_a_head_without_a_file_is_an_error(tmp_path, backbone):
    with pytest.raises(BundleError, match=r"the manifest names the heads \['makam'\], but there are files for \[\]"):
        write_bundle(tmp_path / "bundle", tiny_manifest(), backbone=backbone, heads={}, license_text=LICENSE_TEXT)
