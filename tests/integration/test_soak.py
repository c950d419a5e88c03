"""Two minutes of the soak that `scripts/soak` runs for thirty; and that it finds what it looks for."""

import pytest
import soak
from real_server import running_server
from soak_traffic import EXPECTED


def test_two_minutes_of_mixed_traffic_leave_nothing_behind(tmp_path):
    with running_server(tmp_path, "--max_batch_windows=4") as server:
        report = soak.run(server, seconds=120)
    soak.show(report)
    assert report.faults() == []
    assert {answer.split(":")[0] for answer in report.answers} == set(EXPECTED)
    assert report.answers["clips: OK"] > 0


def samples(memory: list[float]) -> list[soak.Sample]:
    """A sample a minute."""
    return [soak.Sample(60 * minute, megabytes, 10, 10, 0) for minute, megabytes in enumerate(memory)]


def report_of(memory: list[float], **counts: int) -> soak.Report:
    numbers = {"threads_before": 9, "threads_after": 9, "descriptors_before": 9, "descriptors_after": 9, **counts}
    return soak.Report(samples(memory), {}, {}, *soak.fit(samples(memory)), **numbers)


def test_a_leak_is_told_from_noise():
    wobble = [3.0 if minute % 2 else -3.0 for minute in range(60)]
    assert report_of([100 + w for w in wobble]).faults() == []
    (fault,) = report_of([100 + 2 * minute + w for minute, w in enumerate(wobble)]).faults()
    assert fault.startswith("memory rises by ")
    assert soak.fit(samples([100.0, 101.0, 102.0, 103.0])) == pytest.approx((60, 0, 3), abs=1e-6)


def test_lost_threads_and_descriptors_are_found():
    assert report_of([1, 1, 1], threads_after=10).faults() == ["9 threads became 10"]
    assert report_of([1, 1, 1], descriptors_after=10).faults() == ["9 descriptors became 10"]
