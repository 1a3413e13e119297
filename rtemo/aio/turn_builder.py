"""TurnBuilder: puts the events of a stream together to turns."""

import time
from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from rtemo.aio.turn import Course, Turn
from rtemo.api import (
    Emotion,
    EndOfTurn,
    Event,
    Rank,
    Rationale,
    SpeechEnd,
    SpeechStart,
    Spoof,
    StreamEnd,
    StreamStart,
    Transcript,
)
from rtemo.api.events import kind_of
from rtemo.api.format import StreamFormat

PATIENCE_S: Mapping[str, float] = {
    kind_of(Emotion): 0.3,
    kind_of(Rationale): 0.6,
    kind_of(Transcript): 3.0,
    kind_of(EndOfTurn): 2.0,
}
"""Kind of an event that belongs to a turn → how long one waits for it once the speech has ended."""

_LANDING_S = 1.0
"""Freewheel: by so much of a stream what worker lanes find of the end of its speech may come later than all else."""

_RISING, _FALLING = 0.8, 0.2
_RATE_HZ = StreamFormat().sample_rate_hz  # of every engine
_OF_PERSONS = frozenset({kind_of(Emotion), kind_of(Rationale), kind_of(Transcript)})
_END_OF_TURN = kind_of(EndOfTurn)


class _Open:
    """A turn that is being put together."""

    def __init__(self, start_sample: int) -> None:
        self.start_sample = start_sample
        self.end_sample = start_sample
        self.reason = ""
        self.parts: dict[str, Any] = {}
        self.ranks: dict[str, Rank] = {}
        self.courses: dict[str, Course] = {}
        self.spoof: Spoof | None = None
        self.ended_s = 0.0
        self.capture_ns = 0
        self.emit_ns = 0


class _Stream:
    """What is kept of one stream."""

    def __init__(self, role: str, is_analysed: bool) -> None:
        self.role = role
        self.is_analysed = is_analysed
        self.speaking: _Open | None = None
        self.over: list[_Open] = []
        self.ranks: dict[str, Rank] = {}
        self.since: dict[str, tuple[str, int, int]] = {}
        self.spoof: Spoof | None = None
        self.mood: Emotion | None = None
        self.told: Turn | None = None


