"""Reads a checkpoint of the MERT layout from a local folder or the Hugging Face hub, without running code from it.

A snapshot is what the hub stores for MERT and CultureMERT: `config.json`, `preprocessor_config.json` and the weights as
`model.safetensors` or `pytorch_model.bin`. Its Python files are never downloaded or imported; `HubertModel` and this
package's `Backbone` take their place.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import snapshot_download
from safetensors.torch import load_file
from torch import Tensor
from transformers import HubertConfig

from culturetag_model.backbone import Backbone
from culturetag_model.errors import CultureTagModelError

_SAFETENSORS, _PICKLE = "model.safetensors", "pytorch_model.bin"
_CONFIGS = ["config.json", "preprocessor_config.json"]

# Keys of a checkpoint that was saved from a model around the network start with the network's name there.
_WRAPPERS = ("hubert.", "mert_model.")
# Before PyTorch 2.1 weight normalisation kept its two factors under these names.
_RENAMED = {
    "encoder.pos_conv_embed.conv.weight_g": "encoder.pos_conv_embed.conv.parametrizations.weight.original0",
    "encoder.pos_conv_embed.conv.weight_v": "encoder.pos_conv_embed.conv.parametrizations.weight.original1",
}
# A tensor here that the configuration doesn't ask for means that the checkpoint is another network.
_NETWORK = ("feature_extractor.", "feature_projection.", "encoder.")


class SnapshotError(CultureTagModelError):
    """A folder is no readable checkpoint of the MERT layout; the message names the file or the tensors."""


@dataclass(frozen=True)
class Snapshot:
    """A checkpoint and the preprocessing that belongs to it."""

    backbone: Backbone
    sample_rate_hz: int
    normalize: bool
    """Whether windows are scaled to zero mean and unit variance first (`do_normalize`)."""
    ignored: tuple[str, ...]
    """The checkpoint's tensors that only pretraining uses, sorted."""


def resolve(folder_or_id: str) -> Path:
    """The local folder of a snapshot: `folder_or_id` itself, or what the hub has under an id, downloaded.

    Raises:
        SnapshotError: It is neither a folder nor a hub id that can be fetched.
    """
    if Path(folder_or_id).is_dir():
        return Path(folder_or_id)
    try:
        folder = Path(snapshot_download(folder_or_id, allow_patterns=[*_CONFIGS, "LICENSE*", _SAFETENSORS]))
        if not (folder / _SAFETENSORS).is_file():
            folder = Path(snapshot_download(folder_or_id, allow_patterns=[*_CONFIGS, "LICENSE*", _PICKLE]))
    except (OSError, ValueError) as error:
        raise SnapshotError(f"{folder_or_id!r} is no folder, and the hub does not give it: {error}") from error
    return folder


def load_snapshot(folder: Path) -> Snapshot:
    """Loads a checkpoint in evaluation mode and float32.

    Raises:
        SnapshotError: A file is missing or unreadable, or tensors are missing, misshapen or of another network.
        culturetag_model.backbone.UnsupportedLayoutError: The configuration describes another layout.
    """
    preprocessor = _read_json(folder / "preprocessor_config.json")
    backbone = Backbone(_network_config(_read_json(folder / "config.json")))
    ignored = _load_weights(backbone, _read_tensors(folder))
    try:
        sample_rate_hz, normalize = int(preprocessor["sampling_rate"]), bool(preprocessor["do_normalize"])
    except KeyError as error:
        raise SnapshotError(f"preprocessor_config.json has no {error}") from error
    return Snapshot(backbone.eval(), sample_rate_hz, normalize, ignored)


def _network_config(content: Mapping[str, Any]) -> HubertConfig:
    """MERT's configuration as HubertConfig's; masking and layer drop, which only pretraining uses, are off."""
    kept = {key: value for key, value in content.items() if key not in ("auto_map", "architectures", "model_type")}
    kept |= {"apply_spec_augment": False, "mask_time_prob": 0.0, "mask_feature_prob": 0.0, "layerdrop": 0.0}
    return HubertConfig(**kept)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SnapshotError(f"{path.name}: {error}") from error
    if not isinstance(content, dict):
        raise SnapshotError(f"{path.name} is not a JSON object")
    return content


def _read_tensors(folder: Path) -> dict[str, Tensor]:
    try:
        if (folder / _SAFETENSORS).is_file():
            return load_file(folder / _SAFETENSORS)
        if (folder / _PICKLE).is_file():
            return torch.load(folder / _PICKLE, map_location="cpu", weights_only=True)
    except Exception as error:  # Either library raises many kinds for a damaged file.
        raise SnapshotError(f"the weights of {folder} cannot be read: {error}") from error
    raise SnapshotError(f"{folder} holds neither {_SAFETENSORS} nor {_PICKLE}")


def _load_weights(backbone: Backbone, checkpoint: Mapping[str, Tensor]) -> tuple[str, ...]:
    """Copies the checkpoint's tensors into `backbone`; returns the names of those that it has no place for."""
    tensors = {_canonical(name): tensor for name, tensor in checkpoint.items()}
    wanted = backbone.hubert.state_dict()
    problems = [f"{name} is missing" for name in wanted if name not in tensors]
    problems += [
        f"{name} is {list(tensors[name].shape)} instead of {list(tensor.shape)}"
        for name, tensor in wanted.items()
        if name in tensors and tensors[name].shape != tensor.shape
    ]
    extra = sorted(name for name in tensors if name not in wanted)
    problems += [f"{name} has no place in the network" for name in extra if name.startswith(_NETWORK)]
    if problems:
        raise SnapshotError("the weights don't fit config.json:\n" + "\n".join(f"  - {line}" for line in problems))
    backbone.hubert.load_state_dict({name: tensors[name] for name in wanted})
    return tuple(extra)


def _canonical(name: str) -> str:
    for wrapper in _WRAPPERS:
        name = name.removeprefix(wrapper)
    return _RENAMED.get(name, name)
