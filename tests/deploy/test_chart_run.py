"""What the chart renders, run without a cluster: a release with TLS and tokens, and the download of a bundle."""

import hashlib
import json
import os
import secrets
import subprocess
import tarfile
import urllib.request
from pathlib import Path

import pytest
from chart import CHART, MINIMAL, TLS, one, render, server_pod
from deploy_tools import ROOT
from real_server import BUNDLE, running_server

CLIENT = ROOT / "build/release/bin/culturetag"
# What the test gives the server itself, for it runs beside others on this machine.
OF_THE_MACHINE = ("--bundle=", "--listen=", "--metrics_listen=")


def openssl(*arguments: str | Path) -> None:
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


@pytest.fixture(scope="module")
def cluster_secrets(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, bytes]]:
    """The Secrets that ci/tls-values.yaml names, with one certificate for both sides."""
    folder = tmp_path_factory.mktemp("certificates")
    ca, ca_key, certificate, key = (folder / name for name in ("ca.crt", "ca.key", "tls.crt", "tls.key"))
    new = ("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "1")
    openssl(*new, "-subj", "/CN=ca", "-keyout", ca_key, "-out", ca)
    names = ("-addext", "subjectAltName=DNS:localhost", "-addext", "basicConstraints=critical,CA:FALSE")
    openssl(*new, "-CA", ca, "-CAkey", ca_key, "-subj", "/CN=tags", *names, "-keyout", key, "-out", certificate)
    token = secrets.token_hex(16)
    pair = {"tls.crt": certificate.read_bytes(), "tls.key": key.read_bytes()}
    return {
        "culturetag-tls": pair,
        "culturetag-client-ca": {"ca.crt": ca.read_bytes()},
        "culturetag-client-tls": pair | {"ca.crt": ca.read_bytes()},
        "culturetag-tokens": {"tokens": f"tests {token}\n".encode()},
        "culturetag-client-token": {"token": token.encode()},
    }


def mount(pod: dict, cluster_secrets: dict[str, dict[str, bytes]], root: Path) -> list[str]:
    """Writes the Secrets of a pod below `root`, as Kubernetes would below /; where its container mounts them."""
    volumes = {volume["name"]: volume["secret"] for volume in pod["volumes"] if "secret" in volume}
    mounts = [mount for mount in pod["containers"][0]["volumeMounts"] if mount["name"] in volumes]
    for place in mounts:
        secret = volumes[place["name"]]
        content = cluster_secrets[secret["secretName"]]
        folder = root / place["mountPath"].lstrip("/")
        folder.mkdir(parents=True)
        for item in secret.get("items", [{"key": key, "path": key} for key in content]):
            (folder / item["path"]).write_bytes(content[item["key"]])
    return [place["mountPath"] for place in mounts]


def below(root: Path, places: list[str], words: list[str]) -> list[str]:
    """Words of a command line, whose paths below `places` are those below `root`."""
    for place in places:
        words = [word.replace(f"{place}/", f"{root}{place}/") for word in words]
    return words


def without(names: list[str], options: list[str]) -> list[str]:
    """`options`, each a name and a value, without those of these names."""
    pairs = zip(options[::2], options[1::2], strict=True)
    return [word for pair in pairs if pair[0] not in names for word in pair]


def test_a_release_with_mutual_tls_and_tokens_answers_its_probes_and_its_helm_test(cluster_secrets, tmp_path):
    documents = render(TLS)
    pod = server_pod(documents)
    flags = below(tmp_path, mount(pod, cluster_secrets, tmp_path), pod["containers"][0]["args"])
    flags = [flag for flag in flags if not flag.startswith(OF_THE_MACHINE)]
    assert sum(str(tmp_path) in flag for flag in flags) == 4, "certificate, key, authority and tokens"
    with running_server(tmp_path, *flags, "--max_batch_windows=1", "--log_format=text") as server:
        for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
            path = pod["containers"][0][probe]["httpGet"]["path"]
            with urllib.request.urlopen(f"http://127.0.0.1:{server.metrics_port}{path}") as response:
                assert response.status == 200

        test = one("Pod", documents)["spec"]
        places = mount(test, cluster_secrets, tmp_path)
        (tag,) = test["containers"]
        options = [word for word in below(tmp_path, places, tag["args"]) if word != "/clip/clip.ogg"]
        command = [CLIENT, *tag["command"][1:], "--server", f"localhost:{server.port}", CHART / "files/clip.ogg"]
        tagged = subprocess.run([*command, *options], capture_output=True, text=True)
        assert tagged.returncode == 0, tagged.stderr
        assert json.loads(tagged.stdout)[0]["heads"]
        for needed in (["--tls-cert", "--tls-key"], ["--token-file"]):
            fewer = without(needed, options)
            assert len(fewer) == len(options) - 2 * len(needed)
            assert subprocess.run([*command, *fewer], capture_output=True).returncode == 1, needed


def fetch_container(archive: Path, sha256: str) -> dict:
    """The init container that downloads `archive`."""
    fetch = f"bundle.fetch.url=https://models.example/{archive.name},bundle.fetch.sha256={sha256}"
    (container,) = server_pod(render(MINIMAL, "--set", f"bundle.image.reference=,{fetch}"))["initContainers"]
    return container


def run_fetch(container: dict, archive: Path, bundle: Path) -> int:
    """Runs its script with `bundle` for /bundle, and with a curl that copies `archive`; the exit code."""
    curl = bundle.parent / "bin/curl"
    curl.parent.mkdir(exist_ok=True)
    check = f'test "$8 $9" = "{bundle}/archive $URL"'  # --output FILE and the address stand last
    curl.write_text(f'#!/bin/sh -e\n{check}\ncp {archive} "$8"\n')
    curl.chmod(0o755)
    environment = {variable["name"]: variable["value"] for variable in container["env"]}
    environment["PATH"] = f"{curl.parent}:{os.environ['PATH']}"
    script = container["args"][0].replace("/bundle/", f"{bundle}/").replace("-C /bundle\n", f"-C {bundle}\n")
    return subprocess.run([*container["command"], script], env=environment, capture_output=True).returncode


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """The demo bundle, packed as `bundle.fetch` wants it."""
    path = tmp_path / "demo.tar.gz"
    with tarfile.open(path, "w:gz") as tar:
        tar.add(BUNDLE, ".")
    return path


def files(folder: Path) -> dict[Path, bytes]:
    return {path.relative_to(folder): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_bundle_is_downloaded_again_over_what_an_earlier_run_left(archive, tmp_path):
    container = fetch_container(archive, hashlib.sha256(archive.read_bytes()).hexdigest())
    bundle = tmp_path / "bundle"
    (bundle / "heads").mkdir(parents=True)
    (bundle / "heads/half of one.ts").write_bytes(b"")
    for _ in range(2):
        assert run_fetch(container, archive, bundle) == 0
        assert files(bundle) == files(BUNDLE)


def test_a_download_with_another_digest_is_not_unpacked(archive, tmp_path):
    container = fetch_container(archive, hashlib.sha256(b"another archive").hexdigest())
    bundle = tmp_path / "bundle"
    bundle.mkdir()
    assert run_fetch(container, archive, bundle) == 1
    assert list(files(bundle)) == [Path("archive")]
