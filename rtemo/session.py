"""Session: one configured run, from sources to publishers, and the way to embed rtemo."""

import time
from collections.abc import Sequence
from functools import partial
from types import TracebackType
from typing import Any, Literal

from rtemo.api import (
    AskedPlugin,
    AskingPublisher,
    AudioSink,
    Fault,
    Health,
    Payload,
    Publisher,
    Queries,
    RtemoError,
    Source,
    StreamWriter,
)
from rtemo.api.events import kind_of
from rtemo.api.text import plain
from rtemo.config import Config
from rtemo.config.admission import Admission
from rtemo.dsp.resample import PolyphaseResampler
from rtemo.dsp.warmup import compile_kernels
from rtemo.engine.engine import Engine
from rtemo.engine.event_iterator import EventIterator
from rtemo.engine.feed import EventHub
from rtemo.engine.hand_out import AudioTap
from rtemo.engine.publish_thread import PublishThread
from rtemo.engine.registry import make
from rtemo.engine.source_thread import SourceThread, counts_of
from rtemo.io.endpoints import check_apart
from rtemo.io.pcm import whole_rate
from rtemo.push_stream import PushStream
from rtemo.runtime.store import ModelStore
from rtemo.warming import OnProgress, Warming

_STOP_S = 1.0


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
        sources: Where audio comes from, besides streams opened with `stream`. One whose connections go both ways brings
            its other ends with it, as `sink` and `publisher`.
        publishers: Where events go, besides `events`.
        mode: `live` is paced by the audio and the clock; `freewheel` runs as fast as the machine allows
            and loses nothing.
        on_audio: Receives each stream's processed audio, on the driver thread.
        sinks: Where processed audio goes besides, each on a thread of its own.
        on_progress: Told how far `start` is when it has kernels to compile, which takes many seconds the first time;
            `rtemo.warm` does that ahead.

    Attributes:
        edges: Sources, publishers and sinks, in this order.
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
        on_progress: OnProgress | None = None,
    ) -> None:
        self._on_progress = on_progress
        sinks = [*sinks, *_others(sources, "sink")]
        publishers = [*publishers, *_others(sources, "publisher"), *_others(sinks, "publisher")]
        self.edges: tuple[object, ...] = (*sources, *publishers, *sinks)
        self.config = config or Config()
        self._plugins = [make(name, self.config.plugins.get(name)) for name in self.config.chain]
        self.engine = Engine(
            self._plugins,
            self.config.engine,
            is_live=mode == "live",
            open_store=partial(ModelStore, self.config.runtime),
            on_audio=on_audio,
            sinks=sinks,
        )
        self.engine.driver.source_counts = partial(counts_of, sources)
        admission = Admission(self.config.policy)
        self._desk = _Desk(self.engine, admission, is_local=True)
        queries = self.queries
        for publisher in publishers:
            if queries is not None and isinstance(publisher, AskingPublisher):
                publisher.lend_queries(queries)
        self._sources = [
            SourceThread(source, _Desk(self.engine, admission, is_local=getattr(source, "is_local", False)))
            for source in sources
        ]
        self._hub = EventHub(self.config.engine.outbox_events)
        self._publishing = PublishThread(self.engine.outbox, publishers, self._hub.put)
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
    def queries(self) -> Queries | None:
        """What the chain looks for in words (`queries.ask("a caller losing patience")`); None where no plugin does."""
        return next((plugin.queries for plugin in self._plugins if isinstance(plugin, AskedPlugin)), None)

    @property
    def emits(self) -> frozenset[str]:
        """Kinds of the events that the plugins of the chain say they emit."""
        return frozenset(kind_of(data) for plugin in self._plugins for data in plugin.spec.emits)

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
    def publisher_faults(self) -> tuple[Fault, ...]:
        """Why publishers were closed before the end, in order: a full disk, a reader that has gone."""
        return self._publishing.faults

    @property
    def forgotten_events(self) -> int:
        """Events that `events` will not give any more, since too many came before anybody asked for them."""
        return self._hub.all.forgotten_events

    def start(self) -> None:
        """Open plugins, publishers and sources, warm up, and begin.

        Raises:
            RtemoError: Something cannot be opened; whatever was opened before is closed again.
        """
        if self._was_started or self._health is not None:
            raise RtemoError("the session was started before", "make a new one, a session runs once")
        self._was_started = True
        check_apart([edge.check() for edge in self.edges if hasattr(edge, "check")])  # before the seconds of warming up
        with Warming(self.config, self._on_progress):
            compile_kernels(("resample",))  # sources and pushed streams convert rates on their own threads
            self.engine.open()
        try:
            self.engine.take_precedence()  # this thread first: it must not be held up while the first audio is in
            self._publishing.start()
            self.engine.open_sinks()
            self.engine.start()
            self.engine.take_precedence()
            for source in self._sources:
                source.start()
                self.engine.take_precedence()
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
            self._hub.close()
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
            sample_rate_hz: Rate of the audio that will be pushed, a whole number.
            role: Who speaks. Without it the stream is analysed, unless `[policy]` says otherwise: a program that
                passes on what others send it must say whose voice it is.
            prefill_s: Audio held back against jitter (live only).

        Raises:
            PolicyError: The policy does not let this role in.
            CapacityError: The engine is full, or does not run.
            AudioInputError: The rate cannot be converted.
        """
        sample_rate_hz = whole_rate(sample_rate_hz)
        rate_hz = self.engine.format.sample_rate_hz
        resampler = None if sample_rate_hz == rate_hz else PolyphaseResampler(sample_rate_hz, rate_hz)
        since_events = self.engine.outbox.posted_events
        writer = self._desk.open_stream(call, channel, source="push", role=role, prefill_s=prefill_s)

        def listen(timeout_s: float | None) -> EventIterator:
            # The end of the stream is an event, which a full outbox may have dropped.
            feed = self._hub.listen(writer.call, writer.channel, since_events)
            return EventIterator(feed, lambda: writer.is_closed and self._publishing.is_idle, timeout_s)

        self._pushed = [held for held in self._pushed if not held.is_closed]
        self._pushed.append(writer)
        return PushStream(writer, resampler, self.is_live, listen)

    def events(self, timeout_s: float | None = None, *, call: str | None = None) -> EventIterator:
        """Iterate over all events from the start of the session, or over those of one call; `async for` works too.

        The session keeps the last `engine.outbox_events` for an iterator that comes late or is slow, and counts
        the others in `forgotten_events`; each event is given to one iterator over all events.

        Args:
            timeout_s: End when nothing has come for so long. Health events come every second: of all events there
                is always a next one while the session runs.
            call: Only events of this call; the iterator ends with the last stream of it that was open. Iterators
                over single calls and streams take nothing from each other.

        Returns:
            An iterator that ends when the session is stopped, when everything has ended, or as said above.
        """
        if call is not None:

            def is_open() -> bool:
                return any(writer.call == call and not writer.is_closed for writer in self._pushed)

            was_open = is_open()

            def is_over() -> bool:  # without its end as an event, too, which a full outbox may have dropped
                return self.is_finished or (was_open and not is_open() and self._publishing.is_idle)

            return EventIterator(self._hub.listen(call, begins_again=was_open), is_over, timeout_s)
        return EventIterator(self._hub.all, lambda: self.is_finished, timeout_s)

    def __aiter__(self) -> EventIterator:
        """Iterate over all events without blocking the event loop."""
        return self.events()

    def __enter__(self) -> "Session":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop("failed" if error is not None else "stopped")


def _others(edges: Sequence[object], end: str) -> list[Any]:
    """Give the other ends of edges whose connections go both ways."""
    found = (getattr(edge, end, None) for edge in edges)
    return [other for other in found if other is not None]


class _Desk:
    """The engine's desk with the policy in front of it."""

    def __init__(self, engine: Engine, admission: Admission, *, is_local: bool) -> None:
        self._engine = engine
        self._admission = admission
        self._is_local = is_local
        self.format = engine.format
        self.is_live = engine.is_live

    def open_stream(
        self,
        call: str,
        channel: str,
        *,
        source: str = "",
        role: str = "",
        prefill_s: float = 0.0,
        is_estimate: bool = False,
    ) -> StreamWriter:
        """Admit a stream as far as the policy allows."""
        role = plain(role.strip())
        analysis = self._admission.admit(call, channel, role, is_local=self._is_local)
        writer = self._engine.open_stream(
            call,
            channel,
            source=source,
            role=role,
            prefill_s=prefill_s,
            analysis=analysis,
            is_estimate=is_estimate,
        )
        self._admission.remember(call, channel, role, analysis)
        return writer

    def report(self, data: Payload) -> None:
        """Emit an event about a source."""
        self._engine.report(data)
