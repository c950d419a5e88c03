"""Writes the Grafana dashboard of culturetag: deploy/grafana/culturetag.json.

    python deploy/grafana/dashboard.py

The JSON is checked in, for Grafana, Compose and the Helm chart read it as it is; tests/deploy holds it to this file and
every query to a live server. Only the standard library is needed.
"""

import dataclasses
import json
from pathlib import Path

OUTPUT = Path(__file__).with_name("culturetag.json")

# Every query is limited to what the two variables at the top of the dashboard select.
SELECTED = 'job=~"$job", instance=~"$instance"'
# The status codes that are the server's fault.
FAILED = 'code=~"INTERNAL|UNAVAILABLE|UNKNOWN"'
DATASOURCE = {"type": "prometheus", "uid": "$datasource"}

# Grafana's grid has 24 columns.
GRID_COLUMNS = 24
PANEL_HEIGHT = 8
STAT_HEIGHT = 4


@dataclasses.dataclass(frozen=True)
class Query:
    promql: str
    legend: str  # with {{label}} where a label tells the series apart


@dataclasses.dataclass(frozen=True)
class Panel:
    title: str
    description: str  # what is drawn, and what to read from it
    unit: str  # an id of Grafana's units
    queries: tuple[Query, ...]
    kind: str = "timeseries"  # or "stat": only the last value
    stacked: bool = False
    maximum: float | None = None


@dataclasses.dataclass(frozen=True)
class Row:
    title: str
    panels: tuple[Panel, ...]


def rate(metric: str, *, by: str = "", where: str = "") -> str:
    """Events a second of the selected replicas together, or apart by a label."""
    matchers = f"{SELECTED}, {where}" if where else SELECTED
    return f"sum{f' by ({by})' if by else ''} (rate(culturetag_{metric}{{{matchers}}}[$__rate_interval]))"


def quantile(share: float, metric: str, *, by: str = "") -> str:
    """A quantile over all selected replicas: histograms add up, which quantiles of replicas don't."""
    buckets = rate(f"{metric}_bucket", by=f"le, {by}" if by else "le")
    return f"histogram_quantile({share:g}, {buckets})"


def mean(metric: str, *, by: str = "") -> str:
    """The mean of a histogram's observations."""
    return f"{rate(f'{metric}_sum', by=by)} / {rate(f'{metric}_count', by=by)}"


def gauge(metric: str) -> str:
    return f"culturetag_{metric}{{{SELECTED}}}"


OVERVIEW = Row(
    "Overview",
    (
        Panel(
            "Replicas that answer",
            "Servers that Prometheus could scrape.",
            "none",
            (Query(f"sum(up{{{SELECTED}}})", "up"),),
            kind="stat",
        ),
        Panel("Requests", "Finished calls a second.", "reqps", (Query(rate("requests_total"), "all"),), kind="stat"),
        Panel(
            "Failed by the server",
            "Share of finished calls that ended INTERNAL, UNAVAILABLE or UNKNOWN: none of them is the caller's fault.",
            "percentunit",
            (
                Query(
                    # A counter appears with its first event: no failure yet is 0, not absent.
                    f"({rate('requests_total', where=FAILED)} or vector(0)) / {rate('requests_total')}",
                    "share",
                ),
            ),
            kind="stat",
        ),
        Panel(
            "95 of 100 calls take at most",
            "From the arrival of a whole request to its response.",
            "s",
            (Query(quantile(0.95, "request_duration_seconds"), "p95"),),
            kind="stat",
        ),
        Panel(
            "Speed",
            "Seconds of audio that are scored in a second.",
            "suffix: x real time",
            (Query(rate("audio_seconds_total"), "speed"),),
            kind="stat",
        ),
        Panel(
            "Longest wait",
            "How long the oldest window of any replica has waited.",
            "s",
            (Query(f"max({gauge('oldest_pending_seconds')})", "wait"),),
            kind="stat",
        ),
    ),
)

TRAFFIC = Row(
    "Traffic",
    (
        Panel("Calls by RPC", "Finished calls.", "reqps", (Query(rate("requests_total", by="method"), "{{method}}"),)),
        Panel(
            "Calls by status",
            "Finished calls. INVALID_ARGUMENT and NOT_FOUND are callers' mistakes; RESOURCE_EXHAUSTED is a full queue.",
            "reqps",
            (Query(rate("requests_total", by="code"), "{{code}}"),),
            stacked=True,
        ),
        Panel(
            "Audio scored",
            "Seconds of audio in a second, by replica: how many times real time each runs.",
            "suffix: x real time",
            (Query(rate("audio_seconds_total", by="instance"), "{{instance}}"),),
            stacked=True,
        ),
    ),
)

