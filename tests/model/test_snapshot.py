import json

import pytest
import torch
from conftest import noise, tiny_config
from safetensors.torch import save_file
from transformers import HubertModel

from culturetag_model.backbone import UnsupportedLayoutError, build_backbone
from culturetag_model.bundle import read_bundle
from culturetag_model.recipes import checkpoint_source, export
from culturetag_model.snapshot import load_snapshot, resolve
from culturetag_model.weights import SnapshotError

OLD_NAMES = {
    "encoder.pos_conv_embed.conv.parametrizations.weight.original0": "encoder.pos_conv_embed.conv.weight_g",
    "encoder.pos_conv_embed.conv.parametrizations.weight.original1": "encoder.pos_conv_embed.conv.weight_v",
}


# What MERT's published weights hold beside the network: the targets and readouts of its pretraining.
PRETRAINING_TENSORS = {"masked_spec_embed": [32], "encoder_cqt_model.fc.weight": [84, 32], "final_proj.weight": [2, 2]}


def write_configs(folder, layers=2, **config_changes):
    """Writes what the hub's MERT folders hold beside the weights."""
    config = tiny_config(layers).to_dict() | {
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


@pytest.mark.parametrize("old_names", [False, True], ids=["parametrised", "weight_g"])
@pytest.mark.parametrize("file", ["model.safetensors", "pytorch_model.bin"])
def test_an_exported_checkpoint_has_the_13_hidden_states_of_hubert_model(tmp_path, file, old_names):
    hubert = HubertModel(tiny_config(layers=12)).eval()
    tensors = {name: tensor.clone() for name, tensor in hubert.state_dict().items()}
    if old_names:
        tensors = {OLD_NAMES.get(name, name): tensor for name, tensor in tensors.items()}
    extra = {name: torch.ones(shape) for name, shape in PRETRAINING_TENSORS.items()}
    snapshot = tmp_path / "MERT-v1-95M"
    snapshot.mkdir()
    write_configs(snapshot, layers=12)
    save = save_file if file == "model.safetensors" else torch.save
    save(tensors | extra, snapshot / file)

    source = checkpoint_source(str(snapshot), "CC-BY-NC-4.0", name=None, version="1")
    export(source, tmp_path / "exported", force=False)

    audio = noise(2, 24_000)
    with torch.no_grad():
        exported = read_bundle(tmp_path / "exported").backbone(audio)
        expected = torch.stack([state.mean(1) for state in hubert(audio, output_hidden_states=True).hidden_states], 1)
    assert exported.shape == (2, 13, 32)
    torch.testing.assert_close(exported, expected, atol=1e-4, rtol=0)
    assert source.ignored == tuple(sorted(PRETRAINING_TENSORS))


def test_a_tensor_under_both_of_its_names_is_refused(tmp_path, tensors):
    new = "encoder.pos_conv_embed.conv.parametrizations.weight.original0"
    write_snapshot(tmp_path, tensors | {OLD_NAMES[new]: tensors[new].clone()})

    with pytest.raises(SnapshotError, match="hold a tensor twice, under an old and a new name"):
        load_snapshot(tmp_path)


@pytest.mark.parametrize("normalize", [False, True])
def test_normalisation_and_rate_come_from_the_preprocessor(tmp_path, tensors, normalize):
    write_snapshot(tmp_path, tensors)
    (tmp_path / "preprocessor_config.json").write_text(json.dumps({"sampling_rate": 16000, "do_normalize": normalize}))

    snapshot = load_snapshot(tmp_path)

    assert (snapshot.sample_rate_hz, snapshot.normalize) == (16_000, normalize)


def test_offline_a_hub_id_is_read_from_the_cache(tmp_path, monkeypatch, tensors):
    cached = tmp_path / "models--m-a-p--MERT-v1-95M"
    folder = cached / "snapshots/0123456789abcdef0123456789abcdef01234567"
    folder.mkdir(parents=True)
    write_snapshot(folder, tensors)
    (cached / "refs").mkdir()
    (cached / "refs/main").write_text(folder.name)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)

    assert resolve("m-a-p/MERT-v1-95M") == folder
    with pytest.raises(SnapshotError, match="^'m-a-p/MERT-v1-330M' is no folder, and the hub does not give it: "):
        resolve("m-a-p/MERT-v1-330M")


def test_a_folder_is_its_own_snapshot(tmp_path):
    assert resolve(str(tmp_path)) == tmp_path


def test_a_name_that_is_neither_folder_nor_hub_id_is_an_error():
    with pytest.raises(SnapshotError, match="'no such/folder/here' is no folder, and the hub does not give it"):
        resolve("no such/folder/here")
