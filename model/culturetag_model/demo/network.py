"""The demo's network: a small backbone of the MERT layout whose front end starts as a filter bank."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from culturetag_model.backbone import Backbone, build_backbone
from culturetag_model.demo.filterbank import demo_config, initialise_front_end
from culturetag_model.demo.tables import load_tables
from culturetag_model.heads import ProbeHead
from culturetag_model.vocabularies import HEAD_NAMES, vocabulary

SEED = 0


def demo_backbone() -> Backbone:
    """The untrained backbone: about 1.3 million weights, 3 layers of 128, the same at every call."""
    config = demo_config(layers=3, hidden=128, heads=4, intermediate=256, position_kernel=48)
    backbone = build_backbone(config, SEED)
    initialise_front_end(backbone)
    return backbone


def demo_heads(backbone: Backbone, untrained: dict[str, dict[str, str]]) -> dict[str, ProbeHead]:
    """One untrained probe for each head; `untrained` names the labels without training, by head, with the reason."""
    heads = {}
    for name in HEAD_NAMES:
        labels = [label.name for label in vocabulary(name).labels]
        left_out = [labels.index(label) for label in untrained.get(name, ())]
        heads[name] = ProbeHead(
            backbone.layer_count, backbone.hidden_size, len(labels), untrained=left_out, dropout=0.1
        )
    return heads


@contextmanager
def reads_features(backbone: Backbone) -> Iterator[None]:
    """Within it, `backbone` takes features `[B, channels, frames]` that its front end made before, not audio."""
    front_end = backbone.hubert.feature_extractor
    backbone.hubert.feature_extractor = nn.Identity()
    try:
        yield
    finally:
        backbone.hubert.feature_extractor = front_end


def normalized(waveforms: Tensor) -> Tensor:
    """`[B, T]` -> each waveform with zero mean and unit variance, as the bundle's manifest asks of the server."""
    mean = waveforms.mean(dim=1, keepdim=True)
    variance = waveforms.var(dim=1, unbiased=False, keepdim=True)
    return (waveforms - mean) / torch.sqrt(variance + 1e-7)


class TaggingModel(nn.Module):
    """The demo's backbone with its six probes."""

    def __init__(self) -> None:
        super().__init__()
        self.backbone = demo_backbone()
        self.heads = nn.ModuleDict(demo_heads(self.backbone, load_tables().untrained))


def save_model(model: TaggingModel, path: Path) -> None:
    """Writes the weights; `load_model` reads them."""
    torch.save(model.state_dict(), path)


def load_model(path: Path) -> TaggingModel:
    """The trained model in evaluation mode. Raises `FileNotFoundError`, or `RuntimeError` for other weights."""
    model = TaggingModel()
    model.load_state_dict(torch.load(path, weights_only=True))
    return model.eval()
