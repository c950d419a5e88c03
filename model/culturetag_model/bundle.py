"""Writes and reads model bundles: the folder of a manifest, a backbone, heads and a licence that the server loads.

Writing is all or nothing: a bundle appears under its name only when it is complete and has been read back. Reading
trusts nothing: digests, shapes and label counts are checked, and everything that disagrees is named at once.
"""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from culturetag.v1.bundle_pb2 import BundleHead, BundleManifest
from culturetag_model.backbone import Backbone
from culturetag_model.errors import CultureTagModelError
from culturetag_model.export import export_backbone, export_head
from culturetag_model.files import sha256
from culturetag_model.heads import UNTRAINED_LOGIT, ProbeHead
from culturetag_model.manifest import (
    MANIFEST_FILE,
    is_inside,
    manifest_problems,
    read_manifest,
    samples,
    write_manifest,
)

BACKBONE_FILE = "backbone.ts"
LICENSE_FILE = "LICENSE"


class BundleError(CultureTagModelError):
    """A folder is no valid bundle. `problems` lists everything that disagrees, one sentence each."""

    def __init__(self, folder: Path, problems: list[str]):
        super().__init__(f"{folder} is not a valid bundle:\n" + "\n".join(f"  - {problem}" for problem in problems))
        self.problems = problems


@dataclass(frozen=True)
class Bundle:
    """A bundle in memory, verified by `read_bundle`."""

    manifest: BundleManifest
    backbone: torch.jit.ScriptModule
    """`[B, T] -> [B, L, D]`."""
    heads: dict[str, torch.jit.ScriptModule]
    """`[B, L, D] -> [B, K]` logits, by head name, in the manifest's order."""


def write_bundle(
    folder: Path,
    manifest: BundleManifest,
    *,
    backbone: Backbone | Path,
    heads: Mapping[str, ProbeHead | Path],
    license_text: str,
    force: bool = False,
) -> None:
    """Writes a verified bundle to `folder`.

    Args:
        folder: The bundle's folder; its parent is made if need be.
        manifest: What the caller says of the model, from `new_manifest`. Left as it is: the fields that the files
            decide are filled in on a copy.
        backbone: The module, which is exported, or a `backbone.ts` that was exported before, which is copied; for a
            file the caller also sets the manifest's `layer_count` and `hidden_size`.
        heads: By name, one for each of `manifest.heads`: the module or its exported file, likewise.
        license_text: The content of the file `LICENSE`.
        force: Whether a bundle that stands at `folder` is replaced.

    Raises:
        FileExistsError: `folder` exists and `force` is false, or it holds something else than a bundle.
        BundleError: The parts disagree, for example in the number of labels; nothing is written.
        culturetag_model.export.ExportError: A module can't be exported exactly; nothing is written.
    """
    _check_replaceable(folder, force)
    names = [head.name for head in manifest.heads]
    if set(names) != set(heads):
        raise BundleError(folder, [f"the manifest names the heads {names}, but there are files for {list(heads)}"])
    complete = BundleManifest()
    complete.CopyFrom(manifest)
    with _sibling(folder) as draft:
        _write_files(draft, complete, backbone, heads, license_text)
        try:
            read_bundle(draft)
        except BundleError as error:
            raise BundleError(folder, error.problems) from None
        if folder.exists():
            shutil.rmtree(folder)
        draft.rename(folder)


def read_bundle(folder: Path) -> Bundle:
    """Reads and verifies a bundle: its manifest, every digest, and by running them the shapes of backbone and heads.

    Raises:
        BundleError: Naming everything that disagrees.
    """
    try:
        manifest = read_manifest(folder)
    except (OSError, ValueError) as error:
        raise BundleError(folder, [str(error)]) from error
    problems = manifest_problems(manifest) + _digest_problems(folder, manifest)
    if problems:
        raise BundleError(folder, problems)
    try:
        bundle = Bundle(
            manifest=manifest,
            backbone=torch.jit.load(folder / BACKBONE_FILE),
            heads={head.name: torch.jit.load(folder / head.file) for head in manifest.heads},
        )
    except RuntimeError as error:
        raise BundleError(folder, [f"a file is no TorchScript: {error}"]) from error
    problems = _shape_problems(bundle)
    if problems:
        raise BundleError(folder, problems)
    return bundle


def _check_replaceable(folder: Path, force: bool) -> None:
    if not folder.exists():
        return
    if not force:
        raise FileExistsError(f"{folder} exists; force replaces it")
    if not folder.is_dir() or (any(folder.iterdir()) and not (folder / MANIFEST_FILE).is_file()):
        raise FileExistsError(f"{folder} exists and is no bundle, so it is not replaced")


