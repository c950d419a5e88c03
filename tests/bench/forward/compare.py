"""Times the backbone's forward pass in every engine, taking turns, and prints the table of README.md.

    pip install --no-deps --target build/forward-packages -r tests/bench/forward/requirements.txt
    PYTHONPATH=build/forward-packages .venv/bin/python tests/bench/forward/compare.py [--engine_bench FILE] [--rounds 5]

Every engine runs in a process of its own and idles while another works. In each round each engine runs one pass of each
batch size; what counts is its median at the batch that suits it best. The first run writes some 2 GB of files with
random weights to --folder.
"""

import argparse
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
PRODUCTS = "matrix products alone"
# The reference may not suffer from what the server's block pool spares its tensors.
HUGE_PAGES = {"THP_MEM_ALLOC_ENABLE": "1"}


@dataclass
class Engine:
    """A process that runs passes on request, and its milliseconds a window by batch size."""

    title: str
    command: Sequence[str]
    states: Path | None
    environment: Mapping[str, str] = field(default_factory=dict)
    times: dict[int, list[float]] = field(default_factory=dict)

    def start(self) -> None:
        self.process = subprocess.Popen(
            self.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env={**os.environ, **self.environment},
        )
        if (line := self.process.stdout.readline()) != "ready\n":
            raise SystemExit(f"{self.title} did not start: {' '.join(self.command)} said {line!r}")

    def run(self, batch: int) -> float:
        self.process.stdin.write(f"{batch}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline()) / batch

    def stop(self) -> None:
        self.process.stdin.close()
        self.process.wait()

    def best(self) -> tuple[float, int]:
        """The least median of milliseconds a window, and its batch."""
        return min((statistics.median(times), batch) for batch, times in self.times.items())


def engines(folder: Path, engine_bench: Path, threads: int) -> list[Engine]:
    def python(title: str, name: str, states: bool = True, environment: Mapping[str, str] | None = None) -> Engine:
        command = [sys.executable, str(HERE / "engines.py"), name, str(folder), str(threads)]
        return Engine(title, command, folder / f"{name}.npy" if states else None, environment or {})

    audio = folder / "audio.f32"
    np.load(folder / "audio.npy").tofile(audio)
    states = folder / "server.f32"
    flags = [f"--bundle={folder / 'bundle'}", f"--audio={audio}", f"--states={states}", f"--compute_threads={threads}"]
    return [
        python(PRODUCTS, "products", states=False, environment=HUGE_PAGES),
        python("TorchScript before", "torchscript"),
        python("the new export, without the pool", "lowered"),
        Engine("the server's engine", [str(engine_bench), "--on_request", *flags], states),
        python("ONNX Runtime", "onnxruntime"),
        python("OpenVINO", "openvino"),
    ]


def measure(contestants: Sequence[Engine], batches: Sequence[int], rounds: int) -> None:
    for engine in contestants:
        engine.start()
    for engine in contestants:
        for batch in batches:
            engine.run(batch)  # warm
            engine.times[batch] = []
    for _ in range(rounds):
        for batch in batches:
            for engine in contestants:
                engine.times[batch].append(engine.run(batch))
    for engine in contestants:
        engine.stop()


def difference(states: Path | None, eager: np.ndarray) -> str:
    if states is None:
        return ""
    actual = np.load(states) if states.suffix == ".npy" else np.fromfile(states, np.float32).reshape(eager.shape)
    return f"{np.abs(actual - eager).max():.1g}"


def table(contestants: Sequence[Engine], eager: np.ndarray) -> str:
    reference = next(engine for engine in contestants if engine.title == PRODUCTS).best()[0]
    batches = sorted(contestants[0].times)
    head = [f"batch {batch}, ms a window" for batch in batches]
    lines = ["| engine | " + " | ".join(head) + " | best | to the products | difference from eager |"]
    lines.append("|---|" + "--:|" * (len(batches) + 3))
    for engine in contestants:
        medians = [f"{statistics.median(engine.times[batch]):.0f}" for batch in batches]
        best = engine.best()[0]
        off = difference(engine.states, eager)
        lines.append(f"| {engine.title} | {' | '.join(medians)} | {best:.0f} | {best / reference:.2f} | {off} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, default=ROOT / "build/forward-files", help="where the files lie")
    parser.add_argument("--engine_bench", type=Path, default=ROOT / "build/release/bin/engine_bench")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--batches", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()
    if not (arguments.folder / "bundle/manifest.json").exists():
        subprocess.run([sys.executable, HERE / "prepare.py", arguments.folder], check=True)
    contestants = engines(arguments.folder, arguments.engine_bench, arguments.threads)
    measure(contestants, arguments.batches, arguments.rounds)
    machine = f"{arguments.threads} threads of {platform.processor() or platform.machine()}"
    print(f"{datetime.now(UTC):%Y-%m-%d}, {machine}, medians of {arguments.rounds} rounds\n")
    print(table(contestants, np.load(arguments.folder / "eager.npy")))


if __name__ == "__main__":
    main()
