"""Publisher: where events go."""

from collections.abc import Sequence
from typing import Protocol

from rtemo.api.events import Event


class Publisher(Protocol):
    """A consumer of events on the publish thread; it may be slow, the driver never waits for it.

    It is found by name (`rtemo serve --publish NAME`, `[publishers.NAME]`) as a `rtemo.api.Source` is, through the
    entry point group `rtemo.publishers`.
    """

    @property
    def name(self) -> str:
        """Short name for logs and faults."""

    def open(self) -> None:
        """Bind or open; raise an `RtemoError` that says what to do. Called on the publish thread."""

    def publish(self, events: Sequence[Event]) -> None:
        """Send events in order. Called on the publish thread."""

    def tick(self) -> None:
        """Do periodic work (heartbeats, queries); called at least every 50 ms on the publish thread."""

    def close(self) -> None:
        """Flush within a bound and free everything; may be called twice. Called on the publish thread."""
