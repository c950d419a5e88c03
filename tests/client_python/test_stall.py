"""When a stream counts as stalled, on a clock of the test's own."""

from types import SimpleNamespace

import pytest

from culturetag import DeadlineExceededError, _stall


@pytest.fixture
def clock(monkeypatch):
    clock = SimpleNamespace(now=0.0, monotonic=lambda: clock.now)
    monkeypatch.setattr(_stall, "time", clock)
    return clock


def watch(guard, waits):
    """Whether the guard cancels a stream for whose end it waits with `waits`."""
    cancelled = []
    guard._ended = waits
    guard._watch(guard._limit_s, lambda: cancelled.append(True))
    return cancelled == [True]


def test_a_stream_stalls_only_once_nothing_has_moved_for_as_long_as_the_limit(clock):
    guard = _stall.StallGuard(10.0)
    asked = []

    def wait(seconds):
        """Something moves 4 s before the end of each of the first three waits."""
        asked.append(seconds)
        if len(asked) <= 3:
            clock.now += seconds - 4
            guard.moved()
            clock.now += 4
        else:
            clock.now += seconds
        return False

    assert watch(guard, SimpleNamespace(wait=wait))
    assert asked == [10, 6, 6, 6]
    with pytest.raises(DeadlineExceededError, match="nothing has moved for 10 s"):
        guard.raise_if_stalled()


def test_a_stream_that_has_ended_doesnt_stall(clock):
    guard = _stall.StallGuard(10.0)
    assert not watch(guard, SimpleNamespace(wait=lambda _: True))
    guard.raise_if_stalled()
