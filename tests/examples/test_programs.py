"""The examples in every language, built as their pages say and run against the real server."""

import re

import grpc
import numpy as np
import pytest
import soundfile
from conftest import must_run, run
from fake_server import FakeService, Refusal, serving
from real_server import MELODY, ROOT

from culturetag import Client

EXAMPLES = ROOT / "examples"


def python_program(_):
    return ["python", EXAMPLES / "python/tag.py"]


def go_program(folder):
    must_run("go", "generate", "./...", cwd=EXAMPLES / "go")
    must_run("go", "vet", "./...", cwd=EXAMPLES / "go")
    assert must_run("gofmt", "-l", "main.go", cwd=EXAMPLES / "go") == ""
    must_run("go", "build", "-o", folder / "tag", ".", cwd=EXAMPLES / "go")
    return [folder / "tag"]


def typescript_program(_):
    must_run("npm", "ci", "--no-audit", "--no-fund", cwd=EXAMPLES / "typescript")
    must_run("npm", "run", "build", cwd=EXAMPLES / "typescript")
    return ["node", EXAMPLES / "typescript/dist/tag.js"]


@pytest.fixture(scope="module", params=[python_program, go_program, typescript_program])
def program(request, tmp_path_factory):
    """The command that one of the examples is run by."""
    return request.param(tmp_path_factory.mktemp("program"))


@pytest.fixture(scope="module")
def melody_lines(server):
    """What each program must print for the melody: two tags for each of two heads."""
    with Client(server.address) as client:
        heads = client.tag(MELODY, heads=["mtat", "makam"], top_k=2).heads
    return [f"{MELODY}\t{head}\t{tag.label}\t{tag.score:.4f}" for head, tags in heads.items() for tag in tags]


def test_prints_the_tags_of_a_clip(program, server, melody_lines):
    options = [f"--server={server.address}", "--heads=mtat,makam", "--top-k=2"]
    assert must_run(*program, *options, MELODY).splitlines() == melody_lines


def test_reports_what_fails_and_goes_on(program, server, melody_lines, tmp_path):
    broken, missing = tmp_path / "broken.wav", tmp_path / "missing.wav"
    broken.write_bytes(b"no audio")
    options = [f"--server={server.address}", "--heads=mtat,makam", "--top-k=2"]
    done = run(*program, *options, broken, missing, MELODY)
    assert done.returncode == 1
    assert done.stdout.splitlines() == melody_lines
    first, second = done.stderr.splitlines()
    assert re.match(rf"{broken}: INVALID_?ARGUMENT.*no audio file", first, re.IGNORECASE)
    assert re.match(rf"{missing}: .*no such file", second, re.IGNORECASE)


def test_tries_again_what_may_pass(program):
    service = FakeService()
    service.refuse(
        "Tag", Refusal(grpc.StatusCode.RESOURCE_EXHAUSTED, pushback_ms="1"), Refusal(grpc.StatusCode.UNAVAILABLE)
    )
    with serving(service) as address:
        must_run(*program, f"--server={address}", MELODY)
    assert service.methods() == ["Tag"] * 3
    assert [len(call.request.audio.encoded) for call in service.calls] == [MELODY.stat().st_size] * 3


def test_streams_a_file_of_any_size(program, tmp_path):
    track = tmp_path / "track.wav"
    track.write_bytes(bytes(600_000))
    service = FakeService()
    with serving(service) as address:
        lines = must_run(*program, f"--server={address}", "--stream", "--heads=makam", "--top-k=2", track).splitlines()
    assert lines[:2] == [f"{track}@0s\tmakam\tHüseyni\t0.7500", f"{track}@0s\tmakam\tNey\t0.5000"]
    assert lines[-2:] == [f"{track}\tmakam\tHüseyni\t0.7500", f"{track}\tmakam\tNey\t0.5000"]
    (call,) = service.calls
    assert (list(call.config.heads), call.config.top_k) == (["makam"], 2)
    assert call.data == bytes(600_000)
    assert call.largest_chunk == 256 * 1024


def test_streams_a_clip_window_by_window(program, server, melody_lines):
    options = [f"--server={server.address}", "--heads=mtat,makam", "--top-k=2", "--stream"]
    lines = must_run(*program, *options, MELODY).splitlines()
    assert lines[-4:] == melody_lines
    names = [line.split("\t")[0] for line in lines]
    assert names == [f"{MELODY}@{start}s" for start in (0, 5, 9) for _ in range(4)] + [str(MELODY)] * 4


def test_finds_a_clip_most_similar_to_itself(server, tmp_path):
    samples, rate = soundfile.read(MELODY)
    other = tmp_path / "noise.wav"
    soundfile.write(other, np.random.default_rng(1).uniform(-0.5, 0.5, len(samples)), rate)
    ranked = must_run(
        "python", EXAMPLES / "python/similar.py", f"--server={server.address}", MELODY, other
    ).splitlines()
    assert [line.split("\t")[1] for line in ranked] == [str(MELODY), str(other)]
    assert ranked[0].startswith("1.0000")


def test_a_shell_script_prints_the_tags_of_a_clip(server):
    lines = must_run(EXAMPLES / "shell/tag.sh", server.address, MELODY, "1").splitlines()
    with Client(server.address) as client:
        heads = client.tag(MELODY, top_k=1).heads
    assert [line.split("\t")[:2] for line in lines] == [[head, tags[0].label] for head, tags in heads.items()]
    for line, tags in zip(lines, heads.values(), strict=True):
        assert float(line.split("\t")[2]) == pytest.approx(tags[0].score, abs=1e-4)


def test_the_python_examples_are_well_typed_and_formatted():
    sources = [*(EXAMPLES / "python").glob("*.py"), EXAMPLES / "load/locust/locustfile.py"]
    must_run("ruff", "format", "--check", "--config", "pyproject.toml", *sources, cwd=ROOT / "client/python")
    must_run("ruff", "check", "--config", "pyproject.toml", *sources, cwd=ROOT / "client/python")
    must_run("mypy", *(EXAMPLES / "python").glob("*.py"), cwd=ROOT / "client/python")
