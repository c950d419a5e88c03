"""LitServe with its dynamic batching. Files come as forms, as its pages have it; they are decoded by the workers."""

import os

import litserve
from pipeline import BATCH_WAIT_S, MAX_BATCH_CLIPS, Tagger


class TaggingApi(litserve.LitAPI):
    def setup(self, device):
        self._tagger = Tagger()

    def decode_request(self, request):
        return self._tagger.windows(request["file"].file.read())

    def batch(self, inputs):
        return inputs

    def predict(self, clips):
        return self._tagger.scores_of_clips(clips)

    def unbatch(self, output):
        return output

    def encode_response(self, output):
        return self._tagger.tags(output)


if __name__ == "__main__":
    api = TaggingApi(max_batch_size=MAX_BATCH_CLIPS, batch_timeout=BATCH_WAIT_S)
    server = litserve.LitServer(
        api, accelerator="cpu", workers_per_device=int(os.environ["WORKERS"]), timeout=120, track_requests=False
    )
    server.run(host="127.0.0.1", port=int(os.environ["PORT"]), log_level="warning", generate_client_file=False)
