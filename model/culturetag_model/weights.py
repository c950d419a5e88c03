"""The tensors of a checkpoint on disk, one at a time, under the names of transformers' HubertModel.

Neither format can run code here: safetensors holds nothing but numbers, and pickles are read with PyTorch's
`weights_only`. Both are memory-mapped: a tensor of a safetensors file is in memory only while it is in use, and the
pages of a pickle are the kernel's to take back.
"""

import zipfile
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors import safe_open
from torch import Tensor

from culturetag_model.errors import CultureTagModelError

SAFETENSORS, PICKLE = "model.safetensors", "pytorch_model.bin"

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


class Weights:
    """The weights file of a checkpoint."""

    def __init__(self, folder: Path):
        """Looks into `model.safetensors` or else `pytorch_model.bin` of `folder`.

        Raises:
            SnapshotError: Neither is there or can be read, or two tensors are the same under HubertModel's names.
        """
        self.path = next((folder / name for name in (SAFETENSORS, PICKLE) if (folder / name).is_file()), None)
        if self.path is None:
            raise SnapshotError(f"{folder} holds neither {SAFETENSORS} nor {PICKLE}")
        self.metadata: Mapping[str, str] = {}
        """What a safetensors file says about itself."""
        try:
            stored = self._open()
        except Exception as error:  # Either library raises many kinds for a damaged file.
            raise SnapshotError(f"the weights of {folder} cannot be read: {error}") from error
        self._stored = {_canonical(name): name for name in stored}
        if len(self._stored) != len(stored):
            raise SnapshotError(f"the weights of {folder} hold a tensor twice, under an old and a new name")

    @property
    def names(self) -> list[str]:
        """The canonical names of all tensors, in the file's order."""
        return list(self._stored)

    def tensor(self, name: str) -> Tensor:
        """The tensor of a canonical name. Raises `KeyError` if there is none."""
        stored = self._stored[name]
        if self._pickled is not None:
            return self._pickled[stored]
        # Opened for each tensor: a mapping that stays open keeps every page that was ever read.
        with safe_open(self.path, framework="pt") as file:
            return file.get_tensor(stored)

    def _open(self) -> list[str]:
        if self.path.name == SAFETENSORS:
            self._pickled = None
            with safe_open(self.path, framework="pt") as file:
                self.metadata = file.metadata() or {}
                return list(file.keys())
        # Files of before PyTorch 1.6 are no zip archives and can't be mapped.
        mapped = zipfile.is_zipfile(self.path)
        self._pickled = torch.load(self.path, map_location="cpu", weights_only=True, mmap=mapped)
        return list(self._pickled)


def is_network(name: str) -> bool:
    """Whether a canonical name belongs to the network itself rather than to its pretraining."""
    return name.startswith(_NETWORK)


def _canonical(name: str) -> str:
    for wrapper in _WRAPPERS:
        name = name.removeprefix(wrapper)
    return _RENAMED.get(name, name)
