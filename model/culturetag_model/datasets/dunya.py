"""The Turkish-makam, Hindustani and Carnatic corpora of CompMusic, fetched from Dunya (dunya.compmusic.upf.edu).

    ROOT/audios/MBID.mp3        the recording with that MusicBrainz id
    ROOT/metadata/MBID.json     what Dunya's API answers for it

The audio folder is that of the cross-cultural transfer study (github.com/pxaris/ccml, preprocessing/dunya). The JSON is
the answer of `api/TRADITION/recording/MBID`, which `compmusic.dunya.TRADITION.get_recording` of github.com/MTG/
pycompmusic returns; the fields that hold labels are those that the study's get_metadata.py reads.
"""

import json
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from culturetag_model.datasets.recordings import Dataset, DatasetError, Recording, audio_files, new_dataset
from culturetag_model.datasets.splits import split_for
from culturetag_model.vocabularies import vocabulary

# By head and category: the list of a recording's JSON, and the path to the label's name in one of its items.
FIELDS = {
    "makam": {
        "makam": ("makamlist", ("name",)),
        "usul": ("usullist", ("name",)),
        "instrument": ("performers", ("instrument", "name")),
    },
    "hindustani": {
        "raga": ("raags", ("common_name",)),
        "tala": ("taals", ("common_name",)),
        "form": ("forms", ("common_name",)),
        "instrument": ("artists", ("instrument", "name")),
    },
    "carnatic": {
        "raga": ("raaga", ("common_name",)),
        "tala": ("taala", ("common_name",)),
        "form": ("form", ("name",)),
        "instrument": ("artists", ("instrument", "name")),
    },
}

# Only the start of a recording is used, so that long concerts don't outweigh the rest: seconds, from the study's
# config.py (MAX_AUDIO_DURATION).
_MAX_SECONDS = {"makam": 150.0, "hindustani": 780.0, "carnatic": 330.0}


def detect(root: Path) -> str | None:
    """The head whose metadata `root` holds, by the first JSON file; None if it isn't a corpus of Dunya."""
    path = next(iter(sorted((root / "metadata").glob("*.json"))), None)
    if path is None:
        return None
    keys = _read(path).keys()
    return next((head for head, fields in FIELDS.items() if all(key in keys for key, _ in fields.values())), None)


def load(head: str, root: Path) -> Dataset:
    """Reads a corpus of Dunya; labels that aren't in the head's vocabulary are left out.

    Raises:
        DatasetError: The metadata folder is missing, or a file of it doesn't have the fields of this corpus.
    """
    if not (root / "metadata").is_dir():
        raise DatasetError(f"{root} has no folder metadata")
    labels = {path.stem: _labels(head, path) for path in sorted((root / "metadata").glob("*.json"))}
    audio = audio_files(root / "audios")
    missing = [f"{id} has metadata, but no audio" for id in sorted(labels.keys() - audio.keys())]
    missing += [f"{id} has audio, but no metadata" for id in sorted(audio.keys() - labels.keys())]
    usable = sorted(labels.keys() & audio.keys())
    splits, source = split_for(root, usable)
    missing += [f"{id} stands in no split" for id in usable if id not in splits]
    recordings = [
        Recording(id, audio[id], labels[id], splits[id], end_s=_MAX_SECONDS[head]) for id in usable if id in splits
    ]
    return new_dataset(head, root, recordings, source, missing)


def _labels(head: str, path: Path) -> frozenset[str]:
    content = _read(path)
    found = set()
    for category, (key, name_path) in FIELDS[head].items():
        if not isinstance(content.get(key), list):
            raise DatasetError(f"{path} has no list {key!r}, so it is no {head} recording of Dunya")
        found |= {(category, _plain(_follow(item, name_path))) for item in content[key]}
    return frozenset(label.name for label in vocabulary(head).labels if (label.category, _plain(label.name)) in found)


def _follow(item: Mapping[str, Any], name_path: tuple[str, ...]) -> str:
    """The text at a path of keys; empty where Dunya leaves a part out."""
    value: Any = item
    for key in name_path:
        value = value.get(key) if isinstance(value, dict) else None
    return value or ""


def _plain(name: str) -> str:
    """One spelling for names that differ in Unicode form or case."""
    return unicodedata.normalize("NFC", name).strip().casefold()


def _read(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise DatasetError(f"{path}: {error}") from error
    if not isinstance(content, dict):
        raise DatasetError(f"{path} is not a JSON object")
    return content
