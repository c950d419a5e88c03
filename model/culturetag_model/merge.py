"""Task arithmetic: one model out of several that were trained on from the same base.

    theta = theta_0 + lambda * sum_i (theta_i - theta_0)

Ilharco et al. 2023, arXiv:2212.04089. CultureMERT-TA-95M is the merge of four single-culture continuations of
MERT-v1-95M with lambda = 0.2 (Kanatas et al. 2025, arXiv:2506.17818).

Memory stays at two models: the result grows in memory while every other tensor is read, added and dropped.
"""

import json
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import save_file
from torch import Tensor

from culturetag_model.errors import CultureTagModelError
from culturetag_model.files import sha256
from culturetag_model.snapshot import CONFIG_FILE, PREPROCESSOR_FILE, RECIPE_KEY, read_json
from culturetag_model.weights import SAFETENSORS, Weights, is_network

# What two checkpoints can differ in without a difference in the shape of any tensor.
_MUST_AGREE = {
    CONFIG_FILE: (
        *("num_attention_heads", "conv_stride", "hidden_act", "layer_norm_eps", "feat_extract_norm"),
        *("do_stable_layer_norm", "feature_extractor_cqt", "deepnorm", "attention_relax"),
    ),
    PREPROCESSOR_FILE: ("sampling_rate", "do_normalize"),
}


class MergeError(CultureTagModelError):
    """Two checkpoints don't fit. The message lists everything that disagrees."""


def merge(base: Path, models: Sequence[Path], scale: float, output: Path, *, force: bool = False) -> None:
    """Writes the snapshot of the merged network to the folder `output`.

    The weights are `model.safetensors` in the base's precision, computed in float64; their metadata hold the recipe:
    base, models, lambda, and the SHA-256 of every weights file. Configuration and licence are the base's. Tensors that
    only pretraining uses are left out.

    Args:
        base: theta_0, a snapshot.
        models: theta_i, snapshots of networks of the same shape.
        scale: lambda.
        output: A folder that doesn't exist yet.
        force: Whether a snapshot that stands there is replaced.

    Raises:
        MergeError: Tensors or configurations disagree; nothing is written.
        culturetag_model.weights.SnapshotError: A checkpoint is unreadable.
        FileExistsError: `output` exists and `force` is false, or it is no snapshot.
    """
    if not models:
        raise MergeError("a merge needs at least one model beside the base")
    _check_replaceable(output, force)
    first, others = Weights(base), [Weights(model) for model in models]
    problems = [problem for model in models for problem in _config_problems(base, model)]
    problems += [problem for model in others for problem in _tensor_problems(first, model)]
    if problems:
        raise MergeError("the models can't be merged:\n" + "\n".join(f"  - {problem}" for problem in problems))
    names = [name for name in first.names if is_network(name)]
    merged = {name: _combined(first.tensor(name), [other.tensor(name) for other in others], scale) for name in names}
    recipe = {
        "formula": "base + lambda * sum(model - base)",
        "lambda": scale,
        "base": _described(base, first),
        "models": [_described(model, weights) for model, weights in zip(models, others, strict=True)],
    }
    _write_snapshot(base, merged, recipe, output)


def _combined(base: Tensor, models: Sequence[Tensor], scale: float) -> Tensor:
    exact = base.double()
    difference = torch.zeros_like(exact)
    for model in models:
        difference += model.double() - exact
    return (exact + scale * difference).to(base.dtype)


def _config_problems(base: Path, model: Path) -> list[str]:
    problems = []
    for file, keys in _MUST_AGREE.items():
        expected, actual = read_json(base / file), read_json(model / file)
        problems += [
            f"{model.name}: {key} of {file} is {actual.get(key)!r}, and the base's is {expected.get(key)!r}"
            for key in keys
            if actual.get(key) != expected.get(key)
        ]
    return problems


def _tensor_problems(base: Weights, model: Weights) -> list[str]:
    where = model.path.parent.name
    wanted = {name for name in base.names if is_network(name)}
    found = {name for name in model.names if is_network(name)}
    problems = [f"{where}: {name} is missing" for name in sorted(wanted - found)]
    problems += [f"{where}: {name} has no place in the base" for name in sorted(found - wanted)]
    for name in sorted(wanted & found):
        shape, expected = list(model.tensor(name).shape), list(base.tensor(name).shape)
        if shape != expected:
            problems.append(f"{where}: {name} is {shape} instead of {expected}")
    return problems


def _described(folder: Path, weights: Weights) -> dict[str, str]:
    return {"name": folder.resolve().name, "sha256": sha256(weights.path)}


def _check_replaceable(output: Path, force: bool) -> None:
    if not output.exists():
        return
    if not force:
        raise FileExistsError(f"{output} exists; force replaces it")
    if not (output / SAFETENSORS).is_file():
        raise FileExistsError(f"{output} exists and is no snapshot, so it is not replaced")


def _write_snapshot(base: Path, tensors: dict[str, Tensor], recipe: dict[str, Any], output: Path) -> None:
    """Writes beside `output` first, so that a snapshot under its name is complete."""
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{output.name}.", dir=output.parent) as temporary:
        draft = Path(temporary) / "snapshot"
        draft.mkdir()
        for path in (base / CONFIG_FILE, base / PREPROCESSOR_FILE, *sorted(base.glob("LICENSE*"))):
            shutil.copyfile(path, draft / path.name)
        metadata = {"format": "pt", RECIPE_KEY: json.dumps(recipe, ensure_ascii=False)}
        save_file(tensors, draft / SAFETENSORS, metadata=metadata)
        if output.exists():
            shutil.rmtree(output)
        draft.rename(output)
