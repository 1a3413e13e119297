"""PushStream: a stream that the embedding program feeds."""

import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from rtemo.api import AudioInputError, RtemoError, StreamWriter
from rtemo.dsp.resample import PolyphaseResampler
from rtemo.engine.event_iterator import EventIterator
from rtemo.io.pcm import as_float

STARVED_S = 10.0
"""How long a full stream of a freewheeling session may not move on before that is an error."""
_POLL_S = 0.002


class PushStream:
    """A stream that the embedding program feeds; made by `Session.stream`."""

    def __init__(
        self,
        writer: StreamWriter,
        resampler: PolyphaseResampler | None,
        is_live: bool,
        listen: Callable[[float | None], EventIterator],
    ) -> None:
        self._listen = listen
        self._writer = writer
        self._resampler = resampler
        self._is_live = is_live
        self._is_over = False
        self._empty_samples = writer.space_samples()

    def push(self, pcm: NDArray[np.float32] | NDArray[np.int16] | bytes) -> None:
        """Add mono audio of any length.

        Live: never waits; what the engine cannot take in time is counted, not hidden. Freewheel: waits
        until there is room.

        Args:
            pcm: float [k] in [-1, 1], int16 [k], or bytes of little-endian int16. What has a type of its own, as a
                memoryview or an `array.array` of floats, is taken for what it is.

        Raises:
            AudioInputError: The audio is not one-dimensional, of another type, far beyond full scale, or of an odd
                number of bytes, or the stream is over.
        """
        self._write(self.convert(pcm))

    def convert(self, pcm: NDArray[np.float32] | NDArray[np.int16] | bytes) -> NDArray[np.float32]:
        """Check audio and bring it to the engine's rate, for `offer`; each piece once, in order.

        Returns:
            float32 [k].

        Raises:
            AudioInputError: As `push`.
        """
        if self._is_over:
            raise AudioInputError(
                f"stream {self._writer.call!r}/{self._writer.channel} was ended before", "open a new stream"
            )
        samples = as_float(pcm)
        return samples if self._resampler is None else self._resampler.process(samples[None, :])[0]

    def offer(self, samples: NDArray[np.float32], capture_ns: int = 0) -> int:
        """Add what there is room for of audio that was converted, and tell how many samples that is; never waits.

        Unlike `push`, a live stream takes no more than it can hold either.

        Args:
            samples: float32 [k] at the engine's rate.
            capture_ns: UTC ns at which the last of them was captured; 0 means now.
        """
        room_samples = self._writer.space_samples()
        return self._writer.write(samples[:room_samples], capture_ns) if room_samples else 0

    @property
    def backlog_samples(self) -> int:
        """Samples that were taken and that the engine has not worked on yet."""
        return max(0, self._empty_samples - self._writer.space_samples())

    @property
    def is_closed(self) -> bool:
        """Whether the engine has ended the stream: it is worked off, or the session was stopped."""
        return self._writer.is_closed

    @property
    def call(self) -> str:
        """Call the stream belongs to."""
        return self._writer.call

    @property
    def channel(self) -> str:
        """Channel within the call."""
        return self._writer.channel

    def events(self, timeout_s: float | None = None) -> EventIterator:
        """Iterate over the events of this stream; `async for` works too.

        It begins with what the session still keeps of them, and ends after the stream's `stream_end`: call `end`
        before, or elsewhere, or the loop waits for more audio.

        Args:
            timeout_s: End when nothing has come for so long.
        """
        return self._listen(timeout_s)

    def end(self, reason: str = "end") -> None:
        """Say that the stream is over; what was pushed is still processed."""
        if self._is_over:
            return
        self._is_over = True
        try:
            if self._resampler is not None:
                self._write(self._resampler.flush()[0])
        finally:
            self._writer.end(reason)

    def starved(self) -> RtemoError:
        """Make the error of a stream that is full while the engine does not move on."""
        return RtemoError(
            f"stream {self._writer.call!r}/{self._writer.channel} is full and the engine does not move on",
            "in freewheel every open stream needs audio: push to all in turn, or end those that are over",
        )

    def finish(self) -> NDArray[np.float32]:
        """Give what rate conversion still holds, float32 [k], to be offered before `end`; only once."""
        if self._is_over or self._resampler is None:
            return np.zeros(0, np.float32)
        resampler, self._resampler = self._resampler, None
        rest: NDArray[np.float32] = resampler.flush()[0]
        return rest

    def _write(self, samples: NDArray[np.float32]) -> None:
        start_s = time.monotonic()
        while samples.shape[0]:
            taken = self._writer.write(samples)
            samples = samples[taken:]
            if self._is_live or not samples.shape[0] or self._writer.is_closed:
                return
            if taken:
                start_s = time.monotonic()
            elif time.monotonic() - start_s > STARVED_S:
                raise self.starved()
            time.sleep(_POLL_S)
