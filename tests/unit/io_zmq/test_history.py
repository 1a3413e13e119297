import pytest

from rtemo.api import Counters, Payload, Rank, SpeechStart, StreamEnd, StreamStart
from rtemo.io.publishers.history import CallRecord, History
from rtemo.io.publishers.numbering import Numbering
from rtemo.io.wire import decode_event, encode
from tests.fakes.zmq_ends import emotion, event

pytestmark = pytest.mark.unit


class Book:
    """A history with its numbering, on a clock of its own."""

    def __init__(self, replay_s: float = 600.0, call_bytes: int = 1 << 20, total_bytes: int = 1 << 24) -> None:
        self.numbering = Numbering("main")
        self.history = History(replay_s, call_bytes, total_bytes)
        self.now_s = 0.0

    def add(self, call: str = "a", data: Payload | None = None, channel: str = "0") -> None:
        _, wire = self.numbering.number(event(call, 1, data, channel=channel))
        self.history.add(wire, encode(wire), self.now_s)

    def record(self, call: str = "a") -> CallRecord:
        return self.history.calls[call]

    def kinds(self, call: str = "a") -> list[str]:
        return [item.event.kind for item in self.history.snapshot(self.record(call))]


def test_snapshot_holds_the_last_event_of_every_kind_and_channel_in_order() -> None:
    book = Book()
    for label in ("happy", "sad"):
        book.add(data=emotion(label))
    book.add(data=SpeechStart(), channel="1")
    book.add(data=emotion("calm"), channel="1")
    snapshot = book.history.snapshot(book.record())
    assert [item.event.pub_seq for item in snapshot] == [2, 3, 4]
    assert snapshot[0].event.data.label == "sad"
    assert decode_event(snapshot[0].message) == snapshot[0].event


def test_snapshot_holds_every_ranked_attribute() -> None:
    book = Book()
    for attribute in ("arousal", "valence", "arousal"):
        book.add(data=Rank(attribute=attribute, score=1.0))
    assert sorted(item.event.data.attribute for item in book.history.snapshot(book.record())) == ["arousal", "valence"]


def test_stream_that_starts_anew_leaves_no_values_of_the_one_before() -> None:
    book = Book()
    book.add(data=StreamStart())
    book.add()
    book.add(data=StreamStart(role="customer"))
    assert book.kinds() == ["stream_start"]
    assert book.record().channels["0"].role == "customer"


def test_replay_gives_what_came_after_a_number_in_pages() -> None:
    book = Book()
    for _ in range(10):
        book.add()
        book.add("b")
    first = book.history.replay(book.record(), 5, 3, 1 << 20)
    assert [item.pub_seq for item in first] == [7, 9, 11]
    assert [item.pub_seq for item in book.history.replay(book.record(), 11, 100, 1 << 20)] == [13, 15, 17, 19]
    assert len(book.history.replay(book.record(), 0, 100, 1)) == 1


def test_replay_is_bounded_in_bytes_per_call_and_says_what_is_gone() -> None:
    book = Book(call_bytes=4000)
    for _ in range(100):
        book.add()
    record = book.record()
    assert record.kept_bytes <= 4000
    assert book.history.kept_bytes == record.kept_bytes
    assert 0 < len(record.kept) < 20
    assert record.dropped_pub_seq == record.kept[0].pub_seq - 1


def test_replay_of_all_calls_together_is_bounded() -> None:
    book = Book(total_bytes=50_000)
    for call in range(50):
        for _ in range(20):
            book.add(f"call {call}")
    book.history.prune(0.0)
    assert book.history.kept_bytes <= 50_000
    assert all(record.kept for record in book.history.calls.values())


def test_replay_is_bounded_in_time() -> None:
    book = Book(replay_s=60.0)
    book.add(data=StreamStart())
    book.now_s = 50.0
    book.add()
    book.history.prune(100.0)
    assert [item.pub_seq for item in book.record().kept] == [2]


def test_call_is_forgotten_after_its_end_and_its_replay_time() -> None:
    book = Book(replay_s=60.0)
    book.add(data=StreamStart())
    book.add(data=StreamEnd(reason="end", duration_s=1.0, counters=Counters()))
    assert book.history.prune(59.0) == []
    assert book.history.prune(61.0) == [("a", None)]
    assert book.history.calls == {}
    assert book.history.kept_bytes == 0


def test_open_call_that_is_silent_is_kept() -> None:
    book = Book(replay_s=60.0)
    book.add(data=StreamStart())
    assert book.history.prune(1000.0) == []
    assert [record.call for record in book.history.active(1000.0)] == ["a"]
    assert book.history.prune(4000.0) == [("a", None)], "its end must have been lost"


def test_engine_is_never_forgotten_and_is_no_call() -> None:
    book = Book(replay_s=1.0)
    book.add("", SpeechStart())
    assert book.history.prune(1e6) == []
    assert list(book.history.active(0.0)) == []


def test_ended_channels_of_a_call_that_goes_on_are_bounded() -> None:
    book = Book()
    end = StreamEnd(reason="end", duration_s=1.0, counters=Counters())
    book.add(data=StreamStart(), channel="stays")
    for number in range(300):
        book.add(data=StreamStart(), channel=f"c{number}")
        book.add(data=end, channel=f"c{number}")
    forgotten = book.history.prune(1.0)
    assert forgotten == [("a", f"c{number}") for number in range(300 - 64)]
    for call, channel in forgotten:
        book.numbering.forget(call, channel)
    assert len(book.record().channels) == 65
    assert len(book.numbering.seqs("a")) == 1 + 2 * 64
    assert book.record().is_open


def test_calls_beyond_the_limit_are_forgotten_and_open_ones_are_kept() -> None:
    book = Book()
    book.history = History(600.0, 1 << 20, 1 << 24, max_calls=10)
    end = StreamEnd(reason="end", duration_s=1.0, counters=Counters())
    for number in range(20):
        book.add(f"open {number}", StreamStart())
    for number in range(20):
        book.add(f"ended {number}", StreamStart())
        book.add(f"ended {number}", end)
    assert book.history.prune(1.0) == [(f"ended {number}", None) for number in range(20)]
    assert len(book.history.calls) == 20
    assert book.history.kept_bytes == sum(record.kept_bytes for record in book.history.calls.values())
