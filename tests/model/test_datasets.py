import numpy as np
import pytest
import soundfile
from click.testing import CliRunner
from dataset_trees import (
    lyra_row,
    recording_id,
    write_audio,
    write_dunya,
    write_fma,
    write_lyra_table,
    write_mtat,
)

from culturetag_model.cli import main
from culturetag_model.commands.datasets import HEADS
from culturetag_model.datasets import open_dataset
from culturetag_model.datasets.check import check_dataset
from culturetag_model.datasets.layouts import LAYOUTS, Entry
from culturetag_model.datasets.recordings import SPLITS, AudioError, DatasetError, Recording
from culturetag_model.datasets.splits import random_split
from culturetag_model.datasets.synthetic import render_corpus
from culturetag_model.demo.synth import SoundfontNotFoundError, check_soundfonts
from culturetag_model.vocabularies import HEAD_NAMES, vocabulary

MTAT_TAGS = [label.name for label in vocabulary("mtat").labels] + ["banjo"]


def by_id(dataset):
    return {recording.id: recording for recording in dataset.recordings}


def sizes(dataset):
    return [len(dataset.split(name)) for name in ("train", "valid", "test")]


def write_split(root, kind, **ids):
    (root / "split").mkdir()
    for name, listed in ids.items():
        if kind == "npy":
            np.save(root / "split" / f"{name}.npy", np.array(listed))
        else:
            (root / "split" / f"{name}.txt").write_text("\n".join(listed) + "\n", encoding="utf-8")


@pytest.mark.parametrize(
    ("head", "labels", "expected"),
    [
        (
            "makam",
            # The kemençe is spelt with a combining cedilla, as some of Dunya's names are.
            {"makam": ["Hicaz", "Bilinmeyen"], "usul": ["Düyek"], "instrument": ["Classical kemenc\u0327e", "Piano"]},
            {"Hicaz", "Düyek", "Classical kemençe"},
        ),
        (
            "hindustani",
            {"raga": ["Bageshree"], "tala": ["Teentaal"], "form": ["Khayal"], "instrument": ["Voice", "Tabla"]},
            {"Bageshree", "Teentaal", "Khayal", "Voice", "Tabla"},
        ),
        (
            "carnatic",
            {"raga": ["thodi"], "tala": ["adi"], "form": ["Kriti"], "instrument": ["Mridangam"]},
            {"thodi", "adi", "Kriti", "Mridangam"},
        ),
    ],
)
def test_dunyas_corpora_are_told_apart_and_give_the_labels_of_their_vocabulary(tmp_path, head, labels, expected):
    ids = write_dunya(tmp_path, head, [labels] * 10)

    dataset = open_dataset(tmp_path)

    assert dataset.head == head
    assert sorted(by_id(dataset)) == sorted(ids)
    assert {recording.labels for recording in dataset.recordings} == {frozenset(expected)}
    assert {name: count for name, count in dataset.label_counts().items() if count} == dict.fromkeys(expected, 10)
    assert sizes(dataset) == [7, 1, 2]


def test_a_label_counts_only_in_its_own_category(tmp_path):
    write_dunya(tmp_path, "makam", [{"makam": ["Aksak"], "usul": ["Hicaz"]}] * 10)

    assert not any(open_dataset(tmp_path).label_counts().values())


def test_only_the_start_of_a_long_makam_recording_is_used(tmp_path):
    write_dunya(tmp_path, "makam", [{}] * 3)

    assert {recording.end_s for recording in open_dataset(tmp_path).recordings} == {150.0}


def test_what_lacks_audio_or_metadata_is_listed(tmp_path):
    ids = write_dunya(tmp_path, "carnatic", [{}] * 4)
    (tmp_path / "audios" / f"{ids[1]}.mp3").unlink()
    (tmp_path / "metadata" / f"{ids[2]}.json").unlink()

    dataset = open_dataset(tmp_path)

    assert sorted(by_id(dataset)) == sorted([ids[0], ids[3]])
    assert dataset.missing == (f"{ids[1]} has metadata, but no audio", f"{ids[2]} has audio, but no metadata")


def test_metadata_of_another_corpus_is_refused(tmp_path):
    write_dunya(tmp_path, "carnatic", [{}])

    with pytest.raises(DatasetError, match="has no list 'makamlist', so it is no makam recording of Dunya"):
        open_dataset(tmp_path, "makam")


