"""ConsolePublisher: events as lines of plain text, for logs and pipes."""

import sys
from collections.abc import Collection, Sequence
from typing import Any, TextIO

import msgspec

from rtemo.api import Event, RtemoError, SessionStart, StreamFormat, kind_of
from rtemo.api.text import plain
from rtemo.api.units import samples_to_seconds


class ConsolePublisher:
    """Writes one line per event: position, call and channel, kind, and the payload as `name=value`.

    Args:
        stream: Where to write; standard output when None.
        kinds: Kinds of events to write; empty for all.
        format: Rate of sample positions, until a `session_start` event tells another.
    """

    name = "console"

    def __init__(
        self, stream: TextIO | None = None, *, kinds: Collection[str] = (), format: StreamFormat | None = None
    ) -> None:
        self._stream = stream
        self._kinds = frozenset(kinds)
        self._rate_hz = (format or StreamFormat()).sample_rate_hz

    def open(self) -> None:
        """Take standard output as it is now, if no other stream was given."""
        if self._stream is None:
            self._stream = sys.stdout

    def publish(self, events: Sequence[Event]) -> None:
        """Write events in order.

        Raises:
            RtemoError: The reader of a pipe has gone, or the disk is full.
        """
        if self._stream is None:
            return
        lines = []
        for event in events:
            if type(event.data) is SessionStart:
                self._rate_hz = event.data.sample_rate_hz
            if not self._kinds or event.kind in self._kinds:
                lines.append(line_of(event, self._rate_hz) + "\n")
        try:
            self._stream.write("".join(lines))
            self._stream.flush()
        except (OSError, ValueError) as error:
            raise RtemoError(f"cannot write events: {error}", "nothing more is written") from None

    def tick(self) -> None:
        """Nothing is due between events."""

    def close(self) -> None:
        """Let go of the stream; it stays open, since it is not ours."""
        self._stream = None


def line_of(event: Event, rate_hz: int) -> str:
    """Write an event as one line.

    >>> from rtemo.api import SpeechEnd
    >>> line_of(Event(call="a", channel="0", plugin="finder", seq=1, start_sample=0, end_sample=20_000, capture_ns=0,
    ...     emit_ns=0, data=SpeechEnd(speech_s=1.25)), 16_000)
    '   1.250 a/0 speech_end speech_s=1.25 reason=silence'
    """
    where = f"{event.call}/{event.channel}" if event.call else "-"
    fields = " ".join(f"{name}={_short(getattr(event.data, name))}" for name in type(event.data).__struct_fields__)
    text = f"{samples_to_seconds(event.end_sample, rate_hz):8.3f} {where} {kind_of(event.data)} {fields}".rstrip()
    return plain(text)  # names come from outside: a terminal must not obey them


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, str):
        return value if value and " " not in value else repr(value)
    if isinstance(value, dict):
        return "{" + ",".join(f"{key}:{_short(item)}" for key, item in value.items()) + "}"
    if isinstance(value, tuple | list):
        return "[" + ",".join(map(_short, value)) + "]"
    if isinstance(value, msgspec.Struct):
        return _short(msgspec.structs.asdict(value))
    return str(value)
