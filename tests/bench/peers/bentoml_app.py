"""BentoML with adaptive batching: a service that decodes, and behind it one with the model, as its pages compose them."""

import asyncio
import os
from pathlib import Path

import bentoml
import numpy as np
from pipeline import MAX_BATCH_CLIPS, Clips, Tagger

# What is predicted to take longer is refused, and a closed loop may wait.
MAX_LATENCY_MS = 60_000
TRAFFIC = {"timeout": 120, "max_concurrency": 4096}


@bentoml.service(workers=int(os.environ["WORKERS"]), traffic=TRAFFIC)
class Model:
    def __init__(self) -> None:
        self._tagger = Tagger()

    @bentoml.api(batchable=True, max_batch_size=2 * MAX_BATCH_CLIPS, max_latency_ms=MAX_LATENCY_MS)
    def scores(self, windows: np.ndarray) -> np.ndarray:
        return self._tagger.scores(np.ascontiguousarray(windows))


@bentoml.service(traffic=TRAFFIC)
class Tagging:
    model = bentoml.depends(Model)

    def __init__(self) -> None:
        self._clips = Clips()

    @bentoml.api
    async def tag(self, clip: Path, /) -> dict:
        windows = await asyncio.to_thread(self._clips.windows, clip.read_bytes())
        return self._clips.tags(await self.model.to_async.scores(windows))
