"""culturetag and Python's model servers, side by side: one bundle, the same clips, the same load.

    tests/bench/peers/setup                                          # once
    .venv/bin/python tests/bench/peers/compare.py                    # every peer, on the demo bundle
    .venv/bin/python tests/bench/peers/compare.py --only LitServe --workers 2
    .venv/bin/python tests/bench/peers/compare.py --tiny
    .venv/bin/python tests/bench/peers/compare.py --bundle bundles/load-test --full-size

Clips are 5 to 15 s long, FLAC in stereo at 44.1 kHz and 16 bit PCM at 24 kHz by turns (a WAV file where the peer has no PCM).
Each peer runs beside an idle culturetag, and the load goes to one and to the other by turns, so that a machine whose speed
changes treats both alike:

- saturation: closed loops of each of --concurrency, then --turns in all at the one where a server did best;
- half load: an open loop at half of that rate of the server's own, twice;
- start-up: from the command to the first answer, warm-up included. Memory: all its processes, shared pages once, at the end.

"A core" is for a second of processor time of all the server's processes, which says what it costs even where the machine
isn't its own. Medians over the turns. Results are appended to --results as JSON, a line for each pair, and the table is made of the file.
"""

import argparse
import contextlib
import json
import signal
import statistics
import sys
import tempfile
import time
from pathlib import Path

import contestants
from contestants import CULTURETAG, PEERS, Contestant, Running, Settings, running
from culturetag.v1 import tagging_pb2
from harness import (
    ROOT,
    build_generator,
    cheap_bundle,
    coloured_noise,
    cpu_seconds,
    encoded,
    file_request,
    load,
    memory_mb,
    pcm_request,
    table,
)

WINDOW_S = 5
MODEL_RATE = 24_000
FILE_RATE = 44_100
BOUNDARY = "culturetag-bench"
SCORE_TOLERANCE = 0.005  # of one track in two decoders' and resamplers' versions


