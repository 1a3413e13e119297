"""Patience: how long a connection may ask nothing, or take nothing, before it is cut off."""

import asyncio
from collections.abc import Collection
from typing import Protocol

ASK_S = 10.0
"""How long a connection may be open without a whole request."""
TAKE_S = 20.0
"""How long a connection may take nothing of what waits for it."""


class Served(Protocol):
    """A connection of the HTTP server; one of HTTP has a `cycle`, None before its first request."""

    transport: asyncio.Transport


class _Seen:
    __slots__ = ("asked_s", "taken_s", "waiting_bytes")

    def __init__(self, now_s: float) -> None:
        self.asked_s = self.taken_s = now_s
        self.waiting_bytes = 0


class Patience:
    """Looks at all connections now and then: who holds one for nothing must not keep others out.

    The HTTP server gives up a request that breaks off, not one that never comes; and a transport that is closed waits
    for its client to take the rest, for ever.

    Args:
        most_idle: Connections without a request at once; beyond it the one that is so for longest is cut off.
    """

    def __init__(self, most_idle: int) -> None:
        self._most_idle = most_idle
        self._seen: dict[Served, _Seen] = {}

    def look(self, connections: Collection[Served], now_s: float) -> None:
        """Cut off whom nobody need wait for; `now_s` is monotonic."""
        seen = {one: self._seen.get(one) or _Seen(now_s) for one in connections}
        self._seen = seen
        idle = []
        for one, record in seen.items():
            waiting_bytes = one.transport.get_write_buffer_size()
            if not waiting_bytes or waiting_bytes < record.waiting_bytes:
                record.taken_s = now_s
            record.waiting_bytes = waiting_bytes
            if _is_asked(one):
                record.asked_s = now_s
            else:
                idle.append(one)
            if now_s - record.taken_s > TAKE_S or now_s - record.asked_s > ASK_S:
                one.transport.abort()
        idle.sort(key=lambda one: seen[one].asked_s)
        for one in idle[: max(0, len(idle) - self._most_idle)]:
            one.transport.abort()


def _is_asked(connection: Served) -> bool:
    """Tell whether a request is being answered; a WebSocket is one that goes on."""
    if not hasattr(connection, "cycle"):
        return True
    return connection.cycle is not None and not connection.cycle.response_complete
