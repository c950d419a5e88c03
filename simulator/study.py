#!/usr/bin/env python3
"""Measures the queue against first come, first served, and writes what it finds into server/batching/README.md.

Runs `culturetag-simulate` over several loads, with and without bulk work, and over fleets of several sizes; then replaces
what stands between the markers `<!-- study: NAME -->` and `<!-- end -->` of the page, and the plots beside it. The same
binary gives the same page.

    .venv/bin/python simulator/study.py --simulate build/release/bin/culturetag-simulate
"""

import argparse
import json
import re
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")
from matplotlib import pyplot

PAGE = Path(__file__).resolve().parents[1] / "server" / "batching" / "README.md"
PLOTS = PAGE.parent / "plots"

LOADS = (0.5, 0.8, 0.95, 1.5, 3.0)
SCHEDULERS = ("culturetag", "fcfs")
WORKLOADS = {"clips": [], "clips and bulk": ["--bulk-load-share", "0.3"]}
CLIPS = ["--duration", "30m", "--deadline", "10s"]
"""The defaults of culturetag-simulate: 20 clients with clips of 1 to 30 s on the demo bundle's CPU curve."""

FLEETS = (3, 4, 5, 6, 8)
BALANCERS = ("round-robin", "random-of-two", "least-outstanding")
FLEET_AUDIO_RATE = 40_000
FLEET = ["--device", "gpu-assumed", "--audio-rate", str(FLEET_AUDIO_RATE), "--duration", "1m", "--jitter", "0.1"]

Results = dict[str, Any]
"""What culturetag-simulate --json prints; its --help describes it."""


@dataclass(frozen=True)
class Simulator:
    """The binary."""

    path: Path

    def run(self, *arguments: str) -> Results:
        """One simulation. Raises subprocess.CalledProcessError if it fails."""
        done = subprocess.run([self.path, "--json", *arguments], check=True, capture_output=True, text=True)
        return json.loads(done.stdout)


def table(header: list[str], rows: list[list[str]]) -> str:
    """A Markdown table; every column but the first is aligned to the right."""
    ruler = ["---"] + ["---:"] * (len(header) - 1)
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [header, ruler, *rows]) + "\n"


def percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def seconds(value: float) -> str:
    return f"{1000 * value:.0f} ms" if value < 1 else f"{value:.1f} s"


def loads_row(load: float, workload: str, summary: Results) -> list[str]:
    clips = summary["interactive"]
    requests = clips["requests"]
    count = sum(requests.values())
    bulk = summary["bulk"]["requests"]
    latency = clips["latency_seconds"]
    wasted = summary["windows_unwanted"] + summary["windows_unanswered"]
    return [
        workload,
        f"{load:g}",
        summary["scheduler"],
        percent(summary["goodput_share"]),
        percent(requests["served"] / count),
        percent((requests["refused_queue_full"] + requests["refused_deadline"]) / count),
        percent(requests["expired"] / count),
        seconds(latency["p50"]),
        seconds(latency["p99"]),
        percent(wasted / summary["windows_run"]),
        "-" if clips["fairness"] is None else f"{clips['fairness']:.3f}",
        percent(bulk["served"] / sum(bulk.values())) if sum(bulk.values()) else "-",
    ]


def study_loads(simulator: Simulator) -> str:
    """Both queues at every load, with and without bulk work."""
    found = {
        (workload, load): simulator.run(*CLIPS, *arguments, "--load", str(load))["results"]
        for workload, arguments in WORKLOADS.items()
        for load in LOADS
    }
    plot_loads(found)
    header = ["work", "load", "queue", "goodput", "served", "refused", "expired", "p50", "p99", "wasted", "Jain", "bulk served"]
    return table(header, [loads_row(load, workload, summary) for (workload, load), both in found.items() for summary in both])


