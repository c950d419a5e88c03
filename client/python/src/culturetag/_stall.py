"""An end for calls in which nothing moves any more."""

import threading
import time
from collections.abc import Callable

import grpc

from culturetag.errors import DeadlineExceededError


class StallGuard:
    """Cancels a stream in which nothing has moved for a while. A deadline would need to know how long a stream takes.

    Thread-safe. Without a limit it does nothing.
    """

    def __init__(self, limit_s: float | None) -> None:
        self._limit_s = limit_s
        self._stalled = False
        self._last_move = time.monotonic()
        self._ended = threading.Event()

    def watch(self, cancel: Callable[[], object]) -> None:
        """Calls `cancel`, from another thread, if nothing moves for as long as the limit before `end` is called."""
        if self._limit_s is not None:
            threading.Thread(target=self._watch, args=(self._limit_s, cancel), daemon=True).start()

    def moved(self) -> None:
        self._last_move = time.monotonic()

    def end(self) -> None:
        self._ended.set()

    def raise_if_stalled(self) -> None:
        """Raises DeadlineExceededError if it has cancelled the stream."""
        if self._stalled:
            message = f"nothing has moved for {self._limit_s:g} s"
            raise DeadlineExceededError(grpc.StatusCode.DEADLINE_EXCEEDED, message)

    def _watch(self, limit_s: float, cancel: Callable[[], object]) -> None:
        while (left := self._last_move + limit_s - time.monotonic()) > 0:
            if self._ended.wait(left):
                return
        self._stalled = True
        cancel()
