"""The engines of the comparison, each in a process of its own: `engines.py NAME FOLDER THREADS`.

A line on standard input is the number of windows of one pass; the answer is one line with its milliseconds. An engine
first writes the hidden states that it computes for FOLDER/audio.npy to FOLDER/NAME.npy, and then a line.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

Pass = Callable[[np.ndarray], np.ndarray]


def torchscript(folder: Path, threads: int) -> Pass:
    """The export as it was: a trace of transformers' layers."""
    return _interpreted(folder / "before.ts", threads)


def lowered(folder: Path, threads: int) -> Pass:
    """The export as it is, with PyTorch's own allocator."""
    return _interpreted(folder / "bundle/backbone.ts", threads)


def _interpreted(path: Path, threads: int) -> Pass:
    """TorchScript in the mode that the server uses."""
    import torch

    torch.set_num_threads(threads)
    torch._C._jit_set_profiling_mode(False)
    module = torch.jit.load(path)

    def run(audio: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return module(torch.from_numpy(audio)).numpy()

    return run


def onnxruntime(folder: Path, threads: int) -> Pass:
    import onnxruntime as ort

    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_ENABLE_ALL
    session = ort.InferenceSession(folder / "backbone.onnx", options, providers=["CPUExecutionProvider"])
    return lambda audio: session.run(None, {"audio": audio})[0]


def openvino(folder: Path, threads: int) -> Pass:
    import openvino as ov

    config = {"INFERENCE_NUM_THREADS": threads, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    model = ov.Core().compile_model(folder / "backbone.onnx", "CPU", config)
    return lambda audio: model(audio)[0]


def products(folder: Path, threads: int) -> Pass:
    """Every matrix product of the network and nothing else, into outputs that exist. Its result means nothing."""
    import torch

    torch.set_num_threads(threads)
    prepared: dict[int, list[tuple[torch.Tensor, ...]]] = {}

    def operands(batch: int) -> list[tuple[torch.Tensor, ...]]:
        shapes = [(1, batch * rows, inner, columns) for rows, inner, columns in _dense_products()]
        shapes += [(batch * many, rows, inner, columns) for many, rows, inner, columns in _batched_products()]
        made: dict[tuple[int, ...], torch.Tensor] = {}

        def tensor(*shape: int) -> torch.Tensor:
            return made.setdefault(shape, torch.randn(*shape))

        return [(tensor(b, m, k), torch.randn(b, k, n), tensor(b, m, n)) for b, m, k, n in shapes]

    def run(audio: np.ndarray) -> np.ndarray:
        batch = len(audio)
        with torch.inference_mode():
            if batch not in prepared:
                prepared.clear()
                prepared[batch] = operands(batch)
            for left, right, out in prepared[batch]:
                if len(left) == 1:
                    torch.mm(left[0], right[0], out=out[0])
                else:
                    torch.bmm(left, right, out=out)
        return audio

    return run


FRAMES = 374
_LAYERS = 12


def _dense_products() -> list[tuple[int, int, int]]:
    """(rows, inner, columns) of a 5 s window's convolutions and linear layers in the 95M network."""
    convolutions = [(23_999, 10, 512)]
    convolutions += [(rows, 3 * 512, 512) for rows in (11_999, 5_999, 2_999, 1_499)]
    convolutions += [(rows, 2 * 512, 512) for rows in (749, FRAMES)]
    layer = [(FRAMES, 768, 768)] * 4 + [(FRAMES, 768, 3_072), (FRAMES, 3_072, 768)]
    return [*convolutions, (FRAMES, 512, 768), *(_LAYERS * layer)]


def _batched_products() -> list[tuple[int, int, int, int]]:
    """(number, rows, inner, columns) of the positional convolution's groups and of the attention's heads."""
    attention = [(12, FRAMES, 64, FRAMES), (12, FRAMES, FRAMES, 64)]
    return [(16, FRAMES, 48 * 128, 48), *(_LAYERS * attention)]


ENGINES = {engine.__name__: engine for engine in (torchscript, lowered, onnxruntime, openvino, products)}


def main() -> None:
    name, folder, threads = sys.argv[1], Path(sys.argv[2]), int(sys.argv[3])
    run = ENGINES[name](folder, threads)
    audio = np.load(folder / "audio.npy")
    np.save(folder / f"{name}.npy", run(audio))
    print("ready", flush=True)
    for line in sys.stdin:
        batch = np.repeat(audio, int(line), axis=0)
        start = time.perf_counter()
        run(batch)
        print(1000 * (time.perf_counter() - start), flush=True)


if __name__ == "__main__":
    main()
