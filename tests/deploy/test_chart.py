"""The Helm chart: what it renders for each file of ci/ is valid for Kubernetes and agrees with the server's flags."""

import json
import re

import kubernetes_validate
import pytest
import yaml
from chart import (
    CHART,
    CI_VALUES,
    CPU,
    GPU,
    KUBERNETES,
    MINIMAL,
    TLS,
    one,
    render,
    server_container,
    server_flags,
    server_pod,
)
from deploy_tools import DEPLOY, ROOT, run_failing_tool, run_tool

# Of operators whose schemas Kubernetes doesn't have: a cluster with them checks these.
CUSTOM_KINDS = {"ServiceMonitor", "PrometheusRule", "ScaledObject"}

every_values_file = pytest.mark.parametrize("values", CI_VALUES, ids=lambda path: path.stem)


# --- Every values file of ci/


@every_values_file
def test_passes_helms_linter(values):
    run_tool("helm", "lint", "--strict", "--kube-version", KUBERNETES, CHART, "--values", values)


@every_values_file
def test_renders_objects_that_kubernetes_schemas_accept(values):
    documents = render(values)
    for document in documents:
        if document["kind"] not in CUSTOM_KINDS:
            kubernetes_validate.validate(document, KUBERNETES.rpartition(".")[0], strict=True)
    names = [(document["kind"], document["metadata"]["name"]) for document in documents]
    assert len(set(names)) == len(names)


@every_values_file
def test_runs_every_container_without_privileges_on_a_read_only_root(values):
    for document in render(values):
        if document["kind"] not in {"Deployment", "Job", "Pod"}:
            continue
        pod = document["spec"] if document["kind"] == "Pod" else document["spec"]["template"]["spec"]
        assert pod["securityContext"]["runAsNonRoot"] is True
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"] + pod.get("initContainers", []):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["resources"]["limits"]["memory"], container["name"]


@every_values_file
def test_gives_a_pod_the_time_that_its_drain_takes(values):
    pod, flags = server_pod(render(values)), server_flags(render(values))
    pre_stop = pod["containers"][0]["lifecycle"]["preStop"]["sleep"]["seconds"]
    drain = sum(int(flags[flag].removesuffix("s")) for flag in ("--drain_delay", "--drain_timeout"))
    assert pod["terminationGracePeriodSeconds"] == pre_stop + drain + 5


@every_values_file
def test_selects_the_servers_pods_and_nothing_else(values):
    documents = render(values)
    selector = one("Deployment", documents)["spec"]["selector"]["matchLabels"]
    for document in documents:
        if document["kind"] == "Service":
            assert document["spec"]["selector"] == selector
        if document["kind"] in {"PodDisruptionBudget", "NetworkPolicy"}:
            found = document["spec"].get("selector") or document["spec"]["podSelector"]
            assert found["matchLabels"] == selector
        if document["kind"] == "Job":
            assert not selector.items() <= document["spec"]["template"]["metadata"]["labels"].items()
        if document["kind"] == "Pod":
            assert not selector.items() <= document["metadata"]["labels"].items()


# --- What belongs together


def test_sets_only_flags_that_the_server_has():
    usage = run_failing_tool(ROOT / "build/release/bin/culturetag-server", "--help=server/config.cc")
    known = set(re.findall(r"^\s+(--\w+) \(", usage, re.MULTILINE))
    for values in CI_VALUES:
        assert server_flags(render(values)).keys() <= known


def test_gives_its_clients_only_options_that_the_client_has():
    for values in CI_VALUES:
        documents = render(values)
        jobs = [document["spec"]["template"]["spec"] for document in documents if document["kind"] == "Job"]
        for pod in [one("Pod", documents)["spec"], *jobs]:
            words = pod["containers"][0]["command"] + pod["containers"][0]["args"]
            options = {word for word in words if word.startswith("--")}
            usage = run_tool(ROOT / "build/release/bin/culturetag", "tag", "--help")
            assert options <= set(re.findall(r"--[a-z-]+", usage))


