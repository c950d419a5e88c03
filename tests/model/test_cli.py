import subprocess
import sys

import pytest
from click.testing import CliRunner
from conftest import tiny_config
from google.protobuf import json_format
from test_snapshot import write_snapshot

from culturetag.v1.bundle_pb2 import BundleHead
from culturetag_model.backbone import build_backbone
from culturetag_model.bundle import read_bundle
from culturetag_model.cli import main
from culturetag_model.export import export_head
from culturetag_model.heads import ProbeHead
from culturetag_model.vocabularies import HEAD_NAMES, vocabulary


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.fixture
def exported(tmp_path):
    """A random backbone of two layers of 64, exported by the command."""
    folder = tmp_path / "exported"
    size = ("--layers", 2, "--hidden", 64, "--channels", 8)
    result = run("export", "--random-init", *size, "--seed", 4, "--output", folder)
    assert (result.exit_code, result.stdout) == (0, f"wrote {folder}\n")
    return folder


def test_help_answers_without_importing_pytorch():
    code = (
        "import sys; from culturetag_model.cli import main\n"
        "try: main(['--help'])\n"
        "except SystemExit: print('torch' in sys.modules, 'transformers' in sys.modules)"
    )

    output = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert output.splitlines()[-1] == "False False"


def test_exports_random_weights_as_a_bundle_without_heads(exported):
    manifest = read_bundle(exported).manifest

    assert (manifest.name, manifest.layer_count, manifest.hidden_size) == ("random-2x64", 3, 64)
    assert manifest.backbone == "random weights, 2 layers of 64, seed 4"
    assert manifest.license == "CC0-1.0"
    assert len(manifest.heads) == 0


def test_exports_a_local_snapshot(tmp_path):
    snapshot = tmp_path / "CultureMERT-95M"
    snapshot.mkdir()
    weights = build_backbone(tiny_config(), seed=0).hubert.state_dict()
    write_snapshot(snapshot, {**weights, "final_proj.weight": weights["encoder.layer_norm.weight"].clone()})
    (snapshot / "LICENSE").write_text("The publisher's words.\n")

    result = run("export", "--backbone", snapshot, "--license", "CC-BY-NC-4.0", "--output", tmp_path / "exported")

    assert (result.exit_code, result.stderr) == (0, "not used: final_proj.weight\n")
    manifest = read_bundle(tmp_path / "exported").manifest
    assert (manifest.name, manifest.backbone) == ("culturemert-95m", "CultureMERT-95M")
    assert (manifest.license, manifest.normalize) == ("CC-BY-NC-4.0", True)
    assert (tmp_path / "exported/LICENSE").read_text() == "The publisher's words.\n"


def test_a_damaged_snapshot_is_a_message_without_a_traceback(tmp_path):
    (tmp_path / "config.json").write_text("{}")

    result = run("export", "--backbone", tmp_path, "--license", "MIT", "--output", tmp_path / "exported")

    assert result.exit_code == 1
    assert result.stderr.startswith("Error: preprocessor_config.json: ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "give either --backbone or --random-init"),
        (["--backbone", "x", "--random-init"], "give either --backbone or --random-init"),
        (["--backbone", "x"], "--backbone needs --license"),
    ],
)
def test_export_says_which_options_it_needs(tmp_path, arguments, message):
    result = run("export", *arguments, "--output", tmp_path / "exported")

    assert result.exit_code == 2
    assert message in result.stderr


def test_random_sizes_must_suit_the_architecture(tmp_path):
    result = run("export", "--random-init", "--hidden", 100, "--output", tmp_path / "exported")

    assert (result.exit_code, result.stderr) == (
        1,
        "Error: layers and channels must be positive, and hidden a multiple of 64\n",
    )


def test_random_heads_carry_the_real_vocabularies_and_say_that_they_are_random(tmp_path, exported):
    result = run("bundle", "create", "--backbone", exported, "--random-heads", "--output", tmp_path / "bundle")

    assert result.exit_code == 0
    manifest = read_bundle(tmp_path / "bundle").manifest
    assert manifest.name == "random-2x64-random-heads"
    assert "random" in manifest.description
    assert [head.name for head in manifest.heads] == list(HEAD_NAMES)
    for head in manifest.heads:
        assert list(head.labels) == list(vocabulary(head.name).labels)
        assert head.title.endswith("(random weights, seed 0)")


@pytest.mark.parametrize("options", [[], ["--random-heads", "--probes", "."]])
def test_a_bundle_takes_its_heads_from_one_place(tmp_path, options):
    result = run("bundle", "create", "--backbone", tmp_path, *options, "--output", tmp_path / "bundle")

    assert result.exit_code == 2
    assert "give one of --probes, --head and --random-heads" in result.stderr


def write_head(folder, label_count):
    """Writes `fma.json` and its TorchScript for a backbone of 3 states of 64."""
    export_head(ProbeHead(3, 64, label_count), folder / "fma.ts")
    description = vocabulary("fma")
    description.file = "fma.ts"
    (folder / "fma.json").write_text(json_format.MessageToJson(description))
    return folder / "fma.json"


def test_bundles_a_described_head_and_verifies_it(tmp_path, exported):
    output = tmp_path / "bundle"
    fields = ("--name", "mine", "--version", "2.0", "--description", "Mine.")

    head = write_head(tmp_path, label_count=20)
    created = run("bundle", "create", "--backbone", exported, "--head", head, *fields, "--output", output)
    verified = run("bundle", "verify", output)

    assert (created.exit_code, created.stdout) == (0, f"wrote {output}\n")
    assert (verified.exit_code, verified.stdout) == (
        0,
        "mine 2.0: 3 x 64, CC0-1.0\n  fma: 20 labels, 0 of them untrained (FMA-medium (top-20 hierarchical genres))\n",
    )


def test_a_head_with_another_label_count_than_its_file_is_refused(tmp_path, exported):
    head = write_head(tmp_path, label_count=19)

    result = run("bundle", "create", "--backbone", exported, "--head", head, "--output", tmp_path / "bundle")

    assert result.exit_code == 1
    assert result.stderr.splitlines()[1:] == ["  - heads/fma.ts gives [1, 19], and the manifest has 20 labels"]
    assert not (tmp_path / "bundle").exists()


def test_a_head_whose_file_is_missing_is_refused(tmp_path, exported):
    (tmp_path / "fma.json").write_text(json_format.MessageToJson(BundleHead(name="fma", file="nowhere.ts")))

    arguments = ("--backbone", exported, "--head", tmp_path / "fma.json", "--output", tmp_path / "bundle")
    result = run("bundle", "create", *arguments)

    assert (result.exit_code, result.stderr) == (1, "Error: fma.json: its file 'nowhere.ts' is not there\n")


def test_verify_fails_on_a_tampered_bundle(exported):
    (exported / "LICENSE").write_text("All yours.\n")

    result = run("bundle", "verify", exported)

    assert result.exit_code == 1
    assert "  - LICENSE has SHA-256 " in result.stderr


def test_an_existing_bundle_is_kept_unless_forced(tmp_path, exported):
    arguments = ("bundle", "create", "--backbone", exported, "--random-heads", "--output", exported)

    refused, forced = run(*arguments), run(*arguments, "--force")

    assert (refused.exit_code, refused.stderr) == (1, f"Error: {exported} exists; force replaces it\n")
    assert forced.exit_code == 0
    assert len(read_bundle(exported).manifest.heads) == 6
