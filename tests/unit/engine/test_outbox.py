import threading
import time

import pytest

from rtemo.api import Event, Fault, SourceState
from rtemo.engine.clock import VirtualClock
from rtemo.engine.feed import EventFeed
from rtemo.engine.outbox import Outbox
from rtemo.engine.stream import Stream

pytestmark = pytest.mark.unit

LOST = SourceState(state="lost")


def outbox_of(capacity_events: int = 16) -> Outbox:
    return Outbox(VirtualClock(), capacity_events)


def post(outbox: Outbox, stream: Stream | None, count: int = 1) -> None:
    for _ in range(count):
        outbox.post(stream, "test", LOST, 0, 0)


def test_full_outbox_drops_the_newest_counts_it_and_leaves_a_gap_in_the_numbers() -> None:
    outbox = outbox_of(16)
    stream = Stream("a", "0", 0, "", "")
    post(outbox, stream, 20)
    assert [event.seq for event in outbox.take(0.0)] == list(range(1, 17))
    assert outbox.dropped_events == stream.dropped_events == 4
    post(outbox, stream)
    assert [event.seq for event in outbox.take(0.0)] == [21]


def test_each_stream_and_the_engine_count_their_own_events() -> None:
    outbox = outbox_of()
    first, second = (Stream(name, "0", 0, "", "") for name in "ab")
    for stream in (first, None, second, first, None):
        post(outbox, stream)
    assert [(event.call, event.seq) for event in outbox.take(0.0)] == [("a", 1), ("", 1), ("b", 1), ("a", 2), ("", 2)]


def test_numbers_have_no_gap_and_no_double_when_threads_post_at_once() -> None:
    outbox = outbox_of(100_000)
    stream = Stream("a", "0", 0, "", "")
    threads = [threading.Thread(target=post, args=(outbox, stream, 2_000)) for _ in range(4)]
    for thread in threads:
        thread.start()
    events: list[Event] = []
    while any(thread.is_alive() for thread in threads):
        events += outbox.take(0.001)
    events += outbox.take(0.0)
    assert [event.seq for event in events] == list(range(1, 8_001))
    assert outbox.posted_events == 8_000


def test_take_waits_for_the_first_event_and_no_longer() -> None:
    outbox = outbox_of()
    threading.Timer(0.05, post, (outbox, None)).start()
    start_s = time.monotonic()
    assert len(outbox.take(5.0)) == 1
    assert time.monotonic() - start_s < 2.0
    assert outbox.take(0.01) == []


def test_wake_lets_a_waiting_take_return_empty() -> None:
    outbox = outbox_of()
    threading.Timer(0.05, outbox.wake).start()
    start_s = time.monotonic()
    assert outbox.take(5.0) == []
    assert time.monotonic() - start_s < 2.0


def event(seq: int) -> Event:
    data = Fault(where="x", problem="y", action="closed")
    return Event(
        call="", channel="", plugin="x", seq=seq, start_sample=0, end_sample=0, capture_ns=0, emit_ns=0, data=data
    )


def test_feed_that_is_not_read_forgets_the_oldest_and_counts_them() -> None:
    feed = EventFeed(4)
    for seq in range(0, 12, 3):
        feed.put([event(seq), event(seq + 1), event(seq + 2)])
    assert [entry.seq for entry in feed.kept()] == [8, 9, 10, 11]
    assert [taken.seq for _ in range(4) if (taken := feed.take(0.0))] == [8, 9, 10, 11]
    assert feed.take(0.0) is None
    assert feed.forgotten_events == 8


def test_closing_a_feed_lets_its_reader_go() -> None:
    feed = EventFeed(4)
    threading.Timer(0.05, feed.close).start()
    start_s = time.monotonic()
    assert feed.take(5.0) is None
    assert feed.take(5.0) is None
    assert time.monotonic() - start_s < 2.0
