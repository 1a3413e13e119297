"""Recorded: events that were written down, read back: of a store, or of a file with one JSON object per line."""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

from rtemo.api import AudioInputError
from rtemo.api.text import shown
from rtemo.io.publishers import store
from rtemo.io.wire import WireError, WireEvent, decode_event

LINES = (".jsonl", ".ndjson")
STORES = (".db", ".sqlite")
EVENT_FILES = (*LINES, *STORES)
"""How files of events end."""


def recorded_messages(path: Path, calls: Collection[str] = (), kinds: Collection[str] = ()) -> Iterator[bytes]:
    """Give events as JSON, in the order in which they were written.

    Args:
        path: A store, or a file of lines.
        calls: Only of these; empty for all, and for what is said of the engine. Only a store tells them apart.
        kinds: Only these; empty for all. Only a store tells them apart.

    Raises:
        RtemoError: It is no store.
    """
    if path.suffix.lower() in STORES:
        yield from store.rows(path, calls, kinds)
    else:
        with path.open("rb") as lines:
            yield from lines


def recorded(path: Path, calls: Collection[str] = (), kinds: Collection[str] = ()) -> Iterator[WireEvent[Any]]:
    """Give events, in the order in which they were written, up to a last line that breaks off.

    Args:
        path: A store, or a file of lines.
        calls: Only of these; empty for all, and for what is said of the engine.
        kinds: Only these; empty for all.

    Raises:
        RtemoError: It is no store, or a line is no event.
    """
    for number, message in enumerate(recorded_messages(path, calls, kinds), 1):
        if not message.strip():
            continue
        try:
            event = decode_event(message)
        except WireError:
            if number > 1 and path.suffix.lower() in LINES and not message.endswith(b"\n"):
                return  # whoever wrote it was killed, had no more room, or is still at it
            mend = "give a file that --jsonl, rtemo analyze --events or the publisher 'store' wrote"
            raise AudioInputError(f"line {number} of {shown(path)} is no event", mend) from None
        if (not calls or event.call in calls) and (not kinds or event.kind in kinds):
            yield event
