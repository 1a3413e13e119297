"""Long runs in real time: `rtemo serve` as a process, its own clients and a subscriber."""

import contextlib
import socket
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import NamedTuple

import numpy as np

from rtemo.api import CapacityError, RtemoError
from rtemo.cli.bench.process_usage import ProcessUsage
from rtemo.cli.stopping import stop_if_told
from rtemo.client import AudioSender, Subscriber
from rtemo.dsp.voice import nonsense

_RATE_HZ = 16_000
_PACKET_SAMPLES = 320
_CALL_S = 120.0
_SETTLED_S = 1_500.0  # events are kept for ten minutes after the end of their calls: until then memory may grow
_OPENERS = 8
_LOOKS = 20  # at least


class Served(NamedTuple):
    """A running server."""

    process: "subprocess.Popen[str]"
    ingest: str
    events: str


@contextmanager
def serving(capacity: int, words: Sequence[str]) -> Iterator[Served]:
    """Run `rtemo serve` on free ports, with further words.

    Raises:
        RtemoError: It does not start, or ends by itself.
    """
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(socket.socket()) for _ in range(2)]
        for each in held:
            each.bind(("127.0.0.1", 0))
        ingest, events = (f"tcp://127.0.0.1:{each.getsockname()[1]}" for each in held)
    command = [sys.executable, "-m", "rtemo", "serve", "--quiet", "--ingest", ingest, "--publish", events]
    command += ["--capacity", str(capacity), *words]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        assert process.stderr is not None
        said = []
        for line in process.stderr:
            said.append(line.strip())
            if "rtemo: ready" in line:
                break
        else:
            raise RtemoError(f"rtemo serve did not start ({said[-1].removeprefix('rtemo: ') if said else 'no word'})")
        threading.Thread(target=sys.stderr.writelines, args=(process.stderr,), daemon=True).start()
        yield Served(process, ingest, events)
        if process.poll() is not None:
            raise RtemoError(f"rtemo serve ended by itself, with status {process.returncode}")
    finally:
        process.terminate()
        process.wait(20.0)


class Account:
    """What became of all calls so far."""

    def __init__(self) -> None:
        self.calls = 0
        self.sent_samples = 0
        self.dropped_samples = 0
        self.lost_samples = 0
        self._lock = threading.Lock()

    def add(self, sent_samples: int, dropped_samples: int, lost_samples: int) -> None:
        """Count one call that has ended."""
        with self._lock:
            self.calls += 1
            self.sent_samples += sent_samples
            self.dropped_samples += dropped_samples
            self.lost_samples += lost_samples


class Listener:
    """A subscriber of everything that counts what it gets."""

    def __init__(self, endpoint: str) -> None:
        self.kinds: Counter[str] = Counter()
        self.lost_events = 0
        self.counters: dict[str, int] = {}
        self._endpoint = endpoint
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        with Subscriber(self._endpoint, connect_timeout_s=30.0, on_notice=lambda notice: None) as feed:
            for event in feed:
                self.kinds[event.kind] += 1
                if event.kind == "health":
                    counters = event.data.counters
                    self.counters = {name: getattr(counters, name) for name in counters.__struct_fields__}
                self.lost_events = feed.lost_events
                if self._over.is_set():
                    return

    def stop(self) -> None:
        """End; a live server says something every second."""
        self._over.set()
        self._thread.join(5.0)


def talk(ingest: str, slot: int, account: Account, until_s: float) -> None:
    """Be one party after the other, each in a call of its own of about two minutes."""
    sound = (nonsense(30.0, seed=slot % 8) * 32_767).astype(np.int16)
    number = 0
    with AudioSender(ingest, timeout_s=30.0) as sender:
        while time.monotonic() < until_s:
            stream = sender.open(f"call-{slot}-{number}", sample_rate_hz=_RATE_HZ, role="customer")
            begin_s = time.monotonic()
            call_s = min(_CALL_S + 7 * (slot % 9), until_s - begin_s)
            packets = max(1, round(call_s / 0.02))
            for packet in range(packets):
                time.sleep(max(0.0, begin_s + (packet + 1) * 0.02 - time.monotonic()))
                at = packet * _PACKET_SAMPLES % (sound.size - _PACKET_SAMPLES)
                stream.send(sound[at : at + _PACKET_SAMPLES], capture_ns=time.time_ns(), wait=False)
            lost_samples = stream.end().lost_samples
            account.add(packets * _PACKET_SAMPLES, stream.dropped_samples, lost_samples)
            number += 1


