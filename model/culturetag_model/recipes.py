"""What the commands `export` and `bundle create` do, without the command line.

An exported backbone is kept as a bundle without heads, so that one schema carries its licence, its preprocessing and
its shape to `bundle create`.
"""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from culturetag.v1.bundle_pb2 import BundleHead, BundleManifest
from culturetag_model.backbone import Backbone, build_backbone, mert_config
from culturetag_model.bundle import BACKBONE_FILE, LICENSE_FILE, read_bundle, write_bundle
from culturetag_model.errors import CultureTagModelError
from culturetag_model.heads import ProbeHead
from culturetag_model.manifest import new_manifest, parse_json
from culturetag_model.runs import chosen_head, trained_heads
from culturetag_model.snapshot import load_snapshot, resolve
from culturetag_model.vocabularies import HEAD_NAMES, vocabulary

_RANDOM_LICENSE = "The weights of this model are random numbers; nobody claims rights in them (CC0-1.0).\n"
_HEAD_WIDTH = 64
"""The width of an attention head in every model of the MERT family."""


@dataclass(frozen=True)
class BackboneSource:
    """A backbone with all that a bundle says about it."""

    backbone: Backbone
    manifest: BundleManifest
    license_text: str
    ignored: tuple[str, ...] = ()
    """Names of the checkpoint's tensors that aren't part of the backbone."""


def checkpoint_source(folder_or_id: str, license: str, name: str | None, version: str) -> BackboneSource:
    """Loads a checkpoint. Raises `SnapshotError` or `UnsupportedLayoutError`."""
    folder = resolve(folder_or_id)
    snapshot = load_snapshot(folder)
    identifier = Path(folder_or_id).resolve().name if Path(folder_or_id).is_dir() else folder_or_id
    manifest = new_manifest(
        name=name or re.sub(r"[^a-z0-9_.-]+", "-", identifier.rpartition("/")[2].lower())[:63],
        version=version,
        backbone=identifier,
        license=license,
        description=f"The backbone {identifier}, exported without change.{_merged(snapshot.recipe)}",
        normalize=snapshot.normalize,
        sample_rate_hz=snapshot.sample_rate_hz,
    )
    licences = sorted(folder.glob("LICENSE*"))
    if licences:
        license_text = licences[0].read_text(encoding="utf-8")
    else:
        license_text = f"The weights of {identifier} come under {license}, as its publisher states.\n"
    return BackboneSource(snapshot.backbone, manifest, license_text, snapshot.ignored)


def _merged(recipe: str) -> str:
    """A sentence about the models that a snapshot was merged from, after a space; empty without a recipe."""
    if not recipe:
        return ""
    content = json.loads(recipe)
    models = ", ".join(model["name"] for model in content["models"])
    return f" Merged by task arithmetic: {content['base']['name']} + {content['lambda']:g} * sum({models})."


def random_source(layers: int, hidden: int, channels: int, seed: int, name: str | None, version: str) -> BackboneSource:
    """A backbone of the MERT architecture with random weights, named as that in its manifest."""
    if min(layers, channels) < 1 or hidden < 1 or hidden % _HEAD_WIDTH:
        raise CultureTagModelError(f"layers and channels must be positive, and hidden a multiple of {_HEAD_WIDTH}")
    config = mert_config(
        layers=layers,
        hidden=hidden,
        heads=hidden // _HEAD_WIDTH,
        intermediate=4 * hidden,
        conv_dim=(channels,) * 7,
    )
    manifest = new_manifest(
        name=name or f"random-{layers}x{hidden}",
        version=version,
        backbone=f"random weights, {layers} layers of {hidden}, seed {seed}",
        license="CC0-1.0",
        description="Random weights, for load tests.",
        normalize=True,
    )
    return BackboneSource(build_backbone(config, seed), manifest, _RANDOM_LICENSE)


