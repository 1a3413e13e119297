from collections.abc import Sequence

import msgspec
import pytest

from rtemo.api import (
    Board,
    BoardEntry,
    Counters,
    Event,
    Fault,
    Health,
    Overload,
    Payload,
    PluginTiming,
    SessionEnd,
    SessionStart,
    SourceCounts,
    SpeechEnd,
    SpeechStart,
    StreamEnd,
    StreamStart,
    WorkerState,
)
from rtemo.cluster.merging import LiveEvents

pytestmark = pytest.mark.unit

START = SessionStart(chain=("a",), latency_samples=0, sample_rate_hz=16_000, hop_samples=160)
NOTHING_LOST = SourceCounts(name="front")


def event(data: Payload, seq: int, call: str = "", end_sample: int = 0) -> Event:
    return Event(
        call=call,
        channel="0" if call else "",
        plugin="engine",
        seq=seq,
        start_sample=0,
        end_sample=end_sample,
        capture_ns=0,
        emit_ns=1,
        data=data,
    )


def health(streams: int, load: float, lost: int = 0) -> Health:
    plugin = PluginTiming(
        name="a", busy_p50_us=1.0, busy_p99_us=2.0, busy_max_us=3.0, wait_p50_us=0.0, load=load, xruns=1
    )
    return Health(
        streams=streams,
        capacity=10,
        ticks=100,
        load=load,
        tick_p50_us=load,
        tick_p99_us=load,
        late_p99_us=load,
        counters=Counters(source_lost_samples=lost),
        plugins=(plugin,),
    )


class Heard:
    def __init__(self) -> None:
        self.events: list[Event] = []
        self.live = LiveEvents(self._take, capacity=40, health_interval_s=1.0)

    def _take(self, events: Sequence[Event]) -> None:
        self.events += events

    def of(self, call: str) -> list[tuple[int, str]]:
        return [(one.seq, one.kind) for one in self.events if one.call == call]

    def kinds(self, call: str = "") -> list[str]:
        return [one.kind for one in self.events if one.call == call]


def test_several_engines_have_one_beginning_and_one_end() -> None:
    heard = Heard()
    for worker in (1, 2):
        heard.live.take(worker, [event(START, 1), event(health(1, 0.1, lost=5), 2)], 0.0)
    heard.live.take(1, [event(SessionEnd(reason="x", counters=Counters(source_lost_samples=7)), 3)], 1.0)
    heard.live.close("stopped")
    assert heard.kinds() == ["session_start", "session_end"]
    end = heard.events[-1].data
    assert isinstance(end, SessionEnd)
    assert (end.reason, end.counters.source_lost_samples) == ("stopped", 12)


def test_health_is_of_all_together_with_a_line_for_each_and_counters_never_go_back() -> None:
    heard = Heard()
    heard.live.take(1, [event(START, 1), event(health(3, 0.2, lost=10), 2)], 0.0)
    heard.live.take(2, [event(health(5, 0.4, lost=1), 1)], 0.0)
    workers = (WorkerState(name="1", state="running"), WorkerState(name="2", state="running"))
    heard.live.tick(10.0, workers, (NOTHING_LOST,), dropped_events=2)
    both = heard.events[-1].data
    assert isinstance(both, Health)
    assert (both.streams, both.capacity, both.load, both.plugins[0].load) == (8, 40, 0.4, 0.4)
    assert both.counters == Counters(source_lost_samples=11, dropped_events=2)
    assert both.workers == workers
    assert both.sources == (NOTHING_LOST,)
    heard.live.lose(1, "process 7 died (signal 9)")
    heard.live.tick(11.5, workers, (NOTHING_LOST,))
    left = heard.events[-1].data
    assert isinstance(left, Health)
    assert (left.streams, left.counters.source_lost_samples) == (5, 11)


def test_overload_of_a_worker_says_which_it_is() -> None:
    heard = Heard()
    told = Overload(state="given_up", what="extras", plugins=("a",), given_up=("extras",), load=1.5)
    heard.live.take(2, [event(told, 1)], 0.0)
    assert [one.data for one in heard.events] == [msgspec.structs.replace(told, where="worker 2")]


def test_streams_of_a_lost_worker_are_broken_off_and_count_on_where_they_go_on() -> None:
    heard = Heard()
    speech = event(SpeechStart(), 2, "a", end_sample=32_000)
    heard.live.take(1, [event(StreamStart(), 1, "a"), speech, event(StreamStart(), 1, "b")], 0.0)
    heard.live.take(2, [event(StreamStart(), 1, "c")], 0.0)
    heard.live.lose(1, "process 7 died (signal 9)")
    heard.live.take(2, [event(StreamStart(), 1, "a"), event(SpeechStart(), 2, "a")], 1.0)
    assert heard.of("a") == [
        (1, "stream_start"),
        (2, "speech_start"),
        (3, "fault"),
        (4, "stream_end"),
        (5, "stream_start"),
        (6, "speech_start"),
    ]
    assert heard.kinds("b") == ["stream_start", "fault", "stream_end"]
    assert heard.kinds("c") == ["stream_start"]
    fault, end = (one.data for one in heard.events if one.call == "a" and one.seq in (3, 4))
    assert fault == Fault(where="worker 1", problem="process 7 died (signal 9)", action="moved")
    assert isinstance(end, StreamEnd)
    assert (end.reason, end.duration_s) == ("worker lost", 2.0)
    assert [one.data.action for one in heard.events if one.call == "" and isinstance(one.data, Fault)] == ["retrying"]


