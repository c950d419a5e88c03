"""TorchServe's handler. Batches are the frontend's (`batchSize` and `maxBatchDelay` in the model's configuration)."""

from pipeline import Tagger
from ts.torch_handler.base_handler import BaseHandler


class TaggingHandler(BaseHandler):
    def initialize(self, context):
        self._tagger = Tagger()
        self.initialized = True

    def preprocess(self, requests):
        return [self._tagger.windows(bytes(request.get("data") or request.get("body"))) for request in requests]

    def inference(self, clips):
        return self._tagger.scores_of_clips(clips)

    def postprocess(self, scores):
        return [self._tagger.tags(clip) for clip in scores]
