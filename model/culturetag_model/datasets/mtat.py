"""MagnaTagATune (Law et al., ISMIR 2009; mirg.city.ac.uk/codeapps/the-magnatagatune-dataset).

    ROOT/annotations_final.csv    tab-separated: clip_id, 188 columns of 0 or 1 named by tag, mp3_path
    ROOT/clip_info_final.csv      tab-separated: clip_id, track_number, title, artist, ...; not needed here
    ROOT/0/ to ROOT/f/            29 s clips, at mp3_path

The usual split by folder: 0 to b train, c validates, d to f tests (12:1:3). Clips with none of the 50 tags are left
out, as in the published lists that the studies use (github.com/minzwon/sota-music-tagging-models, split/mtat). An id is
the clip's mp3_path.
"""

import csv
from pathlib import Path

from culturetag_model.datasets.recordings import Dataset, DatasetError, Recording, new_dataset
from culturetag_model.datasets.splits import GIVEN_SOURCE, given_split
from culturetag_model.vocabularies import vocabulary

_TABLE = "annotations_final.csv"
_SPLIT_OF_FOLDER = dict.fromkeys("0123456789ab", "train") | {"c": "valid"} | dict.fromkeys("def", "test")


def detect(root: Path) -> str | None:
    """`mtat` if `root` holds its table."""
    return "mtat" if (root / _TABLE).is_file() else None


def load(root: Path) -> Dataset:
    """Reads MagnaTagATune with the split by folder, or with given split files.

    Raises:
        DatasetError: The table lacks a tag of the vocabulary, or a clip lies outside the folders 0 to f.
    """
    names = [label.name for label in vocabulary("mtat").labels]
    given = given_split(root)
    recordings, missing = [], []
    for row in _rows(root / _TABLE, names):
        id = row["mp3_path"]
        labels = frozenset(name for name in names if row[name] == "1")
        split = _folder_split(id) if given is None else given.get(id)
        if not labels:
            continue
        if split is None:
            missing.append(f"{id} stands in no split")
        elif not (root / id).is_file():
            missing.append(f"{id} has metadata, but no audio")
        else:
            recordings.append(Recording(id, root / id, labels, split))
    source = "folders 0-b, c, d-f (12:1:3)" if given is None else GIVEN_SOURCE
    return new_dataset("mtat", root, recordings, source, missing)


def _rows(path: Path, names: list[str]) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, delimiter="\t")
        rows = list(reader)
        absent = [column for column in (*names, "mp3_path") if column not in (reader.fieldnames or [])]
    if absent:
        raise DatasetError(f"{path} has no column {', '.join(absent)}")
    return rows


def _folder_split(mp3_path: str) -> str:
    folder = mp3_path.partition("/")[0]
    if folder not in _SPLIT_OF_FOLDER:
        raise DatasetError(f"{mp3_path} lies in none of the folders 0 to f")
    return _SPLIT_OF_FOLDER[folder]
