"""FMA-medium (Defferrard et al. 2017, arXiv:1612.01840; github.com/mdeff/fma).

    ROOT/fma_metadata/tracks.csv    one row a track; three header rows: group, name, and the index's name `track_id`
    ROOT/fma_metadata/genres.csv    genre_id, #tracks, parent, title, top_level
    ROOT/fma_medium/000/000002.mp3  30 s clips, by track id in six digits and its first three

Labels are the titles of a track's `genres_all`: its genres and all of their ancestors, the hierarchical labels of the
cross-cultural transfer study (arXiv:2307.09795). Ids are six digits, as in that study's split files.
"""

import csv
import json
from collections.abc import Iterator
from pathlib import Path

from culturetag_model.datasets.recordings import Dataset, DatasetError, Recording, new_dataset
from culturetag_model.datasets.splits import GIVEN_SOURCE, given_split
from culturetag_model.vocabularies import vocabulary

_SUBSETS = ("small", "medium")
"""FMA-medium contains FMA-small; `set/subset` names the smallest that a track is in."""
_SPLITS = {"training": "train", "validation": "valid", "test": "test"}


def detect(root: Path) -> str | None:
    """`fma` if `root` holds its table."""
    return "fma" if (root / "fma_metadata/tracks.csv").is_file() else None


def load(root: Path) -> Dataset:
    """Reads FMA-medium with its own split, or with given split files.

    Raises:
        DatasetError: A table lacks a column, or a row names an unknown genre or split.
    """
    titles = _genre_titles(root / "fma_metadata/genres.csv")
    names = {label.name for label in vocabulary("fma").labels}
    given = given_split(root)
    recordings, missing = [], []
    for id, split, genres in _tracks(root / "fma_metadata/tracks.csv"):
        audio = root / "fma_medium" / id[:3] / f"{id}.mp3"
        if given is not None:
            split = given.get(id)
        if split is None:
            missing.append(f"{id} stands in no split")
        elif not audio.is_file():
            missing.append(f"{id} has metadata, but no audio")
        else:
            unknown = [genre for genre in genres if genre not in titles]
            if unknown:
                raise DatasetError(f"track {id} has genre {unknown[0]}, which genres.csv doesn't list")
            labels = frozenset(titles[genre] for genre in genres) & names
            recordings.append(Recording(id, audio, labels, split))
    source = "FMA's own set/split" if given is None else GIVEN_SOURCE
    return new_dataset("fma", root, recordings, source, missing)


def _genre_titles(path: Path) -> dict[int, str]:
    try:
        with path.open(encoding="utf-8", newline="") as file:
            return {int(row["genre_id"]): row["title"] for row in csv.DictReader(file)}
    except (OSError, KeyError, ValueError) as error:
        raise DatasetError(f"{path}: {error}") from error


def _tracks(path: Path) -> Iterator[tuple[str, str, list[int]]]:
    """Id, split and genre ids of every track of FMA-medium."""
    with path.open(encoding="utf-8", newline="") as file:
        rows = csv.reader(file)
        columns = list(zip(next(rows), next(rows), strict=True))
        next(rows)
        wanted = [("set", "subset"), ("set", "split"), ("track", "genres_all")]
        for column in wanted:
            if column not in columns:
                raise DatasetError(f"{path} has no column {'/'.join(column)}")
        subset, split, genres = (columns.index(column) for column in wanted)
        for row in rows:
            if row[subset] not in _SUBSETS:
                continue
            if row[split] not in _SPLITS:
                raise DatasetError(f"{path}: track {row[0]} has the split {row[split]!r}")
            yield f"{int(row[0]):06d}", _SPLITS[row[split]], json.loads(row[genres])
