"""Faults of the machine and of processes, each done to real programs; see docs/reliability-machine.md."""

import contextlib
import io
import json
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest

import rtemo
from rtemo.cli.main import main
from rtemo.client import AudioSender, Subscriber
from rtemo.config import Config
from rtemo.io.publishers.jsonl import JsonlPublisher
from rtemo.io.sources.file import FileSource
from rtemo.io.wire import WireEvent
from rtemo.runtime.store import find
from tests.attack.fault_table import Promise
from tests.attack.server import LOUD, PACKET, RATE_HZ, Crowd, Server
from tests.fakes.program import ROOT, command
from tests.fakes.sounds import write_sound
from tests.fakes.voice import voice
from tests.fakes.zmq_ends import wait_until

HOUR_NS = 3_600_000_000_000


class Hearing:
    """A subscriber on a thread of its own.

    Attributes:
        heard: Monotonic time and event, in order.
    """

    def __init__(self, server: Server) -> None:
        self.heard: list[tuple[float, WireEvent[Any]]] = []
        self.lost_events = 0
        self._over = threading.Event()
        self._endpoint = server.events
        self._thread = threading.Thread(target=self._run, daemon=True)

    def _run(self) -> None:
        with Subscriber(self._endpoint, connect_timeout_s=20.0, on_notice=lambda notice: None) as feed:
            for event in feed:
                self.heard.append((time.monotonic(), event))
                self.lost_events = feed.lost_events
                if self._over.is_set() or event.kind == "session_end":
                    return

    def of(self, kind: str) -> list[tuple[float, WireEvent[Any]]]:
        return [item for item in self.heard if item[1].kind == kind]

    def __enter__(self) -> "Hearing":
        self._thread.start()
        assert wait_until(lambda: self.of("health"), 20.0)
        return self

    def __exit__(self, *error: object) -> None:
        self._over.set()
        self._thread.join(5.0)


@contextmanager
def busy_processors() -> Iterator[None]:
    """One program for each processor that computes without end, as important as ours."""
    count = os.cpu_count() or 1
    programs = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for program in programs:
            program.kill()
            program.wait()


def processors_busy(promise: Promise) -> None:
    with Server("--quiet", capacity=8) as server, Hearing(server) as hearing, Crowd(server.ingest, 8) as crowd:
        time.sleep(1.0)
        fault_s = time.monotonic()
        with busy_processors():
            time.sleep(2.0)
        end_s = time.monotonic()
        time.sleep(promise.whole_s)
        before = [stream.dropped_samples for stream in crowd.streams]
        time.sleep(1.5)
        assert [stream.dropped_samples for stream in crowd.streams] == before
        crowd.stop()
        sent = crowd.sent_packets * PACKET
        for stream in crowd.streams:
            account = stream.end()
            assert account.received_samples + account.lost_samples >= sent - PACKET, "all audio is accounted for"
            assert account.lost_samples <= stream.dropped_samples
        told_s = [at_s for at_s, _ in hearing.of("health")]
        waits_s = np.diff([fault_s, *(at_s for at_s in told_s if fault_s < at_s < end_s + 1.5)])
        assert waits_s.max() <= promise.told_s
        assert hearing.lost_events == 0


def disk_full(promise: Promise) -> None:
    """A file that takes 12 KiB and no more."""
    with TemporaryDirectory() as folder:
        path = Path(folder) / "events.jsonl"
        with (
            Server("--quiet", "--jsonl", str(path), limits="-f 12") as server,
            Hearing(server) as hearing,
            Crowd(server.ingest, 8, role="customer") as crowd,
        ):
            assert wait_until(lambda: path.stat().st_size >= 12 << 10, 20.0)
            full_s = time.monotonic()
            assert wait_until(lambda: hearing.of("fault"), promise.told_s + 1.0)
            at_s, fault = hearing.of("fault")[0]
            assert at_s - full_s <= promise.told_s
            assert (fault.data.where, fault.data.action) == ("jsonl", "closed")
            assert str(path) in fault.data.problem
            count = len(hearing.of("level"))
            assert wait_until(lambda: len(hearing.of("level")) > count + 8)
            assert sum(stream.dropped_samples for stream in crowd.streams) == 0
            assert hearing.lost_events == 0
            server.signal(signal.SIGTERM)
            assert server.end() == 1, "who started it is told too"


