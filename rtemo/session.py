"""Session: one configured run, from sources to publishers, and the way to embed rtemo."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from types import TracebackType
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from rtemo.api import (
    AudioInputError,
    AudioSink,
    Event,
    Health,
    Payload,
    Publisher,
    RtemoError,
    Source,
    StreamWriter,
)
from rtemo.api.text import plain
from rtemo.config import Config
from rtemo.config.admission import Admission
from rtemo.dsp.resample import PolyphaseResampler
from rtemo.dsp.warmup import compile_kernels
from rtemo.engine.driver import AudioTap
from rtemo.engine.engine import Engine
from rtemo.engine.feed import EventFeed
from rtemo.engine.publish_thread import PublishThread
from rtemo.engine.registry import make
from rtemo.engine.source_thread import SourceThread
from rtemo.runtime.store import ModelStore

_STOP_S = 1.0
_POLL_S = 0.002
_STARVED_S = 10.0


class PushStream:
    """A stream that the embedding program feeds; made by `Session.stream`."""

    def __init__(self, writer: StreamWriter, resampler: PolyphaseResampler | None, is_live: bool) -> None:
        self._writer = writer
        self._resampler = resampler
        self._is_live = is_live
        self._is_over = False

    def push(self, pcm: NDArray[np.float32] | NDArray[np.int16] | bytes) -> None:
        """Add mono audio of any length.

        Live: never waits; what the engine cannot take in time is counted, not hidden. Freewheel: waits
        until there is room.

        Args:
            pcm: float [k] in [-1, 1], int16 [k], or bytes of little-endian int16.

        Raises:
            AudioInputError: The audio is not one-dimensional, of another type, or of an odd number of bytes, or
                the stream is over.
        """
        if self._is_over:
            raise AudioInputError(
                f"stream {self._writer.call!r}/{self._writer.channel} was ended before", "open a new stream"
            )
        samples = _as_float(pcm)
        if self._resampler is not None:
            samples = self._resampler.process(samples[None, :])[0]
        self._write(samples)

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

    def _write(self, samples: NDArray[np.float32]) -> None:
        start_s = time.monotonic()
        while samples.shape[0]:
            taken = self._writer.write(samples)
            samples = samples[taken:]
            if self._is_live or not samples.shape[0] or self._writer.is_closed:
                return
            if taken:
                start_s = time.monotonic()
            elif time.monotonic() - start_s > _STARVED_S:
                raise RtemoError(
                    f"stream {self._writer.call!r}/{self._writer.channel} is full and the engine does not move on",
                    "in freewheel every open stream needs audio: push to all in turn, or end those that are over",
                )
            time.sleep(_POLL_S)


class Session:
    """One run of the engine with its sources and publishers.

    >>> import numpy as np
    >>> import rtemo
    >>> with rtemo.Session(mode="freewheel") as session:
    ...     stream = session.stream("call-1", sample_rate_hz=8_000)
    ...     stream.push(np.zeros(8_000, dtype=np.int16))
    ...     stream.end()
    ...     kinds = [event.kind for event in session.events()]
    >>> kinds[0], "stream_end" in kinds
    ('session_start', True)

    Args:
        config: Settings; defaults when None.
        sources: Where audio comes from, besides streams opened with `stream`.
        publishers: Where events go, besides `events`.
        mode: `live` is paced by the audio and the clock; `freewheel` runs as fast as the machine allows
            and loses nothing.
        on_audio: Receives each stream's processed audio, on the driver thread.
        sinks: Where processed audio goes besides, each on a thread of its own.
    """

    def __init__(
        self,
        config: Config | None = None,
        *,
        sources: Sequence[Source] = (),
        publishers: Sequence[Publisher] = (),
        mode: Literal["live", "freewheel"] = "live",
        on_audio: AudioTap | None = None,
        sinks: Sequence[AudioSink] = (),
    ) -> None:
        self.config = config or Config()
        plugins = [make(name, self.config.plugins.get(name)) for name in self.config.chain]
        self.engine = Engine(
            plugins,
            self.config.engine,
            is_live=mode == "live",
            load_model=ModelStore().load,
            on_audio=on_audio,
            sinks=sinks,
        )
        admission = Admission(self.config.policy)
        self._desk = _Desk(self.engine, admission, is_local=True)
        self._sources = [
            SourceThread(source, _Desk(self.engine, admission, is_local=getattr(source, "is_local", False)))
            for source in sources
        ]
        self._feed = EventFeed(self.config.engine.outbox_events)
        self._publishing = PublishThread(self.engine.outbox, publishers, self._feed.put)
        self._health: Health | None = None
        self._was_started = False
        self._pushed: list[StreamWriter] = []

    @property
    def is_live(self) -> bool:
        """Whether the session runs in real time."""
        return self.engine.is_live

    @property
    def latency_samples(self) -> int:
        """Delay of the audio through the whole chain."""
        return self.engine.latency_samples

    @property
    def is_finished(self) -> bool:
        """Whether all sources and streams have ended and every event and all audio has been handed on."""
        return (
            self._was_started
            and all(source.is_ended for source in self._sources)
            and bool(self._sources or self._pushed)
            and all(writer.is_closed for writer in self._pushed)
            and self.engine.floor.is_empty
            and all(sink.is_idle for sink in self.engine.sinks)
            and self._publishing.is_idle
        ) or self.engine.driver.has_failed

    @property
    def forgotten_events(self) -> int:
        """Events that `events` will not give any more, since too many came before anybody asked for them."""
        return self._feed.forgotten_events

    def start(self) -> None:
        """Open plugins, publishers and sources, warm up, and begin.

        Raises:
            RtemoError: Something cannot be opened; whatever was opened before is closed again.
        """
        if self._was_started or self._health is not None:
            raise RtemoError("the session was started before", "make a new one, a session runs once")
        self._was_started = True
        compile_kernels(("resample",))  # sources and pushed streams convert rates on their own threads
        self.engine.open()
        try:
            self._publishing.start()
            self.engine.open_sinks()
            self.engine.start()
            for source in self._sources:
                source.start()
        except BaseException:
            self.stop("failed to start")
            raise

    def stop(self, reason: str = "stopped") -> Health:
        """Stop within about a second; returns the final counters. May be called twice."""
        if self._health is None:
            deadline_s = time.monotonic() + _STOP_S
            for source in self._sources:  # all are told before the first is waited for
                source.stop(0.0)
            for source in self._sources:
                source.stop(max(0.05, deadline_s - time.monotonic() - 0.5))
            self._health = self.engine.stop(reason, max(0.1, deadline_s - time.monotonic() - 0.2))
            self.engine.close_sinks(max(0.2, deadline_s - time.monotonic() - 0.1))
            if self.engine.sinks:
                self._health = self.engine.health()  # with what was lost on the last stretch
            self._publishing.stop(max(0.2, deadline_s - time.monotonic()))
            self._feed.close()
        return self._health

    def wait(self, timeout_s: float | None = None) -> bool:
        """Wait until `is_finished`; tell whether it came to that in time."""
        deadline_s = None if timeout_s is None else time.monotonic() + timeout_s
        while not self.is_finished:
            if deadline_s is not None and time.monotonic() > deadline_s:
                return False
            time.sleep(0.01)
        return True

    def health(self) -> Health:
        """Tell load, timings and counters as of now."""
        return self._health or self.engine.health()

    def stream(
        self,
        call: str = "call",
        channel: str = "0",
        *,
        sample_rate_hz: int = 16_000,
        role: str = "",
        prefill_s: float = 0.0,
    ) -> PushStream:
        """Open a stream to push audio into.

        Args:
            call: Name of the call.
            channel: Channel within the call.
            sample_rate_hz: Rate of the audio that will be pushed.
            role: Who speaks. Without it the stream is analysed, unless `[policy]` says otherwise: a program that
                passes on what others send it must say whose voice it is.
            prefill_s: Audio held back against jitter (live only).

        Raises:
            PolicyError: The policy does not let this role in.
            CapacityError: The engine is full, or does not run.
            AudioInputError: The rate cannot be converted.
        """
        rate_hz = self.engine.format.sample_rate_hz
        resampler = None if sample_rate_hz == rate_hz else PolyphaseResampler(sample_rate_hz, rate_hz)
        writer = self._desk.open_stream(call, channel, source="push", role=role, prefill_s=prefill_s)
        self._pushed = [held for held in self._pushed if not held.is_closed]
        self._pushed.append(writer)
        return PushStream(writer, resampler, self.is_live)

    def events(self, timeout_s: float | None = None) -> Iterator[Event]:
        """Iterate over all events from the start of the session.

        The session keeps the last `engine.outbox_events` for an iterator that comes late or is slow, and counts
        the others in `forgotten_events`; each event is given once. Ends when the session is stopped, when
        everything has ended, or when `timeout_s` passes without an event.
        """
        waited_s = 0.0
        while True:
            events = self._feed.take(0.05)
            yield from events
            if events:
                waited_s = 0.0
                continue
            waited_s += 0.05
            if self._feed.is_closed or self.is_finished or (timeout_s is not None and waited_s >= timeout_s):
                yield from self._feed.take(0.0)
                return

    async def __aiter__(self) -> AsyncIterator[Event]:
        """Iterate over events without blocking the event loop; one hand-over per batch of events."""
        while True:
            for event in self._feed.take(0.0):
                yield event
            if self._feed.is_closed or self.is_finished:
                for event in self._feed.take(0.0):
                    yield event
                return
            await asyncio.sleep(0.01)

    def __enter__(self) -> "Session":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop("failed" if error is not None else "stopped")


class _Desk:
    """The engine's desk with the policy in front of it."""

    def __init__(self, engine: Engine, admission: Admission, *, is_local: bool) -> None:
        self._engine = engine
        self._admission = admission
        self._is_local = is_local
        self.format = engine.format
        self.is_live = engine.is_live

    def open_stream(
        self, call: str, channel: str, *, source: str = "", role: str = "", prefill_s: float = 0.0
    ) -> StreamWriter:
        """Admit a stream as far as the policy allows."""
        role = plain(role.strip())
        analysis = self._admission.admit(call, channel, role, is_local=self._is_local)
        writer = self._engine.open_stream(
            call, channel, source=source, role=role, prefill_s=prefill_s, analysis=analysis
        )
        self._admission.remember(call, channel, role, analysis)
        return writer

    def report(self, data: Payload) -> None:
        """Emit an event about a source."""
        self._engine.report(data)


def _as_float(pcm: NDArray[np.float32] | NDArray[np.int16] | bytes) -> NDArray[np.float32]:
    if isinstance(pcm, bytes | bytearray | memoryview):
        size_bytes = memoryview(pcm).nbytes
        if size_bytes % 2:
            raise AudioInputError(
                f"got {size_bytes} bytes of 16-bit audio, an odd number", "push whole samples of two bytes each"
            )
        pcm = np.frombuffer(pcm, dtype="<i2")
    audio: NDArray[Any] = np.asarray(pcm)
    if audio.ndim != 1:
        raise AudioInputError(f"got audio of shape {audio.shape}, expected [k]", "push one channel per stream")
    if audio.dtype == np.int16:
        return audio.astype(np.float32) / np.float32(32768.0)
    if audio.dtype.kind == "f":
        return audio.astype(np.float32, copy=False)
    raise AudioInputError(f"got samples of type {audio.dtype}", "push float32 in [-1, 1] or int16")
