"""EventQueue: the bounded hand-over of merged events to whoever publishes them."""

from collections.abc import Sequence

from rtemo.api import Event, Payload
from rtemo.engine.clock import SystemClock
from rtemo.engine.outbox import Outbox
from rtemo.engine.stream import Stream


class EventQueue(Outbox):
    """An outbox of events that have their numbers already; a full one drops the newest, counted, and nobody waits.

    Args:
        capacity_events: Events held.
    """

    def __init__(self, capacity_events: int) -> None:
        super().__init__(SystemClock(), capacity_events)

    def pass_on(self, events: Sequence[Event]) -> None:
        """Append events as they are. Any thread."""
        with self._lock:
            room = max(0, self._capacity_events - len(self._events))
            self._events.extend(events[:room])
            self.posted_events += min(room, len(events))
            self.dropped_events += max(0, len(events) - room)
            self._ready.notify()

    def post(
        self,
        stream: Stream | None,
        plugin: str,
        data: Payload,
        start_sample: int,
        end_sample: int,
        capture_ns: int = 0,
    ) -> None:
        """Leave out what the publish thread says of a publisher: the front says it, among its other events."""
