import re

import pytest
import torch
from conftest import noise

from culturetag_model.export import ExportError, export_backbone, export_head
from culturetag_model.heads import UNTRAINED_LOGIT, ProbeHead
from culturetag_model.lowered import LoweredBackbone


@pytest.mark.parametrize("shape", [(1, 400), (5, 12_000), (1, 24_001), (4, 120_000)])
def test_exported_backbone_equals_eager_at_shapes_the_trace_did_not_see(tmp_path, backbone, shape):
    export_backbone(backbone, tmp_path / "backbone.ts")
    audio = noise(*shape, seed=9)

    with torch.no_grad():
        exported = torch.jit.load(tmp_path / "backbone.ts")(audio)
        eager = backbone(audio)

    assert exported.shape == (shape[0], 3, 32)
    torch.testing.assert_close(exported, eager, atol=1e-5, rtol=0)


def test_export_reports_the_largest_difference(tmp_path, backbone):
    assert 0.0 <= export_backbone(backbone, tmp_path / "backbone.ts") < 1e-5


def test_exported_backbone_has_no_dropout_even_if_the_module_is_training(tmp_path, backbone):
    export_backbone(backbone.train(), tmp_path / "backbone.ts")
    exported = torch.jit.load(tmp_path / "backbone.ts")

    assert torch.equal(exported(noise(1, 9_000)), exported(noise(1, 9_000)))
    assert backbone.training


def test_exported_file_holds_every_weight_once(tmp_path, backbone):
    export_backbone(backbone, tmp_path / "backbone.ts")

    weights = sum(4 * parameter.numel() for parameter in LoweredBackbone(backbone).parameters())
    code = (tmp_path / "backbone.ts").stat().st_size - weights
    assert 0 < code < 80_000


def test_exported_graph_names_no_device(tmp_path, backbone):
    """A device in the graph would tie the file to the machine that exported it."""
    export_backbone(backbone, tmp_path / "backbone.ts")

    graph = str(torch.jit.load(tmp_path / "backbone.ts").inlined_graph)

    assert re.findall(r"Device = prim::Constant", graph) == []


def test_exported_head_equals_eager_and_keeps_untrained_labels_down(tmp_path, head):
    export_head(head, tmp_path / "makam.ts")
    states = noise(9, 3, 32)

    logits = torch.jit.load(tmp_path / "makam.ts")(states)

    torch.testing.assert_close(logits, head(states), atol=1e-6, rtol=0)
    assert logits[:, 1].tolist() == [UNTRAINED_LOGIT] * 9


class ScaledByBatch(LoweredBackbone):
    """Computes with its batch size as a Python number, which a trace records as a constant."""

    def forward(self, audio):
        return super().forward(audio) * float(int(audio.shape[0]))


class FixedBatch(LoweredBackbone):
    """Reshapes to a batch size that it read as a Python number."""

    def forward(self, audio):
        return super().forward(audio).reshape(int(audio.shape[0]), -1, 32)


class CutBatch(LoweredBackbone):
    """Cuts the batch at a size that it read as a Python number."""

    def forward(self, audio):
        return super().forward(audio)[: int(audio.shape[0])]


class NotFinite(LoweredBackbone):
    def forward(self, audio):
        return super().forward(audio) * float("nan")


@pytest.mark.parametrize(
    ("network", "message"),
    [
        (ScaledByBatch, r"backbone\.ts at \[1, 12000\] differs by .* from eager; allowed is 0\.0001"),
        (FixedBatch, r"backbone\.ts cannot run at \[1, 12000\]: a shape was recorded as a constant"),
        (CutBatch, r"backbone\.ts at \[3, 28321\] gives \[2, 3, 32\] instead of \[3, 3, 32\]"),
        (NotFinite, r"backbone\.ts at \[1, 12000\] differs by nan from eager"),
    ],
)
def test_a_module_that_a_trace_cannot_hold_is_refused(tmp_path, monkeypatch, backbone, network, message):
    monkeypatch.setattr("culturetag_model.export.LoweredBackbone", network)

    with pytest.raises(ExportError, match=message):
        export_backbone(backbone, tmp_path / "backbone.ts")


def test_a_head_with_an_inner_layer_exports(tmp_path):
    head = ProbeHead(3, 32, 5, untrained=[2], inner=16)

    assert export_head(head, tmp_path / "head.ts") < 1e-5
    states = noise(4, 3, 32)
    torch.testing.assert_close(torch.jit.load(tmp_path / "head.ts")(states), head(states), atol=1e-5, rtol=0)