class TurnBuilder:
    """Puts events together to turns; a turn is ready once everything has come that the chain says it emits.

    A turn is a stretch of speech, or, where the chain tells the ends of turns, all stretches up to one. Parts are
    matched by where they stand in the stream, so that one that comes late finds its turn.

    Args:
        emits: Kinds that the plugins of the chain emit.
        is_live: Whether a clock runs; else one waits for as much of the stream instead.
        patience_s: Kind → how long to wait for it; others as in `PATIENCE_S`.
    """

    def __init__(
        self, emits: Collection[str], *, is_live: bool = True, patience_s: Mapping[str, float] | None = None
    ) -> None:
        waits = {**PATIENCE_S, **(patience_s or {})}
        self._patience_s = {kind: wait_s for kind, wait_s in waits.items() if kind in emits}
        self._tells_ends = _END_OF_TURN in emits
        self._is_live = is_live
        self._streams: dict[tuple[str, str], _Stream] = {}
        self._ready: list[Turn] = []

    def take(self, event: Event) -> None:
        """Take the next event of any stream."""
        data, key = event.data, (event.call, event.channel)
        if isinstance(data, StreamStart):
            self._streams[key] = _Stream(data.role, data.analysis == "person")
            return
        stream = self._streams.setdefault(key, _Stream("", True)) if event.call else None
        if stream is None:
            return
        if isinstance(data, SpeechStart):
            if stream.speaking is None:
                stream.speaking = _Open(event.start_sample)
                stream.mood = None
            stream.speaking.reason = ""  # it goes on, where the chain tells the ends of turns
        elif isinstance(data, SpeechEnd):
            self._end_speech(stream, event, data)
        elif isinstance(data, EndOfTurn):
            self._end_turn(stream, event, data)
        elif isinstance(data, Emotion | Transcript | Rationale):
            if isinstance(data, Emotion):
                stream.mood = data
            if data.is_final:
                self._add(stream, event, data)
        elif isinstance(data, Rank):
            stream.ranks[data.attribute] = data
            _follow(stream.since, data, event.end_sample)
        elif isinstance(data, Spoof):
            stream.spoof = data
        elif isinstance(data, StreamEnd):
            if stream.speaking is not None and stream.speaking.reason:
                self._close(stream, event.emit_ns)
            self._settle(key, stream, event, is_gone=True)
            del self._streams[key]
            return
        self._settle(key, stream, event)

    def ready(self) -> list[Turn]:
        """Give the turns that are ready by now, in the order in which they became so; each once."""
        if self._is_live:
            for key, stream in self._streams.items():
                turn = stream.speaking
                if turn is not None and turn.reason and self._is_silent_for_long(turn):
                    self._close(stream, time.time_ns())
                self._settle(key, stream, None)
        ready, self._ready = self._ready, []
        return ready

    def latest(self, call: str, channel: str) -> Turn | None:
        """Tell what is known by now of the turn that goes on, or of the last one; its mood may not be final."""
        stream = self._streams.get((call, channel))
        if stream is None:
            return None
        turn = stream.speaking or (stream.over[-1] if stream.over else None)
        if turn is None:
            return stream.told
        now = _made((call, channel), stream.role, turn)
        if stream.speaking is None:
            return now
        return msgspec.structs.replace(
            now,
            reason="",
            emotion=now.emotion or stream.mood,
            spoof=stream.spoof,
            ranks=dict(stream.ranks),
            courses=_courses(stream.since),
        )

    def wait_s(self) -> float | None:
        """Tell when to look again although no event has come; None while nothing waits."""
        streams = self._streams.values()
        waiting = [turn for stream in streams for turn in stream.over]
        waiting += [stream.speaking for stream in streams if stream.speaking is not None and stream.speaking.reason]
        if not self._is_live or not waiting:
            return None
        now_s = time.monotonic()
        kinds = self._patience_s.values()
        due = [turn.ended_s + wait_s - now_s for turn in waiting for wait_s in kinds]
        return max(0.001, min((wait_s for wait_s in due if wait_s > 0), default=0.001))

    def _is_silent_for_long(self, turn: _Open) -> bool:
        """Whether who tells the ends of turns has failed to do so."""
        return time.monotonic() - turn.ended_s > self._patience_s.get(_END_OF_TURN, 0.0)

    def _end_speech(self, stream: _Stream, event: Event, data: SpeechEnd) -> None:
        if stream.speaking is None:
            stream.speaking = _Open(event.start_sample)
        stream.speaking.end_sample = event.end_sample
        stream.speaking.reason = data.reason
        stream.speaking.capture_ns = event.capture_ns
        stream.speaking.ended_s = time.monotonic()
        if not self._tells_ends or data.reason == "stream_end":
            self._close(stream, event.emit_ns)

    def _end_turn(self, stream: _Stream, event: Event, data: EndOfTurn) -> None:
        turn = stream.speaking
        if turn is None or not data.is_over:
            return
        turn.parts[kind_of(data)] = data
        if not turn.reason:  # told before the hangover of the detector was over
            turn.reason = "silence"
            turn.end_sample = event.end_sample
            turn.capture_ns = event.capture_ns
        self._close(stream, event.emit_ns)

    def _close(self, stream: _Stream, emit_ns: int) -> None:
        turn, stream.speaking = stream.speaking, None
        assert turn is not None
        turn.ended_s = turn.ended_s or time.monotonic()
        turn.emit_ns = max(emit_ns, turn.emit_ns)
        turn.spoof = stream.spoof
        turn.ranks = dict(stream.ranks)
        turn.courses = _courses(stream.since)
        stream.over.append(turn)

    def _add(self, stream: _Stream, event: Event, data: Emotion | Transcript | Rationale) -> None:
        candidates = [turn for turn in (*stream.over, stream.speaking) if turn is not None]
        best = max(candidates, key=lambda turn: _overlap(turn, event), default=None)
        if best is None:
            return
        kind = kind_of(data)
        if isinstance(data, Transcript) and kind in best.parts:  # of several stretches: one text
            data = _joined(best.parts[kind], data)
        best.parts[kind] = data
        best.emit_ns = max(best.emit_ns, event.emit_ns)

    def _settle(self, key: tuple[str, str], stream: _Stream, event: Event | None, *, is_gone: bool = False) -> None:
        now_s = time.monotonic()
        while stream.over:
            turn = stream.over[0]
            missing = [
                kind
                for kind, wait_s in self._patience_s.items()
                if kind not in turn.parts
                and kind != _END_OF_TURN
                and (stream.is_analysed or kind not in _OF_PERSONS)
                and not is_gone
                and self._waited_s(turn, event, now_s) < wait_s
            ]
            if missing:
                return
            stream.over.pop(0)
            stream.told = _made(key, stream.role, turn)
            self._ready.append(stream.told)

    def _waited_s(self, turn: _Open, event: Event | None, now_s: float) -> float:
        if self._is_live:
            return now_s - turn.ended_s
        return 0.0 if event is None else event.end_s - turn.end_sample / _RATE_HZ - _LANDING_S


def _made(key: tuple[str, str], role: str, turn: _Open) -> Turn:
    latency_s = (turn.emit_ns - turn.capture_ns) / 1e9 if turn.capture_ns else None
    return Turn(
        call=key[0],
        channel=key[1],
        role=role,
        start_sample=turn.start_sample,
        end_sample=turn.end_sample,
        reason=turn.reason,
        ranks=turn.ranks,
        courses=turn.courses,
        spoof=turn.spoof,
        latency_s=latency_s,
        **turn.parts,
    )


def _overlap(turn: _Open, event: Event) -> int:
    end = turn.end_sample if turn.reason else event.end_sample
    return min(end, event.end_sample) - max(turn.start_sample, event.start_sample)


def _joined(before: Transcript, after: Transcript) -> Transcript:
    text = " ".join(part for part in (before.text, after.text) if part)
    return msgspec.structs.replace(after, text=text, stable_chars=len(text), words=(*before.words, *after.words))


def _follow(since: dict[str, tuple[str, int, int]], rank: Rank, end_sample: int) -> None:
    """Note since when an attribute has been going one way: (direction, from, until), in samples."""
    p = rank.p_rising
    direction = "" if p is None else "rising" if p >= _RISING else "falling" if p <= _FALLING else ""
    if not direction:
        since.pop(rank.attribute, None)
        return
    before = since.get(rank.attribute)
    start = before[1] if before is not None and before[0] == direction else end_sample
    since[rank.attribute] = (direction, start, end_sample)


def _courses(since: Mapping[str, tuple[str, int, int]]) -> dict[str, Course]:
    return {
        name: Course(direction=direction, duration_s=(until - start) / _RATE_HZ)
        for name, (direction, start, until) in since.items()
    }
