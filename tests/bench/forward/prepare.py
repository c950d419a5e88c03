"""The files that the comparison runs, all with the same random weights of the full-size network: `prepare.py FOLDER`.

`before.ts` and `backbone.onnx` hold transformers' layers as they are; `bundle/` holds what `culturetag-model` writes
for the server; `eager.npy` are the hidden states that PyTorch computes for `audio.npy`, 5 s of noise.
"""

import sys
import warnings
from pathlib import Path

import numpy as np
import torch
from culturetag_model.backbone import Backbone, build_backbone, mert_config
from culturetag_model.cli import main as culturetag_model

SEED = 0


def main() -> None:
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    backbone = build_backbone(mert_config(), SEED).eval().requires_grad_(False)
    audio = 0.1 * torch.randn(1, 120_000, generator=torch.Generator().manual_seed(SEED))
    np.save(folder / "audio.npy", audio.numpy())
    np.save(folder / "eager.npy", backbone(audio).numpy())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        write_plain(backbone, folder)
    write_bundle(folder)


def write_plain(backbone: Backbone, folder: Path) -> None:
    example = torch.zeros(2, 24_000)
    torch.jit.save(torch.jit.freeze(torch.jit.trace(backbone, example, check_trace=False)), folder / "before.ts")
    free = {0: "batch", 1: "samples"}
    torch.onnx.export(
        backbone,
        (example,),
        folder / "backbone.onnx",
        input_names=["audio"],
        output_names=["states"],
        dynamic_axes={"audio": free, "states": {0: "batch"}},
        opset_version=20,
        dynamo=False,
    )


def write_bundle(folder: Path) -> None:
    export = ["export", "--random-init", "--layers", "12", "--hidden", "768", "--seed", str(SEED), "--force"]
    culturetag_model([*export, "--output", str(folder / "exported")], standalone_mode=False)
    heads = ["bundle", "create", "--backbone", str(folder / "exported"), "--random-heads", "--force"]
    culturetag_model([*heads, "--output", str(folder / "bundle")], standalone_mode=False)


if __name__ == "__main__":
    main()
