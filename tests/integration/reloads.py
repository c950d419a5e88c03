"""Reloads of a bundle under load: versions behind a link, clients that check every answer, and what the server's memory does."""

import dataclasses
import itertools
import os
import signal
import threading
import time
from pathlib import Path
from typing import Self

import grpc
from click.testing import CliRunner
from culturetag.v1 import tagging_pb2, tagging_pb2_grpc
from culturetag_model.cli import main as culturetag_model
from real_server import Server

# How far a window's scores may differ with what it shares a batch with. Those of heads of other weights differ by far more.
TOLERANCE = 1e-4
RELOAD_TIMEOUT_S = 120


def make_versions(
    folder: Path, versions: tuple[str, ...], *, name: str = "model", layers: int = 1, hidden: int = 64, channels: int = 16
) -> dict[str, Path]:
    """Bundles of one backbone of random weights that differ in version and in the weights of their heads, by version."""
    size = ["--layers", layers, "--hidden", hidden, "--channels", channels]
    run_tool("export", "--random-init", *size, "--output", folder / "backbone")
    bundles = {version: folder / version for version in versions}
    for seed, (version, bundle) in enumerate(bundles.items()):
        heads = ["--random-heads", "--seed", seed, "--name", name, "--version", version]
        run_tool("bundle", "create", "--backbone", folder / "backbone", *heads, "--output", bundle)
    return bundles


def run_tool(*arguments) -> None:
    result = CliRunner().invoke(culturetag_model, [str(argument) for argument in arguments])
    assert result.exit_code == 0, result.output


def turn(link: Path, target: Path) -> None:
    """Has `link` lead to `target` from one moment to the next."""
    new = link.with_name(link.name + ".new")
    new.symlink_to(target)
    os.replace(new, link)


def served_version(stub: tagging_pb2_grpc.TaggingServiceStub, model: str = "model") -> str:
    models = stub.ListModels(tagging_pb2.ListModelsRequest()).models
    return next(one.version for one in models if one.name == model)


def await_version(stub: tagging_pb2_grpc.TaggingServiceStub, version: str, model: str = "model") -> None:
    deadline = time.monotonic() + RELOAD_TIMEOUT_S
    while served_version(stub, model) != version:
        assert time.monotonic() < deadline, f"version {version} isn't served"
        time.sleep(0.01)


def values_of(response: tagging_pb2.TagResponse) -> list[float]:
    """All scores, in the order of the vocabularies."""
    return [score for head in response.heads for _, score in sorted((tag.label, tag.score) for tag in head.tags)]


class Clients:
    """Threads that call Tag and TagStream in turn, one call after the other, and compare every answer with what the version that
    it names should say."""

    def __init__(self, server: Server, clip: tagging_pb2.Audio, expected: dict[str, list[float]], count: int):
        self.failures: list[str] = []
        self.calls = dict.fromkeys(expected, 0)
        self._clip, self._expected = clip, expected
        self._server = server
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._threads = [threading.Thread(target=self._run) for _ in range(count)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self) -> None:
        with self._server.channel() as channel:
            stub = tagging_pb2_grpc.TaggingServiceStub(channel)
            for call in itertools.cycle([self._tag, self._stream]):
                if self._stop.is_set():
                    return
                try:
                    self._check(call(stub))
                except grpc.RpcError as error:
                    self._fail(f"{error.code()}: {error.details()}")

    def _tag(self, stub: tagging_pb2_grpc.TaggingServiceStub) -> tagging_pb2.TagResponse:
        return stub.Tag(tagging_pb2.TagRequest(audio=self._clip))

    def _stream(self, stub: tagging_pb2_grpc.TaggingServiceStub) -> tagging_pb2.TagResponse:
        messages = [
            tagging_pb2.TagStreamRequest(config=tagging_pb2.TagStreamConfig()),
            tagging_pb2.TagStreamRequest(data=self._clip.encoded),
        ]
        return list(stub.TagStream(iter(messages)))[-1].summary

    def _check(self, response: tagging_pb2.TagResponse) -> None:
        expected = self._expected.get(response.model_version)
        if expected is None:
            return self._fail(f"no such version: {response.model_version}")
        difference = max(abs(a - b) for a, b in zip(values_of(response), expected, strict=True))
        if difference > TOLERANCE:
            return self._fail(f"an answer that names version {response.model_version} differs from it by {difference}")
        with self._lock:
            self.calls[response.model_version] += 1
        return None

    def _fail(self, reason: str) -> None:
        with self._lock:
            self.failures.append(reason)


@dataclasses.dataclass
class Report:
    seconds: float
    calls: dict[str, int]
    failures: list[str]
    resident_mb: list[float]  # after each reload


def expected_answers(
    server: Server, link: Path, versions: dict[str, Path], clip: tagging_pb2.Audio
) -> dict[str, list[float]]:
    """What each version says of `clip`, asked while nothing else goes on. The first version must be served, and is in the end."""
    expected = {}
    with server.channel() as channel:
        stub = tagging_pb2_grpc.TaggingServiceStub(channel)
        for version in [*versions, next(iter(versions))]:
            reload(server, stub, link, versions, version)
            expected[version] = values_of(stub.Tag(tagging_pb2.TagRequest(audio=clip)))
    return expected


def reload(server: Server, stub, link: Path, versions: dict[str, Path], version: str) -> None:
    turn(link, versions[version])
    server.process.send_signal(signal.SIGHUP)
    await_version(stub, version)


def reload_under_load(
    server: Server, link: Path, versions: dict[str, Path], clip: tagging_pb2.Audio, *, reloads: int, clients: int
) -> Report:
    """Turns `link` from version to version, `reloads` times, each as soon as the one before is served, while clients call."""
    expected = expected_answers(server, link, versions, clip)
    targets = itertools.islice(itertools.cycle([*list(versions)[1:], next(iter(versions))]), reloads)
    resident = []
    start = time.monotonic()
    with server.channel() as channel, Clients(server, clip, expected, clients) as load:
        stub = tagging_pb2_grpc.TaggingServiceStub(channel)
        for version in targets:
            reload(server, stub, link, versions, version)
            resident.append(server.resident_mb())
    return Report(time.monotonic() - start, load.calls, load.failures, resident)