@contextmanager
def _sibling(folder: Path) -> Iterator[Path]:
    """A temporary folder on the same file system as `folder`, gone at the end unless it was renamed."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{folder.name}.", dir=folder.parent))
    draft.chmod(0o755)
    try:
        yield draft
    finally:
        shutil.rmtree(draft, ignore_errors=True)


def _write_files(
    draft: Path,
    manifest: BundleManifest,
    backbone: Backbone | Path,
    heads: Mapping[str, ProbeHead | Path],
    license_text: str,
) -> None:
    """Writes every file of the bundle and fills in the fields of `manifest` that they decide."""
    _place(backbone, draft / BACKBONE_FILE)
    if isinstance(backbone, Backbone):
        manifest.layer_count, manifest.hidden_size = backbone.layer_count, backbone.hidden_size
    for head in manifest.heads:
        head.file = f"heads/{head.name}.ts"
        (draft / "heads").mkdir(exist_ok=True)
        _place(heads[head.name], draft / head.file)
    (draft / LICENSE_FILE).write_text(license_text, encoding="utf-8")
    manifest.torch_version = torch.__version__.partition("+")[0]
    manifest.sha256.clear()
    manifest.sha256.update({path: sha256(draft / path) for path in _files(draft)})
    write_manifest(manifest, draft)


def _place(source: Backbone | ProbeHead | Path, target: Path) -> None:
    if isinstance(source, Backbone):
        export_backbone(source, target)
    elif isinstance(source, ProbeHead):
        export_head(source, target)
    else:
        shutil.copyfile(source, target)


def _files(folder: Path) -> list[str]:
    """Every file of a bundle but the manifest, relative to `folder`, with `/`."""
    paths = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file())
    return [path for path in paths if path != MANIFEST_FILE]


def _digest_problems(folder: Path, manifest: BundleManifest) -> list[str]:
    problems = []
    for path, digest in sorted(manifest.sha256.items()):
        if not is_inside(path):
            problems.append(f"sha256 names {path!r}, which is not inside the bundle")
        elif not (folder / path).is_file():
            problems.append(f"{path} is missing")
        elif (actual := sha256(folder / path)) != digest:
            problems.append(f"{path} has SHA-256 {actual}, and the manifest says {digest}")
    needed = [BACKBONE_FILE, *(head.file for head in manifest.heads)]
    problems += [f"sha256 has no entry for {path!r}" for path in needed if path not in manifest.sha256]
    if not any(path.startswith(LICENSE_FILE) for path in manifest.sha256):
        problems.append("there is no LICENSE file")
    problems += [f"{path} is not in the manifest" for path in _files(folder) if path not in manifest.sha256]
    return problems


def _shape_problems(bundle: Bundle) -> list[str]:
    """Runs the files on noise of one window and of the shortest clip."""
    manifest = bundle.manifest
    generator = torch.Generator().manual_seed(0)
    expected = [1, manifest.layer_count, manifest.hidden_size]
    for duration in (manifest.min_clip, manifest.window):
        length = samples(duration, manifest.sample_rate_hz)
        try:
            states = _run(bundle.backbone, 0.1 * torch.randn(1, length, generator=generator))
        except RuntimeError as error:
            return [f"{BACKBONE_FILE} fails on {length} samples: {str(error).strip().splitlines()[-1]}"]
        if list(states.shape) != expected:
            return [f"{BACKBONE_FILE} gives {list(states.shape)}, and the manifest says {expected}"]
        if not states.isfinite().all():
            return [f"{BACKBONE_FILE} gives values that are not finite"]
    return [problem for head in manifest.heads for problem in _head_problems(head, bundle.heads[head.name], states)]


def _head_problems(head: BundleHead, script: torch.jit.ScriptModule, states: Tensor) -> list[str]:
    try:
        logits = _run(script, states)
    except RuntimeError as error:
        return [f"{head.file} fails on {list(states.shape)}: {str(error).strip().splitlines()[-1]}"]
    if list(logits.shape) != [1, len(head.labels)]:
        return [f"{head.file} gives {list(logits.shape)}, and the manifest has {len(head.labels)} labels"]
    return [
        f"{head.file} gives {label.name!r} the logit {logit:g}, but its untrained_reason is {label.untrained_reason!r}"
        for label, logit in zip(head.labels, logits[0].tolist(), strict=True)
        if bool(label.untrained_reason) != (logit == UNTRAINED_LOGIT)
    ]


def _run(script: torch.jit.ScriptModule, inputs: Tensor) -> Tensor:
    with torch.no_grad():
        return script(inputs)
