import os
import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtemo.api import Event, SpeechStart
from rtemo.cluster.event_queue import EventQueue
from rtemo.cluster.link import Link, link_pair
from rtemo.cluster.messages import Beat, Happened, Stop, from_worker, to_worker
from rtemo.io.relay_wire import Bundle, split
from rtemo.processors import processors, share

pytestmark = pytest.mark.unit


def event(number: int) -> Event:
    return Event(
        call="call",
        channel="0",
        plugin="a",
        seq=number,
        start_sample=0,
        end_sample=160,
        capture_ns=0,
        emit_ns=1,
        data=SpeechStart(confidence=0.5),
    )


@given(st.lists(st.tuples(st.binary(max_size=255), st.binary(max_size=700)), max_size=40))
def test_a_bundle_gives_back_what_was_put_in(messages: list[tuple[bytes, bytes]]) -> None:
    bundle = Bundle()
    for client, message in messages:
        bundle.add(client, message)
    frame = bundle.take()
    assert list(split(frame)) == messages
    assert len(bundle) == bundle.size_bytes == 0


def test_a_link_carries_events_whole_in_pieces_of_any_size_and_tells_the_end_last() -> None:
    ours, theirs = map(Link, link_pair())
    events = [event(number) for number in range(20_000)]
    got: list[Event] = []

    def talk() -> None:
        for first in range(0, len(events), 100):
            theirs.send(Happened(events[first : first + 100]))
        theirs.send(Beat())
        theirs.close()

    thread = threading.Thread(target=talk)
    thread.start()
    last = None

    def listen() -> None:
        nonlocal last, got
        while True:
            for data in ours.arrived():
                last = from_worker(data)
                got += last.events if isinstance(last, Happened) else []

    with pytest.raises(EOFError):
        listen()
    thread.join()
    assert got == events
    assert last == Beat()


def test_a_link_gives_one_message_after_the_other_to_who_waits() -> None:
    ours, theirs = map(Link, link_pair())
    for reason in ("a", "b", "c"):
        ours.send(Stop(reason))
    assert [to_worker(theirs.receive()) for _ in range(3)] == [Stop("a"), Stop("b"), Stop("c")]
    ours.close()
    with pytest.raises(EOFError):
        theirs.receive()


def test_a_full_queue_drops_the_newest_and_counts_them() -> None:
    queue = EventQueue(3)
    queue.pass_on([event(1), event(2)])
    queue.pass_on([event(3), event(4), event(5)])
    assert [one.seq for one in queue.take(0.0)] == [1, 2, 3]
    assert (queue.dropped_events, queue.posted_events) == (2, 3)
    queue.pass_on([event(6)])
    assert [one.seq for one in queue.take(0.0)] == [6]


def test_every_processor_is_listed_once_and_shared_out() -> None:
    numbers = processors()
    assert sorted(numbers) == sorted(os.sched_getaffinity(0))
    assert [share([4, 5, 6, 7], index, 2) for index in range(2)] == [[4, 5], [6, 7]]
    assert [share([4, 5], index, 3) for index in range(3)] == [[4], [5], [4]]
