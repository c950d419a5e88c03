"""The backbone as it is exported: the function of `Backbone`, arranged so that nearly all of its time is matrix products.

HuBERT's arrangement keeps the convolutions' outputs as `[B, C, T]`, which the fast kernels of CPUs and GPUs first
reorder, and spends a third of its time on a CPU outside of matrix products. Here everything is `[B, T, C]`, frames by
channels, and four steps are computed otherwise, with the same result up to rounding:

- The group norm after the first convolution takes its means and variances from the moments of the input's patches.
- The positional convolution, whose kernel is 128 frames long, is a product of Fourier transforms.
- Query, key and value come from one matrix product.
- Activations and sums overwrite their input.

The operations name no device and no precision. `tests/bench/forward` measures what each gives.
"""

import copy

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transformers.models.hubert.modeling_hubert import HubertEncoderLayer

from culturetag_model.backbone import Backbone


class LoweredBackbone(nn.Module):
    """`[B, T] float32` audio -> `[B, L, D] float32`, as `Backbone` in evaluation mode. For inference only."""

    def __init__(self, backbone: Backbone):
        super().__init__()
        backbone = copy.deepcopy(backbone)
        first, *others = backbone.hubert.feature_extractor.conv_layers
        encoder = backbone.hubert.encoder
        self.first = _NormalizedConvolution(first.conv, first.layer_norm)
        self.convolutions = nn.ModuleList(_TimeMajorConvolution(layer.conv) for layer in others)
        self.projection = backbone.hubert.feature_projection
        self.position = _SpectralConvolution(encoder.pos_conv_embed.conv)
        self.norm = encoder.layer_norm
        self.layers = nn.ModuleList(_Layer(layer) for layer in encoder.layers)
        self.requires_grad_(False)
        self.eval()

    def forward(self, audio: Tensor) -> Tensor:
        state = _gelu_(self.first(audio))
        for convolution in self.convolutions:
            state = _gelu_(convolution(state))
        state = self.projection(state)
        state = self.norm(_gelu_(self.position(state)).add_(state))
        means = [state.mean(dim=1)]
        for layer in self.layers:
            state = layer(state)
            means.append(state.mean(dim=1))
        return torch.stack(means, dim=1).float()


def _gelu_(values: Tensor) -> Tensor:
    """The exact GELU, in place."""
    return torch.ops.aten.gelu_(values)


class _NormalizedConvolution(nn.Module):
    """`[B, T]` -> `[B, F, C]`: a convolution of one channel, then a group norm over time with one group a channel.

    A channel is linear in the K samples under the kernel, so its mean and variance over time follow from the mean and
    the covariance of those, and normalising becomes another weight and a bias. Their products are in double precision:
    the samples of a patch are so alike that a channel which looks at their differences would be lost in rounding.
    """

    def __init__(self, convolution: nn.Conv1d, norm: nn.GroupNorm):
        super().__init__()
        (self.kernel,), (self.stride,) = convolution.kernel_size, convolution.stride
        self.eps = norm.eps
        # [K, C]. The convolution's bias, if it has one, is taken away by the norm.
        self.weight = nn.Parameter(convolution.weight.detach().squeeze(1).t().contiguous())
        self.gain = norm.weight
        self.bias = norm.bias

    def forward(self, audio: Tensor) -> Tensor:
        patches = audio.unfold(1, self.kernel, self.stride)
        exact = patches.double()
        mean = exact.mean(dim=1, keepdim=True)
        centred = exact - mean
        covariance = torch.matmul(centred.transpose(1, 2), centred) / patches.shape[1]
        weight = self.weight.double()
        variance = (torch.matmul(covariance, weight) * weight).sum(dim=1, keepdim=True)
        weight = weight * (torch.rsqrt(variance + self.eps) * self.gain)
        bias = self.bias - torch.matmul(mean, weight)
        return torch.baddbmm(bias.to(audio.dtype), patches, weight.to(audio.dtype))


