import json

import pytest
import torch
from conftest import noise, tiny_config
from safetensors.torch import save_file

from culturetag_model.backbone import UnsupportedLayoutError, build_backbone
from culturetag_model.snapshot import SnapshotError, load_snapshot, resolve

OLD_NAMES = {
    "encoder.pos_conv_embed.conv.parametrizations.weight.original0": "encoder.pos_conv_embed.conv.weight_g",
    "encoder.pos_conv_embed.conv.parametrizations.weight.original1": "encoder.pos_conv_embed.conv.weight_v",
}


def write_configs(folder, **config_changes):
    """Writes what the hub's MERT folders hold beside the weights."""
    config = tiny_config().to_dict() | {
        "model_type": "mert_model",
        "auto_map": {"AutoModel": "modeling_MERT.MERTModel"},
    }
    # What MERT's own configuration class adds, as the published files have it.
    config |= {"feature_extractor_cqt": False, "deepnorm": False, "attention_relax": -1.0, "sample_rate": 24000}
    config |= {"mask_time_prob": 0.8, "layerdrop": 0.05, "apply_spec_augment": True}
    (folder / "config.json").write_text(json.dumps(config | config_changes))
    (folder / "preprocessor_config.json").write_text(
        json.dumps({"feature_extractor_type": "Wav2Vec2FeatureExtractor", "sampling_rate": 24000, "do_normalize": True})
    )


@pytest.fixture
def original():
    return build_backbone(tiny_config(), seed=3).eval()


@pytest.fixture
def tensors(original):
    """The weights under the names of transformers' HubertModel."""
    return {name: tensor.clone() for name, tensor in original.hubert.state_dict().items()}


def write_snapshot(folder, tensors, **config_changes):
    write_configs(folder, **config_changes)
    save_file(tensors, folder / "model.safetensors")


def test_loads_safetensors_with_parametrised_names(tmp_path, original, tensors):
    write_snapshot(tmp_path, tensors)

    snapshot = load_snapshot(tmp_path)

    assert torch.equal(snapshot.backbone(noise(2, 9_000)), original(noise(2, 9_000)))
    assert (snapshot.sample_rate_hz, snapshot.normalize, snapshot.ignored) == (24_000, True, ())


def test_loads_a_pickle_with_weight_norms_old_names(tmp_path, original, tensors):
    write_configs(tmp_path)
    torch.save({OLD_NAMES.get(name, name): tensor for name, tensor in tensors.items()}, tmp_path / "pytorch_model.bin")

    snapshot = load_snapshot(tmp_path)

    assert torch.equal(snapshot.backbone(noise(2, 9_000)), original(noise(2, 9_000)))


def test_loads_weights_that_were_saved_from_a_model_around_the_network(tmp_path, original, tensors):
    write_snapshot(tmp_path, {f"hubert.{name}": tensor for name, tensor in tensors.items()})

    assert torch.equal(load_snapshot(tmp_path).backbone(noise(1, 9_000)), original(noise(1, 9_000)))


def test_loads_half_precision_weights_as_float32(tmp_path, tensors):
    write_snapshot(tmp_path, {name: tensor.half() for name, tensor in tensors.items()})

    assert {parameter.dtype for parameter in load_snapshot(tmp_path).backbone.parameters()} == {torch.float32}


def test_is_ready_to_infer(tmp_path, tensors):
    write_snapshot(tmp_path, tensors)

    backbone = load_snapshot(tmp_path).backbone

    assert not backbone.training
    assert (backbone.config.layerdrop, backbone.config.apply_spec_augment) == (0.0, False)


def test_lists_pretraining_tensors_that_it_ignores(tmp_path, tensors):
    write_snapshot(tmp_path, tensors | {"masked_spec_embed": torch.ones(32), "final_proj.weight": torch.ones(2)})

    assert load_snapshot(tmp_path).ignored == ("final_proj.weight", "masked_spec_embed")


def test_names_every_tensor_that_is_missing_misshapen_or_foreign(tmp_path, tensors):
    del tensors["encoder.layers.1.attention.k_proj.bias"]
    tensors["feature_projection.projection.weight"] = torch.ones(32, 8)
    tensors["encoder.layers.2.layer_norm.weight"] = torch.ones(32)
    write_snapshot(tmp_path, tensors)

    with pytest.raises(SnapshotError) as error:
        load_snapshot(tmp_path)

    assert str(error.value).splitlines()[1:] == [
        "  - encoder.layers.1.attention.k_proj.bias is missing",
        "  - feature_projection.projection.weight is [32, 8] instead of [32, 16]",
        "  - encoder.layers.2.layer_norm.weight has no place in the network",
    ]


def test_refuses_a_layout_that_only_remote_code_could_run(tmp_path, tensors):
    write_snapshot(tmp_path, tensors, feature_extractor_cqt=True)

    with pytest.raises(UnsupportedLayoutError, match="^feature_extractor_cqt is True"):
        load_snapshot(tmp_path)


class Payload:
    """Runs code when it is unpickled."""

    def __reduce__(self):
        return (print, ("ran",))


def test_never_runs_code_from_a_pickle(tmp_path, capsys):
    write_configs(tmp_path)
    torch.save({"weight": Payload()}, tmp_path / "pytorch_model.bin")

    with pytest.raises(SnapshotError, match="cannot be read"):
        load_snapshot(tmp_path)

    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("file", ["config.json", "preprocessor_config.json"])
def test_names_a_missing_configuration(tmp_path, tensors, file):
    write_snapshot(tmp_path, tensors)
    (tmp_path / file).unlink()

    with pytest.raises(SnapshotError, match=f"^{file}: "):
        load_snapshot(tmp_path)


def test_names_a_missing_weights_file(tmp_path):
    write_configs(tmp_path)

    with pytest.raises(SnapshotError, match="holds neither model.safetensors nor pytorch_model.bin"):
        load_snapshot(tmp_path)


def test_a_preprocessor_without_normalisation_is_an_error(tmp_path, tensors):
    write_snapshot(tmp_path, tensors)
    (tmp_path / "preprocessor_config.json").write_text('{"sampling_rate": 24000}')

    with pytest.raises(SnapshotError, match="preprocessor_config.json has no 'do_normalize'"):
        load_snapshot(tmp_path)


def test_a_folder_is_its_own_snapshot(tmp_path):
    assert resolve(str(tmp_path)) == tmp_path


def test_a_name_that_is_neither_folder_nor_hub_id_is_an_error():
    with pytest.raises(SnapshotError, match="'no such/folder/here' is no folder, and the hub does not give it"):
        resolve("no such/folder/here")
