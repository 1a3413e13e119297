import json
import os
import shutil
import signal
import subprocess
import sys
import time
import uuid
from pathlib import Path

import numpy as np
import pytest
import zmq

from rtemo.client import Subscriber
from tests.fakes.program import ROOT
from tests.fakes.sounds import write_sound
from tests.fakes.voice import RATE_HZ, voice
from tests.fakes.zmq_ends import free_ports

pytestmark = [
    pytest.mark.e2e,
    pytest.mark.skipif(shutil.which("tmux") is None, reason="tmux is not installed"),
]


class Terminal:
    """A terminal of a given size with a program in it, as a person would see it."""

    def __init__(self, columns, lines, words):
        self._tmux = ["tmux", "-L", f"rtemo-{uuid.uuid4().hex[:8]}", "-f", "/dev/null"]
        environment = "env -u COLUMNS -u LINES TERM=tmux-256color"
        command = f"{environment} {sys.executable} -m rtemo.cli.main {words}; echo status $?; sleep 60"
        self._do("new-session", "-d", "-x", str(columns), "-y", str(lines), "-c", str(ROOT), command)

    def screen(self):
        return self._do("capture-pane", "-p")

    def wait_for(self, *words, timeout_s=20.0):
        deadline_s = time.monotonic() + timeout_s
        while time.monotonic() < deadline_s:
            shown = self.screen()
            if all(word in shown for word in words):
                return shown
            time.sleep(0.1)
        raise AssertionError(f"{words} did not show:\n{self.screen()}")

    def processes(self):
        """The process that listens and the one that draws."""
        (listening,) = children(int(self._do("display-message", "-p", "#{pane_pid}")))
        (drawing,) = children(listening)
        return listening, drawing

    def press(self, key):
        self._do("send-keys", key)

    def resize(self, columns, lines):
        self._do("resize-window", "-x", str(columns), "-y", str(lines))

    def close(self):
        self._do("kill-server")

    def _do(self, *arguments):
        return subprocess.run([*self._tmux, *arguments], capture_output=True, text=True, check=False).stdout


def children(number):
    return [int(word) for word in Path(f"/proc/{number}/task/{number}/children").read_text().split()]


def has_ended(number, timeout_s=2.0):
    words = Path(f"/proc/{number}/cmdline")  # empty once it has ended and nobody has asked how
    deadline_s = time.monotonic() + timeout_s
    while words.exists() and words.read_bytes():
        if time.monotonic() > deadline_s:
            return False
        time.sleep(0.02)
    return True


@pytest.fixture
def terminal():
    opened = []

    def open_terminal(columns, lines, words):
        opened.append(Terminal(columns, lines, words))
        return opened[-1]

    yield open_terminal
    for each in opened:
        each.close()


@pytest.fixture(scope="module")
def call_file(tmp_path_factory):
    samples = np.stack([voice(60.0, seed=2), voice(60.0, seed=3)], axis=1)
    return write_sound(tmp_path_factory.mktemp("sound") / "call.flac", samples, RATE_HZ)


@pytest.mark.parametrize(("columns", "lines"), [(80, 24), (120, 36)])
def test_the_live_view_fills_the_terminal_and_nothing_more(terminal, call_file, columns, lines):
    shown = terminal(columns, lines, f"listen {call_file} --roles customer,caller").wait_for(
        "customer", "SPEECH", "▶", "BUSY p99", "Ctrl-C ends"
    )
    rows = shown.splitlines()
    assert len(rows) <= lines
    assert max(map(len, rows)) <= columns
    assert rows[0].startswith(" rtemo call.flac")
    assert sum(row.count("surprise") for row in rows) == 2
    assert "perceived vocal expression, not inner state" in rows[lines - 1]


def test_the_view_follows_the_size_of_the_terminal(terminal, call_file):
    opened = terminal(80, 24, f"listen {call_file} --chain level,vad")
    opened.wait_for("BUSY p99", "dBFS")
    opened.resize(120, 40)
    time.sleep(1.0)
    rows = opened.wait_for("Ctrl-C ends").splitlines()
    assert len(rows[0]) > 80
    assert rows[39].rstrip().endswith("Ctrl-C ends")