class Bodies:
    """The clips as each kind of server wants them, as files below `folder`."""

    def __init__(self, folder: Path, lengths: list[float]):
        self.windows = sum(max(1, -(-length // WINDOW_S)) for length in lengths) / len(lengths)  # a clip, on average
        self._paths: dict[str, list[Path]] = {"grpc": [], "form": [], "raw": []}
        for index, length in enumerate(lengths):
            flac = encoded(coloured_noise(length, FILE_RATE, 2, seed=index), FILE_RATE, "FLAC")
            mono = coloured_noise(length, MODEL_RATE, 1, seed=index)
            self._add(folder / f"{index}-flac", flac, file_request(flac, top_k=contestants.TOP_K))
            wav = encoded(mono, MODEL_RATE, "WAV")
            self._add(folder / f"{index}-pcm", wav, pcm_request(mono, MODEL_RATE, top_k=contestants.TOP_K))

    def _add(self, path: Path, file: bytes, message: bytes) -> None:
        head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="file"; filename="clip"\r\n\r\n'
        form = head.encode() + file + f"\r\n--{BOUNDARY}--\r\n".encode()
        for kind, content in (("raw", file), ("form", form), ("grpc", message)):
            self._paths[kind].append(path.with_suffix(f".{kind}"))
            self._paths[kind][-1].write_bytes(content)

    def of(self, contestant: Contestant) -> list[Path]:
        return self._paths["grpc" if contestant.is_grpc else "form" if contestant.takes_forms else "raw"]

    @staticmethod
    def content_type(contestant: Contestant) -> str:
        return f"multipart/form-data; boundary={BOUNDARY}" if contestant.takes_forms else "audio/flac"


def tags_of(server: Running) -> dict[str, dict[str, float]]:
    """The first answer, as scores by head and label."""
    if server.contestant.is_grpc:
        heads = tagging_pb2.TagResponse.FromString(server.first_answer).heads
        return {head.head: {tag.label: tag.score for tag in head.tags} for head in heads}
    heads = json.loads(server.first_answer)
    return {head: {tag["label"]: tag["score"] for tag in tags} for head, tags in heads.items()}


def check_same_work(one: Running, other: Running) -> None:
    """Both must give the clip the same tags: a server that does less would win."""
    ours, theirs = tags_of(one), tags_of(other)
    if ours.keys() != theirs.keys():
        raise RuntimeError(f"{other.contestant.name} answers other heads: {sorted(theirs)}")
    for head, tags in ours.items():
        common = tags.keys() & theirs[head].keys()
        worst = max(abs(tags[label] - theirs[head][label]) for label in common) if common else 1
        if len(common) < contestants.TOP_K - 1 or worst > SCORE_TOLERANCE:
            raise RuntimeError(
                f"{other.contestant.name} answers other tags of {head}: {theirs[head]} instead of {tags}"
            )


def run(server: Running, bodies: Bodies, options: argparse.Namespace, **loop: float) -> dict:
    contestant = server.contestant
    kind = bodies.content_type(contestant)
    begin, cpu = time.monotonic(), cpu_seconds(server.process.pid)
    found = load(server.url, bodies.of(contestant), seconds=options.seconds, content_type=kind, **loop)
    if found["failures"]:
        raise RuntimeError(f"{contestant.name} failed under {loop}: {found['failures']}")
    cores_busy = (cpu_seconds(server.process.pid) - cpu) / (time.monotonic() - begin)
    rate = bodies.windows * found["per_second"]
    return found | {"windows_per_second": rate, "windows_per_core_second": rate / cores_busy}


def measure_pair(servers: list[Running], bodies: Bodies, options: argparse.Namespace) -> dict:
    sweeps: dict[str, dict[int, dict]] = {server.contestant.name: {} for server in servers}
    for concurrency in options.concurrency:
        for server in servers:
            sweeps[server.contestant.name][concurrency] = run(server, bodies, options, concurrency=concurrency)
    best = {name: max(sweep, key=lambda level: sweep[level]["per_second"]) for name, sweep in sweeps.items()}
    turns = {name: [sweep[best[name]]] for name, sweep in sweeps.items()}
    for _ in range(options.turns - 1):
        for server in servers:
            name = server.contestant.name
            turns[name].append(run(server, bodies, options, concurrency=best[name]))
    half: dict[str, list[dict]] = {name: [] for name in sweeps}
    for _ in range(options.half_load_turns):
        for server in servers:
            name = server.contestant.name
            rate = statistics.median(turn["per_second"] for turn in turns[name]) / 2
            half[name].append(run(server, bodies, options, rate=rate))
    return {
        server.contestant.name: {
            "sweep": {level: found["per_second"] for level, found in sweeps[server.contestant.name].items()},
            "concurrency": best[server.contestant.name],
            **{
                figure: [turn[figure] for turn in turns[server.contestant.name]]
                for figure in ("windows_per_second", "windows_per_core_second")
            },
            "half_load_ms": [turn["latency_ms"] for turn in half[server.contestant.name]],
            "start_up_s": server.start_up_s,
            "memory_mb": memory_mb(server.process.pid),
        }
        for server in servers
    }


def compare(peer: Contestant, settings: Settings, bodies: Bodies, folder: Path, options: argparse.Namespace) -> dict:
    with contextlib.ExitStack() as stack:
        servers = [
            stack.enter_context(running(one, settings, folder, bodies.of(one)[0], bodies.content_type(one)))
            for one in (CULTURETAG, peer)
        ]
        check_same_work(*servers)
        pair = measure_pair(servers, bodies, options)
    return {"peer": peer.name, "workers": settings.workers, "model": options.model, "servers": pair}


def rows_of(pair: dict, version: str) -> list[list[object]]:
    """Two rows of the table: culturetag beside the peer, and the peer."""
    ours, theirs = pair["servers"][CULTURETAG.name], pair["servers"][pair["peer"]]
    ratios = [
        statistics.median(one / other for one, other in zip(ours[figure], theirs[figure], strict=True))
        for figure in ("windows_per_second", "windows_per_core_second")
    ]

    def row(name: str, server: dict, *ends: object) -> list[object]:
        latency = {
            p: statistics.median(turn[p] for turn in server["half_load_ms"]) if server["half_load_ms"] else "-"
            for p in ("p50", "p99")
        }
        sweep = " / ".join(f"{rate:.3g}" for rate in server["sweep"].values())
        rates = (statistics.median(server[f"windows_per_{per}"]) for per in ("second", "core_second"))
        return [name, sweep, *rates, latency["p50"], latency["p99"], server["memory_mb"], server["start_up_s"], *ends]

    name = f"{pair['peer']} {version}, {pair['workers']} worker{'s' if pair['workers'] > 1 else ''}"
    our_row, their_row = row("culturetag", ours, *ratios, ""), row(name, theirs, "", "", "")
    if ours["half_load_ms"]:
        our_row[-1] = our_row[5] / their_row[5]
    return [our_row, their_row]


def print_table(results: Path, model: str) -> None:
    pairs = [json.loads(line) for line in results.read_text().splitlines()]
    pairs = [pair for pair in pairs if pair["model"] == model]
    installed = contestants.versions(PEERS)
    packages = {peer.name: peer.package for peer in PEERS}
    rows = [row for pair in pairs for row in rows_of(pair, installed[packages[pair["peer"]]])]
    levels = " / ".join(str(level) for level in next(iter(pairs[0]["servers"].values()))["sweep"])
    header = ["server", f"requests/s at {levels} in flight", "windows/s", "a core", "p50 ms", "p99 ms", "memory MB"]
    print(table([*header, "start-up s", "throughput ratio", "a core", "p99 ratio"], rows))
    missing = [peer.name for peer in PEERS if peer.package not in installed]
    print("Not installed:", ", ".join(missing) or "none")


def run_all(options: argparse.Namespace, folder: Path) -> None:
    build_generator()
    installed = contestants.versions(PEERS)
    bundle = cheap_bundle(folder) if options.tiny else options.bundle
    settings = Settings(bundle, options.workers, options.max_pass_windows)
    bodies = Bodies(folder, [5] if options.full_size else [5, 7.5, 10, 12.5, 15])
    for peer in PEERS:
        if peer.package in installed and (not options.only or peer.name in options.only):
            pair = compare(peer, settings, bodies, folder, options)
            with options.results.open("a") as file:
                file.write(json.dumps(pair) + "\n")


def parse_options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", type=Path, default=ROOT / "bundles/demo")
    parser.add_argument("--tiny", action="store_true", help="a bundle whose passes cost next to nothing, as on a fast GPU")
    parser.add_argument(
        "--only", action="append", choices=[peer.name for peer in PEERS], help="this peer; may be repeated"
    )
    parser.add_argument("--workers", type=int, default=1, help="of a peer")
    parser.add_argument("--max-pass-windows", type=int, default=4, help="the largest batch of a peer's model")
    parser.add_argument("--concurrency", type=int, nargs="+", default=[4, 16, 64])
    parser.add_argument("--seconds", type=float, default=5, help="of each measurement")
    parser.add_argument("--turns", type=int, default=5)
    parser.add_argument("--half-load-turns", type=int, default=3)
    parser.add_argument(
        "--full-size", action="store_true", help="few and long turns, clips of one window, no half load"
    )
    parser.add_argument("--results", type=Path, default=ROOT / "build/bench/peers.jsonl")
    parser.add_argument("--table", action="store_true", help="only print the table of --results")
    options = parser.parse_args()
    options.model = "tiny" if options.tiny else options.bundle.name
    if options.full_size:
        options.concurrency, options.seconds, options.turns, options.half_load_turns = [4], 25, 2, 0
        options.max_pass_windows = 1
    return options


def main() -> None:
    options = parse_options()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # so that the servers are stopped, too
    if not options.table:
        with tempfile.TemporaryDirectory() as name:
            run_all(options, Path(name))
    print_table(options.results, options.model)


if __name__ == "__main__":
    main()
