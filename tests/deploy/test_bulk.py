"""Bulk tagging: workers that are killed and started again leave one result line for each file."""

import json
import os
import random
import signal
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soundfile
from deploy_tools import DEPLOY, ROOT
from real_server import MELODY

WORKER = DEPLOY / "bulk/culturetag-bulk"
CLIENT = ROOT / "build/release/bin/culturetag"
FILES = 500
WORKERS = 4
KILLS_A_WORKER = 5
CHUNK_FILES = 10


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 500 clips of half a second, each another part of the melody, and a list of their names."""
    folder = tmp_path_factory.mktemp("clips")
    samples, rate = soundfile.read(MELODY, dtype="float32", always_2d=True)
    names = [f"a clip's name {i:03}.wav" for i in range(FILES)]
    for i, name in enumerate(names):
        soundfile.write(folder / name, np.roll(samples, -i * rate // 40, axis=0)[: rate // 2], rate)
    (folder / "list.txt").write_text("".join(f"{name}\n" for name in names))
    return folder


def start_worker(
    index: int, workers: int, clips: Path, output: Path, address: str, **variables: str
) -> subprocess.Popen:
    """One worker, in a process group of its own so that it can be killed with all that it has started."""
    environment = os.environ | {
        "PATH": f"{CLIENT.parent}:{os.environ['PATH']}",
        "CULTURETAG_SERVER": address,
        "JOB_COMPLETION_INDEX": str(index),
        "WORKERS": str(workers),
        "CHUNK_FILES": str(CHUNK_FILES),
        **variables,
    }
    command = [WORKER, clips / "list.txt", clips, output, "--heads", "makam", "--top-k", "1"]
    return subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, start_new_session=True)


def run_worker(*arguments, **variables: str) -> tuple[int, str]:
    """One worker to its end: the exit code, and what it said."""
    worker = start_worker(*arguments, **variables)
    _, said = worker.communicate()
    return worker.returncode, said


def results(output: Path) -> list[dict]:
    return [json.loads(line) for chunk in sorted(output.glob("chunk-*.jsonl")) for line in chunk.open()]


def run_and_kill(index: int, clips: Path, output: Path, address: str) -> tuple[int, str]:
    """Starts a worker and kills it at a random moment, five times, then lets it end."""
    chance = random.Random(index)
    for _ in range(KILLS_A_WORKER):
        worker = start_worker(index, WORKERS, clips, output, address)
        with pytest.raises(subprocess.TimeoutExpired):
            worker.communicate(timeout=chance.uniform(0.02, 0.2))
        os.killpg(worker.pid, signal.SIGKILL)
        worker.communicate()
    return run_worker(index, WORKERS, clips, output, address)


def test_tags_500_files_once_each_though_each_of_four_workers_is_killed_five_times(server, clips, tmp_path):
    with ThreadPoolExecutor(WORKERS) as threads:
        ends = threads.map(lambda index: run_and_kill(index, clips, tmp_path, server.address), range(WORKERS))
    assert list(ends) == [(0, "")] * WORKERS
    lines = results(tmp_path)
    assert sorted(line["file"] for line in lines) == (clips / "list.txt").read_text().splitlines()
    assert all(line["heads"][0]["tags"] for line in lines)
    assert len(list(tmp_path.iterdir())) == FILES / CHUNK_FILES, "nothing unfinished is left"


def test_does_nothing_again(server, clips, tmp_path):
    written = []
    for _ in range(2):
        assert run_worker(0, 25, clips, tmp_path, server.address) == (0, "")
        written.append({file.name: file.stat().st_mtime_ns for file in tmp_path.iterdir()})
    assert sorted(written[0]) == ["chunk-000000000.jsonl", "chunk-000000025.jsonl"]
    assert written[0] == written[1]


def test_gives_files_that_cant_be_tagged_a_line_that_says_why(server, clips, tmp_path):
    (tmp_path / "list.txt").write_text("no such clip.wav\nlist.txt\n")
    (tmp_path / "results").mkdir()
    code, _ = run_worker(0, 1, tmp_path, tmp_path / "results", server.address)
    lines = results(tmp_path / "results")
    assert code == 0
    assert [(line["file"], line["error"]["code"]) for line in lines] == [
        ("no such clip.wav", "NOT_FOUND"),
        ("list.txt", "INVALID_ARGUMENT"),
    ]


def test_takes_a_list_from_windows_and_empty_lines_for_none(server, tmp_path):
    (tmp_path / "list.txt").write_text("one.wav\r\n\r\n\nno newline at the end.wav")
    (tmp_path / "results").mkdir()
    code, _ = run_worker(0, 1, tmp_path, tmp_path / "results", server.address)
    assert (code, [line["file"] for line in results(tmp_path / "results")]) == (
        0,
        ["one.wav", "no newline at the end.wav"],
    )


def test_leaves_out_what_the_service_failed_to_do_and_says_so(clips, tmp_path):
    code, said = run_worker(3, 25, clips, tmp_path, "127.0.0.1:1")
    assert code == 1
    assert said.endswith("culturetag-bulk: worker 3: 2 chunks are missing; run it again\n")
    assert list(tmp_path.iterdir()) == []


def test_refuses_a_number_of_workers_that_is_none(clips, tmp_path):
    code, said = run_worker(0, 0, clips, tmp_path, "127.0.0.1:1")
    assert (code, said.splitlines()[0]) == (
        2,
        "Usage: culturetag-bulk LIST INPUT OUTPUT [OPTION OF `culturetag tag`]...",
    )
