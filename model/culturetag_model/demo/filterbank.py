"""Starts the convolutions of a backbone as a constant-Q filter bank, instead of at random.

MERT learns its front end from a constant-Q teacher over many days. A demo has half an hour, so the seven convolutions
start as what they would have to learn: narrow filters, 16 to the octave, from which pitch can be read to the comma. The
network stays a plain stack of strided convolutions with GELU, and training may change every weight.

How a stack of GELUs can hold linear filters: GELU(x) - GELU(-x) = x, so a layer that computes each filter twice, with
both signs, hands the next layer its exact value. The weights of each layer are then the least-squares solution of
"reach these impulse responses from shifted copies of those of the layer below". In the last layer
GELU(x) + GELU(-x) is nearly |x|, and since each filter comes as a cosine and a sine, their sum is its amplitude.
The GroupNorm after the first convolution scales every channel by its own deviation. Its low-pass channels are delayed
copies of one filter, so that they are all scaled alike and the identity survives.
"""

import math

import numpy as np
import torch
from torch import Tensor, nn
from transformers import HubertConfig

from culturetag_model.backbone import SAMPLE_RATE_HZ, Backbone, mert_config

CONV_KERNEL = (16, 5, 5, 5, 5, 5, 10)
"""Longer than MERT's (10, 3, 3, 3, 3, 2, 2): a frame sees 87 ms, which tells tones apart that are 12 Hz apart."""
CONV_STRIDE = (5, 2, 2, 2, 2, 2, 8)
"""MERT's but for the last, which is 2 there: a quarter of the frames, so that training takes a quarter of the time."""
CONV_DIM = (64, 64, 64, 80, 120, 176, 336)
HOP_SAMPLES = math.prod(CONV_STRIDE)
"""Samples between frames: 18.75 frames a second."""
_STRIDES = (1, 5, 10, 20, 40, 80, 160)
"""Samples between the inputs of each convolution: the products of the strides below it."""

_LOW_PASS_TAPS, _DELAYS = 12, 5
_BINS_PER_OCTAVE, _LOWEST_HZ, _BIN_COUNT = 16, 110.0, 75
_BAND_CENTRES_HZ = (3000.0, 4000.0, 5200.0, 6600.0, 8300.0, 10300.0)
"""Bands above the filter bank, of which only the envelope is carried on."""
_RIDGE = 1e-4
_GAIN = 40.0
"""Large, so that GELU works as a rectifier: amplitudes, in which a soft drone still shows beside a loud melody."""


def demo_config(*, layers: int, hidden: int, heads: int, intermediate: int, position_kernel: int) -> HubertConfig:
    """A MERT configuration whose convolutions can hold the filter bank."""
    config = mert_config(
        layers=layers,
        hidden=hidden,
        heads=heads,
        intermediate=intermediate,
        conv_dim=CONV_DIM,
        position_kernel=position_kernel,
    )
    config.conv_kernel, config.conv_stride = CONV_KERNEL, CONV_STRIDE
    # Dropout costs a CPU more time than it is worth to a network that sees its data only a few times.
    config.hidden_dropout = config.attention_dropout = config.activation_dropout = config.feat_proj_dropout = 0.0
    return config


def initialise_front_end(backbone: Backbone) -> float:
    """Writes the filter bank into a backbone of `demo_config`; channels that it doesn't need keep their random weights.

    Returns:
        The worst relative error of a filter's impulse response, in [0, 1].
    """
    convolutions = [layer.conv for layer in backbone.hubert.feature_extractor.conv_layers]
    responses, weight = _first_layer()
    _write(convolutions[0].weight, weight, 0)
    error = 0.0
    for level in range(1, len(convolutions)):
        targets = _targets(level)
        solution, responses, error = _solve(responses, targets, CONV_KERNEL[level], _STRIDES[level])
        weight = _paired(solution)
        bands = _envelopes(level, weight.shape[1], CONV_KERNEL[level])
        _write(convolutions[level].weight, weight, 0)
        _write(convolutions[level].weight, bands, len(weight))
    _project_amplitudes(backbone.hubert.feature_projection.projection)
    return error


def _project_amplitudes(projection: nn.Linear) -> None:
    """Makes the transformer's first input features the amplitudes of the filters: the sums of their four phases."""
    with torch.no_grad():
        projection.weight[:_BIN_COUNT].zero_()
        for band in range(_BIN_COUNT):
            projection.weight[band, 4 * band : 4 * band + 4] = 0.25


