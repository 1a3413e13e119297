"""EventFeed: the bounded queue between the publish thread and an iterator over events."""

import threading
from collections import deque
from collections.abc import Sequence

from rtemo.api import Event


class EventFeed:
    """Holds events for one in-process reader; when it does not read, the oldest are forgotten and counted."""

    def __init__(self, capacity_events: int) -> None:
        self._events: deque[Event] = deque(maxlen=capacity_events)
        self._ready = threading.Condition()
        self.forgotten_events = 0
        self.is_closed = False

    def put(self, events: Sequence[Event]) -> None:
        """Append events. Publish thread."""
        with self._ready:
            capacity = self._events.maxlen or 0
            self.forgotten_events += max(0, len(self._events) + len(events) - capacity)
            self._events.extend(events)
            self._ready.notify_all()

    def take(self, timeout_s: float) -> list[Event]:
        """Take all events, waiting up to `timeout_s` for the first."""
        with self._ready:
            if not self._events and not self.is_closed and timeout_s > 0:
                self._ready.wait(timeout_s)
            events = list(self._events)
            self._events.clear()
        return events

    def close(self) -> None:
        """Let a waiting reader go; nothing more will come."""
        with self._ready:
            self.is_closed = True
            self._ready.notify_all()
