"""The MERT backbone: waveforms in, the time-mean of every hidden state out.

MERT (Li et al. 2023, arXiv:2306.00107) and CultureMERT (arXiv:2506.17818) have HuBERT's layout: seven convolutions turn
24 kHz audio into 75 frames a second, a grouped convolution adds positions, and post-norm transformer layers follow. The
layers themselves come from transformers' `HubertModel`; this module decides only what is read from them.

No code here normalises its input. Whether a window is scaled to zero mean and unit variance first is a property of the
checkpoint, stands in the bundle's manifest (`BundleManifest.normalize`) and is done by whoever calls the backbone: the
server, or `culturetag_model.reference`.
"""

import torch
from torch import Tensor, nn
from transformers import HubertConfig, HubertModel

from culturetag_model.errors import CultureTagModelError

SAMPLE_RATE_HZ = 24_000
"""The sampling rate of every model of the MERT-v1 family."""


class UnsupportedLayoutError(CultureTagModelError):
    """The configuration describes a network that differs from the layout that this package exports."""


def mert_config(
    *,
    layers: int = 12,
    hidden: int = 768,
    heads: int = 12,
    intermediate: int = 3072,
    conv_dim: tuple[int, ...] = (512,) * 7,
    position_kernel: int = 128,
    position_groups: int = 16,
) -> HubertConfig:
    """The configuration of a MERT network; the defaults are those of the 95M-parameter models.

    Args:
        layers: The number of transformer layers. A backbone has one hidden state more: its input embedding.
        hidden: The width of a hidden state; a multiple of `heads` and of `position_groups`.
        heads: The number of attention heads.
        intermediate: The width of the feed-forward layers.
        conv_dim: The channels of the seven convolutions. Their strides multiply to 320 samples, 75 frames a second.
        position_kernel: The length of the positional convolution, in frames.
        position_groups: The groups of the positional convolution.
    """
    return HubertConfig(
        num_hidden_layers=layers,
        hidden_size=hidden,
        num_attention_heads=heads,
        intermediate_size=intermediate,
        conv_dim=conv_dim,
        conv_stride=(5, 2, 2, 2, 2, 2, 2),
        conv_kernel=(10, 3, 3, 3, 3, 2, 2),
        conv_bias=False,
        feat_extract_norm="group",
        feat_proj_layer_norm=True,
        num_conv_pos_embeddings=position_kernel,
        num_conv_pos_embedding_groups=position_groups,
        do_stable_layer_norm=False,
        # Masking and layer drop belong to pretraining; without them the network has no parameter that export ignores.
        apply_spec_augment=False,
        mask_time_prob=0.0,
        layerdrop=0.0,
    )


class Backbone(nn.Module):
    """`[B, T] float32` audio at 24 kHz -> `[B, L, D] float32`: each hidden state averaged over time.

    L is the number of transformer layers plus one, and hidden state 0 is the input of the first layer. T may be any
    length of at least `receptive_field` samples. The input is used as it comes: see the module's text on normalisation.
    A waveform's result doesn't depend on what else is in its batch, but it does depend on T (the first convolution's
    GroupNorm normalises over time), so shorter audio must never be padded.
    """

    def __init__(self, config: HubertConfig):
        """Builds the network with fresh weights. Raises `UnsupportedLayoutError` for another layout than MERT-95M's."""
        super().__init__()
        _check_layout(config)
        self.hubert = HubertModel._from_config(config, attn_implementation="sdpa")

    @property
    def config(self) -> HubertConfig:
        return self.hubert.config

    @property
    def layer_count(self) -> int:
        """L: the number of hidden states."""
        return self.config.num_hidden_layers + 1

    @property
    def hidden_size(self) -> int:
        """D: the width of a hidden state."""
        return self.config.hidden_size

    @property
    def receptive_field(self) -> int:
        """The number of samples that one frame sees, hence the shortest input."""
        samples, hop = 1, 1
        for kernel, stride in zip(self.config.conv_kernel, self.config.conv_stride, strict=True):
            samples += (kernel - 1) * hop
            hop *= stride
        return samples

    def hidden_states(self, audio: Tensor) -> list[Tensor]:
        """`[B, T]` audio -> L hidden states `[B, F, D]` of F frames, 75 a second.

        Calls HubertModel's parts instead of the model, because the model's own forward moves tensors to a device that a
        trace would record as a constant, and builds an attention mask that whole windows don't need.
        """
        encoder = self.hubert.encoder
        features = self.hubert.feature_extractor(audio).transpose(1, 2)
        state = self.hubert.feature_projection(features)
        state = encoder.dropout(encoder.layer_norm(state + encoder.pos_conv_embed(state)))
        states = [state]
        for layer in encoder.layers:
            state = layer(state)
            states.append(state)
        return states

    def forward(self, audio: Tensor) -> Tensor:
        return torch.stack([state.mean(dim=1) for state in self.hidden_states(audio)], dim=1)


def build_backbone(config: HubertConfig, seed: int) -> Backbone:
    """A backbone whose random weights depend on `config` and `seed` alone. The global generator is left as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return Backbone(config)


def _check_layout(config: HubertConfig) -> None:
    """Refuses what `Backbone.hidden_states` or its `LoweredBackbone` would compute wrongly rather than differently.

    The last three are options of MERT's own configuration class, which HubertConfig keeps as plain attributes.
    """
    supported = {
        "do_stable_layer_norm": (False, "pre-norm layers are another network"),
        "feat_extract_norm": ("group", "the convolutions of the 95M models have one group norm, after the first"),
        "hidden_act": ("gelu", "the exported layers compute the exact GELU"),
        "feat_extract_activation": ("gelu", "the exported convolutions compute the exact GELU"),
        "conv_pos_batch_norm": (False, "the positional convolution is weight-normalised"),
        "feature_extractor_cqt": (False, "the constant-Q front end adds inputs that HubertModel has no layers for"),
        "deepnorm": (False, "DeepNorm scales the residual connections, which HubertModel doesn't"),
    }
    for name, (value, reason) in supported.items():
        actual = getattr(config, name, value)
        if actual != value:
            raise UnsupportedLayoutError(f"{name} is {actual!r}, and only {value!r} can be exported: {reason}")
    relaxation = getattr(config, "attention_relax", -1.0)
    if relaxation > 0:
        raise UnsupportedLayoutError(
            f"attention_relax is {relaxation!r}, and only values up to 0 can be exported: "
            "relaxed attention scales its scores, which HubertModel doesn't"
        )
