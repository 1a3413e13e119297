"""The threads that own a ZmqPublisher or an IngestSource, as the engine's threads would."""

import contextlib
import os
import queue
import random
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

from rtemo.api import EMOTIONS, Emotion, Event, Payload, Source, StreamDesk
from rtemo.io.publishers.zmq import ZmqPublisher
from rtemo.io.zmq_options import PublishOptions

ANY_PORT = "tcp://127.0.0.1:*"


def options(**changes: Any) -> PublishOptions:
    """Options with ports the system chooses and fast heartbeats."""
    return PublishOptions(**{"events": ANY_PORT, "heartbeat_s": 0.2, **changes})


def emotion(label: str = "happy", speech_s: float = 1.5) -> Emotion:
    return Emotion(
        label=label,
        probabilities=dict.fromkeys(EMOTIONS, 0.125),
        arousal=0.25,
        valence=-0.5,
        confidence=0.5,
        speech_s=speech_s,
        trigger="refresh",
    )


def event(
    call: str = "call", number: int = 1, data: Payload | None = None, *, channel: str = "0", capture_ns: int = 0
) -> Event:
    """One event whose numbers can be told from `number`."""
    return Event(
        call=call,
        channel=channel,
        plugin="fake",
        seq=number,
        start_sample=160 * (number - 1),
        end_sample=160 * number,
        capture_ns=capture_ns,
        emit_ns=time.time_ns(),
        data=emotion() if data is None else data,
    )


def own_ports() -> range:
    """Ports that no other of the processes that share the tests takes, below those that the system hands out."""
    first = 20_000 + 1_500 * (int(os.environ.get("PYTEST_XDIST_WORKER", "gw0")[2:]) % 8)
    return range(first, first + 1_500)


def free_ports(count: int = 3) -> int:
    """Find consecutive free ports and give the first."""
    for first in own_ports()[:-count:17]:
        with contextlib.ExitStack() as stack:
            try:
                for port in range(first, first + count):
                    stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            except OSError:
                continue
            return first
    raise AssertionError("no free ports")


def free_ports_anywhere(count: int) -> int:
    """Find consecutive free ports, anywhere: other servers of ours may be about to start."""
    for _ in range(1_000):
        first = random.choice(own_ports()[:-count])
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for port in range(first, first + count):
                stack.enter_context(socket.socket()).bind(("127.0.0.1", port))
            return first
    raise AssertionError("no free ports")


def wait_until(condition: Callable[[], object], timeout_s: float = 5.0) -> bool:
    """Poll until the condition holds; tell whether it came to that in time."""
    deadline_s = time.monotonic() + timeout_s
    while not condition():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.005)
    return True


class Publishing:
    """Runs a publisher on a thread of its own, like `rtemo.engine.publish_thread`."""

    def __init__(self, publisher: ZmqPublisher) -> None:
        self.publisher = publisher
        self.busy_s = 0.0
        self._batches: queue.SimpleQueue[list[Event] | None] = queue.SimpleQueue()
        self._opened = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    @property
    def events(self) -> str:
        return str(self.publisher.endpoints["events"])

    @property
    def state(self) -> str:
        return str(self.publisher.endpoints["state"])

    @property
    def query(self) -> str:
        return str(self.publisher.endpoints["query"])

    def send(self, *events: Event) -> None:
        self._batches.put(list(events))

    def flush(self, timeout_s: float = 10.0) -> None:
        """Wait until everything sent so far was published."""
        done = threading.Event()
        self._batches.put(done)  # type: ignore[arg-type]
        assert done.wait(timeout_s), "the publisher is stuck"

    def stop(self) -> float:
        """Close the publisher and tell how long that took."""
        start_s = time.monotonic()
        self._batches.put(None)
        self._thread.join(10.0)
        assert not self._thread.is_alive(), "the publisher does not close"
        return time.monotonic() - start_s

    def __enter__(self) -> Self:
        self._thread.start()
        self._opened.wait()
        if self._error is not None:
            raise self._error
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self._thread.is_alive():
            self.stop()

    def _run(self) -> None:
        try:
            self.publisher.open()
        except BaseException as error:
            self._error = error
            return
        finally:
            self._opened.set()
        while True:
            try:
                batch = self._batches.get(timeout=0.01)
            except queue.Empty:
                batch = []
            start_s = time.perf_counter()
            if batch is None:
                break
            if isinstance(batch, threading.Event):
                batch.set()
            elif batch:
                self.publisher.publish(batch)
            self.publisher.tick()
            self.busy_s = max(self.busy_s, time.perf_counter() - start_s)
        self.publisher.close()


@contextmanager
def pumping(source: Source, desk: StreamDesk, each: Callable[[], object] | None = None) -> Iterator[None]:
    """Run a source on a thread of its own, calling `each` after every pump, until the block ends."""
    stop = threading.Event()
    opened = threading.Event()
    errors: list[BaseException] = []

    def run() -> None:
        try:
            source.open(desk)
        except BaseException as error:
            errors.append(error)
            return
        finally:
            opened.set()
        try:
            while not stop.is_set():
                delay_s = source.pump()
                if each is not None:
                    each()
                if delay_s:
                    stop.wait(delay_s)
        except BaseException as error:
            errors.append(error)
        finally:
            source.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    opened.wait()
    try:
        if errors:
            raise errors[0]
        yield
    finally:
        stop.set()
        thread.join(10.0)
        assert not thread.is_alive(), "the source does not close"
    assert not errors, errors
