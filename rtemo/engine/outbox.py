"""Outbox: the bounded hand-over of events from the driver to whoever publishes them."""

import threading
from collections import deque

from rtemo.api import Event, Payload
from rtemo.engine.clock import Clock
from rtemo.engine.stream import Stream


class Outbox:
    """Numbers and stamps events and holds them until the publish thread takes them.

    When it is full the newest event is dropped and counted, never a live driver made to wait (a freewheeling one
    lets the publishers catch up). A dropped event has used up its `seq`, so the gap shows at the other end.

    Attributes:
        posted_events: Events ever put in, dropped ones left out.
        dropped_events: Events for which there was no room, and those of a plugin that says too much.
    """

    def __init__(self, clock: Clock, capacity_events: int) -> None:
        self._clock = clock
        self._capacity_events = capacity_events
        self._events: deque[Event] = deque()
        self._lock = threading.Lock()
        self._ready = threading.Condition(self._lock)
        self._engine_seq = 0
        self.posted_events = 0
        self.dropped_events = 0

    def post(
        self,
        stream: Stream | None,
        plugin: str,
        data: Payload,
        start_sample: int,
        end_sample: int,
        capture_ns: int = 0,
    ) -> None:
        """Stamp and append an event; `stream` is None for one about the engine itself. Any thread."""
        with self._lock:
            seq = self._number(stream)
            if len(self._events) >= self._capacity_events:
                self._count_dropped(stream)
                return
            self.posted_events += 1
            self._events.append(
                Event(
                    call="" if stream is None else stream.call,
                    channel="" if stream is None else stream.channel,
                    plugin=plugin,
                    seq=seq,
                    start_sample=start_sample,
                    end_sample=end_sample,
                    capture_ns=capture_ns,
                    emit_ns=self._clock.utc_ns(),
                    data=data,
                )
            )
            self._ready.notify()

    def drop(self, stream: Stream | None) -> None:
        """Count an event that is not let in; like one without room it has used up its `seq`. Any thread."""
        with self._lock:
            self._number(stream)
            self._count_dropped(stream)

    @property
    def is_half_full(self) -> bool:
        """Whether publishers are far behind, so that who can wait should."""
        return 2 * len(self._events) > self._capacity_events

    def take(self, timeout_s: float) -> list[Event]:
        """Take all events, waiting up to `timeout_s` for the first."""
        with self._lock:
            if not self._events and timeout_s > 0:
                self._ready.wait(timeout_s)
            events = list(self._events)
            self._events.clear()
        return events

    def wake(self) -> None:
        """Let a waiting `take` return."""
        with self._lock:
            self._ready.notify_all()

    def __len__(self) -> int:
        return len(self._events)

    def _number(self, stream: Stream | None) -> int:
        if stream is None:
            self._engine_seq += 1
            return self._engine_seq
        stream.seq += 1
        return stream.seq

    def _count_dropped(self, stream: Stream | None) -> None:
        self.dropped_events += 1
        if stream is not None:
            stream.dropped_events += 1
