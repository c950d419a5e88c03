"""The recipes for load tools, each run as its page says, for a moment, against the real server."""

import json
import sys
import venv
from pathlib import Path

import pytest
from conftest import must_run
from google.protobuf import json_format
from real_server import MELODY, ROOT

from culturetag.v1 import tagging_pb2, tagging_pb2_grpc

LOAD = ROOT / "examples/load"
GHZ = ROOT / ".cache/tools/bin/ghz"


@pytest.fixture(scope="module")
def request_json(tmp_path_factory):
    """A request with the melody, as `request.sh` makes it."""
    path = tmp_path_factory.mktemp("load") / "request.json"
    path.write_text(must_run(LOAD / "request.sh", MELODY, "makam"))
    return path


def test_a_request_holds_the_clip_and_the_heads(request_json):
    request = json_format.Parse(request_json.read_text(), tagging_pb2.TagRequest())
    assert request.audio.encoded == MELODY.read_bytes()
    assert list(request.heads) == ["makam"]


def test_a_request_for_all_heads_names_none():
    text = must_run(LOAD / "request.sh", MELODY)
    assert list(json_format.Parse(text, tagging_pb2.TagRequest()).heads) == []


@pytest.mark.parametrize(("recipe", "options"), [("closed", []), ("open", ["--load-step-duration=1s"])])
def test_ghz(server, request_json, recipe, options):
    before = server.metric("culturetag_windows_total")
    config = ["--config", LOAD / f"ghz/{recipe}.json", "--data-file", request_json, "--format=json"]
    report = json.loads(must_run(GHZ, *config, "--duration=2s", *options, server.address))
    assert report["statusCodeDistribution"] == {"OK": report["count"]}
    assert report["count"] > 1
    assert server.metric("culturetag_windows_total") - before == 3 * report["count"]


@pytest.fixture(scope="module")
def locust(tmp_path_factory):
    """Locust and the Python client, installed as the recipe says."""
    folder = tmp_path_factory.mktemp("locust")
    pip = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder]
    must_run(*pip, ROOT / "client/python")
    venv.create(folder / "venv", with_pip=True)
    wheel = next(folder.glob("*.whl"))
    must_run(folder / "venv/bin/pip", "install", "--disable-pip-version-check", "locust==2.47.0", wheel)
    return folder / "venv/bin/locust"


def test_locust(server, locust, tmp_path):
    clips = tmp_path / "clips"
    clips.mkdir()
    (clips / MELODY.name).write_bytes(MELODY.read_bytes())
    options = ["--headless", "--users=4", "--spawn-rate=4", "--run-time=4s", "--stop-timeout=30", "--json"]
    command = [locust, "-f", LOAD / "locust/locustfile.py", *options, f"--host={server.address}"]
    report = json.loads(must_run(*command, env={"CLIPS": str(clips)}))
    assert {entry["method"] for entry in report} == {"Tag, interactive", "Tag, bulk"}
    for entry in report:
        assert (entry["name"], entry["num_failures"]) == (MELODY.name, 0)
        assert entry["num_requests"] > 0


def test_k6_has_the_right_types():
    must_run("npm", "ci", "--no-audit", "--no-fund", cwd=LOAD / "k6")
    must_run("npm", "run", "check", cwd=LOAD / "k6")


def test_k6_sends_requests_that_the_server_answers(server, request_json):
    stand_in = Path(__file__).with_name("k6_stand_in.mjs")
    environment = {"SERVER": server.address, "REQUEST": str(request_json)}
    ran = json.loads(must_run("node", stand_in, LOAD / "k6/tag.js", env=environment))
    connect, invoke, refused = ran["calls"]
    assert connect == {"connect": [server.address, {"plaintext": True, "reflect": True}]}
    method, message, parameters = invoke["invoke"]
    assert method == "culturetag.v1.TaggingService/Tag"
    assert parameters["metadata"] == {"x-client-id": "k6"}
    assert refused == {"rate": False}
    with server.channel() as channel:
        request = json_format.ParseDict(message, tagging_pb2.TagRequest())
        (head,) = tagging_pb2_grpc.TaggingServiceStub(channel).Tag(request).heads
    assert head.head == "makam"
