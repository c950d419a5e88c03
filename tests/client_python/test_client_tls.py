"""Encrypted connections, with certificates made for the test."""

import subprocess

import grpc
import pytest
from fake_server import FakeService, serving

from culturetag import UnavailableError


def certificate(folder, name):
    """Makes a certificate for the loopback interface that is its own authority. Returns its and its key's PEM bytes."""
    key, chain = folder / f"{name}.key", folder / f"{name}.pem"
    kind = ["-x509", "-days", "2", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    owner = ["-subj", f"/CN={name}", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run(["openssl", "req", *kind, *owner, "-keyout", key, "-out", chain], check=True, capture_output=True)
    return chain.read_bytes(), key.read_bytes()


@pytest.fixture(scope="module")
def server_pem(tmp_path_factory):
    return certificate(tmp_path_factory.mktemp("server"), "server")


@pytest.fixture(scope="module")
def client_pem(tmp_path_factory):
    return certificate(tmp_path_factory.mktemp("client"), "client")


def test_trusts_the_authority_that_it_is_given(connect, server_pem, tmp_path):
    chain, key = server_pem
    (tmp_path / "ca.pem").write_bytes(chain)
    service = FakeService()
    with serving(service, credentials=grpc.ssl_server_credentials([(key, chain)])) as address:
        for authority in (chain, tmp_path / "ca.pem"):
            with connect(address, tls_ca=authority, token="secret") as client:
                client.models()
    assert [call.metadata["authorization"] for call in service.calls] == ["Bearer secret"] * 2


def test_doesnt_trust_others(connect, server_pem):
    chain, key = server_pem
    server = serving(FakeService(), credentials=grpc.ssl_server_credentials([(key, chain)]))
    with server as address, connect(address, tls=True) as client, pytest.raises(UnavailableError):
        client.models()


def test_shows_its_own_certificate(connect, server_pem, client_pem):
    chain, key = server_pem
    client_chain, client_key = client_pem
    mutual = grpc.ssl_server_credentials([(key, chain)], root_certificates=client_chain, require_client_auth=True)
    with serving(FakeService(), credentials=mutual) as address:
        with connect(address, tls_ca=chain, tls_cert=client_chain, tls_key=client_key) as client:
            assert client.models()
        with connect(address, tls_ca=chain) as client, pytest.raises(UnavailableError):
            client.models()
