"""scripts/demo as users run it, on the build of scripts/test."""

import os
import re
import signal
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def start_demo(temporary: Path, *arguments: str) -> subprocess.Popen:
    """The script in a session of its own, as a terminal gives it, with its temporary files in `temporary`."""
    return subprocess.Popen(
        [ROOT / "scripts/demo", "--cpu", *arguments],
        env=os.environ | {"TMPDIR": str(temporary)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # Of whoever ignores SIGINT, as a background job does, children do too.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def assert_nothing_is_left(temporary: Path) -> None:
    assert list(temporary.iterdir()) == []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            command = (process / "cmdline").read_bytes().split(b"\0")
        except OSError:  # it has ended
            continue
        assert f"--port_file={temporary}".encode() not in b" ".join(command), command


def test_gives_the_default_melody_its_makam_among_the_first_three_tags(tmp_path):
    demo = start_demo(tmp_path)
    tags, progress = demo.communicate()
    assert demo.returncode == 0, progress
    makam = re.search(r"The melody: in makam (\w+)", progress)[1]
    head = re.search(r"^  makam\n((?:    .*\n)+)", tags, re.MULTILINE)[1]
    assert makam in [line.split("  ")[2] for line in head.splitlines()[:3]]
    assert re.search(r"mean\s+nothing", tags), "the bundle's honest label stands above its tags"
    assert_nothing_is_left(tmp_path)


def test_names_a_missing_file_before_it_installs_or_builds(tmp_path):
    demo = start_demo(tmp_path, "no-such-file.wav")
    tags, progress = demo.communicate()
    assert (demo.returncode, tags) == (1, "")
    assert progress == "demo: no such audio file: no-such-file.wav\n"


def test_leaves_nothing_running_when_it_is_interrupted(tmp_path):
    demo = start_demo(tmp_path)
    for line in demo.stderr:
        if "Starting culturetag-server" in line:
            break
    os.killpg(demo.pid, signal.SIGINT)
    demo.communicate()
    assert demo.returncode == 128 + signal.SIGINT
    assert_nothing_is_left(tmp_path)


def test_fails_with_the_servers_reason_where_the_file_is_no_audio(tmp_path):
    demo = start_demo(tmp_path, str(ROOT / "README.md"))
    _, progress = demo.communicate()
    assert demo.returncode == 1
    assert re.search(r"README\.md: INVALID_ARGUMENT", progress), progress
    assert_nothing_is_left(tmp_path)
