"""Users who tag clips of several lengths, with pauses; some of them belong to a bulk job.

    pip install locust dist/culturetag-*.whl
    export CLIPS=clips    # a folder of audio files
    locust -f load/locust/locustfile.py --headless --users 20 --run-time 1m --host localhost:50051

Without --headless there is a web page instead.
"""

import os
import random
import time
from pathlib import Path

import grpc.experimental.gevent
from locust import User, between, task

from culturetag import Client, CultureTagError

# gRPC waits in threads of its own: without this, a call would stop every user.
grpc.experimental.gevent.init_gevent()

CLIPS = {path.name: path.read_bytes() for path in Path(os.environ["CLIPS"]).iterdir()}


class TaggingUser(User):
    abstract = True
    client_id: str
    priority: str

    def on_start(self) -> None:
        # Refusals are counted, not tried again.
        self.client = Client(self.host, client_id=self.client_id, timeout=30, max_attempts=1)

    def on_stop(self) -> None:
        self.client.close()

    @task
    def tag(self) -> None:
        name, clip = random.choice(list(CLIPS.items()))
        start, failure = time.perf_counter(), None
        try:
            self.client.tag(clip, top_k=5, priority=self.priority)
        except CultureTagError as error:
            failure = error
        self.environment.events.request.fire(
            request_type=f"Tag, {self.priority}",
            name=name,
            response_time=(time.perf_counter() - start) * 1000,
            response_length=len(clip),
            exception=failure,
        )


class Listener(TaggingUser):
    """Somebody who waits for the answer and then listens for a while."""

    weight = 3
    client_id, priority = "locust-listeners", "interactive"
    wait_time = between(0.5, 2)


class Archive(TaggingUser):
    """A job that sends its next file at once."""

    client_id, priority = "locust-archive", "bulk"
