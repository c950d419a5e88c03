"""The manifest of a bundle: how it is started, written, read and checked against itself.

The schema is `culturetag/v1/bundle.proto`, which the server reads too; its comments say what each field means.
"""

import json
import re
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePosixPath
from typing import TypeVar

from google.protobuf import json_format
from google.protobuf.duration_pb2 import Duration

from culturetag.v1.bundle_pb2 import BundleHead, BundleManifest

MANIFEST_FILE = "manifest.json"

_Message = TypeVar("_Message", BundleManifest, BundleHead)

_NAME = re.compile(r"[a-z0-9_.-]{1,63}")
_METRICS = {"roc_auc", "map", "micro_f1", "macro_f1"}


def new_manifest(
    *,
    name: str,
    version: str,
    backbone: str,
    license: str,
    description: str,
    normalize: bool,
    sample_rate_hz: int = 24_000,
    heads: Sequence[BundleHead] = (),
) -> BundleManifest:
    """A manifest with the MERT family's windows: 5 s, a hop of 5 s, clips from 0.5 s.

    What the files decide (`layer_count`, `hidden_size`, `torch_version`, `sha256`, each head's `file`) is filled in by
    `culturetag_model.bundle.write_bundle`.
    """
    return BundleManifest(
        name=name,
        version=version,
        backbone=backbone,
        license=license,
        description=description,
        sample_rate_hz=sample_rate_hz,
        window=Duration(seconds=5),
        hop=Duration(seconds=5),
        min_clip=Duration(nanos=500_000_000),
        normalize=normalize,
        heads=heads,
    )


def samples(duration: Duration, sample_rate_hz: int) -> int:
    """The whole number of samples in `duration`. Raises `ValueError` if it isn't whole."""
    count, rest = divmod(duration.ToNanoseconds() * sample_rate_hz, 10**9)
    if rest:
        raise ValueError(f"{duration.ToJsonString()} is not a whole number of samples at {sample_rate_hz} Hz")
    return count


def write_manifest(manifest: BundleManifest, folder: Path) -> None:
    """Writes `manifest.json`: fields in the schema's order and digests by path, so equal manifests are equal files."""
    content = json_format.MessageToDict(manifest, always_print_fields_with_no_presence=True)
    content["sha256"] = dict(sorted(content["sha256"].items()))
    text = json.dumps(content, indent=2, ensure_ascii=False)
    (folder / MANIFEST_FILE).write_text(text + "\n", encoding="utf-8")


def read_manifest(folder: Path) -> BundleManifest:
    """Reads `manifest.json` of `folder`.

    Raises:
        OSError: There is no such file.
        ValueError: It isn't the JSON form of a BundleManifest; unknown fields are an error too.
    """
    return parse_json(folder / MANIFEST_FILE, BundleManifest())


def parse_json(path: Path, message: _Message) -> _Message:
    """Fills `message` from the proto3 JSON file `path` and returns it. Raises `OSError` or `ValueError`."""
    try:
        return json_format.Parse(path.read_text(encoding="utf-8"), message)
    except (json_format.ParseError, UnicodeDecodeError) as error:
        raise ValueError(f"{path.name} is not a {message.DESCRIPTOR.name} in JSON: {error}") from error


def manifest_problems(manifest: BundleManifest) -> list[str]:
    """What is wrong with a complete manifest by itself, in words; empty if nothing is."""
    problems = [f"{field} is empty" for field in ("version", "backbone", "license") if not getattr(manifest, field)]
    if not _NAME.fullmatch(manifest.name):
        problems.append(f"name {manifest.name!r} is not 1 to 63 of a-z, 0-9, '-', '_' and '.'")
    if " " in manifest.version:
        problems.append(f"version {manifest.version!r} holds a space")
    problems += _window_problems(manifest)
    problems += _repeated("head", (head.name for head in manifest.heads))
    for head in manifest.heads:
        problems += head_problems(head)
    return problems


def head_problems(head: BundleHead) -> list[str]:
    """What is wrong with one head's description by itself, in words."""
    problems = []
    if not _NAME.fullmatch(head.name):
        problems.append(f"head name {head.name!r} is not 1 to 63 of a-z, 0-9, '-', '_' and '.'")
    if not head.labels:
        problems.append(f"head {head.name} has no labels")
    problems += _repeated(f"label of head {head.name}", (label.name for label in head.labels))
    for metric in head.metrics:
        if metric.name not in _METRICS or not 0.0 <= metric.value <= 1.0 or not metric.protocol:
            problems.append(
                f"head {head.name}: metric {metric.name!r} = {metric.value:g} must be one of {sorted(_METRICS)}, "
                "lie in [0, 1] and state its protocol"
            )
    return problems


def is_inside(path: str) -> bool:
    """Whether a manifest's relative path with `/` stays inside the bundle."""
    pure = PurePosixPath(path)
    return bool(path) and not pure.is_absolute() and ".." not in pure.parts and "\\" not in path


def _window_problems(manifest: BundleManifest) -> list[str]:
    if manifest.sample_rate_hz <= 0:
        return [f"sample_rate_hz is {manifest.sample_rate_hz}"]
    problems, lengths = [], {}
    for field in ("window", "hop", "min_clip"):
        try:
            lengths[field] = samples(getattr(manifest, field), manifest.sample_rate_hz)
        except ValueError as error:
            problems.append(f"{field}: {error}")
    if problems:
        return problems
    for field, length in lengths.items():
        if not 0 < length <= lengths["window"]:
            problems.append(f"{field} of {length} samples is not in [1, {lengths['window']}], the window's length")
    return problems


def _repeated(what: str, names: Iterable[str]) -> list[str]:
    seen, problems = set(), []
    for name in names:
        if name in seen:
            problems.append(f"{what} {name!r} stands there twice")
        seen.add(name)
    return problems
