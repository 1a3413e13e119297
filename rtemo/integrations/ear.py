"""Ear: one caller as a framework's pipeline has it: audio in, the same audio enhanced out, and what was found out."""

import asyncio
import math
import time
from collections import deque
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rtemo.aio.turn import Turn
from rtemo.aio.turn_builder import TurnBuilder
from rtemo.api import AudioInputError, Event, NameTakenError
from rtemo.dsp.resample import PolyphaseResampler, resample
from rtemo.io.pcm import as_float, as_int16
from rtemo.push_stream import PushStream

if TYPE_CHECKING:
    from rtemo.integrations.hearing import Hearing

_CONVERTED_S = 0.015  # what two conversions of the rate keep back
_MOST_KEPT_S = 4.0
_MOST_ANCHORS = 15
_MOST_CHANGES = 8
_CHANGING_S = 1.0  # how long the engine may take to work off what came at the rate before
_LATE_NS = 200_000_000  # a caller who is silent for longer was muted: its clock is set anew


class Ear:
    """What one caller says, on its way through the engine.

    Audio is exchanged packet by packet: each gives as much as it took, `latency_s` older, enhanced where the engine has
    come that far and as it was where not. So the caller's time line has no gap and no jump, whatever becomes of the
    engine. One task at a time uses an ear.

    Args:
        hearing: The engine.
        call: Name of the call.
        channel: Channel within the call.
        sample_rate_hz: Of the audio.
        role: Who speaks.

    Attributes:
        plain_samples: Samples that were handed on as they had come, since the engine was ready.
        exchanged_samples: Samples that were handed on, since the engine was ready.
    """

    def __init__(self, hearing: "Hearing", call: str, channel: str, sample_rate_hz: int, role: str) -> None:
        self.call = call
        self.channel = channel
        self.plain_samples = self.exchanged_samples = 0
        self._hearing = hearing
        self.sample_rate_hz = self._rate_hz = sample_rate_hz
        self._role = role
        self._engine_hz = hearing.session.engine.format.sample_rate_hz
        self._stream: PushStream | None = None
        self._opened_at = 0  # sample of the caller at which the stream began
        self._delay_samples: int | None = None
        self._past = np.zeros(round(_MOST_KEPT_S * sample_rate_hz), np.int16)
        self._position = 0
        self._pieces: deque[tuple[int, NDArray[np.float32]]] = deque(maxlen=2_048)
        self._back: PolyphaseResampler | None = None
        self._back_in, self._back_out = -1, 0
        # The engine makes hops up where a caller is late, so places in its stream are not places in what came. Times
        # of capture are: they are counted in samples here, from anchors (ns, samples converted by then).
        self._converted = 0
        self._anchors: tuple[tuple[int, int], ...] = ()  # replaced as a whole: another thread reads it
        self._offset: int | None = None
        self._skip_hops = 0
        self._is_over = False
        self._changes = 0
        self._patient_until_s = 0.0
        self._builder = TurnBuilder(hearing.session.emits)

    @property
    def enhances(self) -> bool:
        """Whether the chain makes audio of its own, so that what is handed on is delayed."""
        return self._hearing.session.latency_samples > 0

    @property
    def latency_s(self) -> float:
        """By how much the audio that is handed on is late; known exactly from the first packet on."""
        return 0.0 if self._delay_samples is None else self._delay_samples / self._rate_hz

    @property
    def is_open(self) -> bool:
        """Whether the engine hears the caller."""
        return self._stream is not None

    def at_rate(self, sample_rate_hz: int) -> "Ear":
        """Give the ear for audio of a rate: this one, or where the rate has changed one that goes on with the call.

        Then this one ends. What it held back is handed on by the other, at the new rate.

        Raises:
            AudioInputError: The rate changes again and again.
        """
        if sample_rate_hz == self.sample_rate_hz:
            return self
        if self._changes >= _MOST_CHANGES:
            raise AudioInputError(
                f"the rate of the audio has changed {self._changes} times, now to {sample_rate_hz} Hz",
                "have the transport send one rate, as sources of different rates in one pipeline do not",
            )
        ear = Ear(self._hearing, self.call, self.channel, sample_rate_hz, self._role)
        ear._changes = self._changes + 1
        ear._patient_until_s = time.monotonic() + _CHANGING_S
        held = self.drain()
        if held.shape[0]:
            ear._keep(as_int16(resample(as_float(held), self.sample_rate_hz, sample_rate_hz)))
        self.end("rate changed")
        return ear

    def exchange(self, pcm: NDArray[np.int16]) -> NDArray[np.int16]:
        """Give a packet, int16 [k], to the engine and take one, int16 [k], of `latency_s` ago; never waits."""
        count = pcm.shape[0]
        self._hear(pcm)
        if not self.enhances or not count:
            return pcm
        if self._delay_samples is None:
            self._delay_samples = self._delay_of(count)
        self._keep(pcm)
        return self._at(self._position - self._delay_samples - count, count)

    def drain(self) -> NDArray[np.int16]:
        """Give what is still held back, int16 [k]: the end of what the caller said."""
        delay = self._delay_samples or 0
        held = min(delay, self._position)
        return self._at(self._position - held, held)

    def end(self, reason: str = "end") -> None:
        """Say that the caller has gone; may be called twice."""
        if self._is_over:
            return
        self._is_over = True
        self._hearing.listen_in(self, False)
        if self._stream is not None:
            self._stream.end(reason)

    async def findings(self) -> AsyncIterator[Event | Turn]:
        """Loop over the events and turns of the caller, from when the engine is ready until the caller has gone.

        It can be had once.

        Raises:
            RtemoError: The engine cannot be started.
        """
        if not await self._opened():
            return
        assert self._stream is not None
        events = self._stream.events()
        while True:
            event = None
            try:
                async with asyncio.timeout(self._builder.wait_s()):
                    event = await anext(events)
            except TimeoutError:
                pass
            except StopAsyncIteration:
                break
            if event is not None:
                self._builder.take(event)
                yield event
            for turn in self._builder.ready():
                yield turn
        for turn in self._builder.ready():
            yield turn

    def latest(self) -> Turn | None:
        """Tell what is known by now of the turn that goes on, or of the last one."""
        return self._builder.latest(self.call, self.channel)

    def take(self, start_sample: int, capture_ns: int, first: int, samples: NDArray[np.float32]) -> None:
        """Take a processed hop of the stream, at the engine's rate. Sink thread.

        Args:
            start_sample: Where it stands in the engine's stream.
            capture_ns: Of its last sample.
            first: Sample of the hop from which on it belongs to the stream.
            samples: float32 [hop_samples].
        """
        anchor = next((one for one in reversed(self._anchors) if one[0] < capture_ns), None)
        if anchor is None:
            return
        place = anchor[1] + round((capture_ns - anchor[0]) * self._engine_hz / 1e9) - samples.shape[0]
        if start_sample - place != self._offset:  # a hop was made up or dropped: places within the delay are not right
            if self._offset is not None:
                self._skip_hops = -(-self._hearing.session.latency_samples // samples.shape[0])
            self._offset = start_sample - place
        if self._skip_hops:
            self._skip_hops -= 1
            return
        place, samples = place + first, samples[first:]
        if self._rate_hz == self._engine_hz:
            self._pieces.append((place, samples))
            return
        if self._back is None or place != self._back_in:  # the first, or after a jump
            self._back = PolyphaseResampler(self._engine_hz, self._rate_hz)
            self._back_out = round(place * self._rate_hz / self._engine_hz)
        self._back_in = place + samples.shape[0]
        made = self._back.process(samples[None, :])[0]
        if made.shape[0]:
            self._pieces.append((self._back_out, made))
            self._back_out += made.shape[0]

    async def _opened(self) -> bool:
        await self._hearing.ready()
        while self._stream is None and not self._is_over and self._hearing.is_ready:
            await asyncio.sleep(0.02)  # it opens with the first packet
        return self._stream is not None

    def _hear(self, pcm: NDArray[np.int16]) -> None:
        if self._is_over or not self._hearing.is_ready:
            return
        if self._stream is None:
            self._stream = self._open()
        if self._stream is None or self._stream.is_closed:
            return
        samples = self._stream.convert(pcm)
        count, now_ns = samples.shape[0], time.time_ns()
        if not count:
            return
        last_ns, at = self._anchors[-1] if self._anchors else (0, 0)
        capture_ns = last_ns + self._ns(self._converted + count - at)
        if capture_ns < now_ns - _LATE_NS:
            self._anchors = (*self._anchors[-_MOST_ANCHORS:], (now_ns - self._ns(count), self._converted))
            capture_ns = now_ns
        self._converted += count
        self._stream.offer(samples, capture_ns)

    def _open(self) -> PushStream | None:
        """Open the stream; None while the engine still works on what came at the rate before."""
        self._opened_at = self._position
        if self.enhances:
            self._hearing.listen_in(self, True)
        try:
            return self._hearing.session.stream(self.call, self.channel, sample_rate_hz=self._rate_hz, role=self._role)
        except NameTakenError:
            self._hearing.listen_in(self, False)
            if time.monotonic() > self._patient_until_s:
                raise
            return None

    def _ns(self, samples: int) -> int:
        return samples * 1_000_000_000 // self._engine_hz

    def _delay_of(self, count: int) -> int:
        latency_s = self._hearing.session.latency_samples / self._engine_hz + self._hearing.margin_s
        if self._rate_hz != self._engine_hz:
            latency_s += _CONVERTED_S
        return min(math.ceil(latency_s * self._rate_hz) + count, self._past.shape[0] // 2)

    def _keep(self, pcm: NDArray[np.int16]) -> None:
        size = self._past.shape[0]
        kept = pcm[-size:]
        begin = (self._position + pcm.shape[0] - kept.shape[0]) % size
        first = min(size - begin, kept.shape[0])
        self._past[begin : begin + first] = kept[:first]
        self._past[: kept.shape[0] - first] = kept[first:]
        self._position += pcm.shape[0]

    def _at(self, start: int, count: int) -> NDArray[np.int16]:
        """Give samples from a position of the caller on: silence before the first, then the best that there is."""
        index = (start + np.arange(count)) % self._past.shape[0]
        out = self._past[index]
        out[: max(0, min(count, -start))] = 0
        covered = 0
        while self._pieces:
            at, samples = self._pieces[0]
            first = at + self._opened_at - start
            last = first + samples.shape[0]
            if first >= count:
                break
            low, high = max(0, first), min(count, last)
            if high > low:
                out[low:high] = as_int16(samples[low - first : high - first])
                covered += high - low
            if last > count:
                break  # the rest of it is for the next packet
            self._pieces.popleft()
        if self._stream is not None and start >= self._opened_at:
            self.exchanged_samples += count
            self.plain_samples += count - covered
        return out
