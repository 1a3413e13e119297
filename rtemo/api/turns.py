"""Turns: when each stream began and ended to speak, told by the driver and asked by the lane."""

from collections import deque
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtemo.api.block import Block
from rtemo.api.plugin import Emit, ResetReason
from rtemo.api.sink import StreamFacts
from rtemo.api.vocabulary import SpeechEnd, SpeechStart

_KEPT = 16
"""Turns of one stream that a window may still ask for."""
_LEFT = 32
"""Streams that have left and are still known, since a window of theirs may be on its way."""


class Turn(NamedTuple):
    """One turn, as far as it was known when it was asked for."""

    start_sample: int
    end_sample: int | None
    is_last: bool = False
    """Whether it was the end of the stream that ended it."""


class _Noted:
    __slots__ = ("end", "is_last", "known_at", "over_at", "start")

    def __init__(self, start: int, known_at: int) -> None:
        self.start = start
        self.known_at = known_at
        self.end: int | None = None
        self.over_at: int | None = None
        self.is_last = False


class Turns:
    """Turns by stream, which outlive the row of a stream; for a plugin that hears them and a lane that asks.

    The driver writes and the lane reads, each in steps that the interpreter does not divide. A window is only told what
    was known when it was cut, so it does not matter how late the lane comes to ask.
    """

    def __init__(self) -> None:
        self._of: dict[int, deque[_Noted]] = {}
        self._left: deque[int] = deque()

    def hear(self, block: Block) -> None:
        """Note what `speech_start` and `speech_end` say in a block, for a plugin that `hears` them. Driver thread."""
        for event in block.events:
            if event.stream is None or event.row is None:
                continue  # the engine warms up
            now = int(block.start_sample[event.row]) + block.samples.shape[1]
            if isinstance(event.data, SpeechStart):
                self.begin(event.stream.id, event.start_sample, now)
            elif isinstance(event.data, SpeechEnd):
                is_last = event.data.reason == "stream_end"
                self.end(event.stream.id, event.start_sample, event.end_sample, now, is_last)

    def begin(self, stream: int, start_sample: int, known_at_sample: int) -> None:
        """Note that a turn has begun, and how far the stream had come by then. Driver thread."""
        self._of.setdefault(stream, deque(maxlen=_KEPT)).append(_Noted(start_sample, known_at_sample))

    def end(self, stream: int, start_sample: int, end_sample: int, known_at_sample: int, is_last: bool = False) -> None:
        """Note that the turn that began there has ended, and how far the stream had come by then. Driver thread."""
        turn = next((turn for turn in reversed(self._of.get(stream, ())) if turn.start == start_sample), None)
        if turn is None:  # its beginning was said before this plugin heard anything
            self.begin(stream, start_sample, known_at_sample)
            turn = self._of[stream][-1]
        turn.over_at, turn.is_last = known_at_sample, is_last
        turn.end = end_sample

    def leave(self, stream: int) -> None:
        """Note that a stream is no more, and forget those that left long ago. Driver thread."""
        self._left.append(stream)
        while len(self._left) > _LEFT:
            self._of.pop(self._left.popleft(), None)

    def knows(self, stream: int) -> bool:
        """Tell whether anything is still known of a stream. Any thread."""
        return stream in self._of

    def going_on(self, stream: int, at_sample: int) -> Turn | None:
        """Give the turn that goes on at a position; None while nobody speaks, as far as was known. Lane thread."""
        for turn in reversed(tuple(self._of.get(stream, ()))):
            if turn.known_at <= at_sample:
                over_at = turn.over_at
                return Turn(turn.start, None) if over_at is None or over_at > at_sample else None
        return None

    def ended_at(self, stream: int, end_sample: int) -> Turn | None:
        """Give the turn that ended at a position. Lane thread."""
        for turn in reversed(tuple(self._of.get(stream, ()))):
            if turn.end == end_sample:
                return Turn(turn.start, turn.end, turn.is_last)
        return None


class TurnNoter:
    """A processor that notes when each stream begins and ends to speak, for a plugin that does all else in its lane.

    Args:
        turns: Where it is noted.
    """

    def __init__(self, turns: Turns) -> None:
        self._turns = turns
        self._streams: list[StreamFacts] = []

    def process(self, block: Block, emit: Emit) -> None:
        """Note which turns have begun or ended with this hop."""
        self._streams = list(block.streams)
        self._turns.hear(block)

    def admit(self, row: int) -> None:
        """Do nothing: a stream is known by its number."""

    def retire(self, row: int, last: int) -> None:
        """Let the stream at `row` be forgotten, once what the lane still has of it is told."""
        if last < len(self._streams):  # else it never had a hop
            self._turns.leave(self._streams[row].id)
            self._streams[row] = self._streams[last]
            self._streams.pop()

    def reset(self, rows: NDArray[np.int64], reason: ResetReason) -> None:
        """Do nothing: when a turn begins anew after a gap is said by whoever tells speech."""

    def close(self) -> None:
        """Nothing to free: the lane belongs to the engine."""
