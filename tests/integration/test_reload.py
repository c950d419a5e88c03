"""New versions of bundles are taken up by the real server while it serves."""

import json
import re
import shutil
import signal
import time
from pathlib import Path

import pytest
from conftest import encode
from culturetag.v1 import tagging_pb2, tagging_pb2_grpc
from real_server import Server, running_server
from reloads import (
    RELOAD_TIMEOUT_S,
    await_version,
    make_versions,
    reload_under_load,
    served_version,
    turn,
)

FLAGS = ("--max_batch_windows=2", "--reload_period=100ms")
RELOADS = 20


@pytest.fixture(scope="session")
def versions(tmp_path_factory) -> dict[str, Path]:
    return make_versions(tmp_path_factory.mktemp("versions"), ("1", "2"))


@pytest.fixture(scope="session")
def clip(melody) -> tagging_pb2.Audio:
    samples, rate = melody
    return tagging_pb2.Audio(encoded=encode(samples[: 7 * rate], rate))


@pytest.fixture
def link(tmp_path, versions) -> Path:
    """Leads to version 1."""
    link = tmp_path / "current"
    link.symlink_to(versions["1"])
    return link


def await_log(server: Server, pattern: str) -> str:
    """The first line that has it."""
    deadline = time.monotonic() + RELOAD_TIMEOUT_S
    while True:
        for line in server.log():
            if re.search(pattern, line):
                return line
        assert time.monotonic() < deadline, f"no line has {pattern}"
        time.sleep(0.01)


def test_a_link_that_is_turned_under_load_fails_and_mixes_no_call(tmp_path, versions, link, clip):
    with running_server(tmp_path, *FLAGS, bundle=link) as server:
        report = reload_under_load(server, link, versions, clip, reloads=RELOADS, clients=4)
        assert report.failures == []
        assert min(report.calls.values()) > 0
        assert server.metric('culturetag_bundle_reloads_total{model="model",result="failed"}') == 0
        reloads = int(server.metric('culturetag_bundle_reloads_total{model="model",result="ok"}'))
        assert reloads >= RELOADS
        deadline = time.monotonic() + RELOAD_TIMEOUT_S
        while sum("let go of a replaced version" in line for line in server.log()) < reloads:
            assert time.monotonic() < deadline, "a version that nobody uses is still held"
            time.sleep(0.01)


def test_a_link_that_is_turned_is_noticed_by_itself(tmp_path, versions, link):
    with running_server(tmp_path, *FLAGS, bundle=link) as server, server.channel() as channel:
        stub = tagging_pb2_grpc.TaggingServiceStub(channel)
        assert served_version(stub) == "1"
        turn(link, versions["2"])
        await_version(stub, "2")
        assert 'version="1"' not in server.http("/metrics")
        assert server.http("/readyz") == "ready\n"


def test_kubernetes_links_of_each_file_are_followed(tmp_path, versions):
    mount = tmp_path / "mount"
    mount.mkdir()
    for version, bundle in versions.items():
        shutil.copytree(bundle, mount / f"..version_{version}")
    (mount / "..data").symlink_to("..version_1")
    for entry in (mount / "..version_1").iterdir():
        (mount / entry.name).symlink_to(Path("..data") / entry.name)
    with running_server(tmp_path, *FLAGS, bundle=mount) as server, server.channel() as channel:
        stub = tagging_pb2_grpc.TaggingServiceStub(channel)
        assert served_version(stub) == "1"
        turn(mount / "..data", Path("..version_2"))
        await_version(stub, "2")


def test_a_damaged_version_is_not_taken_up_until_it_is_mended(tmp_path, versions, link, clip):
    damaged = tmp_path / "damaged"
    shutil.copytree(versions["2"], damaged)
    backbone = (damaged / "backbone.ts").read_bytes()
    (damaged / "backbone.ts").write_bytes(backbone[:-1] + bytes([backbone[-1] ^ 1]))
    with running_server(tmp_path, *FLAGS, bundle=link) as server, server.channel() as channel:
        stub = tagging_pb2_grpc.TaggingServiceStub(channel)
        turn(link, damaged)
        line = await_log(server, "can't be taken up")
        assert "backbone.ts" in line
        assert "SHA-256" in line
        assert stub.Tag(tagging_pb2.TagRequest(audio=clip)).model_version == "1"
        assert server.metric('culturetag_bundle_reloads_total{model="model",result="failed"}') >= 1
        assert server.http("/readyz") == "ready\n"
        (damaged / "backbone.ts").write_bytes(backbone)
        server.process.send_signal(signal.SIGHUP)
        await_version(stub, "2")


def test_a_model_keeps_its_name(tmp_path, versions, link):
    renamed = tmp_path / "renamed"
    shutil.copytree(versions["2"], renamed)
    manifest = json.loads((renamed / "manifest.json").read_text())
    (renamed / "manifest.json").write_text(json.dumps(manifest | {"name": "other"}))
    with running_server(tmp_path, *FLAGS, bundle=link) as server, server.channel() as channel:
        turn(link, renamed)
        assert "keeps its name" in await_log(server, "can't be taken up")
        assert served_version(tagging_pb2_grpc.TaggingServiceStub(channel)) == "1"


def test_without_a_period_only_the_signal_counts(tmp_path, versions, link):
    flags = ("--max_batch_windows=2", "--reload_period=0")
    with running_server(tmp_path, *flags, bundle=link) as server, server.channel() as channel:
        stub = tagging_pb2_grpc.TaggingServiceStub(channel)
        server.process.send_signal(signal.SIGHUP)
        await_log(server, "unchanged")
        turn(link, versions["2"])
        server.process.send_signal(signal.SIGHUP)
        await_version(stub, "2")


def test_a_stop_during_a_reload_drains_as_ever(tmp_path, versions, link):
    with running_server(tmp_path, *FLAGS, bundle=link) as server:
        turn(link, versions["2"])
        await_log(server, "loading a new version")
        server.process.terminate()
        assert server.process.wait(timeout=RELOAD_TIMEOUT_S) == 0
