import io
import os
import subprocess
import sys
import time

import msgspec
import numpy as np
import pytest
from rich.console import Console

from rtemo.api import Level
from rtemo.cli.view.elsewhere import DrawnElsewhere
from rtemo.cli.view.live import ViewLostError
from rtemo.cli.view.pipe import Closing, Heard, Lasting, Opening, Unpacker, pack
from rtemo.cli.view.state import ViewState
from rtemo.config import ListenOptions
from tests.fakes.conversation import conversation, event

pytestmark = pytest.mark.unit


def waiting(seconds):
    """The command of a process that reads nothing for so long."""
    return sys.executable, "-S", "-c", f"import time; time.sleep({seconds})"


def shown_by(words):
    return DrawnElsewhere(ViewState("x"), Console(file=io.StringIO()), ListenOptions(refresh_hz=30), words)


def refresh_until_it_says_something(show):
    for _ in range(500):
        show.refresh()
        time.sleep(0.01)


def test_messages_come_out_as_they_went_in_however_the_pipe_cuts_them():
    messages = [Opening("call.flac", ListenOptions(refresh_hz=4)), Lasting(40.0)]
    messages += [Heard(item) for item in conversation(2)] + [Closing()]
    data = b"".join(map(pack, messages))
    for size in (1, 7, 1_000, len(data)):
        unpacker = Unpacker()
        out = [found for at in range(0, len(data), size) for found in unpacker.feed(data[at : at + size])]
        assert out == messages


def test_one_message_that_cannot_be_read_is_left_out_and_the_others_are_given():
    class Strange(msgspec.Struct, tag_field="kind", tag="strange"):
        size: int = 3

    level = Level(rms_dbfs=np.float32(-20.0), peak_dbfs=float("nan"), clipped_ratio=0.0)
    data = pack(Heard(event(Strange(), 0.1))) + pack(Heard(event(level, 0.2)))
    (only,) = Unpacker().feed(data)
    assert only.event.data.rms_dbfs == -20.0
    assert np.isnan(only.event.data.peak_dbfs)


def test_the_view_draws_what_was_told_while_it_was_starting():
    told = [Opening("call.flac", ListenOptions(refresh_hz=30)), Lasting(40.0)]
    told += [Heard(item) for item in conversation(2)] + [Closing()]
    words = [sys.executable, "-m", "rtemo.cli.view.drawing"]
    terminal = {**os.environ, "FORCE_COLOR": "1", "TERM": "xterm", "COLUMNS": "120", "LINES": "40"}
    done = subprocess.run(words, input=b"".join(map(pack, told)), capture_output=True, env=terminal, check=True)
    drawn = done.stdout.decode()
    assert "level → vad → emotion" in drawn
    assert "of 0:40.0" in drawn


def test_a_view_that_reads_nothing_costs_bounded_memory_and_no_time():
    with shown_by(waiting(30)) as show:
        item = event(Level(rms_dbfs=-20.0, peak_dbfs=-8.0, clipped_ratio=0.0), 0.1)
        longest_s = 0.0
        for _ in range(60_000):
            start_s = time.perf_counter()
            show.add(item)
            show.refresh()
            longest_s = max(longest_s, time.perf_counter() - start_s)
        assert show.pending_bytes <= 1 << 22
        assert show.missed_events > 0
        assert longest_s < 0.5
        start_s = time.perf_counter()
    assert time.perf_counter() - start_s < 3.0, "it is ended, not waited for"


def test_a_view_that_ends_is_told_once_and_names_the_way_out():
    with shown_by(waiting(0)) as show:
        with pytest.raises(ViewLostError, match=r"ended with status 0, so listening has stopped; .*--plain"):
            refresh_until_it_says_something(show)
        show.add(event(Level(rms_dbfs=-20.0, peak_dbfs=-8.0, clipped_ratio=0.0), 0.1))
        time.sleep(0.05)
        show.refresh()


def test_a_terminal_that_cannot_start_the_view_is_told_so():
    with pytest.raises(ViewLostError, match=r"cannot be started \(No such file or directory\).*--plain"):
        shown_by(["/nowhere/python"]).__enter__()
