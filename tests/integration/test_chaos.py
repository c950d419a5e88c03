"""What goes wrong around a server: its process, its clients, the network, the disk, the clock of its certificates.

Each test does it to the real server, and asks for the right status, for other clients that notice nothing, and for a server
that is as it was when it is over.
"""

import concurrent.futures
import contextlib
import datetime
import io
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import numpy as np
import pytest
import soundfile
from conftest import encode, request, scores
from culturetag.v1 import tagging_pb2, tagging_pb2_grpc
from real_server import BUNDLE, SERVER, Server, running_server, start_server
from test_security import make_certificate, models, openssl, secure_channel

TIMEOUT_S = 120
RATE = 24_000


def wait_until(condition: Callable[[], bool], what: str) -> None:
    """Blocks until `condition` holds; the server tells nobody when it does."""
    deadline = time.monotonic() + TIMEOUT_S
    while not condition():
        assert time.monotonic() < deadline, what
        threading.Event().wait(0.02)


def descriptors(server: Server) -> int:
    return len(os.listdir(f"/proc/{server.process.pid}/fd"))


def new_connection(server: Server) -> grpc.Channel:
    """A channel that shares no connection with those that are there, as channels to one address otherwise do."""
    return grpc.insecure_channel(server.address, options=[("grpc.use_local_subchannel_pool", 1)])


def tag(channel: grpc.Channel, clip: bytes) -> tagging_pb2.TagResponse:
    return tagging_pb2_grpc.TaggingServiceStub(channel).Tag(request(clip, heads=["makam"]), timeout=TIMEOUT_S)


@pytest.fixture(scope="module")
def clip() -> bytes:
    """One second of noise as WAV."""
    return encode(np.random.default_rng(0).uniform(-0.5, 0.5, RATE).astype(np.float32), RATE)


@contextlib.contextmanager
def other_client(server: Server, clip: bytes) -> Iterator[None]:
    """A client that sends one clip after the other all the while, and to which nothing may happen."""
    stop = threading.Event()
    first = threading.Event()

    def work() -> int:
        count = 0
        with server.channel() as channel:
            while not stop.is_set():
                assert tag(channel, clip).heads
                count += 1
                first.set()
        return count

    with concurrent.futures.ThreadPoolExecutor(1) as pool:
        outcome = pool.submit(work)
        try:
            assert first.wait(TIMEOUT_S)
            yield
        finally:
            stop.set()
        assert outcome.result() > 0


# --- the process


def test_a_kill_and_a_restart_under_load_look_like_an_unavailable_server_and_then_like_none(tmp_path, clip):
    folders = [tmp_path / "first", tmp_path / "second"]
    for folder in folders:
        folder.mkdir()
    server = start_server(folders[0], "--max_batch_windows=4")
    killed = threading.Event()
    restarted = threading.Event()
    busy = [threading.Event() for _ in range(4)]

    def client(index: int) -> tuple[set[grpc.StatusCode], dict]:
        """Calls until a call succeeds after the restart; the errors that it saw, and the last answer."""
        errors = set()
        with server.channel() as channel:
            while True:
                again = restarted.is_set()
                try:
                    answer = tag(channel, clip)
                except grpc.RpcError as error:
                    assert killed.is_set(), error
                    errors.add(error.code())
                    continue
                busy[index].set()
                if again:
                    return errors, scores(answer)

    with concurrent.futures.ThreadPoolExecutor(len(busy)) as pool:
        clients = [pool.submit(client, index) for index in range(len(busy))]
        assert all(event.wait(TIMEOUT_S) for event in busy)
        killed.set()
        server.process.kill()
        server.process.wait()
        with running_server(folders[1], "--max_batch_windows=4", f"--listen={server.address}"):
            restarted.set()
            outcomes = [client.result() for client in clients]
    assert set().union(*(errors for errors, _ in outcomes)) == {grpc.StatusCode.UNAVAILABLE}
    answers = [answer for _, answer in outcomes]
    assert all(answer == pytest.approx(answers[0], abs=1e-4) for answer in answers)


# --- clients and the network

FROZEN_CLIENT = """
import sys, threading, grpc
from culturetag.v1 import tagging_pb2, tagging_pb2_grpc

channel = grpc.insecure_channel(sys.argv[1])
stub = tagging_pb2_grpc.TaggingServiceStub(channel)
never = threading.Event()

def messages():
    pcm = tagging_pb2.PcmFormat(encoding=tagging_pb2.ENCODING_S16LE, sample_rate_hz=24000, channel_count=1)
    yield tagging_pb2.TagStreamRequest(config=tagging_pb2.TagStreamConfig(pcm=pcm, heads=["makam"]))
    yield tagging_pb2.TagStreamRequest(data=bytes(2 * 24000 * 6))
    never.wait()

streams = [stub.TagStream(messages()) for _ in range(4)]
for stream in streams:
    next(stream)
print("streaming", flush=True)
never.wait()
"""


