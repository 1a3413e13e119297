"""A running `rtemo serve --workers`, calls that are spoken into it, and what a subscriber hears of them."""

import json
import signal
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from rtemo.api import WorkerState
from rtemo.client import AudioSender, Subscriber
from rtemo.cluster.control import ControlReply, ask
from rtemo.io.sender_stream import SenderStream
from rtemo.io.wire import WireEvent
from tests.fakes.program import start
from tests.fakes.voice import RATE_HZ, voice
from tests.fakes.zmq_ends import free_ports

CHAIN = ("--chain", "level,vad")
ROOMY = ("--set", "workers.max_load=100.0", "--set", "workers.max_late_ms=1000.0")
"""For who looks at something else than room: tests may run where everything is late."""
PACKET = RATE_HZ // 50


class Served:
    """The server, with one engine where there are no workers, and the words it has said."""

    def __init__(
        self,
        *arguments: object,
        workers: int = 2,
        chain: Sequence[str] = CHAIN,
        has_audio: bool = False,
        has_ingest: bool = True,
    ) -> None:
        first = free_ports(5)
        self.ingest, self.events, self.audio = (f"tcp://127.0.0.1:{first + at}" for at in (0, 1, 4))
        words = ["--publish", self.events, *chain, *ROOMY, *arguments]
        words += ["--workers", workers] if workers else []
        words += ["--ingest", self.ingest] if has_ingest else []
        words += ["--audio-out", self.audio] if has_audio else []
        self.process = start("serve", *words)
        self.said: list[str] = []
        self.complained: list[str] = []
        self.control = ""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line.rstrip())
            if line.startswith("control "):
                self.control = line.split()[1]
            if line.startswith("analysed "):
                break
        else:
            raise AssertionError(f"it did not start: {self.said} {self.process.stderr and self.process.stderr.read()}")
        self._readers = [
            threading.Thread(target=self._read, args=(lines, pipe), daemon=True)
            for lines, pipe in ((self.said, self.process.stdout), (self.complained, self.process.stderr))
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, lines: list[str], pipe: "Iterator[str]") -> None:
        lines.extend(map(str.rstrip, pipe))

    def ask(self, op: str = "list", worker: int = 0) -> ControlReply:
        return ask(self.control, op, worker)

    @property
    def workers(self) -> dict[int, WorkerState]:
        return {int(one.name): one for one in self.ask().workers}

    @property
    def processes(self) -> dict[int, int]:
        return {int(name): pid for name, pid in self.ask().processes.items()}

    def stop(self, number: int = signal.SIGTERM, timeout_s: float = 15.0) -> float:
        """Stop, and tell how long that took."""
        start_s = time.monotonic()
        self.process.send_signal(number)
        self.process.wait(timeout_s)
        took_s = time.monotonic() - start_s
        for reader in self._readers:
            reader.join(5.0)
        return took_s


@contextmanager
def serving(*arguments: object, **options: Any) -> Iterator[Served]:
    server = Served(*arguments, **options)
    try:
        yield server
    finally:
        if server.process.poll() is None:
            server.process.kill()
        server.process.wait()


def strain() -> float:
    """Tell how many times as long as on an idle machine work takes here now: what is timed is stretched by it."""
    begin_s, begin_cpu_s = time.monotonic(), time.thread_time()
    while time.thread_time() - begin_cpu_s < 0.2:
        pass
    return max(1.0, (time.monotonic() - begin_s) / 0.2)


class Talk:
    """Calls that are spoken into a server all the time, each a stream of its own, in packets of 20 ms."""

    def __init__(self, ingest: str, calls: Sequence[str], role: str = "customer") -> None:
        self.streams: dict[str, SenderStream] = {}
        self.sent_packets = 0
        self.latest_s = 0.0
        self._ingest = ingest
        self._calls = calls
        self._role = role
        self._stop = threading.Event()
        self._opened = threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Talk":
        self._thread.start()
        assert self._opened.wait(20.0)
        if self._error is not None:
            raise self._error
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        """End all calls, and wait for their accounts."""
        self._stop.set()
        self._thread.join(20.0)
        if self._error is not None:
            raise self._error

    def _run(self) -> None:
        try:
            self._talk()
        except BaseException as error:
            self._error = error
        finally:
            self._opened.set()

    def _talk(self) -> None:
        sound = (np.tile(voice(4.0, 3), 2) * 32767).astype("<i2")
        with AudioSender(self._ingest, timeout_s=10.0) as sender:
            for call in self._calls:
                self.streams[call] = sender.open(call, sample_rate_hz=RATE_HZ, role=self._role)
            self._opened.set()
            begin_s = time.monotonic()
            while not self._stop.is_set():
                at = self.sent_packets * PACKET % (sound.size - PACKET)
                for stream in self.streams.values():
                    stream.send(sound[at : at + PACKET].tobytes(), capture_ns=time.time_ns(), wait=False)
                self.sent_packets += 1
                time.sleep(max(0.0, begin_s + self.sent_packets * 0.02 - time.monotonic()))
            for stream in self.streams.values():
                stream.end()


class Heard:
    """A subscriber of everything."""

    def __init__(self, endpoint: str) -> None:
        self.events: list[WireEvent] = []
        self.times_s: list[float] = []
        self.lost_events = self.restarts = self.resyncs = 0
        self._endpoint = endpoint
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Heard":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(5.0)

    def of(self, call: str, *kinds: str) -> list[WireEvent]:
        return [event for event in list(self.events) if event.call == call and (not kinds or event.kind in kinds)]

    def wait_for(self, is_there: Callable[["Heard"], object], timeout_s: float = 30.0) -> float:
        """Wait until something has been heard; gives the monotonic time."""
        until_s = time.monotonic() + timeout_s
        while not is_there(self):
            assert time.monotonic() < until_s, json.dumps([(one.call, one.kind, one.seq) for one in self.events[-40:]])
            time.sleep(0.01)
        return time.monotonic()

    def _run(self) -> None:
        with Subscriber(self._endpoint, connect_timeout_s=30.0, on_notice=lambda notice: None) as feed:
            while not self._stop.is_set():
                for event in feed.receive(0.05):
                    self.times_s.append(time.monotonic())
                    self.events.append(event)
                self.lost_events, self.restarts, self.resyncs = feed.lost_events, feed.restarts, feed.resyncs
