"""CatchUp against a network played by the test: what is delivered, in which order, and what is counted."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtemo.io.catch_up import CatchUp, Notice, Phase
from rtemo.io.publishers.numbering import Numbering
from rtemo.io.query_wire import REPLY_SCHEMA, QueryReply
from rtemo.io.wire import HEARTBEAT_SCHEMA, Heartbeat, WireEvent
from tests.fakes.zmq_ends import emotion, event

pytestmark = pytest.mark.unit


class Network:
    """A publisher with one call, and the requests that were made of it."""

    def __init__(self) -> None:
        self.numbering = Numbering("main")
        self.last: dict[str, WireEvent[Any]] = {}
        self.beats = 0
        self.backlogs = 0
        self.asked = 0
        self.is_connected = True

    def ask_beat(self) -> None:
        self.beats += 1

    def ask_snapshot(self) -> frozenset[int]:
        self.asked += 1
        return frozenset({self.asked}) if self.is_connected else frozenset()

    def drop_backlog(self) -> None:
        self.backlogs += 1

    def restart(self) -> None:
        self.numbering = Numbering("main")
        self.last.clear()

    def publish(self, call: str = "a") -> tuple[str, WireEvent[Any]]:
        topic, wire = self.numbering.number(event(call))
        self.last[topic.name] = wire
        return topic.name, wire

    def beat(self, call: str | None = None) -> Heartbeat:
        return Heartbeat(schema=HEARTBEAT_SCHEMA, epoch=self.numbering.epoch, pub_seq=self.numbering.pub_seq,
                         t_pub_ms=0.0, interval_ms=1000.0, call=call,
                         seqs={} if call is None else self.numbering.seqs(call))  # fmt: skip

    def snapshot(self) -> tuple[QueryReply, list[WireEvent[Any]]]:
        seqs = {topic: wire.seq for topic, wire in self.last.items()}
        reply = QueryReply(schema=REPLY_SCHEMA, op="snapshot", ok=True, id=self.asked, epoch=self.numbering.epoch,
                           pub_seq=self.numbering.pub_seq, t_pub_ms=0.0, seqs=seqs)  # fmt: skip
        return reply, sorted(self.last.values(), key=lambda wire: wire.pub_seq)


class Reader:
    """A `CatchUp` that keeps what it delivers."""

    def __init__(self, network: Network, *, snapshot: bool = True) -> None:
        self.network = network
        self.notices: list[Notice] = []
        self.got: list[int] = []
        self.now_s = 100.0
        self.core = CatchUp(
            network, wants_snapshot=snapshot, tenant="main", wants=lambda topic: True, on_notice=self.notices.append
        )

    @property
    def told(self) -> list[str]:
        return [notice.kind for notice in self.notices]

    def event(self, message: tuple[str, WireEvent[Any]], lag_ms: float = 0.0) -> None:
        self._take(self.core.event(*message, lag_ms, self.now_s))

    def beat(self, call: str | None = None) -> None:
        self._take(self.core.heartbeat(self.network.beat(call), self.now_s))

    def answer(self) -> None:
        self._take(self.core.answer(*self.network.snapshot(), self.now_s))

    def tick(self, after_s: float = 0.0) -> None:
        self.now_s += after_s
        self._take(self.core.tick(self.now_s))

    def join(self) -> None:
        self.beat()
        self.answer()
        self.beat()
        assert self.core.phase is Phase.LIVE

    def _take(self, events: list[WireEvent[Any]]) -> None:
        self.got += [wire.pub_seq for wire in events]


def test_last_values_come_first_and_then_live_events_without_a_hole() -> None:
    network = Network()
    reader = Reader(network)
    for _ in range(5):
        network.publish()
    reader.beat()
    reader.event(network.publish())
    reader.answer()
    reader.event(network.publish())
    assert reader.got == []
    reader.beat()
    reader.event(network.publish())
    assert reader.got == [6, 7, 8]
    assert reader.core.gaps.lost_events == 0


@settings(max_examples=200)
@given(st.lists(st.sampled_from(["publish", "deliver", "beat", "ask", "answer"]), max_size=60))
def test_no_timing_of_joining_makes_a_hole_a_repetition_or_a_false_alarm(steps: list[str]) -> None:
    """Everything on the feed arrives in order; answers arrive whenever they like."""
    network = Network()
    reader = Reader(network)
    feed: list[Any] = []
    replies: list[tuple[QueryReply, list[WireEvent[Any]]]] = []
    first_sent = 0

    def deliver() -> None:
        item = feed.pop(0)
        if isinstance(item, Heartbeat):
            reader._take(reader.core.heartbeat(item, reader.now_s))
        else:
            reader.event(item)

    def answer() -> None:
        if network.asked:
            replies.append(network.snapshot())

    network.publish()
    first_sent = network.numbering.pub_seq
    for step in [*steps, "beat"]:
        if step == "publish":
            feed.append(network.publish())
        elif step == "beat":
            feed.append(network.beat())
        elif step == "deliver" and feed:
            deliver()
        elif step == "ask":
            answer()
        elif step == "answer" and replies:
            reader._take(reader.core.answer(*replies.pop(0), reader.now_s))
    while feed:
        deliver()
    answer()
    while replies:
        reader._take(reader.core.answer(*replies.pop(0), reader.now_s))
    reader.beat()
    reader.beat("a")
    assert reader.core.phase is Phase.LIVE
    assert reader.got == sorted(set(reader.got)), "once each, in order"
    assert reader.got[-1] == network.numbering.pub_seq, "the last value is known"
    live = range(max(first_sent, min(reader.got)), network.numbering.pub_seq + 1)
    assert reader.got == list(live), "no hole after the first"
    assert reader.core.gaps.lost_events == 0
    assert "lost" not in reader.told


def test_lost_event_is_counted_and_told() -> None:
    network = Network()
    reader = Reader(network)
    reader.join()
    reader.event(network.publish())
    network.publish()
    network.publish()
    reader.event(network.publish())
    assert reader.core.gaps.lost_events == 2
    assert reader.told == ["lost"]
    assert reader.core.resyncs == 0, "the value that arrived is the last one"


def test_loss_at_the_end_shows_in_the_heartbeat_and_the_last_value_is_fetched() -> None:
    network = Network()
    reader = Reader(network)
    reader.join()
    reader.event(network.publish())
    network.publish()
    network.publish()
    reader.beat("a")
    reader.answer()
    reader.beat()
    assert reader.got == [1, 3]
    assert reader.core.resyncs == 1
    assert reader.core.gaps.lost_events == 1, "the last one was fetched, the one before is gone"


def test_new_epoch_brings_a_new_snapshot() -> None:
    network = Network()
    reader = Reader(network)
    reader.join()
    for _ in range(5):
        reader.event(network.publish())
    network.restart()
    network.publish("a")
    network.publish("b")
    reader.beat()
    reader.answer()
    reader.beat()
    reader.event(network.publish("a"))
    assert reader.got == [1, 2, 3, 4, 5, 1, 2, 3]
    assert reader.core.restarts == 1
    assert reader.told == ["restarted", "resync"]
    assert reader.core.gaps.lost_events == 0


def test_answer_of_another_life_is_ignored() -> None:
    network = Network()
    reader = Reader(network)
    reader.beat()
    old = network.snapshot()
    network.restart()
    reader.beat()
    reader._take(reader.core.answer(*old, reader.now_s))
    assert reader.core.phase is Phase.ASKING


def test_question_that_is_not_answered_is_asked_again() -> None:
    network = Network()
    reader = Reader(network)
    reader.beat()
    assert network.asked == 1
    reader.tick(0.5)
    assert network.asked == 1
    reader.tick(0.6)
    assert network.asked == 2
    reader.answer()
    reader.beat()
    assert reader.core.phase is Phase.LIVE


def test_reader_goes_on_without_last_values_when_nobody_answers_queries() -> None:
    network = Network()
    reader = Reader(network)
    network.publish()
    reader.beat()
    reader.event(network.publish())
    for _ in range(60):
        reader.tick(0.1)
        reader.beat()
    reader.event(network.publish())
    assert reader.got == [2, 3]
    assert reader.told == ["unanswered"]
    assert reader.core.gaps.lost_events == 0


def test_question_that_could_not_be_sent_is_repeated_soon() -> None:
    network = Network()
    network.is_connected = False
    reader = Reader(network)
    reader.beat()
    reader.tick(0.15)
    assert network.asked == 2


def test_first_heartbeat_is_asked_for_until_it_comes() -> None:
    network = Network()
    reader = Reader(network)
    for _ in range(10):
        reader.tick(0.06)
    assert 4 <= network.beats <= 6
    reader.join()
    reader.tick(0.5)
    assert network.beats <= 7, "a publisher that is heard is left alone"


def test_silence_is_told_once_and_so_is_its_end() -> None:
    network = Network()
    reader = Reader(network)
    reader.join()
    for _ in range(50):
        reader.tick(0.1)
    reader.beat()
    assert reader.told == ["silent", "back"]


def test_an_event_before_the_first_heartbeat_is_a_sign_of_life_too() -> None:
    network = Network()
    reader = Reader(network)
    reader.event(network.publish())
    reader.tick(0.1)
    assert reader.told == []
    reader.tick(5.0)
    assert reader.told == ["silent"]


def test_slow_reader_is_warned_at_one_second_and_starts_over_at_two() -> None:
    network = Network()
    reader = Reader(network)
    reader.join()
    reader.event(network.publish(), 900.0)
    assert reader.told == []
    reader.event(network.publish(), 1100.0)
    reader.event(network.publish(), 1500.0)
    assert reader.told == ["lagging"]
    assert network.backlogs == 0
    reader.event(network.publish(), 2100.0)
    assert reader.told == ["lagging", "resync"]
    assert network.backlogs == 1
    network.publish()
    network.publish()
    reader.beat()
    reader.answer()
    reader.beat()
    assert reader.got == [1, 2, 3, 4, 6]
    assert reader.core.gaps.lost_events == 1


def test_without_snapshot_losses_are_counted_and_nothing_is_fetched() -> None:
    network = Network()
    reader = Reader(network, snapshot=False)
    network.publish()
    reader.beat()
    for _ in range(2):
        network.publish()
    reader.event(network.publish())
    reader.event(network.publish())
    network.publish()
    reader.event(network.publish(), 5000.0)
    network.publish()
    reader.beat("a")
    assert reader.got == [4, 5, 7]
    assert reader.core.gaps.lost_events == 2
    assert network.asked == 0


def test_payload_of_a_delivered_event_is_untouched() -> None:
    network = Network()
    reader = Reader(network)
    reader.join()
    _, wire = network.publish()
    assert reader.core.event("v1/main/a/0/emotion/", wire, 0.0, reader.now_s) == [wire]
    assert wire.data == emotion()