def plot_loads(found: dict[tuple[str, float], list[Results]]) -> None:
    """Goodput and the clips' 99th percentile over the load."""
    figure, (goodput, latency) = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for workload, style in zip(WORKLOADS, ("-", "--"), strict=True):
        for index, scheduler in enumerate(SCHEDULERS):
            of_loads = [found[workload, load][index] for load in LOADS]
            look = {"linestyle": style, "color": f"C{index}", "marker": "o", "label": f"{scheduler}, {workload}"}
            goodput.plot(LOADS, [100 * summary["goodput_share"] for summary in of_loads], **look)
            latency.plot(LOADS, [summary["interactive"]["latency_seconds"]["p99"] for summary in of_loads], **look)
    goodput.set(xlabel="load, of the capacity", ylabel="answered in time, % of the capacity", ylim=(0, 105))
    latency.set(xlabel="load, of the capacity", ylabel="p99 latency of clips served, s", ylim=(0, None))
    goodput.legend()
    save(figure, "loads")


def study_track(simulator: Simulator) -> str:
    """Clips of 5 s at half of the capacity, without and with a bulk track of 3 h from the start."""
    clips = ["--lengths", "5s", "--load", "0.5", "--duration", "10m", "--max-queued-audio", "4h"]
    with tempfile.NamedTemporaryFile("w", suffix=".csv") as trace:
        trace.write("time,client,priority,seconds,deadline\n0,archive,bulk,10800,\n")
        trace.flush()
        runs = {"clips alone": simulator.run(*clips), "with the track": simulator.run(*clips, "--trace", trace.name)}
    rows = []
    for name, results in runs.items():
        for summary in results["results"]:
            latency = summary["interactive"]["latency_seconds"]
            track = summary["bulk"]["latency_seconds"]
            rows.append(
                [name, summary["scheduler"], *(seconds(latency[field]) for field in ("p50", "p99", "max"))]
                + ["-" if track is None else seconds(track["max"])]
            )
    return table(["work", "queue", "p50", "p99", "max", "the track's time"], rows)


def study_fleets(simulator: Simulator) -> str:
    """How many replicas a load needs, behind each balancer."""
    found = {
        (replicas, balancer): simulator.run(
            *FLEET, "--schedulers", "culturetag", "--replicas", str(replicas), "--balancer", balancer
        )
        for replicas in FLEETS
        for balancer in BALANCERS
    }
    figure, axes = pyplot.subplots(figsize=(6, 4), layout="constrained")
    for balancer in BALANCERS:
        p99 = [found[replicas, balancer]["results"][0]["interactive"]["latency_seconds"]["p99"] for replicas in FLEETS]
        axes.plot(FLEETS, p99, marker="o", label=balancer)
    axes.set(xlabel="replicas", ylabel="p99 latency of clips, s", yscale="log", xticks=FLEETS)
    axes.legend()
    save(figure, "fleets")
    rows = []
    for replicas in FLEETS:
        of_balancers = [found[replicas, balancer] for balancer in BALANCERS]
        load = FLEET_AUDIO_RATE / (replicas * of_balancers[0]["capacity"])
        p99 = [seconds(results["results"][0]["interactive"]["latency_seconds"]["p99"]) for results in of_balancers]
        rows.append([str(replicas), f"{load:.2f}", *p99])
    return table(["replicas", "load", *(f"p99, {balancer}" for balancer in BALANCERS)], rows)


def save(figure: pyplot.Figure, name: str) -> None:
    """Writes a plot as SVG, the same bytes for the same figures."""
    PLOTS.mkdir(exist_ok=True)
    figure.savefig(PLOTS / f"{name}.svg", metadata={"Date": None})
    pyplot.close(figure)


def replace_section(page: str, name: str, text: str) -> str:
    """`page` with `text` between the markers of `name`. Raises ValueError if the page has no such markers."""
    section = re.compile(rf"(<!-- study: {re.escape(name)} -->\n).*?(<!-- end -->)", re.DOTALL)
    page, count = section.subn(lambda found: f"{found[1]}\n{text}\n{found[2]}", page)
    if count != 1:
        raise ValueError(f"{count} sections named {name}")
    return page


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--simulate", type=Path, required=True, help="the binary culturetag-simulate")
    simulator = Simulator(parser.parse_args().simulate)
    matplotlib.rcParams["svg.hashsalt"] = "culturetag"  # otherwise the ids in the files are random
    page = PAGE.read_text()
    for name, study in {"loads": study_loads, "track": study_track, "fleets": study_fleets}.items():
        page = replace_section(page, name, study(simulator))
    PAGE.write_text(page)


if __name__ == "__main__":
    main()
