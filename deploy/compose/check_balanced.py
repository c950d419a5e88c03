"""Brings up the balanced pair of compose.yaml, shows that it shares load, and kills one of the two under load.

    python deploy/compose/check_balanced.py                           # with docker compose
    python deploy/compose/check_balanced.py --compose podman-compose --client build/release/bin/culturetag

Ends with 0 if both replicas got their share within 10 %, and no call failed though one replica was killed (SIGKILL)
amid them. Needs the images, ports 50050 and 9090 of this machine, and only the standard library. The containers are
taken down at the end.
"""

import argparse
import json
import shlex
import subprocess
import sys
import tempfile
import time
import urllib.parse
import urllib.request
from pathlib import Path

HERE = Path(__file__).resolve().parent
CLIP = HERE.parents[1] / "bundles/demo/melody.flac"
BALANCER = "localhost:50050"
PROMETHEUS = "http://localhost:9090"
START_TIMEOUT_S = 120
SCRAPES_S = 15  # three scrapes: what Prometheus knows is as old as one
CONCURRENCY = 16
LARGEST_DIFFERENCE = 0.1  # of the mean


def wait_for(what: str, condition, timeout_s: float = START_TIMEOUT_S) -> None:
    """Polls every second, for these are containers; raises TimeoutError."""
    deadline = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what} within {timeout_s} s")
        time.sleep(1)


def by_replica(query: str) -> dict[str, float]:
    """The value of a query for each replica, as Prometheus knows it; empty while Prometheus isn't up."""
    url = f"{PROMETHEUS}/api/v1/query?" + urllib.parse.urlencode({"query": query})
    try:
        with urllib.request.urlopen(url) as response:
            result = json.load(response)["data"]["result"]
    except OSError:
        return {}
    return {series["metric"]["instance"]: float(series["value"][1]) for series in result}


def calls_by_replica() -> dict[str, float]:
    """How many calls of Tag each replica has answered with OK."""
    return by_replica('culturetag_requests_total{method="Tag", code="OK"}')


class Pair:
    """The containers, and a client that calls them through the balancer."""

    def __init__(self, compose: list[str], client: str) -> None:
        self._compose = [*compose, "-f", str(HERE / "compose.yaml"), "--profile", "balanced"]
        self._client = client

    def compose(self, *arguments: str) -> None:
        subprocess.run([*self._compose, *arguments], check=True, stdout=subprocess.DEVNULL)

    def answers(self) -> bool:
        command = [self._client, "models", "--server", BALANCER, "--timeout", "5s"]
        return subprocess.run(command, capture_output=True).returncode == 0

    def start_calls(self, count: int, output) -> subprocess.Popen:
        """`count` calls, CONCURRENCY at a time over one connection. It ends with 0 only if every one was answered."""
        options = ["--server", BALANCER, "--concurrency", str(CONCURRENCY), "--timeout", "5m", "--json"]
        return subprocess.Popen([self._client, "tag", *options, *[str(CLIP)] * count], stdout=output)


def check_shares(pair: Pair, count: int, output) -> bool:
    if pair.start_calls(count, output).wait() != 0:
        return False
    wait_for("all calls counted", lambda: sum(calls_by_replica().values()) >= count, SCRAPES_S)
    shares = calls_by_replica()
    difference = (max(shares.values()) - min(shares.values())) / (sum(shares.values()) / len(shares))
    print(f"{count} calls over one connection, by replica: {shares}; difference {difference:.1%} of the mean")
    return len(shares) == 2 and difference <= LARGEST_DIFFERENCE


def check_kill(pair: Pair, count: int, output) -> bool:
    before = sum(calls_by_replica().values())
    calls = pair.start_calls(count, output)
    wait_for("a tenth of the calls answered", lambda: sum(calls_by_replica().values()) >= before + count / 10)
    pair.compose("kill", "second")
    under_way = calls.poll() is None
    code = calls.wait()
    print(f"{count} calls, one replica killed amid them ({'' if under_way else 'NOT '}in time): exit code {code}")
    return under_way and code == 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--compose", default="docker compose", help="the command (default: %(default)s)")
    parser.add_argument("--client", default="culturetag", help="the client (default: %(default)s)")
    parser.add_argument("--calls", type=int, default=400, help="calls of each part (default: %(default)s)")
    options = parser.parse_args()
    pair = Pair(shlex.split(options.compose), options.client)
    try:
        pair.compose("up", "-d", "server", "second", "balancer", "prometheus")
        wait_for("both replicas with a model", lambda: len(by_replica("culturetag_model_info")) == 2)
        wait_for("an answer through the balancer", pair.answers)
        with tempfile.TemporaryFile() as output:
            worked = check_shares(pair, options.calls, output) and check_kill(pair, options.calls, output)
    finally:
        pair.compose("down", "-v")
    print("works" if worked else "FAILED")
    return 0 if worked else 1


if __name__ == "__main__":
    sys.exit(main())
