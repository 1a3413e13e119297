"""DrawnElsewhere: the live view in a process of its own, so that drawing costs the driver nothing."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence

from rich.console import Console

from rtemo.api import Event
from rtemo.cli.stopping import shielded
from rtemo.cli.view.live import ViewLostError
from rtemo.cli.view.pipe import Closing, Heard, Lasting, Message, Opening, pack
from rtemo.cli.view.state import ViewState
from rtemo.config import ListenOptions

_PENDING_BYTES = 1 << 22  # a quarter of an hour of two streams: what a view that is stopped may miss nothing of
_END_S = 1.0
_WORDS = (sys.executable, "-P", "-m", "rtemo.cli.view.drawing")  # -P: not what lies about in the current folder


def _own_stderr() -> int | None:
    """Give the standard error that outlives this process: descriptor 2 may lead to a thread that filters it."""
    try:
        return sys.stderr.fileno()
    except (AttributeError, OSError, ValueError):
        return None


class DrawnElsewhere:
    """Hands events to a process that draws them on this terminal, and never waits for it.

    It is told what is to be told a few times per drawing. What it does not take is held, up to a bound; beyond that
    it misses events, and the summary, which rests on the state here, does not.

    Args:
        state: Kept up to date for the summary.
        console: The terminal; put right again when the process could not do so itself.
        options: Settings of the view.
        words: Command of the process that draws.

    Attributes:
        missed_events: Events for which there was no room.
    """

    def __init__(
        self, state: ViewState, console: Console, options: ListenOptions, words: Sequence[str] = _WORDS
    ) -> None:
        self._state = state
        self._console = console
        self._options = options
        self._words = list(words)
        self.missed_events = 0
        self._period_s = 0.5 / options.refresh_hz
        self._due_s = 0.0
        self._duration_s = 0.0
        self._pending = bytearray()
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe = -1
        self._is_lost = False

    def __enter__(self) -> "DrawnElsewhere":
        # Where this process has found its modules, the other finds the same ones.
        environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path or os.getcwd() for path in sys.path)}
        try:
            with _interrupts_held():
                self._process = subprocess.Popen(
                    self._words, stdin=subprocess.PIPE, stderr=_own_stderr(), env=environment
                )
        except OSError as error:
            raise ViewLostError(
                f"the process that draws the view cannot be started ({error.strerror})", "run it again with --plain"
            ) from None
        try:
            assert self._process.stdin is not None
            self._pipe = self._process.stdin.fileno()
            os.set_blocking(self._pipe, False)
            self._tell(Opening(self._state.title, self._options))
            self._flush()
        except BaseException:  # an interrupt that was held back: nobody else ends what has been started
            self.__exit__()
            raise
        return self

    def __exit__(self, *error: object) -> None:
        if self._process is not None:
            with shielded():
                self._end(self._process)

    def _end(self, process: subprocess.Popen[bytes]) -> None:
        """Let the process put the terminal right and end, within a bound."""
        self._tell(Closing())
        deadline_s = time.monotonic() + _END_S
        while not self._flush() and process.poll() is None and time.monotonic() < deadline_s:
            time.sleep(0.005)
        assert process.stdin is not None
        with contextlib.suppress(OSError):
            process.stdin.close()
        try:
            process.wait(max(0.1, deadline_s - time.monotonic()))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.returncode:  # it did not leave the alternate screen by itself
            self._console.set_alt_screen(False)
            self._console.show_cursor(True)

    @property
    def pending_bytes(self) -> int:
        """What is held for the other process."""
        return len(self._pending)

    def add(self, event: Event) -> None:
        """Take an event."""
        self._state.add(event)
        self._tell(Heard(event))

    def refresh(self) -> None:
        """Hand on what has gathered if it is time to.

        Raises:
            ViewLostError: Nobody draws any more; raised once.
        """
        now_s = time.monotonic()
        if now_s < self._due_s or self._is_lost:
            return
        self._due_s = now_s + self._period_s
        if self._state.duration_s != self._duration_s:
            self._duration_s = self._state.duration_s
            self._tell(Lasting(self._duration_s))
        self._flush()
        assert self._process is not None
        status = self._process.poll()
        if status is not None:
            self._is_lost = True
            how = f"was killed by signal {-status}" if status < 0 else f"ended with status {status}"
            raise ViewLostError(
                f"the process that draws the view {how}, so listening has stopped", "run it again, or with --plain"
            )

    def _tell(self, message: Message) -> None:
        if self._is_lost:
            return
        try:
            packed = pack(message)
        except (TypeError, NotImplementedError, ValueError):
            return  # what a stranger's plugin says and cannot be written; who publishes events says so
        if len(self._pending) + len(packed) <= _PENDING_BYTES:
            self._pending += packed
        else:
            self.missed_events += 1

    def _flush(self) -> bool:
        """Write what the pipe takes; tell whether nothing is left to write."""
        try:
            while self._pending:
                del self._pending[: os.write(self._pipe, self._pending)]
        except BlockingIOError:
            return False
        except OSError:  # it has gone, which `refresh` sees
            self._pending.clear()
        return True


@contextlib.contextmanager
def _interrupts_held() -> Iterator[None]:
    """Hold Ctrl-C back while a process is started: it inherits that and so is never interrupted itself.

    A terminal sends it to all processes of the run; this one ends the run and the other one with it.
    """
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
