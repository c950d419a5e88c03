"""Writes recordings in the six data sets' own layouts: what the adapters of this package read."""

import csv
import json
import uuid
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from culturetag_model.datasets.splits import random_split
from culturetag_model.vocabularies import vocabulary


@dataclass(frozen=True)
class Entry:
    """A recording to be described."""

    index: int
    labels: frozenset[str]
    """Names from the head's vocabulary."""


class Layout(ABC):
    """Where the recordings of a corpus of `count` recordings lie, and the tables that describe them."""

    def __init__(self, head: str, root: Path, count: int):
        self.head, self.root, self.count = head, root, count
        self.labels = vocabulary(head).labels

    @abstractmethod
    def audio(self, index: int) -> Path:
        """Where recording `index` lies."""

    @abstractmethod
    def split(self, index: int) -> str:
        """The split that the adapter will find it in; `train` stands for `valid` too where the adapter draws that."""

    @abstractmethod
    def describe(self, entries: Sequence[Entry]) -> None:
        """Writes every table, for all recordings."""


class DunyaLayout(Layout):
    """See `culturetag_model.datasets.dunya`."""

    def _id(self, index: int) -> str:
        return str(uuid.uuid5(uuid.NAMESPACE_URL, f"culturetag/{self.head}/{index}"))

    def audio(self, index: int) -> Path:
        return self.root / "audios" / f"{self._id(index)}.mp3"

    def split(self, index: int) -> str:
        return random_split(self._id(each) for each in range(self.count))[self._id(index)]

    def describe(self, entries: Sequence[Entry]) -> None:
        from culturetag_model.datasets.dunya import FIELDS

        folder = self.root / "metadata"
        folder.mkdir(parents=True, exist_ok=True)
        for entry in entries:
            content: dict[str, Any] = {"mbid": self._id(entry.index), "title": f"Rendering {entry.index}"}
            for category, (key, path) in FIELDS[self.head].items():
                names = [label.name for label in self.labels if label.category == category]
                content[key] = [_nested(path, name) for name in names if name in entry.labels]
            text = json.dumps(content, indent=1, ensure_ascii=False)
            (folder / f"{self._id(entry.index)}.json").write_text(text, encoding="utf-8")


class LyraLayout(Layout):
    """See `culturetag_model.datasets.lyra`."""

    def _id(self, index: int) -> str:
        return f"rendering-{index:05d}"

    def audio(self, index: int) -> Path:
        return self.root / "audios" / f"{self._id(index)}.mp3"

    def split(self, index: int) -> str:
        return "test" if index % 5 == 4 else "train"

    def describe(self, entries: Sequence[Entry]) -> None:
        from culturetag_model.datasets.lyra import CATEGORIES, COLUMNS

        rows = []
        for entry in entries:
            row = {"id": self._id(entry.index), "youtube-id": "None", "start-ts": "0", "end-ts": "0"}
            for column, category in CATEGORIES.items():
                names = [label.name for label in self.labels if label.category == category]
                row[column] = "|".join(name for name in names if name in entry.labels)
            rows.append(row)
        parts = {"training": "train", "test": "test"}
        _write_rows(self.root / "data/raw.tsv", COLUMNS, rows, "\t")
        for file, split in parts.items():
            part = [row for entry, row in zip(entries, rows, strict=True) if self.split(entry.index) == split]
            _write_rows(self.root / "data/split" / f"{file}.tsv", COLUMNS, part, "\t")


class FmaLayout(Layout):
    """See `culturetag_model.datasets.fma`."""

    def audio(self, index: int) -> Path:
        id = f"{index + 1:06d}"
        return self.root / "fma_medium" / id[:3] / f"{id}.mp3"

    def split(self, index: int) -> str:
        return ("train", "train", "train", "train", "train", "train", "train", "valid", "test", "test")[index % 10]

    def describe(self, entries: Sequence[Entry]) -> None:
        ids = {label.name: number for number, label in enumerate(self.labels, start=1)}
        genres = [{"genre_id": id, "#tracks": 0, "parent": 0, "title": name} for name, id in ids.items()]
        _write_rows(
            self.root / "fma_metadata/genres.csv", ("genre_id", "#tracks", "parent", "title", "top_level"), genres, ","
        )
        spelt = {"train": "training", "valid": "validation", "test": "test"}
        with (self.root / "fma_metadata/tracks.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerows(
                [["", "set", "set", "track"], ["", "split", "subset", "genres_all"], ["track_id", "", "", ""]]
            )
            for entry in entries:
                split = spelt[self.split(entry.index)]
                writer.writerow([entry.index + 1, split, "medium", sorted(ids[name] for name in entry.labels)])


class MtatLayout(Layout):
    """See `culturetag_model.datasets.mtat`."""

    def _path(self, index: int) -> str:
        return f"{index % 16:x}/rendering-{index:05d}-0-29.mp3"

    def audio(self, index: int) -> Path:
        return self.root / self._path(index)

    def split(self, index: int) -> str:
        return "train" if index % 16 < 12 else "valid" if index % 16 == 12 else "test"

    def describe(self, entries: Sequence[Entry]) -> None:
        names = [label.name for label in self.labels]
        rows = [
            {"clip_id": entry.index + 1, "mp3_path": self._path(entry.index)}
            | {name: int(name in entry.labels) for name in names}
            for entry in entries
        ]
        _write_rows(self.root / "annotations_final.csv", ("clip_id", *names, "mp3_path"), rows, "\t")
        columns = ("clip_id", "track_number", "title", "artist", "mp3_path")
        info = [{"clip_id": row["clip_id"], "title": "Rendering", "mp3_path": row["mp3_path"]} for row in rows]
        _write_rows(self.root / "clip_info_final.csv", columns, info, "\t")


LAYOUTS: dict[str, type[Layout]] = {
    "makam": DunyaLayout,
    "hindustani": DunyaLayout,
    "carnatic": DunyaLayout,
    "lyra": LyraLayout,
    "fma": FmaLayout,
    "mtat": MtatLayout,
}


def _nested(path: Sequence[str], name: str) -> dict[str, Any]:
    """An item of Dunya's lists: `name` under a path of keys."""
    value: Any = name
    for key in reversed(path):
        value = {key: value}
    return value


def _write_rows(path: Path, columns: Sequence[str], rows: Sequence[dict[str, Any]], delimiter: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, delimiter=delimiter, restval="")
        writer.writeheader()
        writer.writerows(rows)
