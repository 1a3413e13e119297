import contextlib
import io
import signal

import pytest

from rtemo.cli import starting
from rtemo.cli.starting import StartLine
from rtemo.cli.stopping import term_as_interrupt
from rtemo.warming import WarmProgress

pytestmark = pytest.mark.unit


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_is_one_line_on_a_terminal() -> None:
    stream = Terminal()
    say = StartLine(stream)
    for ready in range(3):
        say(WarmProgress(ready, 64))
    say(WarmProgress(64, 64, is_over=True))
    said = stream.getvalue()
    assert said.count("\n") == 1
    assert "compiling kernels, once: 2 of 64" in said
    assert said.endswith("64 kernels ready in 0 s\n")


def test_progress_in_a_log_is_a_line_at_once_and_then_now_and_then(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = 1.0
    monkeypatch.setattr(starting.time, "monotonic", lambda: now_s)
    stream = io.StringIO()
    say = StartLine(stream)
    for ready in range(23):
        say(WarmProgress(ready, 64))
        now_s += 0.5
    say(WarmProgress(64, 64, is_over=True))
    assert stream.getvalue().splitlines() == [
        "rtemo: compiling kernels, once: 0 of 64",
        "rtemo: compiling kernels, once: 10 of 64",
        "rtemo: compiling kernels, once: 20 of 64",
        "rtemo: 64 kernels ready in 12 s",
    ]


def test_a_ctrl_c_that_was_lost_while_compiling_ends_the_start_at_the_next_kernel() -> None:
    say = StartLine(io.StringIO())
    with term_as_interrupt():
        with contextlib.suppress(KeyboardInterrupt):  # as LLVM's callbacks do
            signal.raise_signal(signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            say(WarmProgress(1, 64))
    say(WarmProgress(2, 64))
