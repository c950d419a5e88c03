import json

import pytest
import torch
from click.testing import CliRunner
from conftest import tiny_config
from safetensors import safe_open
from test_snapshot import OLD_NAMES, write_configs, write_snapshot

from culturetag_model.backbone import build_backbone
from culturetag_model.cli import main
from culturetag_model.files import sha256
from culturetag_model.merge import MergeError, merge
from culturetag_model.recipes import checkpoint_source
from culturetag_model.snapshot import RECIPE_KEY, load_snapshot


def random_tensors(seed):
    network = build_backbone(tiny_config(), seed).hubert.state_dict()
    generator = torch.Generator().manual_seed(seed)
    return {name: torch.randn(tensor.shape, generator=generator) for name, tensor in network.items()}


@pytest.fixture
def folders(tmp_path):
    """A base and four models with nothing in common but their shape."""
    names = ["base", "makam", "hindustani", "carnatic", "lyra"]
    for seed, name in enumerate(names):
        (tmp_path / name).mkdir()
        write_snapshot(tmp_path / name, random_tensors(seed))
    return [tmp_path / name for name in names]


def test_merging_follows_the_formula(tmp_path, folders):
    base, *models = folders

    merge(base, models, 0.2, tmp_path / "merged")

    merged = load_snapshot(tmp_path / "merged").backbone.hubert.state_dict()
    tensors = [random_tensors(seed) for seed in range(5)]
    assert set(merged) == set(tensors[0])
    for name, tensor in merged.items():
        expected = tensors[0][name] + 0.2 * sum(model[name] - tensors[0][name] for model in tensors[1:])
        torch.testing.assert_close(tensor, expected, atol=1e-6, rtol=0)


def test_lambda_zero_is_the_base_and_lambda_one_with_one_model_is_that_model(tmp_path, folders):
    base, model, *_ = folders

    merge(base, [model], 0.0, tmp_path / "zero")
    merge(base, [model], 1.0, tmp_path / "one")

    zero, one = (load_snapshot(tmp_path / name).backbone.hubert.state_dict() for name in ("zero", "one"))
    for name, tensor in random_tensors(0).items():
        assert torch.equal(zero[name], tensor)
        assert torch.equal(one[name], random_tensors(1)[name])


def test_the_recipe_stands_in_the_weights_and_in_the_exported_description(tmp_path, folders):
    base, *models = folders

    merge(base, models[:2], 0.35, tmp_path / "merged")

    with safe_open(tmp_path / "merged/model.safetensors", framework="pt") as file:
        recipe = json.loads(file.metadata()[RECIPE_KEY])
    assert recipe == {
        "formula": "base + lambda * sum(model - base)",
        "lambda": 0.35,
        "base": {"name": "base", "sha256": sha256(base / "model.safetensors")},
        "models": [{"name": path.name, "sha256": sha256(path / "model.safetensors")} for path in models[:2]],
    }
    source = checkpoint_source(str(tmp_path / "merged"), "CC0-1.0", name=None, version="1")
    assert source.manifest.description.endswith("task arithmetic: base + 0.35 * sum(makam, hindustani).")


def test_file_format_naming_and_pretraining_tensors_make_no_difference(tmp_path, folders):
    base, model, *_ = folders
    merge(base, [model], 0.5, tmp_path / "expected")
    pickled = tmp_path / "pickled"
    pickled.mkdir()
    write_configs(pickled)
    tensors = {OLD_NAMES.get(name, name): tensor for name, tensor in random_tensors(1).items()}
    torch.save(tensors | {"final_proj.weight": torch.ones(2)}, pickled / "pytorch_model.bin")

    merge(base, [pickled], 0.5, tmp_path / "actual")

    expected, actual = (load_snapshot(tmp_path / name).backbone.state_dict() for name in ("expected", "actual"))
    assert all(torch.equal(expected[name], actual[name]) for name in expected)


def test_everything_that_does_not_fit_is_named_and_nothing_is_written(tmp_path, folders):
    base, model, *_ = folders
    tensors = random_tensors(1)
    del tensors["encoder.layer_norm.bias"]
    tensors["encoder.layers.0.final_layer_norm.bias"] = torch.ones(16)
    tensors["encoder.layers.2.layer_norm.bias"] = torch.ones(32)
    write_snapshot(model, tensors, num_attention_heads=4)

    with pytest.raises(MergeError) as error:
        merge(base, [model], 0.2, tmp_path / "merged")

    assert str(error.value).splitlines()[1:] == [
        "  - makam: num_attention_heads of config.json is 4, and the base's is 2",
        "  - makam: encoder.layer_norm.bias is missing",
        "  - makam: encoder.layers.2.layer_norm.bias has no place in the base",
        "  - makam: encoder.layers.0.final_layer_norm.bias is [16] instead of [32]",
    ]
    assert not (tmp_path / "merged").exists()


def test_a_merge_without_models_is_refused(tmp_path, folders):
    with pytest.raises(MergeError, match="needs at least one model"):
        merge(folders[0], [], 0.2, tmp_path / "merged")


def test_only_a_snapshot_is_replaced_and_only_by_force(tmp_path, folders):
    base, model, *_ = folders
    merge(base, [model], 0.5, tmp_path / "merged")

    with pytest.raises(FileExistsError, match="merged exists; force replaces it"):
        merge(base, [model], 0.0, tmp_path / "merged")
    merge(base, [model], 0.0, tmp_path / "merged", force=True)
    with pytest.raises(FileExistsError, match="is no snapshot, so it is not replaced"):
        merge(base, [model], 0.0, tmp_path, force=True)

    name = "encoder.layer_norm.bias"
    assert torch.equal(load_snapshot(tmp_path / "merged").backbone.hubert.state_dict()[name], random_tensors(0)[name])


def test_the_command_takes_a_list_of_models_and_a_sweep(tmp_path, folders):
    base, *models = folders
    arguments = ["merge", "--base", base, "--models", *models, "--lambda", 0.1, "--lambda", 0.2]

    result = CliRunner().invoke(main, [str(argument) for argument in [*arguments, "--output", tmp_path / "sweep"]])

    assert result.exit_code == 0
    sweep = [tmp_path / "sweep/lambda-0.1", tmp_path / "sweep/lambda-0.2"]
    assert result.stdout.splitlines() == [f"wrote {folder}" for folder in sweep]
    recipes = [json.loads(load_snapshot(folder).recipe) for folder in sweep]
    assert [recipe["lambda"] for recipe in recipes] == [0.1, 0.2]
    assert [model["name"] for model in recipes[0]["models"]] == ["makam", "hindustani", "carnatic", "lyra"]