def export(source: BackboneSource, output: Path, force: bool) -> None:
    """Writes a bundle without heads. Raises as `write_bundle` does."""
    write_bundle(
        output,
        source.manifest,
        backbone=source.backbone,
        heads={},
        license_text=source.license_text,
        force=force,
    )


def bundle_heads(backbone: Path, heads: Sequence[Path], fields: Mapping[str, str], output: Path, force: bool) -> None:
    """Adds exported heads to an exported backbone.

    Args:
        backbone: A bundle whose backbone is taken.
        heads: BundleHead in JSON, each with `file` relative to it.
        fields: Fields of the manifest that replace the backbone's: `name`, `version`, `description`.
        output: The new bundle.
        force: Whether a bundle that stands there is replaced.

    Raises:
        CultureTagModelError: A file is unreadable, or the parts disagree.
    """
    described = {path: _read_head(path) for path in heads}
    files = {head.name: path.parent / head.file for path, head in described.items()}
    _bundle(backbone, list(described.values()), files, fields, output, force)


def bundle_probes(backbone: Path, probes: Path, fields: Mapping[str, str], output: Path, force: bool) -> None:
    """Adds the probes that `culturetag-model train` wrote to the backbone that they were trained on.

    Of each head the seed with the best validation mAP is taken; its test figures go into the manifest, if `evaluate`
    measured them.

    Raises:
        CultureTagModelError: There are no probes, or they were trained on another backbone.
    """
    manifest = read_bundle(backbone).manifest
    heads, modules = [], {}
    for folder in trained_heads(probes):
        head, module, identity = chosen_head(folder)
        # Features of a server name no file; its backbone's id is what there is to compare.
        expected = (
            ("sha256", manifest.sha256[BACKBONE_FILE]) if "sha256" in identity else ("backbone", manifest.backbone)
        )
        if identity[expected[0]] != expected[1]:
            raise CultureTagModelError(
                f"the probe {head.name} was trained on the backbone {identity['backbone']} ({identity[expected[0]]}), "
                f"and {backbone} holds {manifest.backbone} ({expected[1]})"
            )
        heads.append(head)
        modules[head.name] = module
    _bundle(backbone, heads, modules, fields, output, force)


def bundle_random_heads(backbone: Path, seed: int, fields: Mapping[str, str], output: Path, force: bool) -> None:
    """Adds six random heads with the real vocabularies, whose titles and descriptions say that they are random."""
    manifest = read_bundle(backbone).manifest
    heads, modules = [], {}
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        for name in HEAD_NAMES:
            head = vocabulary(name)
            head.title += f" (random weights, seed {seed})"
            heads.append(head)
            modules[name] = ProbeHead(manifest.layer_count, manifest.hidden_size, len(head.labels))
    random_fields = {
        "name": f"{manifest.name}-random-heads",
        "description": f"{manifest.description} The heads are random: the scores mean nothing.",
    }
    _bundle(backbone, heads, modules, random_fields | fields, output, force)


def _bundle(
    backbone: Path,
    heads: Sequence[BundleHead],
    modules: Mapping[str, ProbeHead | Path],
    fields: Mapping[str, str],
    output: Path,
    force: bool,
) -> None:
    manifest = read_bundle(backbone).manifest
    del manifest.heads[:]
    manifest.MergeFrom(BundleManifest(heads=heads, **fields))
    write_bundle(
        output,
        manifest,
        backbone=backbone / BACKBONE_FILE,
        heads=modules,
        license_text=(backbone / LICENSE_FILE).read_text(encoding="utf-8"),
        force=force,
    )


def _read_head(path: Path) -> BundleHead:
    try:
        head = parse_json(path, BundleHead())
    except (OSError, ValueError) as error:
        raise CultureTagModelError(str(error)) from error
    if not (path.parent / head.file).is_file():
        raise CultureTagModelError(f"{path.name}: its file {head.file!r} is not there")
    return head
