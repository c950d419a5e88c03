"""The Dockerfile and the files of Compose: what can be checked without containers. deploy/README.md has the rest."""

import re

import pytest
import yaml
from deploy_tools import DEPLOY, ROOT, run_tool

COMPOSE = DEPLOY / "compose/compose.yaml"
DOCKERFILE = DEPLOY / "docker/Dockerfile"


@pytest.fixture(scope="module")
def services() -> dict[str, dict]:
    """The services of all profiles, as compose-go resolves them: the loader of `docker compose`."""
    return yaml.safe_load(run_tool("compose-go", "-no-path-resolution", COMPOSE))["services"]


def test_the_dockerfile_passes_hadolint():
    run_tool("hadolint", DOCKERFILE)


def test_scripts_pass_shellcheck():
    run_tool("shellcheck", DEPLOY / "bulk/culturetag-bulk", DEPLOY / "helm/check_cluster")


def test_the_image_is_built_from_every_folder_that_cmake_enters():
    folders = set(re.findall(r"add_subdirectory\((\w+)\)", (ROOT / "CMakeLists.txt").read_text())) - {"tests"}
    copied = set(re.findall(r"^COPY (\w+) \1$", DOCKERFILE.read_text(), re.MULTILINE))
    sent = set(re.findall(r"^!(\w+)$", (ROOT / ".dockerignore").read_text(), re.MULTILINE))
    assert folders
    assert folders <= copied
    assert folders <= sent


def test_the_last_stage_runs_as_nobody_and_has_no_compiler():
    final = DOCKERFILE.read_text().rpartition("\nFROM ")[2]
    assert re.findall(r"^USER (.*)$", final, re.MULTILINE) == ["65532:65532"]
    assert not re.search(r"build-essential|g\+\+|python|-dev\b", final)
    assert "HEALTHCHECK" in final


def test_compose_reads_its_file_and_every_file_that_it_mounts_is_there(services):
    for service in services.values():
        for volume in service.get("volumes", []):
            assert volume["type"] == "volume" or (COMPOSE.parent / volume["source"]).exists(), volume["source"]


def test_compose_opens_ports_to_this_machine_only(services):
    ports = {port["published"]: port["host_ip"] for service in services.values() for port in service.get("ports", [])}
    assert ports == dict.fromkeys(["50051", "50050", "9090", "3000"], "127.0.0.1")


def test_compose_gives_servers_the_time_to_drain_and_no_privileges(services):
    for service in (services["server"], services["second"]):
        flags = dict(argument.split("=", 1) for argument in service["command"])
        drain = sum(int(flags[flag].removesuffix("s")) for flag in ("--drain_delay", "--drain_timeout"))
        assert drain < int(service["stop_grace_period"].removesuffix("s"))
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]


def test_prometheus_reads_its_configuration_with_the_alerts():
    run_tool("promtool", "check", "config", DEPLOY / "compose/prometheus.yaml")


def test_images_come_from_whatever_registry_a_machine_is_set_to(services):
    for service in services.values():
        assert "." not in service["image"].partition("/")[0].partition(":")[0], service["image"]
