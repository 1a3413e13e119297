"""EventFeed and EventHub: from the publish thread to the iterators over events in this process."""

import threading
import weakref
from collections import deque
from collections.abc import Callable, Sequence

from rtemo.api import Event, StreamEnd, StreamStart


class EventFeed:
    """Holds events for readers in this process, each for one of them; the oldest are forgotten when nobody reads.

    Attributes:
        forgotten_events: Events that were pushed out before anybody took them.
        is_closed: Whether nothing more will come.
    """

    def __init__(self, capacity_events: int) -> None:
        self._events: deque[Event] = deque(maxlen=capacity_events)
        self._ready = threading.Condition()
        self._rings: list[Callable[[], None]] = []
        self.forgotten_events = 0
        self.is_closed = False

    def put(self, events: Sequence[Event]) -> None:
        """Append events. Publish thread."""
        with self._ready:
            capacity = self._events.maxlen or 0
            self.forgotten_events += max(0, len(self._events) + len(events) - capacity)
            self._events.extend(events)
            self._wake()

    def take(self, timeout_s: float) -> Event | None:
        """Take the oldest event, waiting up to `timeout_s` for it; None when there is none."""
        with self._ready:
            if not self._events and not self.is_closed and timeout_s > 0:
                self._ready.wait(timeout_s)
            return self._events.popleft() if self._events else None

    def kept(self) -> list[Event]:
        """List what is there, taking nothing."""
        with self._ready:
            return list(self._events)

    def close(self) -> None:
        """Let a waiting reader go; nothing more will come."""
        with self._ready:
            self.is_closed = True
            self._wake()

    def ring_once(self, ring: Callable[[], None]) -> None:
        """Have `ring` called once something is there or nothing more will come, on whatever thread brings it.

        It must be short and must not raise. Readers that cannot wait in `take`, such as an event loop, wait so.
        """
        with self._ready:
            if not self._events and not self.is_closed:
                self._rings.append(ring)
                return
        ring()

    def unring(self, ring: Callable[[], None]) -> None:
        """Take `ring` back, whether or not it was called."""
        with self._ready:
            if ring in self._rings:
                self._rings.remove(ring)

    def _wake(self) -> None:
        self._ready.notify_all()
        rings, self._rings = self._rings, []
        for ring in rings:
            ring()


class EventHub:
    """Gives every event to the feed of the whole session and to those of single calls and streams.

    Args:
        capacity_events: Events that each feed holds.

    Attributes:
        all: The feed of everything.
    """

    def __init__(self, capacity_events: int) -> None:
        self.all = EventFeed(capacity_events)
        self._capacity_events = capacity_events
        self._lock = threading.Lock()
        self._passed_events = 0
        self._open: dict[str, set[str]] = {}
        self._ended: dict[str, None] = {}  # calls, the one that ended last at the end
        self._listeners: dict[str, list[_Listener]] = {}
        self._is_closed = False

    def put(self, events: Sequence[Event]) -> None:
        """Hand events on. Publish thread."""
        with self._lock:
            self.all.put(events)
            for event in events:
                self._passed_events += 1
                call = event.call
                if type(event.data) is StreamStart:
                    self._open.setdefault(call, set()).add(event.channel)
                    self._ended.pop(call, None)
                elif type(event.data) is StreamEnd:
                    channels = self._open.get(call, set())
                    channels.discard(event.channel)
                    if not channels:
                        self._open.pop(call, None)
                        self._end(call)
                if self._listeners and call in self._listeners:
                    self._hand(event, self._passed_events - 1)

    def listen(
        self, call: str, channel: str | None = None, since_events: int = 0, *, begins_again: bool = False
    ) -> EventFeed:
        """Make a feed of one call, or of one stream of it, which is closed after the end of the last stream.

        It begins with what the feed of everything still holds. It is let go when nobody holds it any more.

        Args:
            call: Name of the call.
            channel: Channel; None for all of the call.
            since_events: How many events had been posted before the stream was opened: an earlier stream of the same
                name is another one.
            begins_again: Whether a stream of the call is open although its start may not have passed here yet.
        """
        feed = EventFeed(self._capacity_events)
        with self._lock:
            listener = _Listener(weakref.ref(feed), channel, since_events)
            kept = self.all.kept()
            first = self._passed_events - len(kept)
            ended = False
            for index, event in enumerate(kept, first):
                if event.call == call and listener.wants(event, index):
                    feed.put((event,))
                    ended = type(event.data) is StreamEnd
            # The events of a call that is over may all have been taken: then nothing is held, and nothing more comes.
            ended |= channel is None and call in self._ended
            if self._is_closed or (ended and not begins_again and self._is_over(call, channel)):
                feed.close()
            else:
                self._listeners.setdefault(call, []).append(listener)
        return feed

    def close(self) -> None:
        """Let all readers go; nothing more will come."""
        with self._lock:
            self._is_closed = True
            feeds = [listener.feed() for listeners in self._listeners.values() for listener in listeners]
            self._listeners.clear()
        for feed in (self.all, *feeds):
            if feed is not None:
                feed.close()

    def _hand(self, event: Event, index: int) -> None:
        staying = []
        for listener in self._listeners[event.call]:
            feed = listener.feed()
            if feed is None:
                continue
            if listener.wants(event, index):
                feed.put((event,))
                if type(event.data) is StreamEnd and self._is_over(event.call, listener.channel):
                    feed.close()
                    continue
            staying.append(listener)
        if staying:
            self._listeners[event.call] = staying
        else:
            del self._listeners[event.call]

    def _end(self, call: str) -> None:
        self._ended.pop(call, None)
        self._ended[call] = None
        if len(self._ended) > self._capacity_events:
            del self._ended[next(iter(self._ended))]

    def _is_over(self, call: str, channel: str | None) -> bool:
        channels = self._open.get(call, set())
        return not channels if channel is None else channel not in channels


class _Listener:
    """Who wants what.

    Attributes:
        feed: Where it goes; gives None once nobody reads any more.
        channel: Channel of the call; None for all.
    """

    def __init__(self, feed: "weakref.ref[EventFeed]", channel: str | None, since_events: int) -> None:
        self.feed = feed
        self.channel = channel
        self._since_events = since_events

    def wants(self, event: Event, index: int) -> bool:
        return index >= self._since_events and self.channel in (None, event.channel)
