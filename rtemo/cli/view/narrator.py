"""Narrator: picks the events that are worth a line."""

from collections.abc import Collection

from rtemo.api import (
    Board,
    Emotion,
    Event,
    Health,
    Level,
    Prosody,
    QueryScore,
    Rank,
    Spoof,
    StreamEnd,
    StreamStart,
    Talk,
    Transcript,
    kind_of,
)
from rtemo.cli.view.plain import sentence

CONSTANT = frozenset(kind_of(cls) for cls in (Level, Prosody, Rank, Board, Health, QueryScore))
"""Kinds that come all the time and say little each."""


class Narrator:
    """Turns a flow of events into lines of text: what has changed, and what is final.

    Kinds that come all the time are left out, of ranks all but changes; a refreshed estimate gets a line only when its
    label changes, and a spoof finding when its verdict does; a transcript gets one at the end of its turn.

    Args:
        kinds: Kinds that somebody has asked for by name: every event of these gets a line.
    """

    def __init__(self, kinds: Collection[str] = ()) -> None:
        self.sample_rate_hz = 16_000
        self._kinds = frozenset(kinds)
        self._said: dict[tuple[str, str, str], str] = {}
        self._position_samples: dict[tuple[str, str], int] = {}

    def line(self, event: Event, name: str = "") -> str:
        """Say the event in one line; empty when it is not worth one.

        Args:
            event: The event.
            name: Name of the stream; call and channel when empty.
        """
        stream = event.call, event.channel
        said_sample = 0
        if event.call:
            before = 0 if isinstance(event.data, StreamStart) else self._position_samples.get(stream, 0)
            said_sample = self._position_samples[stream] = max(before, event.end_sample)
        line = sentence(event, self.sample_rate_hz, name, said_sample) if self._is_news(event) else ""
        if isinstance(event.data, StreamEnd):
            del self._position_samples[stream]
            for cls in (Emotion, Spoof):
                self._said.pop((*stream, kind_of(cls)), None)
        return line

    def _is_news(self, event: Event) -> bool:
        kind, data = event.kind, event.data
        if kind in self._kinds:
            return True
        if isinstance(data, Rank):
            return data.change is not None
        if isinstance(data, Talk):
            return data.is_final
        if isinstance(data, Transcript):
            return data.is_final and bool(data.text)
        if not isinstance(data, Emotion | Spoof):
            return kind not in CONSTANT
        finding = data.label if isinstance(data, Emotion) else data.verdict
        key = (event.call, event.channel, kind)
        before, self._said[key] = self._said.get(key), finding
        return before != finding or (data.is_final if isinstance(data, Emotion) else data.trigger == "alarm")
