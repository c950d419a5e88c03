"""`buf breaking` guards the contract against proto/baseline.txtpb, as buf.yaml says; this tests the guard itself."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
BUF = ROOT / ".venv/bin/buf"
BASELINE = ROOT / "proto/baseline.txtpb"

RENEW = "buf build --path proto/culturetag --path proto/inference --exclude-source-info -o proto/baseline.txtpb"


def breaks(*arguments: str | Path, folder: Path = ROOT) -> list[str]:
    """What `buf breaking` complains of."""
    run = subprocess.run([BUF, "breaking", *arguments], cwd=folder, capture_output=True, text=True)
    assert run.returncode in (0, 100), run.stderr
    return run.stdout.splitlines()


@pytest.fixture
def changed(tmp_path):
    """A copy of the protos in which one text of the contract is replaced by another."""

    def change(old: str, new: str) -> Path:
        shutil.copytree(ROOT / "proto", tmp_path / "proto")
        shutil.copy(ROOT / "buf.yaml", tmp_path)
        proto = tmp_path / "proto/culturetag/v1/tagging.proto"
        text = proto.read_text()
        assert old in text
        proto.write_text(text.replace(old, new, 1))
        return tmp_path

    return change


def test_nothing_that_was_promised_is_broken():
    assert breaks("--against", BASELINE) == []


def test_everything_in_the_contract_is_promised(tmp_path):
    now = tmp_path / "now.binpb"
    subprocess.run([BUF, "build", "--path", "proto/culturetag", "--path", "proto/inference", "-o", now], cwd=ROOT, check=True)
    assert breaks(BASELINE, "--against", now) == [], f"the contract has grown; renew its baseline with `{RENEW}`"


@pytest.mark.parametrize(
    ("old", "new", "complaint"),
    [
        ("  rpc Embed(EmbedRequest) returns (EmbedResponse);\n", "", 'RPC "Embed"'),
        ("returns (stream TagStreamResponse)", "returns (TagStreamResponse)", 'RPC "TagStream"'),
        ("  int32 top_k = 3;\n", "", 'field "3" with name "top_k"'),
        ("int32 top_k = 3;", "int64 top_k = 3;", 'changed type from "int32" to "int64"'),
        ("int32 top_k = 3;", "int32 most_tags = 3;", 'changed name from "top_k" to "most_tags"'),
        ("int32 top_k = 3;", "int32 top_k = 30;", 'field "3" with name "top_k"'),
        ("  ENCODING_F32LE = 2;\n", "", 'enum value "2"'),
        ("repeated Tag tags = 2;", "Tag tags = 2;", 'from "repeated" to "optional'),
        (
            "package culturetag.v1;",
            "package culturetag.v2;",
            'message "Audio" was deleted from package "culturetag.v1"',
        ),
    ],
)
def test_the_guard_sees_a_break(changed, old, new, complaint):
    found = breaks("--against", BASELINE, folder=changed(old, new))
    assert any(complaint in line for line in found), found


def test_the_guard_lets_the_contract_grow(changed):
    folder = changed("  int32 top_k = 3;\n", "  int32 top_k = 3;\n  // Why not.\n  bool why_not = 99;\n")
    assert breaks("--against", BASELINE, folder=folder) == []
