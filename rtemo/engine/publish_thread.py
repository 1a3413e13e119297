"""PublishThread: takes events from the outbox to every publisher, off the driver thread."""

import threading
from collections.abc import Callable, Sequence

from rtemo.api import Event, Fault, Publisher
from rtemo.engine.outbox import Outbox
from rtemo.engine.trouble import as_error, describe, quietly

_TICK_S = 0.02


class PublishThread:
    """The one owner of all publishers: opens, feeds, ticks and closes them on its own thread.

    A publisher that raises is closed and a fault goes to the others; the engine goes on.

    Attributes:
        faults: Why publishers were closed before the end, in order.
    """

    def __init__(
        self, outbox: Outbox, publishers: Sequence[Publisher], on_events: Callable[[Sequence[Event]], None]
    ) -> None:
        self.faults: tuple[Fault, ...] = ()
        self._outbox = outbox
        self._publishers = list(publishers)
        self._on_events = on_events
        self._stop = threading.Event()
        self._opened = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="rtemo-publish", daemon=True)
        self._handed_events = 0

    @property
    def is_idle(self) -> bool:
        """Whether every event so far has been handed to every publisher."""
        return self._handed_events == self._outbox.posted_events

    def start(self) -> None:
        """Start and wait until all publishers are open; raises what one's `open` raises."""
        self._thread.start()
        self._opened.wait()
        if self._error is not None:
            self._thread.join()
            raise as_error(self._error, "a publisher")

    def stop(self, timeout_s: float) -> bool:
        """Publish what is left, close everything, and tell whether that was done within `timeout_s`."""
        self._stop.set()
        self._outbox.wake()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        opened: list[Publisher] = []
        try:
            for publisher in self._publishers:
                opened.append(publisher)
                publisher.open()
        except BaseException as error:
            self._error = error
            for publisher in opened:
                _close(publisher)
            return
        finally:
            self._opened.set()
        while True:
            is_last = self._stop.is_set()
            events = self._outbox.take(0.0 if is_last else _TICK_S)
            if events:
                self._on_events(events)
            for publisher in list(self._publishers):
                self._serve(publisher, events)
            self._handed_events += len(events)
            if is_last and not len(self._outbox):
                break
        for publisher in self._publishers:
            _close(publisher)

    def _serve(self, publisher: Publisher, events: Sequence[Event]) -> None:
        try:
            if events:
                publisher.publish(events)
            publisher.tick()
        except BaseException as error:
            self._publishers.remove(publisher)
            fault = Fault(where=publisher.name, problem=describe(error), action="closed")
            self.faults = (*self.faults, fault)
            self._outbox.post(None, "engine", fault, 0, 0)
            _close(publisher)


def _close(publisher: Publisher) -> None:
    # One that cannot even be closed must not keep the others from being served and closed.
    with quietly():
        publisher.close()
