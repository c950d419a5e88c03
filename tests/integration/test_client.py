"""The command-line client, as its users run it, against the real server."""

import json
import os
import pty
import shutil
import signal
import subprocess
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import request
from real_server import MELODY, ROOT, Server

from culturetag.v1 import tagging_pb2, tagging_pb2_grpc

CLIENT = ROOT / "build/release/bin/culturetag"

FILES = 1000
BROKEN = 20


def run(
    server: Server, *arguments: str | Path, **options
) -> subprocess.CompletedProcess:
    command = [CLIENT, arguments[0], "--server", server.address, *arguments[1:]]
    return subprocess.run(
        command, check=False, capture_output=True, timeout=600, **options
    )


def start(server: Server, *arguments: str | Path, **options) -> subprocess.Popen:
    return subprocess.Popen(
        [CLIENT, arguments[0], "--server", server.address, *arguments[1:]], **options
    )


@pytest.fixture
def library(tmp_path: Path) -> Path:
    """Nested folders with 1,000 audio files, of which 20 are broken, and with other files among them."""
    root = tmp_path / "library"
    samples = np.sin(np.arange(4000) / 10).astype("float32")  # the shortest clip: 0.5 s
    for number in range(FILES):
        folder = root / f"artist {number % 10}" / f"album, {number % 7}"
        folder.mkdir(parents=True, exist_ok=True)
        file = folder / f"{number:04}.wav"
        if number % (FILES // BROKEN) == 0:
            file.write_bytes(b"no audio")
        else:
            soundfile.write(file, samples, 8000)
        (folder / "cover.jpg").write_bytes(b"no audio either")
    return root


def test_embed_writes_arrays_that_numpy_reads(
    server: Server, stub: tagging_pb2_grpc.TaggingServiceStub, tmp_path: Path
):
    audio = tagging_pb2.Audio(encoded=MELODY.read_bytes())
    expected = stub.Embed(tagging_pb2.EmbedRequest(audio=audio, include_windows=True))
    shape = (expected.layer_count, expected.hidden_size)

    assert run(server, "embed", MELODY, "-o", tmp_path / "track.npy").returncode == 0
    track = np.load(tmp_path / "track.npy")
    assert track.dtype == np.dtype("<f4")
    np.testing.assert_allclose(track, np.reshape(expected.values, shape), atol=1e-4)

    assert (
        run(
            server, "embed", "--windows", MELODY, "--out", tmp_path / "arrays"
        ).returncode
        == 0
    )
    windows = np.load(tmp_path / "arrays" / "melody.npy")
    assert windows.shape == (3, *shape)
    for window, want in zip(windows, expected.windows, strict=True):
        np.testing.assert_allclose(window, np.reshape(want.values, shape), atol=1e-4)


def test_live_prints_windows_while_the_input_goes_on_and_then_what_tag_says(
    server: Server,
    stub: tagging_pb2_grpc.TaggingServiceStub,
    melody: tuple[np.ndarray, int],
    tmp_path: Path,
):
    samples, rate = melody
    pcm = (samples * 32767).astype("<i2")
    process = start(
        server,
        "tag",
        "--live",
        "--json",
        "--rate",
        str(rate),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    process.stdin.write(pcm[: 6 * rate].tobytes())
    process.stdin.flush()
    first = json.loads(
        process.stdout.readline()
    )  # comes though the input is still open
    assert (first["start_seconds"], first["duration_seconds"]) == (0.0, 5.0)
    process.stdin.write(pcm[6 * rate :].tobytes())
    process.stdin.close()
    rest = [json.loads(line) for line in process.stdout]
    assert process.wait(timeout=60) == 0

    assert [window["start_seconds"] for window in rest[:-1]] == [5.0, 9.0]
    soundfile.write(tmp_path / "melody.wav", pcm, rate)
    expected = stub.Tag(request((tmp_path / "melody.wav").read_bytes(), top_k=5))
    assert [
        (head["head"], [tag["label"] for tag in head["tags"]])
        for head in rest[-1]["heads"]
    ] == [(head.head, [tag.label for tag in head.tags]) for head in expected.heads]


def test_live_ends_with_the_summary_after_ctrl_c(
    server: Server, melody: tuple[np.ndarray, int]
):
    samples, rate = melody
    process = start(
        server, "tag", "--live", "--json", "--rate", str(rate), "--encoding", "f32le",
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    process.stdin.write(samples[: 6 * rate].astype("<f4").tobytes())
    process.stdin.flush()
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    lines = [json.loads(line) for line in process.stdout]
    process.stdin.close()
    assert process.wait(timeout=60) == 0
    assert lines[-1]["audio"]["duration_seconds"] == 6.0
    assert lines[-1]["audio"]["window_count"] == 2


def test_a_file_too_large_for_a_message_is_streamed_with_the_same_tags(
    server: Server,
    stub: tagging_pb2_grpc.TaggingServiceStub,
    melody: tuple[np.ndarray, int],
    tmp_path: Path,
):
    samples, rate = melody
    large = tmp_path / "large.wav"
    soundfile.write(
        large, np.tile(samples[:, None], (1, 24)), rate, subtype="FLOAT"
    )  # 24 channels of the same
    assert large.stat().st_size > 8 << 20
    streams = 'culturetag_requests_total{code="OK",method="TagStream"}'
    before = server.metric(streams) if streams in server.http("/metrics") else 0
    result = run(server, "tag", "--jsonl", large)
    assert result.returncode == 0, result.stderr
    assert server.metric(streams) == before + 1
    heads = json.loads(result.stdout)["heads"]
    tags = {
        (head["head"], tag["label"]): tag["score"]
        for head in heads
        for tag in head["tags"]
    }
    expected = stub.Tag(request(MELODY.read_bytes(), top_k=5))
    for head in expected.heads:
        for tag in head.tags:
            assert tags[head.head, tag.label] == pytest.approx(tag.score, abs=1e-4)


def test_a_thousand_files_survive_a_kill_with_nothing_lost_and_nothing_twice(
    server: Server, library: Path, tmp_path: Path
):
    results = tmp_path / "tags.jsonl"
    arguments = (
        "tag",
        "--priority",
        "bulk",
        "--top-k",
        "1",
        "--heads",
        "fma",
        "--out",
        results,
        library,
    )
    first = start(server, *arguments, stderr=subprocess.DEVNULL)
    while not results.exists() or results.read_bytes().count(b"\n") < 100:
        assert first.poll() is None
    first.kill()
    first.wait()
    with results.open("ab") as torn:
        torn.write(b'{"file":"half a li')
    finished = {
        json.loads(line)["file"] for line in results.read_bytes().splitlines()[:-1]
    }
    assert 100 <= len(finished) < FILES - BROKEN

    second = run(server, *arguments)
    assert second.returncode == 1
    lines = [json.loads(line) for line in results.read_bytes().splitlines()]
    files = [line["file"] for line in lines]
    assert len(files) == len(set(files)) == FILES - BROKEN
    assert all(line["heads"][0]["tags"] for line in lines)
    assert set(files) == {
        str(file) for file in library.rglob("*.wav") if file.stat().st_size > 8
    }
    reasons = second.stderr.decode().splitlines()
    assert len(reasons) == BROKEN
    assert all(": INVALID_ARGUMENT: " in reason for reason in reasons)


def test_ctrl_c_keeps_what_is_finished(server: Server, library: Path, tmp_path: Path):
    results = tmp_path / "tags.csv"
    process = start(
        server, "tag", "--heads", "fma", "--top-k", "1", "--out", results, library
    )
    while not results.exists() or results.read_bytes().count(b"\n") < 10:
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=60) == 130
    rows = results.read_text().splitlines()
    assert rows[0] == "file,window_start_seconds,head,category,label,score"
    assert 9 <= len(rows) - 1 < FILES - BROKEN
    assert all(
        row.count(",") == 6 for row in rows[1:]
    )  # each file once, and its folder's name has a comma


def test_progress_is_drawn_on_a_terminal_only(
    server: Server, library: Path, tmp_path: Path
):
    folder = library / "artist 1" / "album, 1"
    terminal, end = pty.openpty()
    process = start(server, "tag", "--out", tmp_path / "a.jsonl", folder, stderr=end)
    assert process.wait(timeout=60) == 0
    os.close(end)
    assert b"files, " in os.read(terminal, 1 << 20)
    os.close(terminal)
    assert run(server, "tag", "--out", tmp_path / "b.jsonl", folder).stderr == b""


CHROMIUM = shutil.which("chromium-headless-shell") or shutil.which("chromium")


@pytest.mark.skipif(
    CHROMIUM is None,
    reason="no Chromium is installed; Debian has it as chromium-headless-shell",
)
def test_a_browser_draws_waveform_and_tags_of_the_html_page(
    server: Server, stub: tagging_pb2_grpc.TaggingServiceStub, tmp_path: Path
):
    page = tmp_path / "melody.html"
    assert run(server, "tag", "--html", page, "--top-k", "2", MELODY).returncode == 0
    options = [
        "--no-sandbox",
        "--disable-gpu",
        "--virtual-time-budget=20000",
        "--dump-dom",
    ]
    dom = subprocess.check_output(
        [CHROMIUM, *options, page.as_uri()], text=True, timeout=120
    )
    body = (
        dom.split("</script>")[-1] + dom.split("<script>")[0]
    )  # without the data that the script reads
    assert 'data-ready="1024"' in body  # columns of the waveform
    for head in stub.Tag(request(MELODY.read_bytes(), top_k=2)).heads:
        assert f"<h2>{head.head}</h2>" in body
        for tag in head.tags:
            assert f'title="{tag.label} ({tag.category})"' in body


def test_another_program_finds_the_installed_library_and_tags_with_it(
    server: Server, stub: tagging_pb2_grpc.TaggingServiceStub, tmp_path: Path
):
    install = [
        "cmake",
        "--install",
        CLIENT.parents[1],
        "--component",
        "client",
        "--prefix",
        tmp_path / "prefix",
    ]
    subprocess.run(install, check=True, stdout=subprocess.DEVNULL)
    configure = [
        "cmake",
        "-S",
        ROOT / "tests/client/consumer",
        "-B",
        tmp_path / "build",
    ]
    subprocess.run(
        [*configure, f"-DCMAKE_PREFIX_PATH={tmp_path / 'prefix'}"],
        check=True,
        stdout=subprocess.DEVNULL,
    )
    subprocess.run(
        ["cmake", "--build", tmp_path / "build"], check=True, stdout=subprocess.DEVNULL
    )
    output = subprocess.check_output(
        [tmp_path / "build/consumer", server.address, MELODY], text=True
    )
    expected = stub.Tag(request(MELODY.read_bytes(), top_k=1))
    assert output.splitlines() == [
        f"{head.head} {head.tags[0].label}" for head in expected.heads
    ]


def test_health_says_whether_the_server_serves(server: Server):
    healthy = run(server, "health")
    assert (healthy.returncode, healthy.stdout) == (0, b"SERVING\n")