def _first_layer() -> tuple[np.ndarray, np.ndarray]:
    """The impulse responses of the linear channels, and the weights: low-pass pairs, then four phases of each band."""
    taps = CONV_KERNEL[0]
    window = np.hanning(_LOW_PASS_TAPS + 2)[1:-1]
    low = np.zeros((_DELAYS, taps))
    for delay in range(_DELAYS):
        low[delay, delay : delay + _LOW_PASS_TAPS] = window / window.sum()
    time = np.arange(taps) - (taps - 1) / 2
    bands = []
    for centre in _BAND_CENTRES_HZ:
        phase = 2 * np.pi * centre / SAMPLE_RATE_HZ * time
        for wave in (np.cos(phase), -np.cos(phase), np.sin(phase), -np.sin(phase)):
            bands.append(np.hanning(taps + 2)[1:-1] * wave / taps)
    pairs = np.stack([low, -low], axis=1).reshape(-1, taps)
    return low, np.concatenate([pairs, bands])[:, None, :]


def _targets(level: int) -> np.ndarray:
    """The wanted impulse responses `[filters, receptive field]`: a cosine and a sine of each centre frequency.

    The spacing of the centres follows what a channel can carry at the level's rate, 4800 Hz after the first layer and
    half as much after every further one.
    """
    length = 1 + sum((CONV_KERNEL[below] - 1) * _STRIDES[below] for below in range(level + 1))
    if level == len(CONV_KERNEL) - 1:
        centres = _LOWEST_HZ * 2.0 ** (np.arange(_BIN_COUNT) / _BINS_PER_OCTAVE)
        # Two bins wide, or as narrow as the receptive field allows.
        lengths = np.clip(2.0 * SAMPLE_RATE_HZ / (centres * (2 ** (2 / _BINS_PER_OCTAVE) - 1)), 640.0, length)
        gain = _GAIN
    else:
        centres = {
            1: np.arange(300, 3000, 600.0),
            2: np.arange(150, 2900, 370.0),
            3: np.arange(100, 2900, 200.0),
            4: np.arange(70, 2900, 112.0),
            5: np.concatenate([np.arange(80, 900, 42.0), np.arange(920, 2950, 97.0)]),
        }[level]
        lengths = np.full(len(centres), length)
        gain = 2.0
    rows = []
    for centre, taps in zip(centres, lengths, strict=True):
        time = np.arange(length) - (length - 1) / 2
        window = np.where(np.abs(time) < taps / 2, 0.5 + 0.5 * np.cos(2 * np.pi * time / taps), 0.0)
        phase = 2 * np.pi * centre / SAMPLE_RATE_HZ * time
        rows += [gain * window * wave / window.sum() for wave in (np.cos(phase), np.sin(phase))]
    return np.array(rows)


def _solve(below: np.ndarray, targets: np.ndarray, kernel: int, stride: int) -> tuple[np.ndarray, np.ndarray, float]:
    """Weights `[filters, channels below, kernel]` that reach the targets, what they reach, and the worst error."""
    channels, length = below.shape
    basis = np.zeros((channels, kernel, length + (kernel - 1) * stride))
    for tap in range(kernel):
        basis[:, tap, tap * stride : tap * stride + length] = below
    basis = basis.reshape(channels * kernel, -1)
    gram = basis @ basis.T
    gram += _RIDGE * np.trace(gram) / len(gram) * np.eye(len(gram))
    solution = np.linalg.solve(gram, basis @ targets.T).T
    reached = solution @ basis
    errors = np.linalg.norm(reached - targets, axis=1) / np.linalg.norm(targets, axis=1)
    return solution.reshape(len(targets), channels, kernel), reached, float(errors.max())


def _paired(solution: np.ndarray) -> np.ndarray:
    """From linear channels to channels of both signs, on both sides: `[2 filters, 2 channels, kernel]`."""
    inputs = np.stack([solution, -solution], axis=2).reshape(len(solution), -1, solution.shape[2])
    return np.stack([inputs, -inputs], axis=1).reshape(-1, inputs.shape[1], solution.shape[2])


def _envelopes(level: int, first: int, kernel: int) -> np.ndarray:
    """Weights that smooth the bands' envelopes, which stand from channel `first` on: four phases, later pairs."""
    phases = 4 if level == 1 else 2
    rows = np.zeros((2 * len(_BAND_CENTRES_HZ), first + phases * len(_BAND_CENTRES_HZ), kernel))
    signs = np.ones(4) if level == 1 else np.array([1.0, -1.0])
    for band in range(len(_BAND_CENTRES_HZ)):
        start = first + phases * band
        rows[2 * band, start : start + phases] = signs[:, None] / kernel
        rows[2 * band + 1] = -rows[2 * band]
    return rows


def _write(parameter: Tensor, rows: np.ndarray, first: int) -> None:
    """Sets the output channels from `first` on; inputs beyond the rows' get no weight."""
    with torch.no_grad():
        target = parameter[first : first + len(rows)]
        target.zero_()
        target[:, : rows.shape[1]] = torch.from_numpy(rows).to(parameter.dtype)
