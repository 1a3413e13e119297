"""AsyncStream: a stream of an asyncio session."""

import asyncio
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rtemo.aio.turns import AsyncTurns
from rtemo.api import AudioInputError
from rtemo.engine.event_iterator import EventIterator
from rtemo.push_stream import STARVED_S, PushStream

_PIECE_S = 0.1  # converted at once: a long recording must not hold the loop up
_POLL_S = 0.002


class AsyncStream:
    """A stream that tasks of an event loop feed; made by `AsyncSession.stream`.

    Args:
        stream: What it feeds.
        sample_rate_hz: Of the audio that is pushed.
        engine_rate_hz: Of the engine.
        ahead_s: Audio that the engine may have in hand before a push waits; None for as much as it can hold.
        turns: Makes a loop over the turns among events.
    """

    def __init__(
        self,
        stream: PushStream,
        sample_rate_hz: int,
        engine_rate_hz: int,
        ahead_s: float | None,
        turns: Callable[[EventIterator], AsyncTurns],
    ) -> None:
        self.call = stream.call
        self.channel = stream.channel
        self._stream = stream
        self._piece_samples = max(1, round(_PIECE_S * sample_rate_hz))
        self._rate_hz = engine_rate_hz
        self._ahead_samples = None if ahead_s is None else round(ahead_s * engine_rate_hz)
        self._turns = turns
        self._lock = asyncio.Lock()
        self._rest: NDArray[np.float32] | NDArray[np.int16] | bytes | None = None
        self._converted = np.zeros(0, np.float32)
        self._is_over = False

    async def push(self, pcm: NDArray[np.float32] | NDArray[np.int16] | bytes) -> None:
        """Add mono audio of any length, and wait until the engine has taken it; the loop goes on meanwhile.

        What a push brings is worked on in the order of the calls. A push that is cancelled while it waits for others
        has taken nothing; one that is cancelled later is completed by the next push or by `end`, so that audio is
        neither lost nor doubled.

        Args:
            pcm: As for `PushStream.push`; it must not be changed before this returns.

        Raises:
            AudioInputError: The audio is none that can be pushed, or the stream is over.
            RtemoError: A freewheeling session does not move on, since another stream gets no audio.
        """
        async with self._lock:
            await self._write_rest()
            if self._is_over:
                raise AudioInputError(f"stream {self.call!r}/{self.channel} was ended before", "open a new stream")
            self._rest = pcm
            await self._write_rest()

    async def end(self, reason: str = "end") -> None:
        """Say that the stream is over; what was pushed is still worked on. May be called twice."""
        async with self._lock:
            if self._is_over:
                return
            await self._write_rest()
            self._is_over = True
            self._converted = self._stream.finish()
            try:
                await self._write_rest()
            finally:
                self._stream.end(reason)

    def events(self, timeout_s: float | None = None) -> EventIterator:
        """Loop over the events of this stream with `async for`; ends with the stream. See `PushStream.events`."""
        return self._stream.events(timeout_s)

    def turns(self) -> AsyncTurns:
        """Loop over the turns of this stream with `async for`; ends with the stream."""
        return self._turns(self._stream.events())

    def __aiter__(self) -> AsyncTurns:
        """Loop over the turns."""
        return self.turns()

    async def _write_rest(self) -> None:
        """Write what is left of the present piece of audio, and all further ones."""
        loop = asyncio.get_running_loop()
        moved_s = loop.time()
        while not self._stream.is_closed:
            if not self._converted.shape[0]:
                if not self._take_piece():
                    return
                continue
            taken = self._offer()
            self._converted = self._converted[taken:]
            if taken:
                moved_s = loop.time()
            elif loop.time() - moved_s > STARVED_S:
                raise self._stream.starved()
            if self._converted.shape[0]:
                await asyncio.sleep(self._due_s())
        self._rest, self._converted = None, self._converted[:0]

    def _take_piece(self) -> bool:
        if self._rest is None:
            return False
        rest, self._rest = self._rest, None  # what cannot be pushed is not tried twice
        if isinstance(rest, np.ndarray) and rest.ndim == 1 and rest.shape[0] > self._piece_samples:
            self._rest, rest = rest[self._piece_samples :], rest[: self._piece_samples]
        elif isinstance(rest, bytes) and len(rest) > 2 * self._piece_samples:
            self._rest, rest = rest[2 * self._piece_samples :], rest[: 2 * self._piece_samples]
        self._converted = self._stream.convert(rest)
        return True

    def _offer(self) -> int:
        if self._ahead_samples is not None and self._stream.backlog_samples > self._ahead_samples:
            return 0
        return self._stream.offer(self._converted)

    def _due_s(self) -> float:
        if self._ahead_samples is None:
            return _POLL_S
        return max(_POLL_S, (self._stream.backlog_samples - self._ahead_samples) / self._rate_hz)
