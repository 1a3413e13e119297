"""Trace: when ticks, plugins, lanes, publishers, sources and the garbage collector of a run were at work.

A run that is not traced pays nothing: what is written down comes out of the histograms that an engine keeps anyhow,
which are exchanged for others when a trace begins.
"""

import gc
import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Any

import msgspec

from rtemo.api import Event, Publisher, Source, StreamDesk
from rtemo.engine.engine import Engine
from rtemo.engine.stats import Histogram

try:
    import resource
except ImportError:  # Windows tells no thread what became of it
    resource = None  # type: ignore[assignment]

_TICK = "tick"
_LEAST_PUMP_NS = 20_000  # a source that looks whether there is something to do is at work for less


class Span(msgspec.Struct, frozen=True):
    """Something that was at work for a while; times in ns of `time.perf_counter_ns`."""

    name: str
    kind: str
    """`tick`, `plugin`, `lane`, `publisher`, `source` or `gc`."""
    thread: int
    start_ns: int
    duration_ns: int
    facts: dict[str, int] = {}


class Trace:
    """What was at work when; keeps the newest spans.

    Args:
        most_spans: Spans kept.
    """

    def __init__(self, most_spans: int = 2_000_000) -> None:
        self.spans: deque[Span] = deque(maxlen=most_spans)
        self._threads: dict[int, str] = {}
        self._gc_start_ns = 0

    def add(self, name: str, kind: str, start_ns: int, duration_ns: int, **facts: int) -> None:
        """Write down something that the calling thread did."""
        thread = threading.get_ident()
        if thread not in self._threads:
            self._threads[thread] = threading.current_thread().name
        self.spans.append(Span(name, kind, thread, start_ns, duration_ns, facts))

    def attach(self, engine: Engine) -> None:
        """Follow an engine that has been started, and the garbage collector, until `detach`."""
        engine.driver.tick_time = _Ticks(self)
        for stage in engine.chain.stages:
            stage.busy = _Spans(self, stage.spec.name, "plugin")
            for lane in stage.lanes:
                lane.busy = _Spans(self, lane.where, "lane")
        gc.callbacks.append(self._collected)

    def detach(self) -> None:
        """Follow the garbage collector no longer."""
        gc.callbacks.remove(self._collected)

    def _collected(self, phase: str, info: dict[str, int]) -> None:
        now_ns = time.perf_counter_ns()
        if phase == "start":
            self._gc_start_ns = now_ns
        elif self._gc_start_ns:
            self.add(f"gc {info['generation']}", "gc", self._gc_start_ns, now_ns - self._gc_start_ns)

    def chrome(self) -> bytes:
        """Give it as a Chrome trace, JSON that chrome://tracing and Perfetto show."""
        first_ns = min((span.start_ns for span in self.spans), default=0)
        events: list[dict[str, Any]] = [
            {"name": "thread_name", "ph": "M", "pid": 1, "tid": thread, "args": {"name": name}}
            for thread, name in self._threads.items()
        ]
        for span in self.spans:
            event: dict[str, Any] = {
                "name": span.name,
                "cat": span.kind,
                "ph": "X",
                "pid": 1,
                "tid": span.thread,
                "ts": (span.start_ns - first_ns) / 1e3,
                "dur": span.duration_ns / 1e3,
            }
            if span.facts:
                event["args"] = span.facts
            events.append(event)
        return msgspec.json.encode({"traceEvents": events, "displayTimeUnit": "ms"})

    def slowest(self, count: int) -> list[tuple[Span, list[Span]]]:
        """Give the longest ticks, the longest first, each with what was at work meanwhile, the longest first.

        What other threads did counts too: they share the interpreter with the driver.
        """
        ticks = sorted((span for span in self.spans if span.kind == _TICK), key=lambda span: -span.duration_ns)[:count]
        return [(tick, self._during(tick)) for tick in ticks]

    def _during(self, tick: Span) -> list[Span]:
        end_ns = tick.start_ns + tick.duration_ns
        found = [
            span
            for span in self.spans
            if span.kind != _TICK and span.start_ns < end_ns and span.start_ns + span.duration_ns > tick.start_ns
        ]
        return sorted(found, key=lambda span: -span.duration_ns)


class _Spans(Histogram):
    """Durations that are written down as they end, on the thread that was at work."""

    def __init__(self, trace: Trace, name: str, kind: str) -> None:
        super().__init__()
        self._trace = trace
        self._name = name
        self._kind = kind

    def add(self, duration_ns: int) -> None:
        """Count one duration, which ends now."""
        super().add(duration_ns)
        self._trace.add(self._name, self._kind, time.perf_counter_ns() - duration_ns, duration_ns)


class _Ticks(_Spans):
    """Ticks, with what the system did to the driver since the one before: page faults, and processors taken away."""

    def __init__(self, trace: Trace) -> None:
        super().__init__(trace, _TICK, _TICK)
        self._before: dict[str, int] = {}

    def add(self, duration_ns: int) -> None:
        """Count one tick, which ends now."""
        Histogram.add(self, duration_ns)
        now = _fate()
        facts = {name: value - self._before.get(name, value) for name, value in now.items()}
        self._before = now
        self._trace.add(_TICK, _TICK, time.perf_counter_ns() - duration_ns, duration_ns, **facts)


def _fate() -> dict[str, int]:
    if resource is None:
        return {}
    usage = resource.getrusage(getattr(resource, "RUSAGE_THREAD", resource.RUSAGE_SELF))
    return {"page_faults": usage.ru_minflt, "disk_faults": usage.ru_majflt, "preempted": usage.ru_nivcsw}


class TracedSource:
    """A source whose work is written down; everything else of it is as it was.

    Args:
        source: What brings audio in.
        trace: Where to.
    """

    def __init__(self, source: Source, trace: Trace) -> None:
        self._source = source
        self._trace = trace
        self.name = source.name
        self.is_local = getattr(source, "is_local", False)

    def open(self, desk: StreamDesk) -> None:
        """Open it."""
        self._source.open(desk)

    def pump(self) -> float | None:
        """Let it work; what took a moment only is not written down."""
        start_ns = time.perf_counter_ns()
        wait_s = self._source.pump()
        duration_ns = time.perf_counter_ns() - start_ns
        if duration_ns >= _LEAST_PUMP_NS:
            self._trace.add(self.name, "source", start_ns, duration_ns)
        return wait_s

    def close(self) -> None:
        """Close it."""
        self._source.close()


class TracedPublisher:
    """A publisher whose work is written down.

    Args:
        publisher: Where events go.
        trace: Where to.
    """

    def __init__(self, publisher: Publisher, trace: Trace) -> None:
        self._publisher = publisher
        self._trace = trace
        self.name = publisher.name

    def open(self) -> None:
        """Open it."""
        self._publisher.open()

    def publish(self, events: Sequence[Event]) -> None:
        """Publish events."""
        start_ns = time.perf_counter_ns()
        self._publisher.publish(events)
        self._trace.add(self.name, "publisher", start_ns, time.perf_counter_ns() - start_ns, events=len(events))

    def tick(self) -> None:
        """Let it do what is due."""
        self._publisher.tick()

    def close(self) -> None:
        """Close it."""
        self._publisher.close()
