"""Publishers and sources with one fault each, for tests of the session."""

import threading
import time
from collections.abc import Sequence
from typing import Any

from rtemo.api import Event, StreamDesk, StreamWriter


class FakePublisher:
    """Keeps what it is given; can raise or block where it is told."""

    def __init__(self, name: str = "fake", *, fails_in: str = "", error: Exception | None = None) -> None:
        self.name = name
        self.events: list[Event] = []
        self.opened = self.closed = self.ticks = 0
        self.threads: set[int] = set()
        self.blocks = threading.Event()
        self.blocks.set()
        self._fails_in = fails_in
        self._error = error or OSError("disk full")

    def _reach(self, verb: str) -> None:
        self.threads.add(threading.get_ident())
        if verb == self._fails_in:
            raise self._error

    def open(self) -> None:
        self.opened += 1
        self._reach("open")

    def publish(self, events: Sequence[Event]) -> None:
        self.blocks.wait(30.0)
        self._reach("publish")
        self.events += events

    def tick(self) -> None:
        self.ticks += 1
        self._reach("tick")

    def close(self) -> None:
        self.closed += 1
        self._reach("close")

    def kinds(self) -> list[str]:
        return [event.kind for event in self.events]


class FakeSource:
    """Opens streams and runs a script of chunks; can raise, hang or forget to end its streams."""

    is_local = True

    def __init__(self, name: str = "fake", *, calls: Sequence[str] = ("a",), chunks: Sequence[Any] = ()) -> None:
        self.name = name
        self.calls = calls
        self.chunks = list(chunks)
        self.writers: list[StreamWriter] = []
        self.closed = 0
        self.open_error: Exception | None = None
        self.pump_error: Exception | None = None
        self.close_error: Exception | None = None
        self.hangs = threading.Event()
        self.hangs.set()
        self.ends_streams = True
        self.wait_s = 0.0

    def open(self, desk: StreamDesk) -> None:
        for call in self.calls:
            self.writers.append(desk.open_stream(call, "0", source=self.name))
        if self.open_error:
            raise self.open_error

    def pump(self) -> float | None:
        self.hangs.wait(30.0)
        if not self.chunks:
            if self.pump_error:
                raise self.pump_error
            if self.ends_streams:
                for writer in self.writers:
                    writer.end("source says so")
            return None
        for writer in self.writers:
            left = self.chunks[0]
            while left.shape[0] and not writer.is_closed:
                left = left[writer.write(left) :]
                if left.shape[0]:
                    time.sleep(0.001)
        self.chunks.pop(0)
        return self.wait_s

    def close(self) -> None:
        self.closed += 1
        if self.close_error:
            raise self.close_error


class EndlessSource(FakeSource):
    """Writes a chunk every `wait_s` until it is stopped."""

    def pump(self) -> float | None:
        for writer in self.writers:
            writer.write(self.chunks[0])
        return self.wait_s
