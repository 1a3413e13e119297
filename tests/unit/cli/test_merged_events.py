from collections.abc import Sequence

import msgspec
import pytest

from rtemo.api import (
    Counters,
    Event,
    Fault,
    Health,
    Payload,
    PluginTiming,
    SessionEnd,
    SessionStart,
    StreamEnd,
    StreamStart,
)
from rtemo.cli.analysis.merging import MergedEvents
from rtemo.cluster.together import together

pytestmark = pytest.mark.unit

START = SessionStart(chain=("vad",), latency_samples=0, sample_rate_hz=16_000, hop_samples=160)


class Kept:
    """A publisher that keeps what it gets, and may fail."""

    name = "kept"

    def __init__(self) -> None:
        self.events: list[Event] = []
        self.is_full = False
        self.is_closed = False

    def open(self) -> None: ...

    def publish(self, events: Sequence[Event]) -> None:
        if self.is_full:
            raise OSError("no room")
        self.events += events

    def tick(self) -> None: ...

    def close(self) -> None:
        self.is_closed = True


def event(data: Payload, seq: int, call: str = "", end_sample: int = 0) -> Event:
    return Event(
        call=call,
        channel="0" if call else "",
        plugin="engine",
        seq=seq,
        start_sample=0,
        end_sample=end_sample,
        capture_ns=0,
        emit_ns=0,
        data=data,
    )


def health(streams: int, p99_us: float, state: str = "running") -> Health:
    timing = PluginTiming(
        name="vad",
        busy_p50_us=1.0,
        busy_p99_us=p99_us,
        busy_max_us=9.0,
        wait_p50_us=1.0,
        load=0.1,
        xruns=1,
        state=state,
    )
    return Health(
        streams=streams,
        capacity=8,
        ticks=10,
        load=0.25,
        tick_p50_us=1.0,
        tick_p99_us=p99_us,
        late_p99_us=0.0,
        counters=Counters(xruns=2),
        plugins=(timing,),
    )


def test_several_engines_have_one_start_and_one_end_with_all_counters() -> None:
    kept = Kept()
    merged = MergedEvents(kept)
    for worker in (1, 2):
        merged.take(worker, [event(START, 1), event(SessionEnd(reason="end", counters=Counters(xruns=worker)), 2)])
    merged.close("end")
    assert [(told.kind, told.seq) for told in kept.events] == [
        ("session_start", 1),
        ("session_end", 2),
    ]
    assert kept.events[-1].data == SessionEnd(reason="end", counters=Counters(xruns=3))
    assert kept.is_closed


def test_the_health_of_several_engines_is_told_as_one() -> None:
    kept = Kept()
    merged = MergedEvents(kept)
    merged.take(2, [event(health(3, 5.0), 1)])
    merged.take(1, [event(health(2, 7.0, "bypassed"), 1)])
    merged.take(2, [event(health(4, 6.0), 2)])
    assert [told.data.streams for told in kept.events if isinstance(told.data, Health)] == [3, 5]
    assert kept.events[-1].data == together([health(3, 5.0), health(2, 7.0, "bypassed")])
    both = together([health(3, 5.0), health(2, 7.0, "bypassed")])
    assert (both.capacity, both.load, both.tick_p99_us, both.counters.xruns) == (16, 0.5, 7.0, 4)
    assert [(plugin.state, plugin.busy_p99_us, plugin.xruns) for plugin in both.plugins] == [("bypassed", 7.0, 2)]


def test_of_several_engines_that_lack_something_the_one_that_lacks_most_is_told() -> None:
    parts = [
        msgspec.structs.replace(health(1, 5.0), given_up=given_up, given_up_s=for_s)
        for given_up, for_s in (((), 0.0), (("extras", "words"), 3.0), (("extras",), 8.0))
    ]
    both = together(parts)
    assert (both.given_up, both.given_up_s) == (("extras", "words"), 3.0)


def test_events_that_come_again_after_a_death_are_told_once() -> None:
    kept = Kept()
    merged = MergedEvents(kept)
    said = [event(StreamStart(), 1, "a"), event(Fault(where="x", problem="y", action="dropped"), 2, "a", 160)]
    merged.take(1, said)
    merged.leave(1)
    merged.take(2, [*said, event(StreamEnd(reason="end_of_file", duration_s=1.0, counters=Counters()), 3, "a")])
    assert [(told.kind, told.seq) for told in kept.events] == [("stream_start", 1), ("fault", 2), ("stream_end", 3)]


def test_a_call_that_is_given_up_gets_an_end() -> None:
    kept = Kept()
    merged = MergedEvents(kept)
    merged.take(
        1, [event(StreamStart(), 1, "a"), event(Fault(where="x", problem="y", action="dropped"), 2, "a", 8_000)]
    )
    merged.break_off("a")
    last = kept.events[-1]
    assert (last.call, last.seq, last.data) == (
        "a",
        3,
        StreamEnd(reason="process died", duration_s=0.5, counters=Counters()),
    )


def test_a_publisher_that_fails_is_closed_and_named() -> None:
    kept = Kept()
    merged = MergedEvents(kept)
    kept.is_full = True
    merged.take(1, [event(START, 1)])
    merged.take(1, [event(StreamStart(), 1, "a")])
    assert [fault.where for fault in merged.publisher_faults] == ["kept"]
    assert kept.is_closed
