import pytest
import torch
from conftest import noise, tiny_config
from torch import nn

from culturetag_model.backbone import Backbone, build_backbone, mert_config
from culturetag_model.lowered import LoweredBackbone


@pytest.mark.parametrize("shape", [(1, 400), (5, 12_000), (1, 24_001), (3, 120_000), (1, 300_017)])
def test_it_computes_what_transformers_layers_do(backbone, shape):
    audio = noise(*shape, seed=3)

    with torch.no_grad():
        torch.testing.assert_close(LoweredBackbone(backbone)(audio), backbone(audio), atol=1e-5, rtol=0)


def test_normalised_quiet_and_loud_audio_agree_too(backbone):
    audio = torch.cat([noise(1, 30_000), 1e-4 * noise(1, 30_000, seed=1), 3 * noise(1, 30_000, seed=2)])

    with torch.no_grad():
        torch.testing.assert_close(LoweredBackbone(backbone)(audio), backbone(audio), atol=2e-5, rtol=0)


def test_a_slow_tone_on_an_offset_keeps_its_precision(backbone):
    """Neighbouring samples are almost equal, so that a filter of differences has a millionth of the input's power."""
    audio = (0.5 + 0.4 * torch.sin(torch.arange(24_000) * (2 * torch.pi * 20 / 24_000)))[None]
    first = backbone.hubert.feature_extractor.conv_layers[0]
    with torch.no_grad():
        first.conv.weight[:, 0] = 0
        first.conv.weight[:, 0, 0] = 1
        first.conv.weight[:, 0, 1] = -1
        exact = first.double()
        expected = exact.layer_norm(exact.conv(audio.double()[:, None])).transpose(1, 2)
        first.float()

        normalised = LoweredBackbone(backbone).first(audio)

    # The product itself is in single precision: its rounding, 1e-7 of the input, is 1e-4 of this output.
    torch.testing.assert_close(normalised.double(), expected, atol=1e-3, rtol=0)


@pytest.mark.parametrize(("kernel", "groups"), [(16, 4), (15, 4), (2, 1), (128, 16)])
def test_positional_convolutions_of_any_kernel_agree(kernel, groups):
    config = tiny_config()
    config.num_conv_pos_embeddings = kernel
    config.num_conv_pos_embedding_groups = groups
    backbone = build_backbone(config, seed=1).eval()

    with torch.no_grad():
        for samples in (400, 12_000, 120_000):
            audio = noise(2, samples)
            torch.testing.assert_close(LoweredBackbone(backbone)(audio), backbone(audio), atol=1e-5, rtol=0)


def test_convolutions_with_a_bias_agree():
    config = tiny_config()
    config.conv_bias = True
    backbone = build_backbone(config, seed=1).eval()

    with torch.no_grad():
        for layer in backbone.hubert.feature_extractor.conv_layers:
            nn.init.normal_(layer.conv.bias)
        audio = noise(2, 9_000)
        torch.testing.assert_close(LoweredBackbone(backbone)(audio), backbone(audio), atol=1e-5, rtol=0)


def test_a_windows_output_does_not_depend_on_its_batch(backbone):
    lowered = LoweredBackbone(backbone)
    batch = noise(7, 24_000)
    batch[3] *= 100

    with torch.no_grad():
        alone = torch.cat([lowered(window[None]) for window in batch])
        torch.testing.assert_close(lowered(batch), alone, atol=1e-5, rtol=0)


def test_only_the_positional_convolution_takes_more_memory():
    with torch.device("meta"):
        backbone = Backbone(mert_config())
    lowered = LoweredBackbone(backbone)

    spectrum = lowered.position.spectrum.numel()
    others = sum(parameter.numel() for parameter in lowered.parameters()) - spectrum

    assert spectrum == 2 * 129 * 768 * 48  # complex, for 129 bins
    # Of the 94,370,944 parameters, the convolution has 768 x 48 x 128 in directions and 128 in magnitudes.
    assert others == 94_370_944 - 768 * 48 * 128 - 128


def test_making_one_leaves_the_original_as_it_was(backbone):
    weights = {name: weight.clone() for name, weight in backbone.train().state_dict().items()}

    LoweredBackbone(backbone)

    assert backbone.training
    assert all(torch.equal(weights[name], weight) for name, weight in backbone.state_dict().items())
    backbone(noise(1, 9_000)).sum().backward()
    assert all(parameter.grad is not None for parameter in backbone.parameters())
