"""TLS and tokens on the real server."""

import itertools
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from conftest import encode, request
from culturetag.v1 import tagging_pb2, tagging_pb2_grpc
from real_server import BUNDLE, MELODY, SERVER, UNLIMITED, running_server

TIMEOUT_S = 60
WEB_TOKEN = "web-0123456789abcdef"
TRIAL_TOKEN = "trial-0123456789abcdef"


def openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


def make_certificate(folder: Path, name: str, *, ca: Path | None = None, may_sign: bool = False) -> tuple[Path, Path]:
    """A key and a certificate for localhost, signed with the key at `ca` or by itself."""
    folder.mkdir(exist_ok=True)
    key, certificate, wanted = (folder / f"{name}.{suffix}" for suffix in ("key", "crt", "csr"))
    subject = ["-subj", f"/CN={name}", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    if may_sign:
        subject += ["-addext", "basicConstraints=critical,CA:TRUE"]
    openssl("req", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", wanted, *subject)
    signer = ["-signkey", key] if ca is None else ["-CA", ca.with_suffix(".crt"), "-CAkey", ca.with_suffix(".key"), "-CAcreateserial"]
    openssl("x509", "-req", "-in", wanted, "-out", certificate, "-copy_extensions", "copy", "-days", "1", *signer)
    return key, certificate


def secure_channel(address: str, ca: Path, identity: tuple[Path, Path] | None = None) -> grpc.Channel:
    key, certificate = (path.read_bytes() for path in identity) if identity else (None, None)
    credentials = grpc.ssl_channel_credentials(ca.read_bytes(), key, certificate)
    port = address.rsplit(":", 1)[1]
    return grpc.secure_channel(f"localhost:{port}", credentials, options=UNLIMITED)


def models(channel: grpc.Channel, timeout: float = 10, metadata=None) -> grpc.StatusCode:
    stub = tagging_pb2_grpc.TaggingServiceStub(channel)
    try:
        stub.ListModels(tagging_pb2.ListModelsRequest(), timeout=timeout, metadata=metadata)
    except grpc.RpcError as error:
        return error.code()
    return grpc.StatusCode.OK


@pytest.fixture(scope="module")
def tokens(tmp_path_factory) -> Iterator:
    folder = tmp_path_factory.mktemp("tokens")
    file = folder / "tokens"
    file.write_text(f"web {WEB_TOKEN}\ntrial {TRIAL_TOKEN} requests_per_minute=2 streams=1\n")
    with running_server(folder, f"--auth_tokens_file={file}", "--max_batch_windows=2") as server:
        yield server
    assert WEB_TOKEN not in (folder / "server.log").read_text()


def bearer(token: str) -> list[tuple[str, str]]:
    return [("authorization", f"Bearer {token}")]


def test_a_call_needs_a_token(tokens) -> None:
    with tokens.channel() as channel:
        assert models(channel, metadata=bearer(WEB_TOKEN)) == grpc.StatusCode.OK
        assert models(channel) == grpc.StatusCode.UNAUTHENTICATED
        assert models(channel, metadata=bearer("web-0123456789abcdeX")) == grpc.StatusCode.UNAUTHENTICATED
        stub = tagging_pb2_grpc.TaggingServiceStub(channel)
        clip = MELODY.read_bytes()
        for call in (
            lambda: stub.Tag(request(clip), timeout=TIMEOUT_S),
            lambda: list(stub.TagStream(iter([]), timeout=TIMEOUT_S)),
            lambda: stub.Embed(tagging_pb2.EmbedRequest(audio=tagging_pb2.Audio(encoded=clip)), timeout=TIMEOUT_S),
        ):
            with pytest.raises(grpc.RpcError) as error:
                call()
            assert error.value.code() == grpc.StatusCode.UNAUTHENTICATED
        assert stub.Tag(request(clip), timeout=TIMEOUT_S, metadata=bearer(WEB_TOKEN)).heads
    assert tokens.metric('culturetag_rejected_total{reason="unauthenticated"}') >= 5


def test_a_request_has_a_line_in_the_log_and_its_id_comes_back(tokens) -> None:
    with tokens.channel() as channel:
        stub = tagging_pb2_grpc.TaggingServiceStub(channel)
        ids = [("x-request-id", "r-17\"x"), ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")]
        _, call = stub.ListModels.with_call(
            tagging_pb2.ListModelsRequest(), timeout=TIMEOUT_S, metadata=[*bearer(WEB_TOKEN), *ids]
        )
        assert dict(call.trailing_metadata())["x-request-id"] == "r-17\"x"
    lines = [line for line in tokens.log() if "r-17" in line]
    assert len(lines) == 1
    assert "method=ListModels code=OK" in lines[0]
    assert "client=web" in lines[0]
    assert "traceparent=00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01" in lines[0]


def test_health_needs_no_token(tokens) -> None:
    with tokens.channel() as channel:
        check = channel.unary_unary("/grpc.health.v1.Health/Check")
        assert check(b"", timeout=TIMEOUT_S) == b"\x08\x01"  # SERVING


def test_a_client_over_its_quota_is_told_when_to_come_again_and_others_go_on(tokens) -> None:
    with tokens.channel() as channel:
        stub = tagging_pb2_grpc.TaggingServiceStub(channel)
        for _ in range(2):
            assert models(channel, metadata=bearer(TRIAL_TOKEN)) == grpc.StatusCode.OK
        with pytest.raises(grpc.RpcError) as error:
            stub.ListModels(tagging_pb2.ListModelsRequest(), timeout=TIMEOUT_S, metadata=bearer(TRIAL_TOKEN))
        assert error.value.code() == grpc.StatusCode.RESOURCE_EXHAUSTED
        assert "requests_per_minute" in error.value.details()
        assert 0 < int(dict(error.value.trailing_metadata())["grpc-retry-pushback-ms"]) <= 30_000
        assert models(channel, metadata=bearer(WEB_TOKEN)) == grpc.StatusCode.OK


def test_tls_serves_those_who_speak_it_and_outlives_those_who_dont(tmp_path, melody) -> None:
    key, certificate = make_certificate(tmp_path / "own", "server")
    with running_server(tmp_path, f"--tls_cert={certificate}", f"--tls_key={key}", "--max_batch_windows=1") as server:
        with server.channel() as plaintext:
            assert models(plaintext, timeout=5) in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED)
        _, stranger = make_certificate(tmp_path / "other", "other")
        with secure_channel(server.address, stranger) as distrusting:
            assert models(distrusting, timeout=5) == grpc.StatusCode.UNAVAILABLE
        with secure_channel(server.address, certificate) as channel:
            samples, rate = melody
            stub = tagging_pb2_grpc.TaggingServiceStub(channel)
            clip = encode(samples[: 2 * rate], rate)
            assert stub.Tag(request(clip), timeout=TIMEOUT_S).heads
            config = tagging_pb2.TagStreamRequest(config=tagging_pb2.TagStreamConfig())
            stream = itertools.chain([config], [tagging_pb2.TagStreamRequest(data=clip)])
            assert list(stub.TagStream(stream, timeout=TIMEOUT_S))[-1].HasField("summary")


def test_mutual_tls_wants_a_certificate_that_its_authority_signed(tmp_path) -> None:
    ca = make_certificate(tmp_path / "ca", "ca", may_sign=True)[0]
    key, certificate = make_certificate(tmp_path / "server", "server", ca=ca)
    known = make_certificate(tmp_path / "known", "known", ca=ca)
    unknown = make_certificate(tmp_path / "unknown", "unknown")
    authority = ca.with_suffix(".crt")
    flags = (f"--tls_cert={certificate}", f"--tls_key={key}", f"--tls_client_ca={authority}", "--max_batch_windows=1")
    with running_server(tmp_path, *flags) as server:
        with secure_channel(server.address, authority, known) as channel:
            assert models(channel) == grpc.StatusCode.OK
        with secure_channel(server.address, authority) as channel:
            assert models(channel, timeout=5) == grpc.StatusCode.UNAVAILABLE
        with secure_channel(server.address, authority, unknown) as channel:
            assert models(channel, timeout=5) == grpc.StatusCode.UNAVAILABLE


def test_a_new_certificate_is_taken_up_without_a_restart(tmp_path) -> None:
    key, certificate = make_certificate(tmp_path / "live", "server")
    with running_server(tmp_path, f"--tls_cert={certificate}", f"--tls_key={key}", "--max_batch_windows=1") as server:
        old = tmp_path / "old.crt"
        shutil.copy(certificate, old)
        new_key, new_certificate = make_certificate(tmp_path / "new", "server")
        shutil.copy(new_key, key)
        shutil.copy(new_certificate, certificate)
        deadline = time.monotonic() + 60
        while True:
            with secure_channel(server.address, new_certificate) as channel:
                if models(channel, timeout=5) == grpc.StatusCode.OK:
                    break
            assert time.monotonic() < deadline
        with secure_channel(server.address, old) as channel:
            assert models(channel, timeout=5) == grpc.StatusCode.UNAVAILABLE


@pytest.mark.parametrize("swapped", [False, True])
def test_the_server_says_which_tls_file_is_wrong(tmp_path, swapped) -> None:
    key, certificate = make_certificate(tmp_path / "a", "a")
    if swapped:
        key = make_certificate(tmp_path / "b", "b")[0]
        wrong = "isn't that of the certificate"
    else:
        key.write_text("no key")
        wrong = "holds no private key"
    command = [SERVER, f"--bundle={BUNDLE}", "--listen=127.0.0.1:0", f"--tls_cert={certificate}", f"--tls_key={key}"]
    command.append("--metrics_listen=")
    result = subprocess.run(command, check=False, capture_output=True, text=True, timeout=TIMEOUT_S)
    assert result.returncode != 0
    assert wrong in result.stderr