@pytest.mark.parametrize("kind", ["npy", "txt"])
def test_a_given_split_wins_and_what_it_leaves_out_is_listed(tmp_path, kind):
    ids = write_dunya(tmp_path, "hindustani", [{}] * 4)
    write_split(tmp_path, kind, train=[ids[0]], valid=[ids[1], recording_id(77)], test=[ids[2]])

    dataset = open_dataset(tmp_path)

    assert {id: recording.split for id, recording in by_id(dataset).items()} == {
        ids[0]: "train",
        ids[1]: "valid",
        ids[2]: "test",
    }
    assert dataset.missing == (f"{ids[3]} stands in no split",)
    assert dataset.split_source == "the files of split/"


def test_a_recording_in_two_splits_is_an_error(tmp_path):
    ids = write_dunya(tmp_path, "hindustani", [{}] * 2)
    write_split(tmp_path, "txt", train=ids, valid=[], test=[ids[1]])

    with pytest.raises(DatasetError, match=f"^recording {ids[1]} stands in the splits train and test$"):
        open_dataset(tmp_path)


def test_a_split_with_a_missing_part_is_an_error(tmp_path):
    ids = write_dunya(tmp_path, "hindustani", [{}] * 2)
    write_split(tmp_path, "txt", train=ids, test=[])

    with pytest.raises(DatasetError, match="has files for some splits, but none for valid"):
        open_dataset(tmp_path)


def test_a_random_split_depends_on_the_ids_alone_and_has_the_stated_shares():
    ids = [f"recording-{index}" for index in range(1000)]

    split = random_split(ids)

    assert split == random_split(reversed(ids))
    assert [list(split.values()).count(name) for name in ("train", "valid", "test")] == [700, 100, 200]


def test_lyra_takes_pieces_or_spans_of_videos_and_the_published_split(tmp_path):
    rows = [lyra_row(index) for index in range(16)] + [lyra_row(16, **{"start-ts": "2", "end-ts": "3"})]
    write_lyra_table(tmp_path / "data/raw.tsv", rows)
    write_lyra_table(tmp_path / "data/split/training.tsv", rows[:16])
    write_lyra_table(tmp_path / "data/split/test.tsv", rows[16:])
    for index in range(15):
        write_audio(tmp_path / f"audios/piece-{index}.flac")
    write_audio(tmp_path / "audios/video16.flac", seconds=5.0)

    dataset = open_dataset(tmp_path)

    assert dataset.head == "lyra"
    assert sizes(dataset) == [13, 2, 1]
    span = by_id(dataset)["piece-16"]
    assert (span.split, span.start_s, span.end_s, span.labels) == (
        "test",
        2.0,
        3.0,
        {"Voice", "Violin", "Traditional", "Epirotic", "Epirus"},
    )
    assert len(span.load(8_000)) == 8_000
    assert dataset.missing == ("piece-15 has metadata, but no audio (YouTube video15)",)


def test_lyra_counts_a_place_that_is_none(tmp_path):
    write_lyra_table(tmp_path / "data/raw.tsv", [lyra_row(index, place="None") for index in range(10)])
    for index in range(10):
        write_audio(tmp_path / f"audios/piece-{index}.flac")

    assert open_dataset(tmp_path).label_counts()["None"] == 10


def test_fma_reads_three_header_rows_and_hierarchical_genres(tmp_path):
    write_fma(
        tmp_path,
        [
            (2, "small", "training", [12, 25]),
            (93032, "medium", "validation", [15]),
            (155320, "medium", "test", [5]),
            (9, "large", "training", [12]),
        ],
    )
    (tmp_path / "fma_medium/155/155320.mp3").unlink()

    dataset = open_dataset(tmp_path)

    assert {id: (r.split, r.labels) for id, r in by_id(dataset).items()} == {
        "000002": ("train", {"Rock", "Punk"}),
        "093032": ("valid", {"Electronic"}),
    }
    assert dataset.missing == ("155320 has metadata, but no audio",)
    assert dataset.split_source == "FMA's own set/split"


def test_fma_takes_the_studys_split_files(tmp_path):
    write_fma(tmp_path, [(2, "medium", "training", [12]), (3, "medium", "training", [12])])
    write_split(tmp_path, "npy", train=["000003"], valid=["000002"], test=["999999"])

    assert {id: recording.split for id, recording in by_id(open_dataset(tmp_path)).items()} == {
        "000002": "valid",
        "000003": "train",
    }


