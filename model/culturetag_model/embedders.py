"""Where hidden states come from: a backbone on this machine, or the `Embed` RPC of a running server.

Probes that were trained on a server's embeddings have seen exactly what they will be served: its normalisation, its
device and its precision.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import grpc
import numpy as np
import torch

from culturetag.v1 import tagging_pb2, tagging_pb2_grpc
from culturetag.v1.bundle_pb2 import BundleManifest
from culturetag_model.bundle import BACKBONE_FILE, read_bundle
from culturetag_model.errors import CultureTagModelError
from culturetag_model.manifest import new_manifest
from culturetag_model.reference import normalize

_IN_FLIGHT = 16
"""Requests that wait at the server at once: enough that it can batch, few enough for its admission control."""

_RETRIES = json.dumps(
    {
        "methodConfig": [
            {
                "name": [{"service": "culturetag.v1.TaggingService", "method": "Embed"}],
                "retryPolicy": {
                    "maxAttempts": 5,
                    "initialBackoff": "0.5s",
                    "maxBackoff": "20s",
                    "backoffMultiplier": 2,
                    "retryableStatusCodes": ["RESOURCE_EXHAUSTED", "UNAVAILABLE"],
                },
            }
        ]
    }
)
"""gRPC's own retries, which honour the server's pushback. A gRPC client makes at most five attempts."""


class EmbedderError(CultureTagModelError):
    """A server can't be reached, or doesn't have the model or the RPC."""


class Embedder(Protocol):
    """Turns windows into hidden states."""

    identity: Mapping[str, str | bool]
    """What decides its results; `backbone` is the name for people. Equal identities give equal states."""
    manifest: BundleManifest
    """Its sampling rate and windows."""

    def embed(self, windows: Sequence[np.ndarray]) -> np.ndarray:
        """Windows `[T] float32` of one length, not normalised -> `[W, L, D] float32` time-means."""
        ...


class LocalEmbedder:
    """The backbone of a bundle on this machine."""

    def __init__(self, folder: Path, *, device: str = "cpu", batch: int = 4):
        """Args:
            folder: A bundle, with or without heads.
            device: A PyTorch device, for example `cuda`.
            batch: Windows in one pass.

        Raises:
            culturetag_model.bundle.BundleError: The folder is no valid bundle.
        """
        self.manifest = read_bundle(folder).manifest
        self.identity = {
            "backbone": self.manifest.backbone,
            "sha256": self.manifest.sha256[BACKBONE_FILE],
            "normalize": self.manifest.normalize,
        }
        self._backbone = torch.jit.load(folder / BACKBONE_FILE, map_location=device)
        self._device, self._batch = device, batch

    def embed(self, windows: Sequence[np.ndarray]) -> np.ndarray:
        scaled = [normalize(window) if self.manifest.normalize else window for window in windows]
        with torch.inference_mode():
            passes = [
                self._backbone(torch.from_numpy(np.stack(part)).to(self._device)).cpu().numpy()
                for part in _parts(scaled, self._batch)
            ]
        return np.concatenate(passes)


class ServerEmbedder:
    """The `Embed` RPC of a server."""

    def __init__(self, address: str, model: str = ""):
        """Asks the server for its models.

        Args:
            address: `HOST:PORT`, without TLS.
            model: The model's name; empty: the server's default.

        Raises:
            EmbedderError: The server can't be reached, or has no such model.
        """
        options = [("grpc.service_config", _RETRIES), ("grpc.enable_retries", 1)]
        self._stub = tagging_pb2_grpc.TaggingServiceStub(grpc.insecure_channel(address, options=options))
        try:
            models = self._stub.ListModels(tagging_pb2.ListModelsRequest()).models
        except grpc.RpcError as error:
            raise EmbedderError(f"{address} does not answer: {error.details()}") from error
        found = next((each for each in models if each.name == model or not model), None)
        if found is None:
            raise EmbedderError(f"{address} has no model {model!r}, only {[each.name for each in models]}")
        self._model = found
        self.identity = {
            "backbone": found.backbone,
            "server_model": found.name,
            "version": found.version,
            "precision": found.precision,
        }
        self.manifest = new_manifest(
            name=found.name,
            version=found.version,
            backbone=found.backbone,
            license=found.license,
            description=found.description,
            normalize=False,  # The server normalises.
            sample_rate_hz=found.sample_rate_hz,
        )
        self.manifest.window.CopyFrom(found.window)
        self.manifest.hop.CopyFrom(found.window)

    def embed(self, windows: Sequence[np.ndarray]) -> np.ndarray:
        """As `Embedder.embed`. Raises `EmbedderError` with the server's words if it refuses or fails."""
        states = []
        for part in _parts(windows, _IN_FLIGHT):
            calls = [self._stub.Embed.future(self._request(window)) for window in part]
            try:
                states += [self._states(call.result()) for call in calls]
            except grpc.RpcError as error:
                raise EmbedderError(f"Embed failed: {error.code().name}: {error.details()}") from error
        return np.stack(states)

    def _request(self, window: np.ndarray) -> tagging_pb2.EmbedRequest:
        pcm = tagging_pb2.Pcm(
            encoding=tagging_pb2.ENCODING_F32LE,
            sample_rate_hz=self.manifest.sample_rate_hz,
            channel_count=1,
            samples=window.astype("<f4").tobytes(),
        )
        return tagging_pb2.EmbedRequest(audio=tagging_pb2.Audio(pcm=pcm), model=self._model.name)

    def _states(self, response: tagging_pb2.EmbedResponse) -> np.ndarray:
        return np.array(response.values, np.float32).reshape(response.layer_count, response.hidden_size)


def _parts(windows: Sequence[np.ndarray], size: int) -> Iterator[Sequence[np.ndarray]]:
    return (windows[start : start + size] for start in range(0, len(windows), size))
