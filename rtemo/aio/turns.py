"""AsyncTurns: turns as they become ready, for `async for`."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from rtemo.aio.turn import Turn
from rtemo.aio.turn_builder import TurnBuilder
from rtemo.engine.event_iterator import EventIterator


class AsyncTurns(AsyncIterator[Turn]):
    """Iterates over the turns among events, and ends with them.

    One step that is cancelled has taken no turn: the next gives it.

    Args:
        events: What the turns are made of; nobody else may take from it.
        builder: Makes them.
    """

    def __init__(self, events: EventIterator, builder: TurnBuilder) -> None:
        self._events = events
        self._builder = builder
        self._ready: deque[Turn] = deque()
        self._is_over = False

    def __aiter__(self) -> "AsyncTurns":
        return self

    async def __anext__(self) -> Turn:
        """Give the next turn."""
        while True:
            self._ready.extend(self._builder.ready())
            if self._ready:
                return self._ready.popleft()
            if self._is_over:
                raise StopAsyncIteration
            try:
                async with asyncio.timeout(self._builder.wait_s()):
                    event = await anext(self._events)
            except TimeoutError:
                continue
            except StopAsyncIteration:
                self._is_over = True
                continue
            self._builder.take(event)
