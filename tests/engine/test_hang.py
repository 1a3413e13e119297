import threading
import time
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from rtemo.api import Event, HopFlag
from rtemo.engine.engine import Engine
from rtemo.engine.options import EngineOptions
from tests.engine.plugins import HangingProcessor, hanging, stamper, teller, witness
from tests.engine.rig import HOP, ramp

pytestmark = pytest.mark.engine

HANG_S = 0.3


def until(condition: Callable[[], bool], timeout_s: float = 5.0) -> None:
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline_s, "it did not come to that in time"
        time.sleep(0.002)


class Running:
    """A freewheeling engine on real threads with a plugin of two hops' latency that can be told to hang."""

    def __init__(self) -> None:
        self.bad, self.seer = hanging("bad", 2 * HOP), witness(hears_input=True)
        plugins = [stamper(), teller("before"), self.bad, teller("after"), self.seer]
        options = EngineOptions(hang_s=HANG_S / 10, health_interval_s=0.2)  # of a file, a tenth
        self.engine = Engine(plugins, options, is_live=False)
        self.engine.open()
        self.engine.start()
        self.seer.processor.seen.clear()
        self.writers = [self.engine.open_stream("call", channel) for channel in "ab"]
        self.events: list[Event] = []
        self.written_hops = 0
        self.write(1)
        until(lambda: self.seen_hops() == 1)

    @property
    def hung(self) -> HangingProcessor:
        processor: HangingProcessor = self.bad.processor
        return processor

    def write(self, hops: int) -> None:
        for index, writer in enumerate(self.writers):
            writer.write(ramp(hops * HOP, start=self.written_hops * HOP + 1_000 * index))
        self.written_hops += hops

    def seen_hops(self) -> int:
        return len(self.seer.processor.seen) // 2

    def take(self, kind: str) -> list[Event]:
        self.events += self.engine.outbox.take(0.0)
        return [event for event in self.events if event.kind == kind]

    def hang_at_hop(self, hop: int) -> None:
        self.hung.hang_at_tick = hop
        self.write(hop)
        until(self.hung.is_hanging.is_set)


@pytest.fixture
def running() -> Iterator[Running]:
    made = Running()
    yield made
    made.hung.release.set()
    made.engine.stop("done")


def test_hanging_plugin_is_given_up_after_its_time_and_the_others_go_on(running: Running) -> None:
    start_s = time.monotonic()
    running.hang_at_hop(5)
    running.write(4)
    until(lambda: running.seen_hops() == 9)
    assert HANG_S * 0.9 < time.monotonic() - start_s < 4 * HANG_S + 1.0
    (fault,) = running.take("fault")
    assert fault.data.where == "bad"  # type: ignore[union-attr]
    assert fault.data.problem == "did not return within 0.3 s"  # type: ignore[union-attr]
    assert fault.data.action == "bypassed"  # type: ignore[union-attr]
    health = running.engine.health()
    assert health.counters.skipped_hops == 2
    assert health.counters.overrun_samples == 0
    until(lambda: {t.state for t in running.engine.health().plugins if t.name == "bad"} == {"bypassed"})


def test_audio_marks_and_positions_stay_in_step_across_a_hang(running: Running) -> None:
    running.hang_at_hop(5)
    running.write(6)
    until(lambda: running.seen_hops() == 11)
    for slot in (0, 1):
        seen = [hop for hop in running.seer.processor.seen if hop.slot == slot]
        assert [hop.start_sample for hop in seen] == [(tick - 2) * HOP for tick in range(12) if tick != 5]
        for hop in seen[2:]:
            assert hop.marks["stamp"] == hop.start_sample
            assert np.array_equal(hop.samples, ramp(HOP, start=hop.start_sample + 1_000 * slot))
            assert np.array_equal(hop.heard, hop.samples)
        # The hop that was lost is the one that would have come out at the tick of the hang; flagged behind it.
        flagged = [hop.start_sample for hop in seen if hop.flags & HopFlag.DISCONTINUITY]
        assert flagged == [6 * HOP]


def test_hung_plugin_that_returns_late_changes_nothing(running: Running) -> None:
    running.hang_at_hop(5)
    old = next(thread for thread in threading.enumerate() if thread.name == "rtemo-driver-0")
    running.write(2)
    until(lambda: running.seen_hops() == 7)
    running.hung.release.set()
    until(running.hung.has_returned.is_set)
    until(lambda: not old.is_alive())
    running.write(5)
    until(lambda: running.seen_hops() == 12)
    assert {event.data.rms_dbfs for event in running.take("level")} & {99.0} == set()  # type: ignore[union-attr]
    for hop in running.seer.processor.seen[4:]:
        assert hop.marks["stamp"] == hop.start_sample
        assert not hop.flags & ~HopFlag.DISCONTINUITY
        assert np.array_equal(hop.samples, ramp(HOP, start=hop.start_sample + 1_000 * hop.slot))
    assert running.engine.health().counters.skipped_hops == 2


def test_events_of_the_others_miss_only_the_lost_hop(running: Running) -> None:
    running.hang_at_hop(5)
    running.write(4)
    until(lambda: running.seen_hops() == 9)
    levels = running.take("level")
    for channel in "ab":
        before = [event.start_sample for event in levels if event.channel == channel and event.plugin == "before"]
        after = [event.start_sample for event in levels if event.channel == channel and event.plugin == "after"]
        assert before == [tick * HOP for tick in range(10)]
        assert after == [(tick - 2) * HOP for tick in range(10) if tick != 5]
        numbers = [event.seq for event in running.events if event.channel == channel]
        assert numbers == list(range(1, len(numbers) + 1))


def test_engine_stops_in_time_while_a_plugin_hangs(running: Running) -> None:
    running.hang_at_hop(3)
    start_s = time.monotonic()
    running.engine.stop("impatient", 0.2)
    assert time.monotonic() - start_s < 0.8
    assert running.take("session_end")[0].data.reason == "impatient"  # type: ignore[union-attr]


def test_streams_end_in_order_after_a_hang(running: Running) -> None:
    running.hang_at_hop(3)
    for writer in running.writers:
        writer.end("hung up")
    until(lambda: running.engine.floor.is_empty)
    ends = running.take("stream_end")
    assert [event.data.reason for event in ends] == ["hung up"] * 2  # type: ignore[union-attr]
    assert [event.data.counters.skipped_hops for event in ends] == [1, 1]  # type: ignore[union-attr]
    late = running.engine.open_stream("late", "0")
    late.write(ramp(HOP))
    until(lambda: any(event.call == "late" and event.plugin == "after" for event in running.take("level")))


def test_slow_but_returning_plugin_is_not_given_up(running: Running) -> None:
    running.hung.hang_at_tick = 2
    running.hung.is_harmful = False
    threading.Timer(HANG_S * 0.5, running.hung.release.set).start()
    running.write(5)
    until(lambda: running.seen_hops() == 6)
    assert running.take("fault") == []
