"""MergedEvents: the events of several engines as if they came from one."""

import time
from collections.abc import Sequence

import msgspec

from rtemo.api import (
    Counters,
    Event,
    Fault,
    Health,
    Payload,
    Publisher,
    SessionEnd,
    SessionStart,
    StreamEnd,
    StreamFormat,
)
from rtemo.cluster.together import about_all, counters_together, together
from rtemo.engine.trouble import describe


class MergedEvents:
    """Hands events on with one beginning, one end and one health of all engines.

    Files that are worked on again, since their worker died, give the same events once more: those that went out
    already are told by their `seq` and left out.

    Args:
        publisher: Where they go; None where nobody wants any.

    Attributes:
        faults: What broke in the engines.
        publisher_faults: Why the publisher was closed before the end.
    """

    def __init__(self, publisher: Publisher | None) -> None:
        self.faults: list[Fault] = []
        self.publisher_faults: list[Fault] = []
        self._publisher = publisher
        self._has_started = False
        self._engine_seq = 0
        self._rate_hz = StreamFormat().sample_rate_hz
        self._healths: dict[int, Health] = {}
        self._ended = Counters()
        self._told: dict[str, dict[str, Event]] = {}

    def open(self) -> None:
        """Open the publisher.

        Raises:
            RtemoError: It cannot be.
        """
        if self._publisher is not None:
            self._publisher.open()

    def take(self, worker: int, events: Sequence[Event]) -> None:
        """Hand on what one engine tells."""
        self._publish([event for event in (self._merged(worker, event) for event in events) if event is not None])

    def tell(self, data: Payload, plugin: str = "engine") -> None:
        """Tell something about the whole."""
        self._engine_seq += 1
        self._publish([about_all(data, plugin, self._engine_seq, time.time_ns())])

    def forget(self, call: str) -> None:
        """Take note that a call is over."""
        self._told.pop(call, None)

    def break_off(self, call: str) -> None:
        """End the streams of a call that nobody works on any more."""
        for last in self._told.pop(call, {}).values():
            if not isinstance(last.data, StreamEnd):
                duration_s = last.end_sample / self._rate_hz
                data = StreamEnd(reason="process died", duration_s=duration_s, counters=Counters())
                self._publish([msgspec.structs.replace(last, plugin="engine", seq=last.seq + 1, data=data)])

    def leave(self, worker: int) -> None:
        """Take note that an engine has gone without an end."""
        health = self._healths.pop(worker, None)
        if health is not None:
            self._ended = counters_together([self._ended, health.counters])

    def close(self, reason: str) -> None:
        """Tell the end and close the publisher."""
        for worker in list(self._healths):
            self.leave(worker)
        if self._has_started:
            self.tell(SessionEnd(reason=reason, counters=self._ended))
        if self._publisher is not None:
            self._publisher.close()

    def _merged(self, worker: int, event: Event) -> Event | None:
        data = event.data
        if isinstance(data, Fault):
            self.faults.append(data)
        if event.call:
            told = self._told.setdefault(event.call, {})
            last = told.get(event.channel)
            if last is not None and event.seq <= last.seq:
                return None
            told[event.channel] = event
            return event
        if isinstance(data, SessionStart):
            if self._has_started:
                return None
            self._has_started = True
            self._rate_hz = data.sample_rate_hz
        elif isinstance(data, SessionEnd):
            self._healths.pop(worker, None)
            self._ended = counters_together([self._ended, data.counters])
            return None
        elif isinstance(data, Health):
            self._healths[worker] = data
            if worker != min(self._healths):
                return None
            data = together(self._healths.values())
        self._engine_seq += 1
        return msgspec.structs.replace(event, seq=self._engine_seq, data=data)

    def _publish(self, events: Sequence[Event]) -> None:
        if self._publisher is None or not events:
            return
        try:
            self._publisher.publish(events)
        except Exception as error:  # it is closed, as in a session, and the work goes on
            fault = Fault(where=self._publisher.name, problem=describe(error), action="closed")
            self.publisher_faults.append(fault)
            self._publisher.close()
            self._publisher = None