class _TimeMajorConvolution(nn.Module):
    """`[B, T, C]` -> `[B, F, C]`: a 1-d convolution as one of images of height 1, whose channels may come last."""

    def __init__(self, convolution: nn.Conv1d):
        super().__init__()
        self.stride = (1, *convolution.stride)
        self.weight = nn.Parameter(convolution.weight.detach().unsqueeze(2).contiguous(memory_format=torch.channels_last))
        self.bias = convolution.bias

    def forward(self, state: Tensor) -> Tensor:
        image = state.transpose(1, 2).unsqueeze(2)
        return F.conv2d(image, self.weight, self.bias, stride=self.stride).squeeze(2).transpose(1, 2)


class _SpectralConvolution(nn.Module):
    """`[B, F, D]` -> `[B, F, D]`: a grouped convolution that keeps the length, by overlap-save.

    The frames are cut into blocks of N = 2K for a kernel of K frames, which overlap by K - 1; of each block's circular
    convolution the other N - K + 1 frames are those of the linear one. In a Fourier transform's bin the convolution is
    one small matrix product a group. Direct, it takes 2 K D²/G operations a frame, so about 8 D²/G, and no im2col.
    """

    def __init__(self, convolution: nn.Conv1d):
        super().__init__()
        (kernel,) = convolution.kernel_size
        self.before = kernel // 2
        self.groups = convolution.groups
        self.block = 2 * kernel
        self.step = self.block - kernel + 1
        # Enough that the blocks cover every frame, and too little for one that covers none.
        self.after = self.block - 1 - self.before
        weight = convolution.weight.detach().double().unflatten(0, (self.groups, -1))
        # The layers correlate: their kernel isn't reversed, hence the conjugate. [N/2 + 1, G, in, out], as pairs of reals.
        spectrum = torch.fft.rfft(weight, self.block).conj().permute(3, 0, 2, 1).to(torch.complex64)
        self.spectrum = nn.Parameter(torch.view_as_real(spectrum.resolve_conj()).contiguous())
        self.bias = convolution.bias

    def forward(self, state: Tensor) -> Tensor:
        padded = F.pad(state.float(), (0, 0, self.before, self.after))
        bins = torch.fft.rfft(padded.unfold(1, self.block, self.step))  # [B, blocks, D, N/2 + 1]
        grouped = bins.unflatten(2, (self.groups, -1)).permute(4, 2, 0, 1, 3)
        product = torch.matmul(grouped.flatten(2, 3), torch.view_as_complex(self.spectrum))
        blocks = product.unflatten(2, grouped.shape[2:4]).permute(2, 3, 0, 1, 4).flatten(3)  # [B, blocks, N/2 + 1, D]
        frames = torch.fft.irfft(blocks, self.block, dim=2)[:, :, : self.step].flatten(1, 2)
        return frames[:, : state.shape[1]] + self.bias


class _Layer(nn.Module):
    """`[B, F, D]` -> `[B, F, D]`: a post-norm transformer layer."""

    def __init__(self, layer: HubertEncoderLayer):
        super().__init__()
        attention = layer.attention
        parts = [attention.q_proj, attention.k_proj, attention.v_proj]
        self.heads = attention.num_heads
        self.in_weight = nn.Parameter(torch.cat([part.weight.detach() for part in parts]))
        self.in_bias = nn.Parameter(torch.cat([part.bias.detach() for part in parts]))
        self.out = attention.out_proj
        self.norm = layer.layer_norm
        self.widen = layer.feed_forward.intermediate_dense
        self.narrow = layer.feed_forward.output_dense
        self.final_norm = layer.final_layer_norm

    def forward(self, state: Tensor) -> Tensor:
        inputs = F.linear(state, self.in_weight, self.in_bias).unflatten(2, (3, self.heads, -1))
        query, key, value = inputs.permute(2, 0, 3, 1, 4).unbind(0)
        attended = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        state = self.norm(self.out(attended).add_(state))
        return self.final_norm(self.narrow(_gelu_(self.widen(state))).add_(state))
