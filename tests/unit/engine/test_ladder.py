"""When a driver gives one thing more up, and when it takes one back."""

from collections.abc import Callable

import pytest

from rtemo.engine.ladder import Ladder

pytestmark = pytest.mark.unit

MS = 1_000_000
S = 1_000 * MS
HOP_NS = 10 * MS


class Driver:
    """Ticks hop by hop, at a cost that may depend on how much is given up, and works off what it is behind at once."""

    def __init__(self, cost_ms: Callable[[int], float]) -> None:
        self.ladder = Ladder(HOP_NS, above=0.9)
        self.cost_ms = cost_ms
        self.most = 6
        self.wake_ms = 0.0
        self.depth = 0
        self.now_ns = 0
        self.changes: list[tuple[float, int]] = []
        self._hops = 0

    def look(self) -> None:
        if self.now_ns < self.ladder.due_ns:
            return
        way = self.ladder.look(self.now_ns, self.depth < self.most)
        if way:
            self.depth += way
            self.changes.append((self.now_ns / S, self.depth))

    def run(self, duration_s: float) -> "Driver":
        """Play audio for so long."""
        end_ns = self.now_ns + round(duration_s * S)
        while self.now_ns < end_ns:
            ready_ns = self._hops * HOP_NS
            self._hops += 1
            if self.now_ns < ready_ns:
                self.ladder.work(self.now_ns)
                self.now_ns = ready_ns + round(self.wake_ms * MS)
                self.ladder.rest(self.now_ns)
            self.look()
            self.now_ns += round(self.cost_ms(self.depth) * MS)
            self.ladder.work(self.now_ns, ticks=1)
        return self

    def hold(self, duration_s: float) -> None:
        """Stand still, with all that is due meanwhile."""
        self._hops += 1
        self.now_ns += round(duration_s * S)
        self.ladder.work(self.now_ns, ticks=1)


@pytest.mark.parametrize("cost_ms", [0.1, 5.0, 8.9])
def test_nothing_is_given_up_by_a_driver_that_keeps_up(cost_ms: float) -> None:
    assert Driver(lambda depth: cost_ms).run(60.0).changes == []


def test_things_go_one_after_the_other_within_four_seconds_while_nothing_helps() -> None:
    driver = Driver(lambda depth: 20.0).run(6.0)
    assert [depth for _, depth in driver.changes] == [1, 2, 3, 4, 5, 6]
    assert 1.0 <= driver.changes[0][0] <= 1.1
    assert driver.changes[-1][0] <= 4.0


def test_as_little_is_given_up_as_is_enough() -> None:
    driver = Driver(lambda depth: 12.0 - 1.4 * depth).run(60.0)
    assert [depth for _, depth in driver.changes] == [1, 2, 3]  # 12, 10.6 and 9.2 ms were too much, 7.8 are not
    assert driver.ladder.load == pytest.approx(0.78, abs=0.01)


def test_what_just_helps_does_not_come_and_go() -> None:
    driver = Driver(lambda depth: 11.0 if depth == 0 else 6.0).run(600.0)
    assert driver.changes == [(pytest.approx(1.0, abs=0.1), 1)], "6 ms are little, but with what is missing 11"


def test_what_helps_far_more_than_it_should_is_tried_again_ever_more_seldom() -> None:
    driver = Driver(lambda depth: 11.0 if depth == 0 else 1.0).run(600.0)
    gaps_s = [
        later - before for (before, was), (later, _) in zip(driver.changes, driver.changes[1:], strict=False) if was
    ]
    assert gaps_s[:4] == [pytest.approx(2.0 * 2**k, abs=0.6) for k in range(4)]
    assert gaps_s[-1] == pytest.approx(60.0, abs=1.0)
    assert len(gaps_s) < 16


def test_everything_comes_back_in_turn_when_the_load_is_gone() -> None:
    load_ms = 20.0
    driver = Driver(lambda depth: load_ms).run(6.0)
    load_ms = 1.0
    driver.changes.clear()
    driver.run(30.0)
    assert [depth for _, depth in driver.changes] == [5, 4, 3, 2, 1, 0]
    assert driver.changes[-1][0] - driver.changes[0][0] == pytest.approx(10.0, abs=1.0)


def test_load_at_the_threshold_that_shakes_does_not_make_it_flicker() -> None:
    shakes = [0.88, 0.93] * 10  # a quarter of a second each
    driver = Driver(lambda depth: 0.0)
    driver.cost_ms = lambda depth: 10.0 * shakes[int(driver.now_ns / (250 * MS)) % len(shakes)] * (1 - 0.1 * depth)
    driver.run(300.0)
    assert len(driver.changes) <= 1


def test_a_single_hold_gives_nothing_up_however_long_it_is() -> None:
    for hold_s in (0.1, 0.3, 1.0, 3.0):
        driver = Driver(lambda depth: 1.0).run(2.0)
        driver.hold(hold_s)
        driver.run(10.0)
        assert driver.changes == [], hold_s


def test_driver_that_is_woken_late_and_works_little_gives_nothing_up() -> None:
    driver = Driver(lambda depth: 1.0)
    driver.wake_ms = 9.5
    assert driver.run(30.0).changes == [], "to do less would not wake it sooner"


def test_burst_that_is_worked_off_is_no_load() -> None:
    ladder = Ladder(HOP_NS, above=0.9)
    now_ns, looks = 0, []
    for _ in range(2_000):  # all of it was there at the beginning, so the driver never waits
        now_ns += 2 * MS
        ladder.work(now_ns, ticks=1)
        if now_ns >= ladder.due_ns:
            looks.append(ladder.look(now_ns, True))
    assert set(looks) == {0}
    assert ladder.load == pytest.approx(0.2)


def test_few_dear_ticks_of_an_engine_that_mostly_waits_are_no_overload() -> None:
    ladder = Ladder(HOP_NS, above=0.9)
    now_ns, looks = 0, []
    for _ in range(100):  # one hop of audio now and then
        ladder.rest(now_ns + 100 * MS)
        now_ns += 115 * MS
        ladder.work(now_ns, ticks=1)
        if now_ns >= ladder.due_ns:
            looks.append(ladder.look(now_ns, True))
    assert set(looks) == {0}
    assert ladder.load < 0.2


def test_without_audio_everything_comes_back() -> None:
    driver = Driver(lambda depth: 20.0).run(6.0)
    while driver.depth and driver.now_ns < 60 * S:
        driver.now_ns += 100 * MS
        driver.ladder.rest(driver.now_ns)
        driver.look()
    assert driver.depth == 0
