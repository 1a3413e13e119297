"""EventIterator: events as they come, for `for` and for `async for`."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator

from rtemo.api import Event
from rtemo.engine.feed import EventFeed

_TURN_S = 0.05
_ASYNC_TURN_S = 0.01


class EventIterator(Iterator[Event], AsyncIterator[Event]):
    """Iterates over a feed until it is closed, its subject is over, or nothing has come for too long.

    An event that was not asked for stays in the feed: a loop may be left and another one begun.

    Args:
        feed: Where events come from.
        is_over: Whether nothing more can come, although the feed is open.
        timeout_s: How long to wait for the next event; None waits until the end.
    """

    def __init__(self, feed: EventFeed, is_over: Callable[[], bool], timeout_s: float | None = None) -> None:
        self._feed = feed
        self._is_over = is_over
        self._timeout_s = timeout_s

    def __iter__(self) -> "EventIterator":
        return self

    def __next__(self) -> Event:
        turn_s = _TURN_S if self._timeout_s is None else min(_TURN_S, self._timeout_s)
        waited_s = 0.0
        while True:
            event = self._feed.take(turn_s)
            if event is not None:
                return event
            waited_s += turn_s
            event = self._last(waited_s)
            if event is not None:
                return event

    def __aiter__(self) -> "EventIterator":
        return self

    async def __anext__(self) -> Event:
        """Give the next event without blocking the event loop."""
        waited_s = 0.0
        while True:
            event = self._feed.take(0.0)
            if event is not None:
                return event
            try:
                event = self._last(waited_s)
            except StopIteration:
                raise StopAsyncIteration from None
            if event is not None:
                return event
            await asyncio.sleep(_ASYNC_TURN_S)
            waited_s += _ASYNC_TURN_S

    def _last(self, waited_s: float) -> Event | None:
        """Give what has come meanwhile when this is the end; None when there is reason to wait on."""
        is_late = self._timeout_s is not None and waited_s >= self._timeout_s
        if not (self._feed.is_closed or self._is_over() or is_late):
            return None
        event = self._feed.take(0.0)
        if event is None:
            raise StopIteration
        return event