LATENCY = Row(
    "Latency",
    (
        Panel(
            "Duration of calls",
            "From the arrival of a whole request to its response. Of long tracks it grows with their length.",
            "s",
            tuple(Query(quantile(q, "request_duration_seconds"), f"p{100 * q:g}") for q in (0.5, 0.95, 0.99)),
        ),
        Panel(
            "95th percentile by stage",
            "decode and resample want cores, queue and inference want devices.",
            "s",
            (Query(quantile(0.95, "stage_duration_seconds", by="stage"), "{{stage}}"),),
        ),
        Panel(
            "Mean time by stage",
            "What an average call spends its time on. Stages of one call overlap: windows are scored as others wait.",
            "s",
            (
                Query(
                    mean("stage_duration_seconds", by="stage"),
                    "{{stage}}",
                ),
            ),
            stacked=True,
        ),
    ),
)

QUEUE = Row(
    "Queue and refusals",
    (
        Panel(
            "Wait",
            "How long the oldest pending window has waited, and the server's own estimate until all that waits is "
            "scored. Autoscaling follows the first.",
            "s",
            (
                Query(gauge("oldest_pending_seconds"), "oldest {{instance}}"),
                Query(gauge("estimated_wait_seconds"), "estimate {{instance}}"),
            ),
        ),
        Panel(
            "Audio that waits",
            "Of windows that are admitted and not scored yet. --max_queued_audio bounds it.",
            "s",
            (Query(gauge("pending_audio_seconds"), "{{instance}}"),),
            stacked=True,
        ),
        Panel(
            "Windows that wait",
            "Admitted and not scored yet.",
            "none",
            (Query(gauge("pending_windows"), "{{instance}}"),),
        ),
        Panel(
            "Refusals by reason",
            "queue_full and deadline: too little capacity. bad_audio, too_long, unauthenticated: callers' mistakes. "
            "quota: a client above its own. draining: replicas that stop.",
            "reqps",
            (Query(rate("rejected_total", by="reason"), "{{reason}}"),),
            stacked=True,
        ),
        Panel(
            "Wasted windows",
            "Scored though nobody waited for them any more: the call was cancelled, or its deadline passed, while its "
            "batch was on the device.",
            "suffix: windows/s",
            (Query(rate("wasted_windows_total", by="reason"), "{{reason}}"),),
            stacked=True,
        ),
    ),
)

DEVICE = Row(
    "Batches and device",
    (
        Panel(
            "Windows in a batch",
            "What the device gets in one pass, and the most that it may get (measured at start).",
            "none",
            (
                Query(mean("batch_windows"), "mean"),
                Query(quantile(0.9, "batch_windows"), "p90"),
                Query(f"max by (model) ({gauge('max_batch_windows')})", "most, {{model}}"),
            ),
        ),
        Panel(
            "What closed the batches",
            "full: as many waited as a batch holds. idle: the device was free. delay: --max_queue_delay was up.",
            "ops",
            (Query(rate("batches_total", by="close_reason"), "{{close_reason}}"),),
            stacked=True,
        ),
        Panel(
            "Device busy",
            "Share of the time in which the device ran a batch. Near 100 %, only more devices give more.",
            "percentunit",
            (Query(rate("device_busy_seconds_total", by="instance"), "{{instance}}"),),
            maximum=1,
        ),
        Panel(
            "Device time of a window",
            "Rises when batches get smaller than the device likes, or when something else uses the device.",
            "s",
            (Query(f"{rate('device_busy_seconds_total')} / {rate('windows_total')}", "mean"),),
        ),
        Panel(
            "Device errors",
            "Passes that failed. The batch is tried once more in two halves; a device that keeps failing ends SERVING.",
            "ops",
            (Query(rate("device_errors_total", by="instance"), "{{instance}}"),),
        ),
    ),
)

INSTANCES = Row(
    "Replicas",
    (
        Panel(
            "Models",
            "1 for each model that a replica has loaded.",
            "none",
            (Query(gauge("model_info"), "{{instance}}: {{model}} {{version}} on {{device}}, {{precision}}"),),
        ),
        Panel(
            "Versions",
            "Replicas of each version.",
            "none",
            (Query(f"count by (version) ({gauge('build_info')})", "{{version}}"),),
        ),
        Panel(
            "Warm-up",
            "Time from the start of the first warm-up pass to the last: what a new replica needs before it serves.",
            "s",
            (Query(gauge("warmup_duration_seconds"), "{{instance}}"),),
        ),
        Panel(
            "Reloads of bundles",
            "New versions that were taken up (ok), and attempts that failed, after which the present version goes on serving.",
            "ops",
            (Query(rate("bundle_reloads_total", by="model, result"), "{{model}}: {{result}}"),),
            stacked=True,
        ),
    ),
)

