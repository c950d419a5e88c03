"""Turns the trained demo model into a bundle."""

import json
from pathlib import Path

from culturetag.v1.bundle_pb2 import BundleHead, BundleMetric
from culturetag_model.bundle import read_bundle, sha256, write_bundle
from culturetag_model.demo.evaluate import FIGURES_FILE, PROTOCOL, markdown
from culturetag_model.demo.network import load_model
from culturetag_model.demo.showcase import write_melody
from culturetag_model.demo.tables import load_tables
from culturetag_model.demo.train import LOG_FILE
from culturetag_model.manifest import new_manifest, read_manifest, write_manifest
from culturetag_model.vocabularies import HEAD_NAMES, vocabulary

NAME = "demo"
REPORT_FILE = "EVALUATION.md"
MELODY_FILE = "melody.flac"
MELODY_SECONDS = 14.0
MELODY_RATE_HZ = 16_000
"""Low, to keep the file small."""
DESCRIPTION = (
    "A small demonstration model, trained only on synthetic renderings of melodies through General MIDI soundfonts. "
    "Its tags on real music mean nothing."
)
LICENSE_TEXT = """Copyright 2026 The culturetag authors

The weights in this bundle are licensed under the Apache License, Version 2.0 (the "License"); you may not use them
except in compliance with the License. You may obtain a copy of the License at

    http://www.apache.org/licenses/LICENSE-2.0

Unless required by applicable law or agreed to in writing, they are distributed on an "AS IS" BASIS, WITHOUT WARRANTIES
OR CONDITIONS OF ANY KIND, either express or implied. See the License for the specific language governing permissions
and limitations under the License.

They were trained on audio rendered with the soundfonts FluidR3_GM (MIT) and TimGM6mb (GPL-2.0), neither of which is
part of this bundle.
"""


_CLOSING = """
How this model was trained: {steps} steps of {batch} windows, drawn from {backbone_clips} clips of 10 s; then the probes
were fitted once more, on {clips} clips. The front end keeps its initial weights, a filter bank; the transformer started
at random.

`melody.flac`, which `scripts/demo` tags, is number {melody_seed} of the melodies in makam {makam} that neither training
nor these figures use.
"""


def write_demo_bundle(cache: Path, folder: Path, *, version: str, makam: str, melody_seed: int, force: bool) -> None:
    """Writes the bundle of `model.pt` with the figures of `evaluation.json`, both in the cache.

    Beside what every bundle holds it has a report (`EVALUATION.md`) and a melody to try it with (`melody.flac`), in a
    makam and from a seed of the split `demo`.

    Raises:
        FileNotFoundError: The model hasn't been trained or evaluated, or the soundfonts aren't installed.
        FileExistsError, culturetag_model.bundle.BundleError, culturetag_model.export.ExportError: See `write_bundle`.
    """
    model = load_model(cache / "model.pt")
    figures = json.loads((cache / FIGURES_FILE).read_text(encoding="utf-8"))
    manifest = new_manifest(
        name=NAME,
        version=version,
        backbone="culturetag-demo",
        license="Apache-2.0",
        description=DESCRIPTION,
        normalize=True,
        heads=[_described_head(name, figures) for name in HEAD_NAMES],
    )
    heads = {name: model.heads[name] for name in HEAD_NAMES}
    write_bundle(folder, manifest, backbone=model.backbone, heads=heads, license_text=LICENSE_TEXT, force=force)
    with (cache / LOG_FILE).open(encoding="utf-8") as log:
        closing = _CLOSING.format(**json.loads(log.readline()), makam=makam, melody_seed=melody_seed)
    (folder / REPORT_FILE).write_text(markdown(figures) + closing, encoding="utf-8")
    write_melody(folder / MELODY_FILE, makam, melody_seed, MELODY_SECONDS, MELODY_RATE_HZ)
    _list_files(folder, (REPORT_FILE, MELODY_FILE))


def _list_files(folder: Path, names: tuple[str, ...]) -> None:
    """Adds files to a bundle's manifest, which has to name every file, and checks the whole."""
    manifest = read_manifest(folder)
    for name in names:
        manifest.sha256[name] = sha256(folder / name)
    write_manifest(manifest, folder)
    read_bundle(folder)


def _described_head(name: str, figures: dict) -> BundleHead:
    """The head of the vocabulary with its untrained labels' reasons and its measured figures."""
    head = vocabulary(name)
    reasons = load_tables().untrained.get(name, {})
    for label in head.labels:
        label.untrained_reason = reasons.get(label.name, "")
    row, unheard = (figures[split]["heads"][name] for split in ("test", "unheard"))
    for metric, key in (("roc_auc", "roc_auc"), ("map", "mean_average_precision")):
        protocol = PROTOCOL.format(
            tracks=row["tracks"], labels=row["labels"], unheard_tracks=unheard["tracks"], unheard=unheard[key]
        )
        head.metrics.append(BundleMetric(name=metric, value=round(row[key], 4), protocol=protocol))
    return head