def test_writes_large_numbers_of_a_values_file_as_the_server_reads_them(tmp_path):
    values = tmp_path / "values.yaml"
    values.write_text(
        "flags: {max_bytes_in_flight: 2147483648, bulk_share: 0.25, reflection: false, max_queued_audio: 1h}\n"
    )
    flags = server_flags(render(MINIMAL, "--values", str(values)))
    assert flags["--max_bytes_in_flight"] == "2147483648"
    assert (flags["--bulk_share"], flags["--reflection"], flags["--max_queued_audio"]) == ("0.25", "false", "1h")


def test_runs_on_the_gpu_that_a_pod_gets_unless_told_otherwise():
    assert server_flags(render(MINIMAL))["--device"] == "cpu"
    assert server_flags(render(GPU))["--device"] == "cuda"
    assert server_flags(render(GPU, "--set", "device=cuda:0"))["--device"] == "cuda:0"
    assert server_pod(render(GPU))["runtimeClassName"] == "nvidia"


def test_gives_a_rollout_more_time_than_a_pods_start_may_take():
    for values in CI_VALUES:
        deployment = one("Deployment", render(values))["spec"]
        probe = server_container(render(values))["startupProbe"]
        assert deployment["progressDeadlineSeconds"] > probe["failureThreshold"] * probe["periodSeconds"]


def test_lets_its_own_clients_through_its_network_policy():
    documents = render(CPU)
    calls, _ = one("NetworkPolicy", documents)["spec"]["ingress"]
    own, *others = calls["from"]
    assert own == {
        "podSelector": {
            "matchLabels": {"app.kubernetes.io/instance": "release"},
            "matchExpressions": [
                {"key": "app.kubernetes.io/component", "operator": "In", "values": ["bulk", "test"]},
            ],
        }
    }
    assert others == [{"podSelector": {"matchLabels": {"tags-music": "true"}}}]
    labels = [
        one("Pod", documents)["metadata"]["labels"],
        one("Job", documents)["spec"]["template"]["metadata"]["labels"],
    ]
    assert [pod["app.kubernetes.io/component"] for pod in labels] == ["test", "bulk"]


def test_is_scraped_under_the_name_that_the_alerts_look_for():
    monitor = one("ServiceMonitor", render(CPU, "--set", "nameOverride=music"))
    (endpoint,) = monitor["spec"]["endpoints"]
    assert endpoint["relabelings"] == [{"targetLabel": "job", "replacement": "culturetag"}]


@pytest.mark.parametrize("secret", ["tls.secretName", "auth.tokensSecretName"])
def test_has_no_helm_test_that_could_not_call_the_server(secret):
    assert not [document for document in render(MINIMAL, "--set", f"{secret}=given") if document["kind"] == "Pod"]


def test_probes_over_grpc_without_tls_and_over_http_with_it():
    probes = ("startupProbe", "livenessProbe", "readinessProbe")
    plain = server_container(render(MINIMAL))
    secured = server_container(render(TLS))
    for probe in probes:
        assert plain[probe]["grpc"] == {"port": 50051, "service": "culturetag.v1.TaggingService"}
        assert secured[probe]["httpGet"] == {"path": "/readyz", "port": "metrics"}


def test_carries_the_alerts_and_the_dashboard_of_this_repository():
    documents = render(CPU)
    rules = one("PrometheusRule", documents)["spec"]
    assert rules == yaml.safe_load((DEPLOY / "prometheus/alerts.yaml").read_text())
    (dashboard,) = [document for document in documents if document["metadata"]["name"].endswith("-dashboard")]
    assert dashboard["data"]["culturetag.json"] == (DEPLOY / "grafana/culturetag.json").read_text()


def test_leaves_the_number_of_replicas_to_the_autoscaler():
    assert one("Deployment", render(MINIMAL))["spec"]["replicas"] == 2
    assert "replicas" not in one("Deployment", render(CPU))["spec"]
    assert "replicas" not in one("Deployment", render(GPU))["spec"]


def test_asks_for_gpus_and_for_nothing_beyond_them_in_a_rollout():
    deployment = one("Deployment", render(GPU))["spec"]
    (container,) = deployment["template"]["spec"]["containers"]
    assert container["resources"]["limits"] == {"memory": "16Gi", "nvidia.com/gpu": 1}
    assert deployment["strategy"]["rollingUpdate"] == {"maxSurge": 0, "maxUnavailable": 1}


