"""Lyra, Greek traditional and folk music (Papaioannou et al. 2022, arXiv:2211.11479; github.com/pxaris/lyra-dataset).

    ROOT/data/raw.tsv               all pieces: id, instruments, genres, place, ..., youtube-id, start-ts, end-ts
    ROOT/data/split/training.tsv    the published split, with the same columns
    ROOT/data/split/test.tsv
    ROOT/audios/ID.*                a piece's audio, or
    ROOT/audios/YOUTUBE-ID.*        the audio of the video that it is part of, from start-ts to end-ts in seconds

Audio isn't part of the data set, only links are. Lists are separated by `|`. The validation split is drawn from the
training split, as in the cross-cultural transfer study: a tenth of all pieces (arXiv:2307.09795).
"""

import csv
from pathlib import Path

from culturetag_model.datasets.recordings import Dataset, DatasetError, Recording, audio_files, new_dataset
from culturetag_model.datasets.splits import GIVEN_SOURCE, RANDOM_SOURCE, given_split, random_split
from culturetag_model.vocabularies import vocabulary

CATEGORIES = {"instruments": "instrument", "genres": "genre", "place": "place"}
COLUMNS = ("id", *CATEGORIES, "youtube-id", "start-ts", "end-ts")
# Of the published training split, 7 parts train and 1 part validates, which makes 70/10/20 of all pieces.
_TRAINING_SHARES = {"train": 7 / 8, "valid": 1 / 8}


def detect(root: Path) -> str | None:
    """`lyra` if `root` holds its table."""
    return "lyra" if (root / "data/raw.tsv").is_file() else None


def load(root: Path) -> Dataset:
    """Reads Lyra. Raises `DatasetError` for a table without the columns above."""
    rows = _read_table(root / "data/raw.tsv")
    audio = audio_files(root / "audios")
    splits, source = _split(root, [row["id"] for row in rows])
    recordings, missing = [], []
    for row in rows:
        if row["id"] not in splits:
            missing.append(f"{row['id']} stands in no split")
        elif row["id"] in audio:
            recordings.append(Recording(row["id"], audio[row["id"]], _labels(row), splits[row["id"]]))
        elif row["youtube-id"] in audio:
            span = (float(row["start-ts"]), float(row["end-ts"]))
            recordings.append(Recording(row["id"], audio[row["youtube-id"]], _labels(row), splits[row["id"]], *span))
        else:
            missing.append(f"{row['id']} has metadata, but no audio (YouTube {row['youtube-id']})")
    return new_dataset("lyra", root, recordings, source, missing)


def _split(root: Path, ids: list[str]) -> tuple[dict[str, str], str]:
    given = given_split(root)
    if given is not None:
        return given, GIVEN_SOURCE
    tables = [root / "data/split" / f"{name}.tsv" for name in ("training", "test")]
    if not all(table.is_file() for table in tables):
        return random_split(ids), RANDOM_SOURCE
    training, test = ([row["id"] for row in _read_table(table)] for table in tables)
    if twice := set(training) & set(test):
        raise DatasetError(f"recording {min(twice)} stands in the splits training and test")
    splits = random_split(training, _TRAINING_SHARES) | dict.fromkeys(test, "test")
    return splits, "the published training and test pieces, an eighth of the former drawn for validation"


def _read_table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        reader = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        rows = list(reader)
        absent = [column for column in COLUMNS if column not in (reader.fieldnames or [])]
    if absent:
        raise DatasetError(f"{path} has no column {', '.join(absent)}")
    return rows


def _labels(row: dict[str, str]) -> frozenset[str]:
    found = {(category, name) for column, category in CATEGORIES.items() for name in row[column].split("|")}
    return frozenset(label.name for label in vocabulary("lyra").labels if (label.category, label.name) in found)
