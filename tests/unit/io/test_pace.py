import time

import pytest

from rtemo.io.sources.pace import Pace

pytestmark = pytest.mark.unit


class HandClock:
    def __init__(self) -> None:
        self.now_ns = 5_000_000_000

    def __call__(self) -> int:
        return self.now_ns


def test_an_hour_of_late_wake_ups_leaves_no_drift() -> None:
    clock = HandClock()
    pace = Pace(16_000, 160, clock)
    start_ns = clock.now_ns
    written = pace.due_samples(0)
    turn = 0
    while written < 3_600 * 16_000:
        turn += 1
        # Every wake-up is late by 0 to 3 ms: sleeps put end to end would lose minutes.
        clock.now_ns += int(pace.wait_s(written) * 1e9) + 1 + (turn * 7_919) % 3_000_000
        written = max(written, pace.due_samples(written))
        behind_s = (clock.now_ns - start_ns) * 1e-9 - written / 16_000
        assert -1e-9 <= behind_s < 0.010


def test_only_whole_hops_are_due_and_each_exactly_when_it_is_complete() -> None:
    clock = HandClock()
    pace = Pace(16_000, 160, clock)
    assert pace.due_samples(0) == 0
    clock.now_ns += 9_999_999
    assert pace.due_samples(0) == 0
    assert pace.wait_s(0) == pytest.approx(1e-9)
    clock.now_ns += 1
    assert pace.due_samples(0) == 160
    clock.now_ns += 35_000_000
    assert pace.due_samples(160) == 640


def test_a_suspended_machine_does_not_flood_the_engine_with_what_it_missed() -> None:
    clock = HandClock()
    pace = Pace(16_000, 160, clock)
    pace.due_samples(0)
    clock.now_ns += 8 * 3_600 * 1_000_000_000
    assert pace.due_samples(0) == 160
    clock.now_ns += 10_000_000
    assert pace.due_samples(160) == 320


def test_times_of_capture_follow_the_clock_of_the_machine_when_it_is_set_anew(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = HandClock()
    pace = Pace(16_000, 160, clock)
    pace.due_samples(0)
    clock.now_ns += 1_000_000_000
    for utc_ns in (7_000_000_000_000, 3_400_000_000_000):
        monkeypatch.setattr(time, "time_ns", lambda utc_ns=utc_ns: utc_ns)
        assert pace.utc_ns(16_000) == utc_ns
        assert pace.utc_ns(15_840) == utc_ns - 10_000_000