def test_mtat_splits_its_16_folders_12_to_1_to_3_and_drops_clips_without_a_tag(tmp_path):
    write_mtat(
        tmp_path, MTAT_TAGS, [(folder, ["guitar", "banjo"]) for folder in "0123456789abcdef"] + [("0", ["banjo"])]
    )

    dataset = open_dataset(tmp_path)

    assert dataset.head == "mtat"
    assert sizes(dataset) == [12, 1, 3]
    assert dataset.label_counts()["guitar"] == 16
    assert {recording.audio.parent.name for recording in dataset.split("test")} == {"d", "e", "f"}


def test_mtat_takes_published_lists_with_row_numbers(tmp_path):
    write_mtat(tmp_path, MTAT_TAGS, [("f", ["piano"]), ("0", ["piano"]), ("c", ["piano"])])
    paths = [recording.id for recording in open_dataset(tmp_path).recordings]
    write_split(tmp_path, "npy", train=[f"0\t{paths[0]}"], valid=[f"1\t{paths[1]}"], test=[f"2\t{paths[2]}"])

    assert [recording.split for recording in open_dataset(tmp_path).recordings] == ["train", "valid", "test"]


def test_a_table_without_a_tag_of_the_vocabulary_is_refused(tmp_path):
    write_mtat(tmp_path, MTAT_TAGS[2:], [("0", ["techno"])])

    with pytest.raises(DatasetError, match="annotations_final.csv has no column guitar, classical$"):
        open_dataset(tmp_path)


def test_a_folder_of_no_known_layout_is_refused(tmp_path):
    with pytest.raises(DatasetError, match="has the layout of none of makam, hindustani, carnatic, lyra, fma, mtat"):
        open_dataset(tmp_path)


@pytest.mark.parametrize("head", HEAD_NAMES)
def test_a_folder_named_as_a_data_set_that_it_is_not_is_refused(tmp_path, head):
    with pytest.raises(DatasetError):
        open_dataset(tmp_path, head)


def test_the_command_lists_what_is_broken_and_exits_with_1(tmp_path):
    write_mtat(tmp_path, MTAT_TAGS, [("0", ["piano"]), ("1", ["piano"]), ("c", ["piano", "guitar"]), ("d", ["slow"])])
    (tmp_path / "1/artist-album-01-title-1-30.mp3").write_bytes(b"no audio")
    (tmp_path / "d/artist-album-01-title-3-32.mp3").unlink()

    result = CliRunner().invoke(main, ["datasets", "check", str(tmp_path)])

    assert result.exit_code == 1
    lines = result.stdout.splitlines()
    assert lines[:4] == [
        "mtat: 2 recordings, 0.00 h",
        "split: train 2, valid 1, test 0 (folders 0-b, c, d-f (12:1:3))",
        "labels: 2 of 50 occur",
        "       1  guitar",
    ]
    assert lines[53:56] == [
        "missing: 1",
        "  d/artist-album-01-title-3-32.mp3 has metadata, but no audio",
        "broken: 1",
    ]
    assert lines[56].startswith("  1/artist-album-01-title-1-30.mp3: ")


def test_the_command_exits_with_0_for_a_complete_data_set(tmp_path):
    write_dunya(tmp_path, "makam", [{"makam": ["Rast"]}] * 10)

    result = CliRunner().invoke(main, ["datasets", "check", str(tmp_path)])

    assert (result.exit_code, result.stdout.splitlines()[-2:]) == (0, ["missing: 0", "broken: 0"])


def test_the_commands_offer_every_head():
    assert HEADS == HEAD_NAMES


def test_loading_averages_channels_and_resamples(tmp_path):
    write_audio(tmp_path / "tone.wav", seconds=2.0, rate=48_000)

    audio = Recording("tone", tmp_path / "tone.wav", frozenset(), "train").load(24_000)

    expected = 0.3 * np.sin(2 * np.pi * 440 * np.arange(48_000) / 24_000)
    np.testing.assert_allclose(audio[6_000:-6_000], expected[6_000:-6_000], atol=1e-3)