def test_ctrl_c_leaves_the_terminal_clean_with_a_summary(terminal, call_file):
    opened = terminal(80, 24, f"listen {call_file} --chain level,vad")
    opened.wait_for("BUSY p99")
    listening, drawing = opened.processes()
    opened.press("C-c")
    shown = opened.wait_for("status 0", timeout_s=2.0)
    assert has_ended(listening)
    assert has_ended(drawing)
    assert "call/0" in shown
    assert "call/1" in shown
    assert "╭" not in shown
    assert "Traceback" not in shown


def test_listening_ends_in_order_when_the_view_is_killed(terminal, call_file, tmp_path):
    told = tmp_path / "events.jsonl"
    endpoint = f"tcp://127.0.0.1:{free_ports()}"
    with Subscriber(endpoint, connect_timeout_s=30.0) as feed:
        opened = terminal(100, 30, f"listen {call_file} --chain level,vad --jsonl {told} --publish {endpoint}")
        opened.wait_for("BUSY p99")
        listening, drawing = opened.processes()
        os.kill(drawing, signal.SIGKILL)
        heard = next(wire for wire in feed if wire.kind == "session_end")
    shown = opened.wait_for("status 2", timeout_s=3.0)
    assert "rtemo: the process that draws the view was killed by signal 9, so listening has stopped" in shown
    assert "✓ nothing lost" in shown or "! " in shown
    assert "╭" not in shown
    assert has_ended(listening)
    last = json.loads(told.read_text().splitlines()[-1])
    assert (last["kind"], last["data"]["reason"]) == ("session_end", "view lost") == (heard.kind, heard.data.reason)


def test_the_view_says_one_line_and_ends_when_the_listening_process_is_killed(terminal, call_file):
    opened = terminal(120, 30, f"listen {call_file} --chain level,vad")
    opened.wait_for("BUSY p99")
    listening, drawing = opened.processes()
    os.kill(listening, signal.SIGKILL)
    shown = opened.wait_for("was killed or has crashed", timeout_s=10.0)
    assert shown.count("rtemo: ") == 1
    assert "╭" not in shown
    assert "Traceback" not in shown
    assert has_ended(drawing)


def test_a_view_that_is_stopped_holds_nobody_up(terminal, call_file, tmp_path):
    told = tmp_path / "events.jsonl"
    opened = terminal(80, 24, f"listen {call_file} --chain level,vad --jsonl {told}")
    opened.wait_for("BUSY p99")
    _, drawing = opened.processes()
    os.kill(drawing, signal.SIGSTOP)
    before = told.stat().st_size
    time.sleep(1.5)
    assert told.stat().st_size > before
    opened.press("C-c")
    shown = opened.wait_for("status 0", timeout_s=5.0)
    assert "╭" not in shown
    assert "call/0" in shown
    assert has_ended(drawing)


def test_what_keeps_the_engine_from_starting_is_one_line_on_a_clean_terminal(terminal, call_file):
    with zmq.Context() as context, context.socket(zmq.PUB) as socket:
        port = socket.bind_to_random_port("tcp://127.0.0.1")
        words = f"listen {call_file} --chain level,vad --publish tcp://127.0.0.1:{port}"
        shown = terminal(200, 24, words).wait_for("status 2", timeout_s=30.0)
    assert next(row for row in shown.splitlines() if "rtemo" in row).startswith("rtemo: ")
    assert "in use" in shown
    assert "╭" not in shown
    assert "Traceback" not in shown


def test_a_terminal_without_abilities_gets_plain_lines(terminal, call_file):
    opened = terminal(80, 24, f"listen {call_file} --fast --plain --chain level,vad")
    shown = opened.wait_for("status 0", timeout_s=40.0)
    assert "╭" not in shown
    assert "stream ends" in shown