def test_frozen_clients_lose_their_streams_and_nobody_elses(tmp_path, clip):
    with running_server(tmp_path, "--max_batch_windows=4", "--stream_idle_timeout=2s") as server:
        command = [sys.executable, "-c", FROZEN_CLIENT, server.address]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as frozen:
            try:
                assert frozen.stdout.readline() == "streaming\n"
                frozen.send_signal(signal.SIGSTOP)
                ended = 'culturetag_requests_total{code="DEADLINE_EXCEEDED",method="TagStream"}'
                with other_client(server, clip):
                    wait_until(lambda: ended in server.http("/metrics") and server.metric(ended) == 4, "streams go on")
            finally:
                frozen.kill()
        assert server.metric("culturetag_pending_windows") == 0


def test_half_open_connections_cost_nobody_anything(tmp_path, clip):
    http2_preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    with running_server(tmp_path, "--max_batch_windows=4") as server:
        address = ("127.0.0.1", server.port)
        with other_client(server, clip), contextlib.ExitStack() as connections:
            before = descriptors(server)
            for index in range(300):
                connection = connections.enter_context(socket.create_connection(address))
                connection.sendall([b"", http2_preface[:10], http2_preface][index % 3])
            wait_until(lambda: descriptors(server) >= before + 300, "the connections are accepted")
            with new_connection(server) as channel:
                assert tag(channel, clip).heads
            connections.close()
            wait_until(lambda: descriptors(server) <= before, "the descriptors come back")


def test_thousands_of_connections_within_seconds_leave_nothing_behind(tmp_path, clip):
    with running_server(tmp_path, "--max_batch_windows=4") as server, other_client(server, clip):
        before = descriptors(server)
        address = ("127.0.0.1", server.port)
        start = time.monotonic()
        for _ in range(5000):
            socket.create_connection(address).close()
        print(f"{5000 / (time.monotonic() - start):.0f} connections a second")
        wait_until(lambda: descriptors(server) <= before, "the descriptors come back")
        with new_connection(server) as channel:
            assert tag(channel, clip).heads


def test_a_server_without_descriptors_goes_on_and_takes_connections_again(tmp_path, clip):
    with running_server(tmp_path, "--max_batch_windows=4", prefix=["prlimit", "--nofile=200:200"]) as server:
        address = ("127.0.0.1", server.port)
        before = descriptors(server)
        with other_client(server, clip), contextlib.ExitStack() as connections:
            for _ in range(400):
                connections.enter_context(socket.create_connection(address))
            # Those on top are closed at once; they come in turn, so that all are dealt with when the last one is.
            last = connections.enter_context(socket.create_connection(address))
            last.settimeout(TIMEOUT_S)
            with contextlib.suppress(ConnectionResetError):
                assert last.recv(1) == b""
            with new_connection(server) as refused:
                assert models(refused, timeout=5) == grpc.StatusCode.UNAVAILABLE
        wait_until(lambda: descriptors(server) <= before, "the descriptors come back")
        with new_connection(server) as channel:
            assert tag(channel, clip).heads
        assert any("a connection was refused" in line for line in server.log())


# --- the disk


def stream_of(data: bytes) -> Iterator[tagging_pb2.TagStreamRequest]:
    yield tagging_pb2.TagStreamRequest(config=tagging_pb2.TagStreamConfig(heads=["makam"]))
    for start in range(0, len(data), 1 << 15):
        yield tagging_pb2.TagStreamRequest(data=data[start : start + (1 << 15)])


