"""A running `rtemo serve`, and many live clients in this process."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self

import numpy as np

from rtemo.client import AudioSender, SenderStream
from tests.fakes.program import ROOT, command
from tests.fakes.zmq_ends import free_ports_anywhere

RATE_HZ = 8_000
PACKET = RATE_HZ // 50
LOUD = (8_000 * np.sin(np.arange(PACKET) * 0.3)).astype(np.int16)


class Server:
    """`rtemo serve` with a cheap chain on ports of its own; it can be killed and started again on the same."""

    def __init__(
        self,
        *arguments: str,
        capacity: int = 64,
        audio: bool = False,
        limits: str = "",
        environment: Mapping[str, str] | None = None,
        publishers: str = "",
    ) -> None:
        port = free_ports_anywhere(5)
        self.events = f"tcp://127.0.0.1:{port}"
        self.state = f"tcp://127.0.0.1:{port + 1}"
        self.query = f"tcp://127.0.0.1:{port + 2}"
        self.ingest = f"tcp://127.0.0.1:{port + 3}"
        self.audio = f"tcp://127.0.0.1:{port + 4}"
        self.ready_s = 0.0
        self.said: list[str] = []
        self._arguments: tuple[str, ...] = ("--chain", "level", "--capacity", str(capacity), *arguments)
        if audio:
            self._arguments += ("--audio-out", self.audio)
        self._limits = limits
        self._environment = environment
        self._publish = ",".join(filter(None, (self.events, publishers)))
        self.process: subprocess.Popen[str]
        self.start()

    def start(self) -> None:
        words: tuple[str, ...] = ("serve", "--ingest", self.ingest, "--publish", self._publish, *self._arguments)
        if self._limits:
            words = ("bash", "-c", f'ulimit {self._limits} && exec "$@"', "--", *command(*words))
        else:
            words = (*command(*words),)
        environment = {**os.environ, **(self._environment or {})}
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(
            words, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True
        )
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said.append(line.rstrip())
            if line.startswith("streams "):
                break
        self.ready_s = time.monotonic()
        threading.Thread(target=self._listen, args=(self.process,), daemon=True).start()

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        with contextlib.suppress(ValueError):
            for line in process.stdout:
                self.said.append(line.rstrip())

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def end(self, timeout_s: float = 10.0) -> int:
        """Wait until it has ended by itself."""
        return self.process.wait(timeout_s)

    def rss_mib(self) -> float:
        with open(f"/proc/{self.process.pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        if self.process.poll() is None:
            self.kill()


class Crowd:
    """Live clients, each with a connection of its own, that speak 20 ms every 20 ms on one thread.

    Attributes:
        streams: Their streams.
        back_s: Stream → when it first sent again after `forget`.
    """

    def __init__(self, endpoint: str, count: int, prefix: str = "c", role: str = "") -> None:
        self.senders = [AudioSender(endpoint, timeout_s=20.0) for _ in range(count)]
        self.streams: list[SenderStream] = []
        for index, sender in enumerate(self.senders):
            self.streams.append(sender.open(f"{prefix}{index}", sample_rate_hz=RATE_HZ, role=role))
        self.back_s: dict[int, float] = {}
        self.sent_packets = 0
        self._stop = threading.Event()
        self._errors: list[BaseException] = []
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        due_s = time.monotonic()
        try:
            while not self._stop.is_set():
                for index, stream in enumerate(self.streams):
                    sent_bytes, reopened = stream._book.sent_bytes, stream.reopened
                    stream.send(LOUD, capture_ns=time.time_ns(), wait=False)
                    if reopened and stream._book.sent_bytes > sent_bytes and index not in self.back_s:
                        self.back_s[index] = time.monotonic()
                self.sent_packets += 1
                due_s += 0.02
                time.sleep(max(0.0, due_s - time.monotonic()))
        except BaseException as error:
            self._errors.append(error)

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(10.0)
        assert not self._errors, self._errors

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self._stop.set()
        self._thread.join(10.0)
        with ThreadPoolExecutor(len(self.senders)) as pool:  # each waits a moment for a server that is gone
            list(pool.map(AudioSender.close, self.senders))
        assert kind or not self._errors, self._errors
