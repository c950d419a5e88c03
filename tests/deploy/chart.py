"""The Helm chart, rendered, for the tests of it."""

import functools
from pathlib import Path

import yaml
from deploy_tools import DEPLOY, run_tool

CHART = DEPLOY / "helm/culturetag"
KUBERNETES = "1.37.0"
CI_VALUES = sorted((CHART / "ci").glob("*-values.yaml"))
CPU, GPU, MINIMAL, TLS = (CHART / f"ci/{name}-values.yaml" for name in ("cpu", "gpu", "minimal", "tls"))


@functools.cache
def render(values: Path, *options: str) -> list[dict]:
    """The objects of the chart with a file of values and further options of `helm template`."""
    text = run_tool("helm", "template", "release", CHART, "--kube-version", KUBERNETES, "--values", values, *options)
    return [document for document in yaml.safe_load_all(text) if document]


def one(kind: str, documents: list[dict]) -> dict:
    """The only object of its kind."""
    (found,) = [document for document in documents if document["kind"] == kind]
    return found


def server_pod(documents: list[dict]) -> dict:
    return one("Deployment", documents)["spec"]["template"]["spec"]


def server_container(documents: list[dict]) -> dict:
    return server_pod(documents)["containers"][0]


def server_flags(documents: list[dict]) -> dict[str, str]:
    return dict(argument.split("=", 1) for argument in server_container(documents)["args"])