@pytest.mark.parametrize("content", [None, b"", b"RIFF no wave"])
def test_loading_a_missing_or_damaged_file_says_so(tmp_path, content):
    path = tmp_path / "clip.wav"
    if content is not None:
        path.write_bytes(content)

    with pytest.raises(AudioError, match="^clip.wav: "):
        Recording("clip", path, frozenset(), "train").load(24_000)


@pytest.mark.parametrize("head", HEAD_NAMES)
def test_a_written_layout_is_read_back_with_the_same_labels_and_splits(tmp_path, head):
    names = [label.name for label in vocabulary(head).labels]
    layout = LAYOUTS[head](head, tmp_path, 40)
    labels = [frozenset({names[index % len(names)], names[(3 * index + 1) % len(names)]}) for index in range(40)]
    for index in range(40):
        write_audio(layout.audio(index), seconds=0.1)

    layout.describe([Entry(index, found) for index, found in enumerate(labels)])

    dataset = open_dataset(tmp_path)
    assert (dataset.head, len(dataset.recordings), dataset.missing) == (head, 40, ())
    by_audio = {recording.audio: recording for recording in dataset.recordings}
    for index, found in enumerate(labels):
        recording = by_audio[layout.audio(index)]
        assert recording.labels == found
        assert (recording.split == "test") == (layout.split(index) == "test")
    assert all(dataset.split(name) for name in ("train", "valid", "test"))


@pytest.mark.parametrize("head", HEAD_NAMES)
def test_in_every_layout_broken_and_missing_audio_is_listed_and_each_recording_has_one_split(tmp_path, head):
    names = [label.name for label in vocabulary(head).labels]
    layout = LAYOUTS[head](head, tmp_path, 40)
    for index in range(40):
        write_audio(layout.audio(index), seconds=0.1)
    layout.describe([Entry(index, frozenset({names[index % len(names)]})) for index in range(40)])
    layout.audio(3).write_bytes(b"no audio")
    layout.audio(4).unlink()

    check = check_dataset(open_dataset(tmp_path))

    # A recording's name in its data set is its file's, with the folder or without, and with the suffix or without.
    assert [layout.audio(3).stem in line for line in check.broken] == [True]
    assert [layout.audio(4).stem in line for line in check.dataset.missing] == [True]
    ids = [recording.id for split in SPLITS for recording in check.dataset.split(split)]
    assert len(ids) == len(set(ids)) == len(check.dataset.recordings) == 39
    counts = check.dataset.label_counts()
    assert list(counts) == names
    assert sum(counts.values()) == 39


@pytest.fixture
def soundfonts():
    try:
        check_soundfonts()
    except SoundfontNotFoundError:
        pytest.skip("the soundfonts aren't installed; scripts/setup --for=test installs them")


@pytest.mark.usefixtures("soundfonts")
def test_one_command_renders_the_six_corpora_in_their_layouts(tmp_path):
    arguments = ["datasets", "render", "all", "--recordings", 16, "--seconds", 1, 1.2, "--output", tmp_path]

    result = CliRunner().invoke(main, [*map(str, arguments), "--workers", "1"])

    assert result.exit_code == 0, result.output
    for head in HEAD_NAMES:
        dataset = open_dataset(tmp_path / head)
        assert (dataset.head, len(dataset.recordings), dataset.missing) == (head, 16, ())
        assert all(soundfile.info(recording.audio).format == "MP3" for recording in dataset.recordings)


@pytest.mark.usefixtures("soundfonts")
def test_rendering_a_corpus_keeps_what_stands_there(tmp_path):
    render_corpus("mtat", tmp_path, 16, (1.0, 1.5), workers=1)
    dataset = open_dataset(tmp_path)
    times = {recording.audio: recording.audio.stat().st_mtime_ns for recording in dataset.recordings}
    lost = dataset.recordings[0]
    content = lost.audio.read_bytes()
    lost.audio.unlink()

    render_corpus("mtat", tmp_path, 16, (1.0, 1.5), workers=1)

    assert open_dataset(tmp_path).recordings == dataset.recordings
    assert lost.audio.read_bytes() == content
    assert [path for path, time in times.items() if path.stat().st_mtime_ns != time] == [lost.audio]
    with pytest.raises(DatasetError, match="holds a corpus of .*'count': 16"):
        render_corpus("mtat", tmp_path, 32, (1.0, 1.5), workers=1)