def told_in_one_line(promise: Promise, words: list[str], *expected: str) -> None:
    """Run a command in this process that cannot be carried out; see what it says, and how soon."""
    begin_s = time.monotonic()
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), pytest.raises(SystemExit) as ended:
        main(words)
    assert ended.value.code == 2, err.getvalue()
    assert time.monotonic() - begin_s <= promise.told_s
    (line,) = [line for line in err.getvalue().splitlines() if " kernels" not in line]
    for text in expected:
        assert text in line


def folder_cannot_be_written(promise: Promise) -> None:
    """The one folder of every machine that root may not write either."""
    told_in_one_line(promise, ["serve", "--chain", "level", "--jsonl", "/sys/events.jsonl"], "/sys/events.jsonl")


def model_spoilt(promise: Promise, spoil: Callable[[Path], object], *expected: str) -> None:
    bundle = find("merit-listen")
    with TemporaryDirectory() as folder:
        copy = Path(shutil.copytree(bundle.folder, Path(folder) / "listen"))
        spoil(copy / bundle.weights_path().name)
        words = ["serve", "--chain", "level,vad,prosody,merit", "--set", f"plugins.merit.listen_bundle={copy}"]
        told_in_one_line(promise, words, "merit-listen", *expected)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:1_000])


def change(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def no_home(promise: Promise) -> None:
    nowhere = "/nonexistent"
    environment = {"HOME": nowhere, **{f"XDG_{name}_HOME": "" for name in ("CACHE", "CONFIG", "DATA", "STATE")}}
    with Server("--quiet", environment=environment) as server:
        with AudioSender(server.ingest) as sender:
            stream = sender.open("call", sample_rate_hz=RATE_HZ)
            for _ in range(20):
                stream.send(LOUD)
            account = stream.end()
            assert (account.received_samples, account.lost_samples) == (20 * PACKET, 0)
        server.signal(signal.SIGTERM)
        assert server.end() == 0
        assert server.process.stderr is not None
        assert [line for line in server.process.stderr if "rtemo: ready" not in line and " kernels" not in line] == []
    assert not Path(nowhere).exists()


def clock_stepped(promise: Promise) -> None:
    """The clock on the wall is set forward by an hour, then back by two, while a file plays live."""
    usual = time.time_ns
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        told = Path(folder) / "events.jsonl"
        sound = write_sound(Path(folder) / "call.wav", voice(20.0, seed=1), 16_000)
        plugins = {"level": {"interval_s": 0.05}}
        config = Config(chain=("level",), plugins=plugins)
        with rtemo.Session(config, sources=[FileSource(sound)], publishers=[JsonlPublisher(told)]) as session:
            time.sleep(0.6)
            steps_ns = [usual()]
            for offset_ns in (HOUR_NS, -HOUR_NS):
                patch.setattr(time, "time_ns", lambda offset_ns=offset_ns: usual() + offset_ns)
                steps_ns.append(time.time_ns())
                time.sleep(promise.whole_s + 0.6)
            counters = session.stop("done").counters
        assert counters.source_lost_samples == counters.overrun_samples == counters.dropped_events == 0
        assert counters.concealed_hops + counters.skipped_hops < 100, "a busy machine, but no hour"
        events = [json.loads(line) for line in told.read_text().splitlines()]
        levels = [event for event in events if event["kind"] == "level"]
        for step_ns in steps_ns[1:]:
            after_ms = step_ns / 1e6 + promise.whole_s * 1e3
            found = [event for event in levels if after_ms <= event["t_pub_ms"] < after_ms + 600]
            assert len(found) >= 3, "events go on"
            assert all(-1.0 <= event["age_ms"] < 5_000.0 for event in found), [event["age_ms"] for event in found]
        places = [event["start_sample"] for event in levels]
        assert places == sorted(places)


def stopped_under_load(promise: Promise) -> None:
    with Server(capacity=24) as server, Hearing(server) as hearing, Crowd(server.ingest, 24) as crowd:
        time.sleep(1.0)
        stop_s = time.monotonic()
        server.signal(signal.SIGTERM)
        assert wait_until(lambda: all(stream.accounts for stream in crowd.streams), promise.told_s)
        assert server.end(promise.whole_s) == 0
        assert time.monotonic() - stop_s <= promise.whole_s
        assert {stream.accounts[0].reason for stream in crowd.streams} == {"source closed"}
        assert all(stream.accounts[0].lost_samples == 0 for stream in crowd.streams)
        assert wait_until(lambda: hearing.of("session_end"))
        assert {event.call for _, event in hearing.of("stream_end")} == {f"c{index}" for index in range(24)}
        assert hearing.lost_events == 0


class Terminal:
    """A terminal in which `rtemo listen` draws a file.

    Attributes:
        shown: All bytes written to it.
    """

    def __init__(self, path: Path) -> None:
        self.shown = b""
        ours, theirs = pty.openpty()
        self._pty = ours
        words = command("listen", path, "--chain", "level,vad")
        environment = {**os.environ, "TERM": "xterm-256color", "COLUMNS": "100", "LINES": "30"}
        self.process = subprocess.Popen(
            words, cwd=ROOT, env=environment, stdin=theirs, stdout=theirs, stderr=theirs, start_new_session=True
        )
        os.close(theirs)
        self.wait_for(lambda: b"BUSY" in self.shown, 30.0)

    @property
    def drawer(self) -> int:
        """The process that draws."""
        number = self.process.pid
        (child,) = Path(f"/proc/{number}/task/{number}/children").read_text().split()
        return int(child)

    def wait_for(self, condition: Callable[[], bool], timeout_s: float) -> None:
        deadline_s = time.monotonic() + timeout_s
        while not condition():
            assert time.monotonic() < deadline_s, self.shown[-2_000:]
            if select.select([self._pty], [], [], 0.02)[0]:
                with contextlib.suppress(OSError):
                    self.shown += os.read(self._pty, 65_536)

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        os.close(self._pty)


@contextmanager
def terminal() -> Iterator[Terminal]:
    with TemporaryDirectory() as folder:
        opened = Terminal(write_sound(Path(folder) / "call.wav", voice(60.0, seed=2), 16_000))
        try:
            yield opened
        finally:
            opened.close()


def is_gone(process: int) -> bool:
    words = Path(f"/proc/{process}/cmdline")  # empty once it has ended and nobody has asked how
    return not words.exists() or not words.read_bytes()


def view_killed(promise: Promise) -> None:
    with terminal() as opened:
        os.kill(opened.drawer, signal.SIGKILL)
        opened.wait_for(lambda: b"was killed by signal 9" in opened.shown, promise.told_s)
        opened.wait_for(lambda: opened.process.poll() is not None, promise.whole_s)
        assert opened.process.returncode == 2
        assert b"\x1b[?1049l" in opened.shown, "the terminal is put right"
        assert b"Traceback" not in opened.shown


def listener_killed(promise: Promise) -> None:
    with terminal() as opened:
        drawer = opened.drawer
        opened.process.kill()
        opened.wait_for(lambda: b"\x1b[?1049l" in opened.shown, promise.told_s)
        opened.wait_for(lambda: is_gone(drawer), promise.whole_s)
        assert b"Traceback" not in opened.shown


FAULTS: dict[str, Callable[[Promise], None]] = {
    "every processor busy for 2 s": processors_busy,
    "disk full": disk_full,
    "folder that cannot be written": folder_cannot_be_written,
    "no home": no_home,
    "model missing": partial(model_spoilt, spoil=Path.unlink),
    "model cut short": partial(model_spoilt, spoil=cut),
    "model of another hash": partial(model_spoilt, spoil=change),
    "clock of the machine set by an hour": clock_stepped,
    "SIGTERM under load": stopped_under_load,
    "process of the view killed": view_killed,
    "process that listens killed": listener_killed,
}
