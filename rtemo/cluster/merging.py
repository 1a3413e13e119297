"""LiveEvents: the events of several live engines as if they came from one."""

import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

import msgspec

from rtemo.api import (
    Board,
    Counters,
    Event,
    Fault,
    Health,
    Overload,
    Payload,
    SessionEnd,
    SessionStart,
    SourceCounts,
    SpeechEnd,
    SpeechStart,
    StreamEnd,
    StreamFormat,
    StreamStart,
    WorkerState,
)
from rtemo.cluster.together import about_all, boards_together, counters_together, together

_BOARD_S = 0.5
_OLD_BOARD_S = 5.0
_USUAL_ENTRIES = 32
_MOST_LEFT = 65_536

_Key = tuple[str, str]


class _Stream:
    """A stream that is open, at the worker that has it."""

    __slots__ = ("end_sample", "is_speaking", "offset", "quiet_since_s", "seq", "worker")

    def __init__(self, worker: int, offset: int, now_s: float) -> None:
        self.worker = worker
        self.offset = offset
        self.seq = 0
        self.end_sample = 0
        self.is_speaking = False
        self.quiet_since_s = now_s


class LiveEvents:
    """Hands events on with one beginning, one end, one health and one board of all engines.

    A stream that goes on at another worker counts its events on from where it was. What its former worker still says
    of it is left out.

    Args:
        hand_on: Where events go.
        capacity: Streams held by all workers together.
        health_interval_s: Time between two reports of health.

    Attributes:
        left_out_events: Events of streams that had gone on elsewhere already.
    """

    def __init__(self, hand_on: Callable[[Sequence[Event]], None], capacity: int, health_interval_s: float) -> None:
        self.left_out_events = 0
        self._hand_on = hand_on
        self._capacity = capacity
        self._health_interval_s = health_interval_s
        self._engine_seq = 0
        self._start: SessionStart | None = None
        self._rate_hz = StreamFormat().sample_rate_hz
        self._streams: dict[_Key, _Stream] = {}
        self._left: OrderedDict[_Key, int] = OrderedDict()
        self._healths: dict[int, Health] = {}
        self._ended = Counters()
        self._boards: dict[int, tuple[float, Board]] = {}
        self._entries = 0
        self._is_board_due = False
        self._board_s = self._health_s = 0.0

    @property
    def count_streams(self) -> int:
        """Streams that are open."""
        return len(self._streams)

    def take(self, worker: int, events: Sequence[Event], now_s: float) -> None:
        """Hand on what one engine tells."""
        found: list[Event] = []
        for event in events:
            if event.call:
                self._take_of_stream(worker, event, now_s, found)
            else:
                merged = self._of_engine(worker, event.data, now_s)
                if merged is not None:
                    found.append(self._about_all(merged, event.plugin, event.emit_ns))
        if found:
            self._hand_on(found)

    def tell(self, data: Payload, plugin: str = "engine") -> None:
        """Tell something about the whole."""
        self._hand_on([self._about_all(data, plugin, time.time_ns())])

    def lose(self, worker: int, problem: str) -> None:
        """Break off the streams of a worker that has gone without an end."""
        where, found = f"worker {worker}", []
        for key, stream in list(self._streams.items()):
            if stream.worker == worker:
                fault = Fault(where=where, problem=problem, action="moved")
                found.append(self._said_of(key, stream, fault))
                self._break_off(key, stream, "worker lost", found)
        self._leave(worker)
        found.append(self._about_all(Fault(where=where, problem=problem, action="retrying"), "engine", time.time_ns()))
        self._hand_on(found)

    def quiet_calls(self, worker: int, quiet_s: float, now_s: float) -> list[str]:
        """Name the calls of a worker in which nobody has spoken for so long."""
        quiet: dict[str, bool] = {}
        for (call, _), stream in self._streams.items():
            if stream.worker == worker:
                is_quiet = not stream.is_speaking and now_s - stream.quiet_since_s >= quiet_s
                quiet[call] = quiet.get(call, True) and is_quiet
        return [call for call, is_quiet in quiet.items() if is_quiet]

    def tick(
        self,
        now_s: float,
        workers: tuple[WorkerState, ...],
        sources: tuple[SourceCounts, ...],
        dropped_events: int = 0,
    ) -> None:
        """Tell health and board when they are due; `dropped_events` is how many found no room on the way from here."""
        if self._is_board_due and now_s - self._board_s >= _BOARD_S:
            self._board_s = now_s
            self._is_board_due = False
            self._boards = {
                number: (at_s, board) for number, (at_s, board) in self._boards.items() if now_s - at_s < _OLD_BOARD_S
            }
            self.tell(boards_together([board for _, board in self._boards.values()], self._entries or _USUAL_ENTRIES))
        if self._start is not None and now_s - self._health_s >= self._health_interval_s:
            self._health_s = now_s
            self.tell(self._health(workers, sources, dropped_events))

    def close(self, reason: str) -> None:
        """Tell the end."""
        found: list[Event] = []
        for key, stream in list(self._streams.items()):
            self._break_off(key, stream, reason, found)
        for worker in list(self._healths):
            self._leave(worker)
        if self._start is not None:
            end = SessionEnd(reason=reason, counters=self._ended)
            found.append(self._about_all(end, "engine", time.time_ns()))
        self._hand_on(found)

    def _take_of_stream(self, worker: int, event: Event, now_s: float, found: list[Event]) -> None:
        key, data = (event.call, event.channel), event.data
        stream = self._streams.get(key)
        if isinstance(data, StreamStart):
            if stream is not None:  # its end is still to come, from where it was
                self._break_off(key, stream, "moved", found)
            stream = self._streams[key] = _Stream(worker, self._left.pop(key, 0), now_s)
        elif stream is None or stream.worker != worker:
            self.left_out_events += 1
            return
        stream.seq = event.seq + stream.offset
        stream.end_sample = max(stream.end_sample, event.end_sample)
        found.append(msgspec.structs.replace(event, seq=stream.seq) if stream.offset else event)
        if isinstance(data, SpeechStart | SpeechEnd):
            stream.is_speaking = isinstance(data, SpeechStart)
            stream.quiet_since_s = now_s
        elif isinstance(data, StreamEnd):
            del self._streams[key]
            if data.reason == "moved":
                self._note_left(key, stream.seq)

    def _of_engine(self, worker: int, data: Payload, now_s: float) -> Payload | None:
        """Give what is told at once of what one engine says about itself."""
        if isinstance(data, Fault):
            return msgspec.structs.replace(data, where=f"{data.where} (worker {worker})")
        if isinstance(data, Overload):
            return msgspec.structs.replace(data, where=f"worker {worker}")
        if isinstance(data, SessionStart):
            if self._start is not None:
                return None
            self._start, self._rate_hz = data, data.sample_rate_hz
            return data
        if isinstance(data, SessionEnd):
            self._healths.pop(worker, None)
            self._boards.pop(worker, None)
            self._ended = counters_together([self._ended, data.counters])
            return None
        if isinstance(data, Health):
            self._healths[worker] = data
            return None
        if isinstance(data, Board):
            self._boards[worker] = (now_s, data)
            self._is_board_due = True
            if len(data.entries) < data.ranked:  # as long as boards are made there
                self._entries = len(data.entries)
            return None
        return data

    def _health(
        self, workers: tuple[WorkerState, ...], sources: tuple[SourceCounts, ...], dropped_events: int
    ) -> Health:
        nothing = Health(
            streams=0,
            capacity=0,
            ticks=0,
            load=0.0,
            tick_p50_us=0.0,
            tick_p99_us=0.0,
            late_p99_us=0.0,
            counters=counters_together([self._ended, Counters(dropped_events=dropped_events)]),
        )
        health = together([*self._healths.values(), nothing], is_live=True)
        return msgspec.structs.replace(
            health, capacity=self._capacity, workers=workers, sources=(*health.sources, *sources)
        )

    def _leave(self, worker: int) -> None:
        self._boards.pop(worker, None)
        health = self._healths.pop(worker, None)
        if health is not None:
            self._ended = counters_together([self._ended, health.counters])

    def _break_off(self, key: _Key, stream: _Stream, reason: str, found: list[Event]) -> None:
        """End a stream whose worker says nothing more about it that counts."""
        data = StreamEnd(reason=reason, duration_s=stream.end_sample / self._rate_hz, counters=Counters())
        found.append(self._said_of(key, stream, data))
        del self._streams[key]
        self._note_left(key, stream.seq)

    def _note_left(self, key: _Key, seq: int) -> None:
        self._left[key] = seq
        self._left.move_to_end(key)
        while len(self._left) > _MOST_LEFT:
            self._left.popitem(last=False)

    def _said_of(self, key: _Key, stream: _Stream, data: Payload) -> Event:
        stream.seq += 1
        return Event(
            call=key[0],
            channel=key[1],
            plugin="engine",
            seq=stream.seq,
            start_sample=stream.end_sample,
            end_sample=stream.end_sample,
            capture_ns=0,
            emit_ns=time.time_ns(),
            data=data,
        )

    def _about_all(self, data: Payload, plugin: str, emit_ns: int) -> Event:
        self._engine_seq += 1
        return about_all(data, plugin, self._engine_seq, emit_ns)
