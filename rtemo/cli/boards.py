"""Boards of a running publisher: the one that it tells, and one by a query that is made here."""

import math
import time
from typing import NamedTuple

from rtemo.api import Board, BoardEntry, Event, QueryScore, StreamEnd, StreamStart
from rtemo.io.query_scores import QueryScores

_EVERY_S = 1.0
_HYSTERESIS = 0.25  # as of the board that is told: a voice takes the place of another that it exceeds by so much
_TIE_Z = 0.253  # one above the other with a probability of 60 %
_MOST_ENTRIES = 20
_STALE_S = 60.0


class ToldBoard:
    """The board of the publisher, as it comes.

    Attributes:
        kinds: What to subscribe to.
        board: The last one; None before the first.
    """

    kinds = ("board",)

    def __init__(self) -> None:
        self.board: Board | None = None

    def take(self, event: Event) -> bool:
        """Take an event in and tell whether there is a new board."""
        if isinstance(event.data, Board):
            self.board = event.data
            return True
        return False

    def is_due(self) -> bool:
        """Tell whether time alone has made a new board."""
        return False


class _Voice:
    __slots__ = ("heard_ns", "scores")

    def __init__(self) -> None:
        self.scores = QueryScores()
        self.heard_ns = 0


class _Standing(NamedTuple):
    stream: tuple[str, str]
    mean: float
    spread: float
    heard_ns: int


class QueryBoard:
    """The calls in the order in which their voices are like a query, by the scores that are told.

    Streams keep their order unless one exceeds the one before it clearly; streams that cannot be told apart share a
    place. Who has too few scores, or none for a minute, is unsure.

    Args:
        query: As it was asked.

    Attributes:
        kinds: What to subscribe to.
        board: The last one; None before the first.
    """

    kinds = ("query_score", "stream_start", "stream_end")

    def __init__(self, query: str) -> None:
        self.board: Board | None = None
        self._query = query
        self._voices: dict[tuple[str, str], _Voice] = {}
        self._order: list[tuple[str, str]] = []
        self._due_s = time.monotonic() + _EVERY_S

    def take(self, event: Event) -> bool:
        """Take an event in and tell whether there is a new board."""
        stream = (event.call, event.channel)
        if isinstance(event.data, StreamStart | StreamEnd):
            self._voices.pop(stream, None)
        elif isinstance(event.data, QueryScore) and event.data.query == self._query:
            voice = self._voices.setdefault(stream, _Voice())
            voice.scores.add(event.data)
            voice.heard_ns = max(voice.heard_ns, event.emit_ns)
        return False

    def is_due(self) -> bool:
        """Make a new board once a second; tell whether that was now."""
        now_s = time.monotonic()
        if now_s < self._due_s:
            return False
        self._due_s = now_s + _EVERY_S
        self.board = self._compare(time.time_ns())
        return True

    def _compare(self, now_ns: int) -> Board:
        known = {}
        for stream, voice in self._voices.items():
            found = voice.scores.mean(self._query)
            if found is not None and now_ns - voice.heard_ns < _STALE_S * 1e9:
                known[stream] = _Standing(stream, *found, voice.heard_ns)
        placed = set(self._order)
        fresh = sorted(known.keys() - placed, key=lambda stream: (-known[stream].mean, stream))
        order = [stream for stream in self._order if stream in known] + fresh
        for i in range(1, len(order)):
            stream, j = order[i], i
            # Newcomers find their place by any difference, the others by a clear one.
            least = _HYSTERESIS if stream in placed else 0.0
            while j > 0 and known[stream].mean > known[order[j - 1]].mean + least:
                order[j] = order[j - 1]
                j -= 1
            order[j] = stream
        self._order = order
        entries: list[BoardEntry] = []
        first: _Standing | None = None
        for number, stream in enumerate(order[:_MOST_ENTRIES], 1):
            one = known[stream]
            if first is None or first.mean - one.mean > _TIE_Z * math.hypot(first.spread, one.spread):
                first, place = one, number
            entries.append(
                BoardEntry(
                    call=stream[0],
                    channel=stream[1],
                    place=place,
                    urgency=round(one.mean, 3),
                    spread=round(one.spread, 3),
                    silent_s=round(max(0, now_ns - one.heard_ns) / 1e9, 1),
                )
            )
        return Board(entries=tuple(entries), ranked=len(known), unsure=len(self._voices) - len(known))
