"""BargeIn: notices that somebody has spoken over an assistant, whose audio is then to be heard no more."""

from collections import deque
from collections.abc import Sequence

from rtemo.api import Event, StreamEnd, StreamStart, canonical_role


class BargeIn:
    """A publisher that sends nothing: it hears which streams of a role end as `interrupted`, and keeps their names.

    Who speaks ends the stream: an assistant that goes on while it is spoken over is not stopped.

    Args:
        name: Name of the gateway.
        role: Whose streams count.
    """

    REASON = "interrupted"

    def __init__(self, name: str, role: str) -> None:
        self.name = name
        self._role = canonical_role(role)
        self._open: set[tuple[str, str]] = set()
        self._interrupted: deque[tuple[str, str]] = deque()

    def open(self) -> None:
        """Nothing has to be opened."""

    def publish(self, events: Sequence[Event]) -> None:
        """Hear events in order."""
        for event in events:
            key = (event.call, event.channel)
            if isinstance(event.data, StreamStart):
                if canonical_role(event.data.role) == self._role:
                    self._open.add(key)
            elif isinstance(event.data, StreamEnd) and key in self._open:
                self._open.discard(key)
                if event.data.reason == self.REASON:
                    self._interrupted.append(key)

    def tick(self) -> None:
        """Nothing is periodic."""

    def close(self) -> None:
        """Nothing has to be closed."""

    def take(self) -> tuple[str, str] | None:
        """Give call and channel of the next stream that was interrupted, once; None when there is none. Any thread."""
        return self._interrupted.popleft() if self._interrupted else None