def test_what_a_former_worker_still_says_of_a_stream_is_left_out() -> None:
    heard = Heard()
    heard.live.take(1, [event(StreamStart(), 1, "a"), event(SpeechStart(), 2, "a")], 0.0)
    heard.live.take(2, [event(StreamStart(), 1, "a")], 1.0)
    end = StreamEnd(reason="moved", duration_s=1.0, counters=Counters())
    heard.live.take(1, [event(end, 3, "a")], 1.1)
    heard.live.take(2, [event(SpeechStart(), 2, "a")], 1.2)
    assert heard.of("a") == [
        (1, "stream_start"),
        (2, "speech_start"),
        (3, "stream_end"),
        (4, "stream_start"),
        (5, "speech_start"),
    ]
    assert heard.live.left_out_events == 1


def test_a_call_that_ended_as_it_should_begins_at_one_when_its_name_is_used_again() -> None:
    heard = Heard()
    end = StreamEnd(reason="end", duration_s=1.0, counters=Counters())
    for worker in (1, 2):
        heard.live.take(worker, [event(StreamStart(), 1, "a"), event(end, 2, "a")], 0.0)
    assert [seq for seq, _ in heard.of("a")] == [1, 2, 1, 2]


def test_calls_are_quiet_when_nobody_speaks_in_any_of_their_streams_for_a_while() -> None:
    heard = Heard()
    heard.live.take(1, [event(StreamStart(), 1, "a"), event(SpeechStart(), 2, "a"), event(StreamStart(), 1, "b")], 0.0)
    assert heard.live.quiet_calls(1, 1.0, 0.5) == []
    assert heard.live.quiet_calls(1, 1.0, 1.0) == ["b"]
    heard.live.take(1, [event(SpeechEnd(speech_s=2.0), 3, "a")], 2.0)
    assert heard.live.quiet_calls(1, 1.0, 2.9) == ["b"]
    assert sorted(heard.live.quiet_calls(1, 1.0, 3.0)) == ["a", "b"]
    assert heard.live.quiet_calls(2, 1.0, 3.0) == []


def entry(call: str, place: int, urgency: float, spread: float = 0.1) -> BoardEntry:
    return BoardEntry(call=call, channel="0", place=place, urgency=urgency, spread=spread)


def test_boards_become_one_by_urgency_and_streams_that_cannot_be_told_apart_share_a_place() -> None:
    heard = Heard()
    one = Board(entries=(entry("a", 1, 2.0), entry("b", 2, 0.5)), ranked=2, unsure=1)
    two = Board(entries=(entry("c", 1, 1.0), entry("d", 2, 0.49), entry("e", 3, -1.0)), ranked=4, unsure=2)
    heard.live.take(1, [event(one, 1)], 0.0)
    heard.live.take(2, [event(two, 1)], 0.1)
    assert heard.events == []
    heard.live.tick(1.0, (), (NOTHING_LOST,))
    (board,) = [one.data for one in heard.events if isinstance(one.data, Board)]
    assert [(entry.place, entry.call) for entry in board.entries] == [(1, "a"), (2, "c"), (3, "b")]
    assert (board.ranked, board.unsure) == (6, 3)
    heard.live.take(2, [event(Board(entries=two.entries, ranked=3, unsure=2), 2)], 1.1)
    heard.live.take(1, [event(Board(entries=(), ranked=0, unsure=0), 2)], 1.2)
    heard.live.tick(2.0, (), (NOTHING_LOST,))
    board = heard.events[-1].data
    assert isinstance(board, Board)
    assert [(entry.place, entry.call) for entry in board.entries] == [(1, "c"), (2, "d"), (3, "e")]


def test_who_cannot_be_told_from_the_first_of_a_group_shares_its_place() -> None:
    heard = Heard()
    heard.live.take(1, [event(Board(entries=(entry("a", 1, 1.0, 0.5),), ranked=1, unsure=0), 1)], 0.0)
    heard.live.take(
        2, [event(Board(entries=(entry("b", 1, 0.9, 0.5), entry("c", 2, 0.1)), ranked=2, unsure=0), 1)], 0.0
    )
    heard.live.tick(1.0, (), (NOTHING_LOST,))
    board = heard.events[-1].data
    assert isinstance(board, Board)
    assert [(entry.place, entry.call) for entry in board.entries] == [(1, "a"), (1, "b"), (3, "c")]
