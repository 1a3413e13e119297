"""EventIterator: events as they come, for `for` and for `async for`."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator

from rtemo.api import Event
from rtemo.engine.feed import EventFeed

_TURN_S = 0.05
_ASYNC_TURN_S = 0.25  # an event rings at once; the end may have been dropped by a full outbox


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
        """Give the next event without blocking the event loop; one that is cancelled has taken nothing."""
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
            turn_s = _ASYNC_TURN_S if self._timeout_s is None else min(_ASYNC_TURN_S, self._timeout_s)
            if not await _rung(self._feed, turn_s):
                waited_s += turn_s

    def _last(self, waited_s: float) -> Event | None:
        """Give what has come meanwhile when this is the end; None when there is reason to wait on."""
        is_late = self._timeout_s is not None and waited_s >= self._timeout_s
        if not (self._feed.is_closed or self._is_over() or is_late):
            return None
        event = self._feed.take(0.0)
        if event is None:
            raise StopIteration
        return event


async def _rung(feed: EventFeed, timeout_s: float) -> bool:
    """Wait until something is there or the feed is closed; tell whether that came to be in time."""
    loop = asyncio.get_running_loop()
    future: asyncio.Future[bool] = loop.create_future()

    def resolve(is_rung: bool) -> None:
        if not future.done():
            future.set_result(is_rung)

    def ring() -> None:
        with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile: nobody waits
            loop.call_soon_threadsafe(resolve, True)

    feed.ring_once(ring)
    timer = loop.call_later(timeout_s, resolve, False)
    try:
        return await future
    finally:
        timer.cancel()
        feed.unring(ring)
