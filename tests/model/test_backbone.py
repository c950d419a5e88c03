import pytest
import torch
from conftest import noise, tiny_config
from transformers import HubertModel

from culturetag_model.backbone import Backbone, UnsupportedLayoutError, build_backbone, mert_config


def test_default_configuration_is_the_95m_architecture():
    with torch.device("meta"):
        backbone = Backbone(mert_config())

    assert (backbone.layer_count, backbone.hidden_size) == (13, 768)
    # HuBERT base has 94,371,712 parameters with its mask embedding of 768, which export leaves out.
    assert sum(parameter.numel() for parameter in backbone.parameters()) == 94_371_712 - 768


def test_output_is_the_time_mean_of_every_hidden_state_of_transformers_hubert(backbone):
    audio = noise(2, 30_000)

    with torch.no_grad():
        states = backbone.hubert(audio, output_hidden_states=True).hidden_states
        output = backbone(audio)

    assert output.shape == (2, 3, 32)
    torch.testing.assert_close(output, torch.stack([state.mean(dim=1) for state in states], dim=1), atol=1e-6, rtol=0)


def test_hidden_states_come_75_times_a_second(backbone):
    # 5 s of 320-sample hops, less the frame whose 400-sample field would reach past the end.
    assert [state.shape for state in backbone.hidden_states(noise(1, 120_000))] == [(1, 374, 32)] * 3


def test_shortest_input_is_one_receptive_field(backbone):
    assert backbone.receptive_field == 400
    assert [state.shape[1] for state in backbone.hidden_states(noise(1, 400))] == [1, 1, 1]
    with pytest.raises(RuntimeError, match="Kernel size can't be greater"):
        backbone(noise(1, 399))


def test_a_windows_output_does_not_depend_on_its_batch(backbone):
    batch = noise(7, 24_000)
    batch[3] *= 100

    with torch.no_grad():
        together = backbone(batch)
        alone = torch.cat([backbone(window[None]) for window in batch])

    torch.testing.assert_close(together, alone, atol=1e-5, rtol=0)


def test_padding_changes_the_output(backbone):
    audio = noise(1, 12_000)

    difference = backbone(torch.nn.functional.pad(audio, (0, 12_000))) - backbone(audio)

    assert difference.abs().max() > 0.01


def test_weights_depend_on_the_seed_alone():
    first = build_backbone(tiny_config(), seed=1).state_dict()
    torch.rand(1)
    again = build_backbone(tiny_config(), seed=1).state_dict()
    other = build_backbone(tiny_config(), seed=2).state_dict()

    assert all(torch.equal(first[name], again[name]) for name in first)
    name = "hubert.encoder.layers.0.attention.q_proj.weight"
    assert not torch.equal(first[name], other[name])


def test_building_leaves_the_global_generator_alone():
    torch.manual_seed(5)
    expected = torch.rand(1)
    torch.manual_seed(5)
    build_backbone(tiny_config(), seed=1)

    assert torch.equal(torch.rand(1), expected)


@pytest.mark.parametrize(
    ("option", "value"),
    [
        ("do_stable_layer_norm", True),
        ("feat_extract_norm", "layer"),
        ("hidden_act", "relu"),
        ("feat_extract_activation", "gelu_new"),
        ("conv_pos_batch_norm", True),
        ("feature_extractor_cqt", True),
        ("deepnorm", True),
        ("attention_relax", 32.0),
    ],
)
def test_other_layouts_are_refused(option, value):
    config = tiny_config()
    setattr(config, option, value)

    with pytest.raises(UnsupportedLayoutError, match=f"^{option} is {value!r}, and only .* can be exported: "):
        Backbone(config)


def test_attention_is_the_fused_kernel(backbone):
    assert isinstance(backbone.hubert, HubertModel)
    assert backbone.config._attn_implementation == "sdpa"
