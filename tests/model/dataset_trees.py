"""Tiny data sets in the real layouts of the six benchmarks: the files, columns and header rows that publishers ship."""

import csv
import json
import uuid
from pathlib import Path

import numpy as np
import soundfile

RATE = 24_000


def write_audio(path: Path, seconds: float = 1.0, pitch: float = 440.0, rate: int = RATE) -> None:
    """Writes a tone; the format follows from the suffix."""
    path.parent.mkdir(parents=True, exist_ok=True)
    time = np.arange(round(seconds * rate)) / rate
    soundfile.write(path, 0.3 * np.sin(2 * np.pi * pitch * time), rate)


def recording_id(index: int) -> str:
    """A MusicBrainz id."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, str(index)))


def dunya_metadata(head: str, labels: dict[str, list[str]]) -> dict:
    """Dunya's answer for a recording with `labels` by category."""
    performers = [{"mbid": recording_id(99), "instrument": {"id": 1, "name": n}} for n in labels.get("instrument", [])]
    plain = {category: [{"uuid": "u", "name": n} for n in names] for category, names in labels.items()}
    common = {category: [{"uuid": "u", "common_name": n} for n in names] for category, names in labels.items()}
    if head == "makam":
        return {
            "makamlist": plain.get("makam", []),
            "usullist": plain.get("usul", []),
            "performers": performers,
        }
    if head == "hindustani":
        fields = {"raags": "raga", "taals": "tala", "forms": "form"}
        return {key: common.get(category, []) for key, category in fields.items()} | {"artists": performers}
    fields = {"raaga": common.get("raga", []), "taala": common.get("tala", []), "form": plain.get("form", [])}
    return fields | {"artists": performers}


def write_dunya(root: Path, head: str, labels: list[dict[str, list[str]]], suffix: str = ".mp3") -> list[str]:
    """A corpus of Dunya with one recording for each element of `labels`; returns their ids."""
    ids = [recording_id(index) for index in range(len(labels))]
    (root / "metadata").mkdir(parents=True, exist_ok=True)
    for index, (id, content) in enumerate(zip(ids, labels, strict=True)):
        metadata = {"mbid": id, "title": f"Recording {index}"} | dunya_metadata(head, content)
        (root / "metadata" / f"{id}.json").write_text(json.dumps(metadata, ensure_ascii=False), encoding="utf-8")
        write_audio(root / "audios" / f"{id}{suffix}", pitch=220 + 20 * index)
    return ids


LYRA_COLUMNS = "id instruments genres place coordinates is-danced youtube-id start-ts end-ts".split()


def write_lyra_table(path: Path, rows: list[dict[str, str]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, LYRA_COLUMNS, delimiter="\t", restval="None")
        writer.writeheader()
        writer.writerows(rows)


def lyra_row(index: int, **changes: str) -> dict[str, str]:
    row = {"id": f"piece-{index}", "instruments": "Voice|Violin", "genres": "Traditional|Epirotic"}
    row |= {"place": "Epirus|Ioannina", "youtube-id": f"video{index}", "start-ts": "0", "end-ts": "200"}
    return row | changes


def write_fma(root: Path, tracks: list[tuple[int, str, str, list[int]]]) -> None:
    """`tracks`: id, subset, split and genres_all of each; every track gets a clip."""
    folder = root / "fma_metadata"
    folder.mkdir(parents=True)
    (folder / "genres.csv").write_text(
        "genre_id,#tracks,parent,title,top_level\n12,32923,0,Rock,12\n25,9261,12,Punk,12\n15,34413,0,Electronic,15\n"
        "5,4106,0,Classical,5\n"
    )
    with (folder / "tracks.csv").open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["", "album", "set", "set", "track", "track"])
        writer.writerow(["", "title", "split", "subset", "genre_top", "genres_all"])
        writer.writerow(["track_id", "", "", "", "", ""])
        for id, subset, split, genres in tracks:
            writer.writerow([id, "An album, with a comma", split, subset, "", genres])
            write_audio(root / "fma_medium" / f"{id:06d}"[:3] / f"{id:06d}.mp3")


def write_mtat(root: Path, tags: list[str], clips: list[tuple[str, list[str]]]) -> None:
    """`clips`: the folder and tags of each. `tags` are the table's columns."""
    root.mkdir(parents=True, exist_ok=True)
    with (root / "annotations_final.csv").open("w", newline="") as file:
        writer = csv.writer(file, delimiter="\t", quoting=csv.QUOTE_ALL)
        writer.writerow(["clip_id", *tags, "mp3_path"])
        for index, (folder, found) in enumerate(clips):
            path = f"{folder}/artist-album-01-title-{index}-{index + 29}.mp3"
            writer.writerow([index + 2, *(int(tag in found) for tag in tags), path])
            write_audio(root / path)
