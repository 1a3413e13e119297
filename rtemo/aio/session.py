"""AsyncSession: one run of the engine for programs on asyncio."""

import asyncio
import threading
from collections.abc import Mapping
from types import TracebackType
from typing import Any

from rtemo.aio.stream import AsyncStream
from rtemo.aio.turn_builder import TurnBuilder
from rtemo.aio.turns import AsyncTurns
from rtemo.api import Health
from rtemo.config import Config
from rtemo.engine.event_iterator import EventIterator
from rtemo.session import Session


class AsyncSession:
    """A `Session` that never holds up the event loop: it starts and stops in a thread, and a push waits with `await`.

    >>> import asyncio, numpy as np, rtemo
    >>> async def main():
    ...     async with rtemo.AsyncSession(mode="freewheel") as session:
    ...         stream = session.stream("call-1", sample_rate_hz=8_000)
    ...         await stream.push(np.zeros(8_000, np.int16))
    ...         await stream.end()
    ...         return [turn.text async for turn in stream]
    >>> asyncio.run(main())
    []

    Any event loop will do, uvloop too. A stream belongs to the loop that made it; several loops, each in a thread of
    its own, may share a session.

    Args:
        config: Settings; defaults when None.
        patience_s: Kind of an event → how long a turn waits for it, beside `rtemo.aio.turn_builder.PATIENCE_S`.
        options: As of `Session`: `mode`, `sources`, `publishers`, `sinks`, `on_audio`, `on_progress`.

    Attributes:
        session: The session underneath.
    """

    def __init__(
        self, config: Config | None = None, *, patience_s: Mapping[str, float] | None = None, **options: Any
    ) -> None:
        self.session = Session(config, **options)
        self._patience_s = patience_s
        self._lock = threading.Lock()
        self._is_given_up = False

    async def start(self) -> None:
        """Open, warm up and begin, in a thread; the first start on a machine compiles for many seconds.

        One that is cancelled returns at once, and what it had begun is stopped in that thread.

        Raises:
            RtemoError: As `Session.start`.
        """
        try:
            await asyncio.to_thread(self._start)
        except asyncio.CancelledError:
            with self._lock:
                self._is_given_up = True
            raise

    async def stop(self, reason: str = "stopped") -> Health:
        """Stop, in a thread, within about a second; returns the final counters. May be called twice."""
        stopping = asyncio.ensure_future(asyncio.to_thread(self.session.stop, reason))
        try:
            return await asyncio.shield(stopping)
        except asyncio.CancelledError:
            await asyncio.wait({stopping})
            raise

    def stream(
        self,
        call: str = "call",
        channel: str = "0",
        *,
        sample_rate_hz: int = 16_000,
        role: str = "",
        prefill_s: float = 0.0,
    ) -> AsyncStream:
        """Open a stream to push audio into; arguments and errors as of `Session.stream`."""
        stream = self.session.stream(call, channel, sample_rate_hz=sample_rate_hz, role=role, prefill_s=prefill_s)
        # A live engine drops what it has in hand beyond this for long.
        ahead_s = self.session.config.engine.max_surplus_s if self.session.is_live else None
        rate_hz = self.session.engine.format.sample_rate_hz
        return AsyncStream(stream, sample_rate_hz, rate_hz, ahead_s, self.turns_of)

    def events(self, timeout_s: float | None = None, *, call: str | None = None) -> EventIterator:
        """Loop over all events, or those of one call, with `async for`. See `Session.events`."""
        return self.session.events(timeout_s, call=call)

    def turns(self, *, call: str | None = None) -> AsyncTurns:
        """Loop over the turns of all streams, or of one call, with `async for`; ends with the session or the call.

        The loop over everything takes what `events()` of everything would give: use one of the two.
        """
        return self.turns_of(self.events(call=call))

    def turns_of(self, events: EventIterator) -> AsyncTurns:
        """Make a loop over the turns among events that nobody else takes."""
        builder = TurnBuilder(self.session.emits, is_live=self.session.is_live, patience_s=self._patience_s)
        return AsyncTurns(events, builder)

    def __aiter__(self) -> EventIterator:
        """Loop over all events."""
        return self.events()

    async def __aenter__(self) -> "AsyncSession":
        await self.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop("failed" if error is not None else "stopped")

    def _start(self) -> None:
        self.session.start()
        with self._lock:
            is_given_up = self._is_given_up
        if is_given_up:
            self.session.stop("cancelled")