def test_spreads_the_pods_of_each_rollout_over_zones_and_nodes():
    constraints = server_pod(render(MINIMAL))["topologySpreadConstraints"]
    selector = one("Deployment", render(MINIMAL))["spec"]["selector"]
    assert constraints == [
        {
            "maxSkew": 1,
            "topologyKey": key,
            "whenUnsatisfiable": "ScheduleAnyway",
            "matchLabelKeys": ["pod-template-hash"],
            "labelSelector": selector,
        }
        for key in ("topology.kubernetes.io/zone", "kubernetes.io/hostname")
    ]


@every_values_file
def test_changes_no_owners_in_a_volume_that_has_the_right_ones(values):
    for document in render(values):
        if document["kind"] in {"Deployment", "Job"}:
            security = document["spec"]["template"]["spec"]["securityContext"]
            assert security["fsGroupChangePolicy"] == "OnRootMismatch"


def test_spreads_a_bulk_list_over_the_pods_of_an_indexed_job():
    job = one("Job", render(CPU))["spec"]
    (container,) = job["template"]["spec"]["containers"]
    environment = {variable["name"]: variable["value"] for variable in container["env"]}
    assert (job["completionMode"], job["completions"], job["parallelism"]) == ("Indexed", 4, 4)
    assert environment == {"CULTURETAG_SERVER": "release-culturetag:50051", "WORKERS": "4", "CHUNK_FILES": "100"}
    assert container["command"] == ["culturetag-bulk", "/input/lists/all.txt", "/input", "/output"]


def test_carries_a_clip_that_can_be_tagged(server):
    pod = one("Pod", render(MINIMAL))["spec"]["containers"][0]
    command, options = pod["command"][0], pod["command"][1:] + pod["args"]
    assert (command, options[-1]) == ("culturetag", "/clip/clip.ogg")
    arguments = [*options[:-1], CHART / "files/clip.ogg", "--server", server.address]
    (tagged,) = json.loads(run_tool(ROOT / "build/release/bin/culturetag", *arguments))
    assert tagged["audio"]["format"] == "OGG/VORBIS"


# --- What it refuses


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--set", "bundle.image.reference="], "bundle: set exactly one of image.reference, claim.name and fetch.url"),
        (["--set", "bundle.claim.name=models"], "bundle: set exactly one of image.reference, claim.name and fetch.url"),
        (
            ["--set", "bundle.image.reference=,bundle.fetch.url=https://models.example/a.tar"],
            "bundle.fetch.sha256: what is downloaded has to have a digest",
        ),
        (["--set", "tls.clientCaSecretName=ca"], "tls.clientCaSecretName: needs tls.secretName, too"),
        (
            ["--set", "autoscaling.kind=keda"],
            "autoscaling.keda.prometheusAddress: KEDA has to be told where Prometheus is",
        ),
        (["--set", "autoscaling.minReplicas=11"], "autoscaling: minReplicas is more than maxReplicas"),
        (["--set", "bulk.enabled=true"], "bulk: set input.claim and output.claim"),
        (["--set", "client.tlsSecretName=ca"], "client.tlsSecretName: needs tls.secretName, too"),
        (
            ["--set", "tls.secretName=tls,bulk.enabled=true,bulk.input.claim=music,bulk.output.claim=tags"],
            "client.tlsSecretName: bulk workers have to know whose certificates to trust",
        ),
        (
            ["--set", "auth.tokensSecretName=tokens,bulk.enabled=true,bulk.input.claim=music,bulk.output.claim=tags"],
            "client.tokenSecretName: bulk workers need a token",
        ),
        (["--set", "service.port=9464"], "service.port: metrics.port is the same"),
        (["--set", "fullnameOverride=tags.music"], "'tags.music' does not match pattern"),
        (["--set", "replicas=3"], "additional properties 'replicas' not allowed"),
        (["--set", "flags.listen=0.0.0.0:1"], "'not' failed"),
        (["--set", "drain.timeoutSeconds=30s"], "got string, want integer"),
    ],
)
def test_refuses_values_that_cant_work_and_says_why(options, reason):
    command = ["helm", "template", "release", CHART, "--kube-version", KUBERNETES, "--values", MINIMAL, *options]
    assert reason in run_failing_tool(*command)
