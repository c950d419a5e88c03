"""The Grafana dashboard and the alerts: what they say of themselves, and of a live server through a real Prometheus."""

import copy
import json
import math
import re
import subprocess
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import pytest
import yaml
from deploy_tools import DEPLOY, ROOT, TOOLS, load_module, run_tool
from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.cog.plugins import register_default_plugins
from grafana_foundation_sdk.models.dashboard import Dashboard as GrafanaDashboard
from grafana_foundation_sdk.models.timeseries import FieldConfig
from real_server import MELODY, Server

from culturetag.v1 import tagging_pb2, tagging_pb2_grpc

RULES = DEPLOY / "prometheus/alerts.yaml"
DASHBOARD = json.loads((DEPLOY / "grafana/culturetag.json").read_text())
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]

# The rate of a counter needs some scrapes; Grafana's own interval is four of them.
SCRAPE_INTERVAL = "1s"
RATE_INTERVAL = "10s"
PROMETHEUS_START_TIMEOUT_S = 60
DATA_TIMEOUT_S = 120


# --- The dashboard


def test_the_dashboard_is_what_its_generator_writes():
    generator = load_module(DEPLOY / "grafana/dashboard.py")
    assert (DEPLOY / "grafana/culturetag.json").read_text() == generator.rendered(), "run deploy/grafana/dashboard.py"


def test_grafanas_own_types_know_every_field_of_the_dashboard():
    register_default_plugins()
    assert_nothing_is_lost(DASHBOARD, GrafanaDashboard.from_json(copy.deepcopy(DASHBOARD)))
    for panel in PANELS:
        custom = panel["fieldConfig"]["defaults"].get("custom", {})
        assert_nothing_is_lost(custom, FieldConfig.from_json(copy.deepcopy(custom)))


def test_every_panel_says_what_it_shows_and_in_which_unit():
    for panel in PANELS:
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
        assert all(target["legendFormat"] for target in panel["targets"]), panel["title"]


def test_panels_have_ids_of_their_own_and_dont_overlap():
    assert len({panel["id"] for panel in DASHBOARD["panels"]}) == len(DASHBOARD["panels"])
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {(place["x"] + x, place["y"] + y) for x in range(place["w"]) for y in range(place["h"])}
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24, panel["title"]
        taken |= cells


def test_every_query_follows_the_variables_of_the_dashboard():
    for expression in expressions():
        selectors = re.findall(r"(?:culturetag_\w+|\bup)(\{[^}]*\})?", expression)
        assert selectors
        assert all('job=~"$job", instance=~"$instance"' in selector for selector in selectors), expression


# --- The alerts


def test_the_alerts_are_valid_and_pass_their_unit_tests():
    run_tool("promtool", "check", "rules", RULES)
    run_tool("promtool", "test", "rules", DEPLOY / "prometheus/alerts_test.yaml")


def test_every_alert_has_a_unit_test_and_an_entry_in_the_runbook():
    headings = re.findall(r"^## (\w+)$", (ROOT / "docs/runbook.md").read_text(), re.MULTILINE)
    tests = yaml.safe_load((DEPLOY / "prometheus/alerts_test.yaml").read_text())["tests"]
    tested = {case["alertname"] for test in tests for case in test["alert_rule_test"] if case["exp_alerts"]}
    alerts = {rule["alert"]: rule for rule in rules()}
    assert headings == list(alerts)
    assert tested == alerts.keys()
    for name, alert in alerts.items():
        assert alert["annotations"]["runbook_url"] == f"docs/runbook.md#{name.lower()}"


def test_the_alerts_name_only_metrics_that_the_server_has(server):
    tag_melody(server)  # some appear with the first call
    exposed = set(re.findall(r"^# TYPE (culturetag_\w+) ", server.http("/metrics"), re.MULTILINE))
    used = set(re.findall(r"culturetag_\w+", " ".join(rule["expr"] for rule in rules())))
    assert used <= exposed


# --- Both, live


