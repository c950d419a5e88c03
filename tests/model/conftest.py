"""What the tests of the Python package share: networks that are small enough to run in milliseconds."""

from pathlib import Path

import pytest
import torch
from transformers import HubertConfig

from culturetag.v1.bundle_pb2 import BundleHead, BundleLabel, BundleManifest
from culturetag_model.backbone import Backbone, build_backbone, mert_config
from culturetag_model.bundle import write_bundle
from culturetag_model.heads import ProbeHead
from culturetag_model.manifest import new_manifest

LICENSE_TEXT = "Nobody claims rights in these random numbers.\n"


def pytest_configure(config: pytest.Config) -> None:
    # TorchScript is deprecated upstream from PyTorch 2.11 on; the bundle's format stays with it until the server moves.
    config.addinivalue_line("filterwarnings", "ignore:`torch.jit:DeprecationWarning")
    # Networks this small only lose time by waiting for each other's threads.
    torch.set_num_threads(1)


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    """Gaussian noise at -20 dBFS that depends on its arguments alone."""
    return 0.1 * torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def tiny_config(layers: int = 2) -> HubertConfig:
    return mert_config(
        layers=layers, hidden=32, heads=2, intermediate=48, conv_dim=(16,) * 7, position_kernel=16, position_groups=4
    )


def tiny_manifest() -> BundleManifest:
    """A manifest with one head of a trained, an untrained and another trained label."""
    head = BundleHead(
        name="makam",
        title="Makam",
        dataset="none",
        labels=[
            BundleLabel(name="Hicaz", category="makam"),
            BundleLabel(name="Rast", category="makam", untrained_reason="no recordings"),
            BundleLabel(name="Hüseyni", category="makam"),
        ],
    )
    return new_manifest(
        name="tiny",
        version="1.0.0",
        backbone="random",
        license="CC0-1.0",
        description="A test.",
        normalize=True,
        heads=[head],
    )


@pytest.fixture
def backbone() -> Backbone:
    """Two layers of 32, in evaluation mode. Its positional convolution is weight-normalised, as in training."""
    return build_backbone(tiny_config(), seed=0).eval()


@pytest.fixture
def head(backbone: Backbone) -> ProbeHead:
    """Three labels, of which the second is untrained."""
    return ProbeHead(backbone.layer_count, backbone.hidden_size, 3, untrained=[1]).eval()


@pytest.fixture
def bundle_folder(tmp_path: Path, backbone: Backbone, head: ProbeHead) -> Path:
    """A valid bundle of `backbone` and `head`."""
    folder = tmp_path / "bundle"
    write_bundle(folder, tiny_manifest(), backbone=backbone, heads={"makam": head}, license_text=LICENSE_TEXT)
    return folder


@pytest.fixture(scope="session")
def shared_bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A valid bundle of the same kind, for tests that only read it."""
    folder = tmp_path_factory.mktemp("shared") / "bundle"
    backbone = build_backbone(tiny_config(), seed=0)
    head = ProbeHead(backbone.layer_count, backbone.hidden_size, 3, untrained=[1])
    write_bundle(folder, tiny_manifest(), backbone=backbone, heads={"makam": head}, license_text=LICENSE_TEXT)
    return folder
