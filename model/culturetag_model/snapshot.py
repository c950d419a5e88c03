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

from huggingface_hub import snapshot_download
from transformers import HubertConfig

from culturetag_model.backbone import Backbone
from culturetag_model.weights import PICKLE, SAFETENSORS, SnapshotError, Weights, is_network

CONFIG_FILE, PREPROCESSOR_FILE = "config.json", "preprocessor_config.json"
RECIPE_KEY = "culturetag_recipe"
"""The metadata key of a safetensors file under which `culturetag-model merge` says how it was made."""

_CONFIGS = [CONFIG_FILE, PREPROCESSOR_FILE, "LICENSE*"]


@dataclass(frozen=True)
class Snapshot:
    """A checkpoint and the preprocessing that belongs to it."""

    backbone: Backbone
    sample_rate_hz: int
    normalize: bool
    """Whether windows are scaled to zero mean and unit variance first (`do_normalize`)."""
    ignored: tuple[str, ...]
    """The checkpoint's tensors that only pretraining uses, sorted."""
    recipe: str = ""
    """How `culturetag-model merge` made the weights, in JSON; empty for other checkpoints."""


def resolve(folder_or_id: str) -> Path:
    """The local folder of a snapshot: `folder_or_id` itself, or what the hub has under an id, downloaded.

    With `HF_HUB_OFFLINE=1` only the hub's local cache is read.

    Raises:
        SnapshotError: It is neither a folder nor a hub id that can be fetched.
    """
    if Path(folder_or_id).is_dir():
        return Path(folder_or_id)
    try:
        folder = Path(snapshot_download(folder_or_id, allow_patterns=[*_CONFIGS, SAFETENSORS]))
        if not (folder / SAFETENSORS).is_file():
            folder = Path(snapshot_download(folder_or_id, allow_patterns=[*_CONFIGS, PICKLE]))
    except (OSError, ValueError) as error:
        raise SnapshotError(f"{folder_or_id!r} is no folder, and the hub does not give it: {error}") from error
    return folder


def load_snapshot(folder: Path) -> Snapshot:
    """Loads a checkpoint in evaluation mode and float32.

    Raises:
        SnapshotError: A file is missing or unreadable, or tensors are missing, misshapen or of another network.
        culturetag_model.backbone.UnsupportedLayoutError: The configuration describes another layout.
    """
    preprocessor = read_json(folder / PREPROCESSOR_FILE)
    backbone = Backbone(_network_config(read_json(folder / CONFIG_FILE)))
    weights = Weights(folder)
    ignored = _load_weights(backbone, weights)
    try:
        sample_rate_hz, normalize = int(preprocessor["sampling_rate"]), bool(preprocessor["do_normalize"])
    except KeyError as error:
        raise SnapshotError(f"{PREPROCESSOR_FILE} has no {error}") from error
    return Snapshot(backbone.eval(), sample_rate_hz, normalize, ignored, weights.metadata.get(RECIPE_KEY, ""))


def read_json(path: Path) -> dict[str, Any]:
    """A JSON file that holds an object. Raises `SnapshotError` naming the file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SnapshotError(f"{path.name}: {error}") from error
    if not isinstance(content, dict):
        raise SnapshotError(f"{path.name} is not a JSON object")
    return content


def _network_config(content: Mapping[str, Any]) -> HubertConfig:
    """MERT's configuration as HubertConfig's; masking and layer drop, which only pretraining uses, are off."""
    kept = {key: value for key, value in content.items() if key not in ("auto_map", "architectures", "model_type")}
    kept |= {"apply_spec_augment": False, "mask_time_prob": 0.0, "mask_feature_prob": 0.0, "layerdrop": 0.0}
    return HubertConfig(**kept)


def _load_weights(backbone: Backbone, weights: Weights) -> tuple[str, ...]:
    """Copies the checkpoint's tensors into `backbone`; returns the names of those that it has no place for."""
    wanted = backbone.hubert.state_dict()
    tensors = {name: weights.tensor(name) for name in weights.names if name in wanted}
    problems = [f"{name} is missing" for name in wanted if name not in tensors]
    problems += [
        f"{name} is {list(tensor.shape)} instead of {list(wanted[name].shape)}"
        for name, tensor in tensors.items()
        if tensor.shape != wanted[name].shape
    ]
    extra = sorted(name for name in weights.names if name not in wanted)
    problems += [f"{name} has no place in the network" for name in extra if is_network(name)]
    if problems:
        raise SnapshotError("the weights don't fit config.json:\n" + "\n".join(f"  - {line}" for line in problems))
    backbone.hubert.load_state_dict(tensors)
    return tuple(extra)
