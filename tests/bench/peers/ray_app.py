"""Ray Serve with its dynamic batching. Decoding and the model run on threads, so that the replica goes on taking requests."""

import asyncio
import os

import numpy as np
from pipeline import BATCH_WAIT_S, MAX_BATCH_CLIPS, Tagger
from ray import serve
from starlette.requests import Request


@serve.deployment(num_replicas=int(os.environ["WORKERS"]), max_ongoing_requests=256, ray_actor_options={"num_cpus": 0})
class TaggingDeployment:
    def __init__(self) -> None:
        self._tagger = Tagger()

    @serve.batch(max_batch_size=MAX_BATCH_CLIPS, batch_wait_timeout_s=BATCH_WAIT_S)
    async def scores(self, clips: list[np.ndarray]) -> list[np.ndarray]:
        return await asyncio.to_thread(self._tagger.scores_of_clips, clips)

    async def __call__(self, request: Request) -> dict:
        windows = await asyncio.to_thread(self._tagger.windows, await request.body())
        return self._tagger.tags(await self.scores(windows))


app = TaggingDeployment.bind()