def open_and_end(ingest: str, opener: int, count: int, account: Account) -> None:
    """Open so many calls, one after the other, each with a fifth of a second of sound."""
    sound = (nonsense(2.0, seed=opener)[:3_200] * 32_767).astype(np.int16)
    with AudioSender(ingest, timeout_s=30.0) as sender:
        for number in range(count):
            stream = None
            while stream is None:
                try:
                    stream = sender.open(f"brief-{opener}-{number}", sample_rate_hz=_RATE_HZ, role="customer")
                except CapacityError:  # those that have ended are still being worked off, in real time
                    time.sleep(0.05)
            stream.send(sound)
            account.add(sound.size, 0, stream.end().lost_samples)


def run(
    words: Sequence[str],
    minutes: float,
    calls: int,
    opens: int,
    report_s: float,
    report: Callable[[dict[str, object]], None],
) -> None:
    """Open and end calls, then be live.

    Args:
        words: Further words for `rtemo serve`.
        minutes: In real time with all calls; none when 0.
        calls: At once.
        opens: Calls to open and end before; none when 0.
        report_s: Time between two reports.
        report: Receives what is known so far, and at last the whole, of each of the two.

    Raises:
        RtemoError: The server does not start, or ends by itself.
    """
    with serving(max(64, 2 * calls), words) as server:
        listener = Listener(server.events)
        if opens:
            account, usage = Account(), ProcessUsage(server.process.pid)
            shares = [len(range(opener, opens, _OPENERS)) for opener in range(_OPENERS)]
            threads = [
                threading.Thread(target=open_and_end, args=(server.ingest, opener, share, account), daemon=True)
                for opener, share in enumerate(shares)
            ]
            _follow(threads, _Course("opens", usage, account, listener, 5.0), report_s, report)
        if minutes:
            account, usage = Account(), ProcessUsage(server.process.pid)
            until_s = time.monotonic() + minutes * 60
            threads = [
                threading.Thread(target=talk, args=(server.ingest, slot, account, until_s), daemon=True)
                for slot in range(calls)
            ]
            every_s = min(10.0, minutes * 60 / _LOOKS)
            _follow(threads, _Course("live", usage, account, listener, every_s), report_s, report)
        listener.stop()


class _Course(NamedTuple):
    """What is looked at while calls talk."""

    what: str
    usage: ProcessUsage
    account: Account
    listener: Listener
    every_s: float

    def told(self, run_s: float) -> dict[str, object]:
        """Tell what is known so far."""
        return {
            "what": self.what,
            "minutes": round(run_s / 60, 2),
            "calls": self.account.calls,
            **self.usage.told(min(_SETTLED_S, run_s / 2) / 3600),
            "sent_hours": round(self.account.sent_samples / _RATE_HZ / 3600, 4),
            "dropped_samples": self.account.dropped_samples,
            "lost_samples": self.account.lost_samples,
            "events": sum(self.listener.kinds.values()),
            "lost_events": self.listener.lost_events,
            "counters": self.listener.counters,
        }


def _follow(
    threads: list[threading.Thread], course: _Course, report_s: float, report: Callable[[dict[str, object]], None]
) -> None:
    """Let them talk, look at the server now and then, and report what became of it."""
    start_s = time.monotonic()
    for thread in threads:
        thread.start()
    report_at_s = start_s + report_s
    while alive := [thread for thread in threads if thread.is_alive()]:
        stop_if_told()
        course.usage.look()
        if time.monotonic() > report_at_s:
            report_at_s += report_s
            report(course.told(time.monotonic() - start_s))
        alive[0].join(course.every_s)
    course.usage.look()
    report(course.told(time.monotonic() - start_s))
