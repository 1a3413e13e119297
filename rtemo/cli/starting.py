"""StartLine: how far the compiling of kernels is, on standard error."""

import sys
import time
from typing import TYPE_CHECKING, TextIO

from rtemo.cli.stopping import stop_if_told

if TYPE_CHECKING:
    from rtemo.warming import WarmProgress

_SPARSE_S = 5.0


class StartLine:
    """One line that is brought up to date on a terminal; elsewhere a line now and then, for logs.

    Says nothing when all kernels come from the cache.

    Args:
        stream: Where to; standard error when None.
    """

    def __init__(self, stream: TextIO | None = None) -> None:
        self._stream = stream or sys.stderr
        self._start_s = 0.0
        self._said_s = 0.0

    def __call__(self, progress: "WarmProgress") -> None:
        """Take a report of a `Session` or of `rtemo.warm`; stops it when the user has asked for that."""
        stop_if_told()
        now_s = time.monotonic()
        self._start_s = self._start_s or now_s
        text = f"rtemo: {progress}"
        if progress.is_over:
            text += f" in {now_s - self._start_s:.0f} s"
        if self._stream.isatty():
            end = "\n" if progress.is_over else ""
            self._stream.write(f"\r\x1b[K{text}{end}")
        elif progress.is_over or not self._said_s or now_s - self._said_s >= _SPARSE_S:
            self._said_s = now_s
            self._stream.write(f"{text}\n")
        self._stream.flush()