@pytest.fixture(scope="module")
def prometheus(server, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a Prometheus that scrapes `server` and has loaded the alerts."""
    folder = tmp_path_factory.mktemp("prometheus")
    target = {"job_name": "culturetag", "static_configs": [{"targets": [f"127.0.0.1:{server.metrics_port}"]}]}
    config = {
        "global": {"scrape_interval": SCRAPE_INTERVAL, "evaluation_interval": SCRAPE_INTERVAL},
        "rule_files": [str(RULES)],
        "scrape_configs": [target],
    }
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(config))
    command = [
        TOOLS / "usr/bin/prometheus",
        f"--config.file={folder}/prometheus.yaml",
        f"--storage.tsdb.path={folder}/data",
        "--web.listen-address=127.0.0.1:0",
    ]
    log = folder / "log"
    with log.open("w") as out, subprocess.Popen(command, stdout=out, stderr=out) as process:
        try:
            yield prometheus_address(process, log)
        finally:
            process.terminate()
            process.wait(timeout=30)


def prometheus_address(process: subprocess.Popen, log: Path) -> str:
    """Waits until Prometheus says that it is ready, and at which address."""
    deadline = time.monotonic() + PROMETHEUS_START_TIMEOUT_S
    while "Server is ready" not in (text := log.read_text()):
        assert process.poll() is None, text
        assert time.monotonic() < deadline, text
    return re.search(r'msg="Listening on" address=(\S+)', text)[1]


def test_every_query_of_the_dashboard_returns_data_of_a_live_server(server, prometheus):
    missing = expressions()
    deadline = time.monotonic() + DATA_TIMEOUT_S
    while missing and time.monotonic() < deadline:
        tag_melody(server)
        missing = [expression for expression in missing if not has_data(prometheus, expression)]
    assert not missing, "no data within the time"


def test_prometheus_evaluates_every_alert_and_none_fires_for_a_server_that_is_well(prometheus):
    (group,) = query(prometheus, "rules")["groups"]
    assert [rule["name"] for rule in group["rules"]] == [rule["alert"] for rule in rules()]
    assert {rule["health"] for rule in group["rules"]} == {"ok"}
    assert {rule["state"] for rule in group["rules"]} == {"inactive"}


def tag_melody(server: Server) -> None:
    audio = tagging_pb2.Audio(encoded=MELODY.read_bytes())
    with server.channel() as channel:
        tagging_pb2_grpc.TaggingServiceStub(channel).Tag(tagging_pb2.TagRequest(audio=audio))


def assert_nothing_is_lost(written, read) -> None:
    """All of `written` is in what Grafana's types read of it, which drop what they don't know and add defaults."""
    encoded = json.loads(JSONEncoder().encode(read))

    def check(part, whole, path: str) -> None:
        if isinstance(part, dict):
            for key, value in part.items():
                assert key in whole, f"{path}/{key}"
                check(value, whole[key], f"{path}/{key}")
        elif isinstance(part, list):
            for i, (value, other) in enumerate(zip(part, whole, strict=True)):
                check(value, other, f"{path}/{i}")
        else:
            assert part == whole, path

    check(written, encoded, "")


def expressions() -> list[str]:
    return [target["expr"] for panel in PANELS for target in panel["targets"]]


def rules() -> list[dict]:
    (group,) = yaml.safe_load(RULES.read_text())["groups"]
    return group["rules"]


def query(prometheus: str, path: str) -> dict:
    with urllib.request.urlopen(f"http://{prometheus}/api/v1/{path}") as response:
        return json.load(response)["data"]


def has_data(prometheus: str, expression: str) -> bool:
    """Whether it has series, each with a number: a quantile or a ratio of nothing is NaN."""
    filled = expression.replace("$__rate_interval", RATE_INTERVAL).replace("$job", ".+").replace("$instance", ".+")
    result = query(prometheus, "query?" + urllib.parse.urlencode({"query": filled}))["result"]
    return bool(result) and all(math.isfinite(float(series["value"][1])) for series in result)