def test_an_upload_that_the_spool_has_no_room_for_is_refused_and_the_next_one_fits(tmp_path):
    noise = np.random.default_rng(0).uniform(-0.5, 0.5, 60 * RATE)
    large, small = (encode(noise[: seconds * RATE], RATE, "OGG", "VORBIS") for seconds in (60, 1))
    limit = len(large) // 2
    assert len(small) < limit
    # A file may not grow beyond the limit: what a full disk says, but for the number of the error. (A small file system would
    # take root's rights to mount.)
    with running_server(tmp_path, "--max_batch_windows=4", f"--spool_folder={tmp_path}", prefix=["prlimit", f"--fsize={limit}"]) as server:
        with server.channel() as channel:
            stub = tagging_pb2_grpc.TaggingServiceStub(channel)
            for _ in range(3):
                with pytest.raises(grpc.RpcError) as error:
                    list(stub.TagStream(stream_of(large), timeout=TIMEOUT_S))
                assert error.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
                assert "File too large" in error.value.details()
                assert int(dict(error.value.trailing_metadata())["grpc-retry-pushback-ms"]) > 0
                assert list(stub.TagStream(stream_of(small), timeout=TIMEOUT_S))[-1].summary.heads
            flac = io.BytesIO()
            soundfile.write(flac, noise[: 10 * RATE], RATE, format="FLAC")
            assert list(stub.TagStream(stream_of(flac.getvalue()), timeout=TIMEOUT_S))[-1].summary.heads
        assert os.listdir(tmp_path) == ["server.log"]


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("backbone.ts", lambda data: data[:-1] + bytes([data[-1] ^ 1])),
        ("heads/makam.ts", lambda data: data[: len(data) // 2]),
        ("manifest.json", lambda data: data[: len(data) // 2]),
        ("manifest.json", lambda data: b""),
    ],
)
def test_a_damaged_bundle_is_not_served_and_its_file_is_named(tmp_path, file, damage):
    bundle = tmp_path / "bundle"
    shutil.copytree(BUNDLE, bundle)
    (bundle / file).write_bytes(damage((bundle / file).read_bytes()))
    command = [SERVER, f"--bundle={bundle}", "--listen=127.0.0.1:0", "--metrics_listen="]
    result = subprocess.run(command, check=False, capture_output=True, text=True, timeout=TIMEOUT_S)
    assert result.returncode == 1
    assert file in result.stderr
    assert "serving" not in result.stderr


# --- certificates


def make_expired(folder: Path, name: str, ca: Path) -> tuple[Path, Path]:
    """A key and a certificate that `ca` signed and that was valid until yesterday."""
    key, certificate = make_certificate(folder, name, ca=ca)
    wanted = folder / f"{name}.csr"
    database = folder / "database"
    database.mkdir(exist_ok=True)
    (database / "index.txt").touch()
    (database / "config").write_text(
        f"[ca]\ndefault_ca=own\n[own]\ndatabase={database}/index.txt\nnew_certs_dir={database}\nrand_serial=yes\n"
        "default_md=sha256\npolicy=any\ncopy_extensions=copy\n[any]\ncommonName=supplied\n"
    )
    today = datetime.datetime.now(datetime.UTC)
    start, end = ((today - datetime.timedelta(days=days)).strftime("%Y%m%d%H%M%SZ") for days in (3, 1))
    openssl("ca", "-batch", "-config", database / "config", "-cert", ca.with_suffix(".crt"), "-keyfile", ca,
            "-startdate", start, "-enddate", end, "-in", wanted, "-out", certificate, "-notext")  # fmt: skip
    return key, certificate


def test_an_expired_client_certificate_is_refused_and_a_valid_one_beside_it_is_not(tmp_path):
    ca = make_certificate(tmp_path / "ca", "ca", may_sign=True)[0]
    authority = ca.with_suffix(".crt")
    key, certificate = make_certificate(tmp_path / "server", "server", ca=ca)
    valid = make_certificate(tmp_path / "valid", "valid", ca=ca)
    expired = make_expired(tmp_path / "expired", "expired", ca)
    flags = (f"--tls_cert={certificate}", f"--tls_key={key}", f"--tls_client_ca={authority}", "--max_batch_windows=1")
    with running_server(tmp_path, *flags) as server, secure_channel(server.address, authority, valid) as channel:
        assert models(channel) == grpc.StatusCode.OK
        with secure_channel(server.address, authority, expired) as late:
            assert models(late, timeout=5) == grpc.StatusCode.UNAVAILABLE
        assert models(channel) == grpc.StatusCode.OK


def test_a_server_whose_certificate_has_expired_serves_again_once_it_is_renewed(tmp_path):
    ca = make_certificate(tmp_path / "ca", "ca", may_sign=True)[0]
    authority = ca.with_suffix(".crt")
    key, certificate = make_expired(tmp_path / "server", "server", ca)
    renewed = make_certificate(tmp_path / "renewed", "server", ca=ca)
    with running_server(tmp_path, f"--tls_cert={certificate}", f"--tls_key={key}", "--max_batch_windows=1") as server:
        with secure_channel(server.address, authority) as channel:
            assert models(channel, timeout=5) == grpc.StatusCode.UNAVAILABLE
        for new, old in zip(renewed, (key, certificate), strict=True):
            shutil.copy(new, old)

        def served() -> bool:
            with secure_channel(server.address, authority) as channel:
                return models(channel, timeout=5) == grpc.StatusCode.OK

        wait_until(served, "the renewed certificate is taken up")
