"""Thousands of remembered calls, and somebody who subscribes to all of their states in every way there is."""

import time
from collections.abc import Iterator

import pytest
import zmq

from rtemo.api import Counters, StreamEnd, StreamStart
from rtemo.io.publishers.zmq import ZmqPublisher
from tests.fakes.zmq_ends import Publishing, event, options, wait_until

pytestmark = [pytest.mark.e2e, pytest.mark.timed]

CALLS = 4_000
LONGEST_TURN_S = 0.25
"""Of the publish thread, on a busy machine; prefixes compared with every call took seconds."""


@pytest.fixture
def publishing() -> Iterator[Publishing]:
    """A publisher that remembers thousands of calls that have ended."""
    with Publishing(ZmqPublisher(options(heartbeat_s=1.0))) as made:
        for number in range(CALLS):
            end = StreamEnd(reason="end", duration_s=1.0, counters=Counters())
            made.send(
                event(f"call {number}", 1, StreamStart()), event(f"call {number}", 2), event(f"call {number}", 3, end)
            )
        made.flush(60.0)
        time.sleep(0.5)
        made.busy_s = 0.0
        yield made


def test_flood_of_subscriptions_to_states_does_not_hold_up_events(publishing: Publishing) -> None:
    with zmq.Context() as context:
        good = context.socket(zmq.SUB)
        good.linger = 0
        good.connect(publishing.events)
        good.subscribe("v1/main/good/")
        waits_ms = []
        bad = context.socket(zmq.SUB)
        bad.linger = 0
        bad.rcvhwm = 1
        bad.connect(publishing.state)
        for number in range(1_000):  # 10 kB: half of them about every call
            bad.subscribe(b"v1/main/"[: number % 8] if number % 2 else f"v1/main/call%20{number}/".encode())
        for number in range(1, 101):
            publishing.send(event("good", number))
            sent_s = time.monotonic()
            assert good.poll(5_000) or number == 1, "the first may come before the subscription"
            while good.poll(0):
                good.recv_multipart()
            waits_ms.append(1e3 * (time.monotonic() - sent_s))
            time.sleep(0.01)
        for reader in (good, bad):
            reader.close(linger=0)
    assert publishing.busy_s < LONGEST_TURN_S
    assert sorted(waits_ms[5:])[-2] < 100.0


def test_state_of_a_call_comes_at_once_although_thousands_are_remembered(publishing: Publishing) -> None:
    with zmq.Context() as context, context.socket(zmq.SUB) as reader:
        reader.linger = 0
        reader.connect(publishing.state)
        begin_s = time.monotonic()
        reader.subscribe("v1/main/call%203999/")
        assert reader.poll(3_000)
        assert time.monotonic() - begin_s < 1.0
        assert reader.recv().startswith(b"v1/main/call%203999/ {")


def test_subscriber_to_every_state_gets_each_of_them(publishing: Publishing) -> None:
    with zmq.Context() as context, context.socket(zmq.SUB) as reader:
        reader.linger = 0
        reader.rcvhwm = 0
        reader.connect(publishing.state)
        reader.subscribe("v1/main/")
        seen: set[bytes] = set()

        def all_seen() -> bool:
            while reader.poll(10):
                seen.add(reader.recv().split(b" ", 1)[0])
            return len(seen) >= CALLS

        assert wait_until(all_seen, 20.0), len(seen)
