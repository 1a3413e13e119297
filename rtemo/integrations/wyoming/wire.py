"""Wyoming events on a connection, read with bounds: a peer's numbers decide about no more memory than these."""

import asyncio
import json
from typing import Any

from wyoming.event import Event
from wyoming.version import __version__

from rtemo.io.gateways.peer import PeerError

MOST_DATA_BYTES = 64 * 1024
MOST_PAYLOAD_BYTES = 512 * 1024


async def read_event(reader: asyncio.StreamReader) -> Event | None:
    """Read one event; None where the peer has closed.

    Raises:
        PeerError: It is no Wyoming event, or too large.
    """
    try:
        line = await reader.readline()
    except ValueError:  # longer than the reader takes
        raise PeerError("sent a line of over 64 KiB") from None
    if not line:
        return None
    head = _object(line)
    kind = head.get("type")
    if not isinstance(kind, str):
        raise PeerError("sent an event without a type")
    data = head.get("data") or {}
    if not isinstance(data, dict):
        raise PeerError(f"sent {kind!r:.40} with data that are no object")
    more = await reader.readexactly(_length(head, "data_length", MOST_DATA_BYTES))
    if more:
        data = {**data, **_object(more)}
    payload = await reader.readexactly(_length(head, "payload_length", MOST_PAYLOAD_BYTES))
    return Event(type=kind, data=data, payload=payload or None)


def encode_event(event: Event) -> bytes:
    """Write an event as the package does, for a writer that is not waited for."""
    data = json.dumps(event.data, ensure_ascii=False).encode() if event.data else b""
    head: dict[str, Any] = {"type": event.type, "version": __version__}
    if data:
        head["data_length"] = len(data)
    if event.payload:
        head["payload_length"] = len(event.payload)
    return json.dumps(head).encode() + b"\n" + data + (event.payload or b"")


def _object(text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        raise PeerError("sent what is no JSON") from None
    if not isinstance(found, dict):
        raise PeerError("sent JSON that is no object")
    return found


def _length(head: dict[str, Any], name: str, most: int) -> int:
    length = head.get(name) or 0
    if not isinstance(length, int) or isinstance(length, bool) or not 0 <= length <= most:
        raise PeerError(f"sent {name} {length!r:.40}, at most {most} bytes are taken")
    return length
