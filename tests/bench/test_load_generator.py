"""The load generator of the benches: its own tests, and one run against the real server."""

import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

import harness
from real_server import MELODY, running_server

LOAD = Path(__file__).resolve().parent / "load"
GO = harness.ROOT / ".venv/bin/go"


def run(*command: str | Path) -> subprocess.CompletedProcess:
    return subprocess.run(command, cwd=LOAD, capture_output=True, text=True, check=False)


def test_its_code_is_formatted_and_vetted():
    assert run("gofmt", "-l", ".").stdout == ""
    assert run(GO, "vet", "./...").stderr == ""


def test_its_own_tests_pass():
    ran = run(GO, "test", "./...")
    assert ran.returncode == 0, ran.stdout + ran.stderr


def test_an_open_loop_waits_for_every_answer_of_the_server(tmp_path):
    harness.build_generator()
    body = tmp_path / "body"
    body.write_bytes(harness.file_request(MELODY.read_bytes(), top_k=1))
    with running_server(tmp_path, "--max_batch_windows=4") as server:
        before = server.metric("culturetag_windows_total")
        found = harness.load(f"grpc://{server.address}/{harness.CULTURETAG_TAG}", [body], seconds=2, warmup=0, rate=5)
        windows = server.metric("culturetag_windows_total") - before
    assert found["failures"] == {}
    assert found["answered"] >= 1
    assert windows == 3 * found["answered"]


def test_a_failure_is_counted_by_its_code(tmp_path):
    harness.build_generator()
    body = tmp_path / "body"
    body.write_bytes(harness.file_request(b"no audio"))
    with running_server(tmp_path, "--max_batch_windows=1") as server:
        url = f"grpc://{server.address}/{harness.CULTURETAG_TAG}"
        found = harness.load(url, [body], seconds=0.5, warmup=0, rate=10)
    assert found["answered"] == 0
    assert found["failures"].keys() == {"InvalidArgument"}