CACHE = Row(
    "Response cache",
    (
        Panel(
            "Lookups",
            "hit: answered from memory. coalesced: waited for the run of an identical call. miss: the device had to run. "
            "Nothing, if --response_cache_bytes is 0.",
            "reqps",
            (Query(rate("response_cache_lookups_total", by="result"), "{{result}}"),),
            stacked=True,
        ),
        Panel(
            "Memory of the responses",
            "At most --response_cache_bytes.",
            "bytes",
            (Query(gauge("response_cache_bytes"), "{{instance}}"),),
        ),
        Panel(
            "Evictions",
            "Responses that had to make room for others. Many of them beside few hits: the cache is too small, or of no use.",
            "ops",
            (Query(rate("response_cache_evictions_total", by="instance"), "{{instance}}"),),
        ),
    ),
)

ROWS = (OVERVIEW, TRAFFIC, LATENCY, QUEUE, DEVICE, CACHE, INSTANCES)


def panel_json(panel: Panel, place: dict[str, int], number: int) -> dict:
    defaults: dict = {"unit": panel.unit, "min": 0}
    if panel.maximum is not None:
        defaults["max"] = panel.maximum
    if panel.kind == "timeseries":
        fill = 30 if panel.stacked else 0
        stacking = {"mode": "normal" if panel.stacked else "none", "group": "A"}
        defaults["custom"] = {"fillOpacity": fill, "showPoints": "never", "stacking": stacking}
    return {
        "id": number,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": DATASOURCE,
        "gridPos": place,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "targets": [
            {"refId": chr(ord("A") + i), "datasource": DATASOURCE, "expr": query.promql, "legendFormat": query.legend}
            for i, query in enumerate(panel.queries)
        ],
    }


def row_json(row: Row, top: int, number: int) -> tuple[list[dict], int]:
    """The row's heading and its panels, side by side in lines of at most three (statistics: in one line).

    Also returns the grid line below them.
    """
    stats = row.panels[0].kind == "stat"
    columns = len(row.panels) if stats else 3
    height = STAT_HEIGHT if stats else PANEL_HEIGHT
    width = GRID_COLUMNS // columns
    heading = {"h": 1, "w": GRID_COLUMNS, "x": 0, "y": top}
    panels = [{"id": number, "type": "row", "title": row.title, "collapsed": False, "gridPos": heading, "panels": []}]
    for i, panel in enumerate(row.panels):
        place = {"h": height, "w": width, "x": i % columns * width, "y": top + 1 + i // columns * height}
        panels.append(panel_json(panel, place, number + 1 + i))
    return panels, top + 1 + -(-len(row.panels) // columns) * height


def variable_json(name: str, matchers: str) -> dict:
    """A drop-down list of the values of the label `name` among the servers, by default all of them."""
    return {
        "name": name,
        "label": name.capitalize(),
        "type": "query",
        "datasource": DATASOURCE,
        "query": f"label_values(culturetag_build_info{matchers}, {name})",
        "refresh": 2,  # also when the time range changes
        "includeAll": True,
        "allValue": ".+",
        "multi": True,
        "sort": 1,
        "current": {"text": "All", "value": "$__all"},
    }


def dashboard() -> dict:
    panels: list[dict] = []
    top = 0
    for row in ROWS:
        drawn, top = row_json(row, top, len(panels) + 1)
        panels += drawn
    datasource = {"name": "datasource", "label": "Data source", "type": "datasource", "query": "prometheus"}
    return {
        "uid": "culturetag",
        "title": "culturetag",
        "description": "Traffic, latency, queue, batches and devices of culturetag servers.",
        "tags": ["culturetag"],
        "schemaVersion": 39,
        "version": 1,
        "editable": False,
        "graphTooltip": 1,  # the crosshair is shared
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "browser",
        "templating": {"list": [datasource, variable_json("job", ""), variable_json("instance", '{job=~"$job"}')]},
        "panels": panels,
    }


def rendered() -> str:
    """What OUTPUT has to hold."""
    return json.dumps(dashboard(), indent=2, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    OUTPUT.write_text(rendered())
