"""JsonlPublisher: one JSON object per event and line, into a file or to standard output."""

import contextlib
import errno
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from rtemo.api import Event, RtemoError, StreamEnd, StreamFormat
from rtemo.api.text import plain_json
from rtemo.io.publishers.numbering import Numbering
from rtemo.io.wire import encode


class JsonlPublisher:
    """Writes every event as the same JSON that goes over ZeroMQ, so `rtemo.client.decode_event` reads it back.

    Every batch of events is handed to the system at once: a reader that follows the file sees whole lines
    within a tick of the publish thread.

    Args:
        path: File to write; `-` is standard output.
        append: Whether to keep what the file holds.
        purpose: What the results are used for; stamped on every event when not empty.
        format: Rate of sample positions, until a `session_start` event tells another.
    """

    name = "jsonl"

    def __init__(
        self,
        path: str | Path,
        *,
        append: bool = False,
        purpose: str = "",
        format: StreamFormat | None = None,
    ) -> None:
        self._path = Path(path)
        self._append = append
        self._numbering = Numbering("main", purpose, format)
        self._file: BinaryIO | None = None

    @property
    def _where(self) -> str:
        return "standard output" if self._is_stdout else str(self._path)

    @property
    def _is_stdout(self) -> bool:
        return str(self._path) == "-"

    def check(self) -> None:
        """Look whether the file can be written, before the seconds of warming up; makes and changes nothing.

        Raises:
            RtemoError: It cannot.
        """
        if self._is_stdout:
            return
        if self._path.is_dir():
            raise self._refusal(os.strerror(errno.EISDIR))
        if not self._path.exists() and not self._path.parent.is_dir():
            raise self._refusal(os.strerror(errno.ENOENT))
        if not os.access(self._path if self._path.exists() else self._path.parent, os.W_OK):
            raise self._refusal(os.strerror(errno.EACCES))

    def open(self) -> None:
        """Open the file.

        Raises:
            RtemoError: It cannot be written.
        """
        try:
            if self._is_stdout:
                sys.stdout.flush()
                self._file = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
            else:
                self._file = self._path.open("ab" if self._append else "wb")
        except OSError as error:
            raise self._refusal(error.strerror or str(error)) from None

    def _refusal(self, reason: str | None) -> RtemoError:
        return RtemoError(f"cannot write {self._where}: {reason}", "check that the folder exists and may be written")

    def publish(self, events: Sequence[Event]) -> None:
        """Write events in order.

        Raises:
            RtemoError: The disk is full, or the reader of a pipe has gone; nothing more can be written.
        """
        if self._file is None:
            return
        lines = b"".join(_line(encode(self._numbering.number(event)[1])) for event in events)
        try:
            self._file.write(lines)
            self._file.flush()
        except BrokenPipeError:
            raise RtemoError(f"the reader of {self._where} has gone", "nothing more is written") from None
        except OSError as error:
            raise RtemoError(f"cannot write {self._where}: {error.strerror}", "make room on the disk") from None
        for event in events:
            if type(event.data) is StreamEnd:
                self._numbering.forget(event.call, event.channel)

    def tick(self) -> None:
        """Nothing is due between events."""

    def close(self) -> None:
        """Close the file; what could not be written before is given up."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
            self._file = None


def _line(message: bytes) -> bytes:
    """End a line; what a terminal would obey is escaped, since a file is looked at with one sooner or later."""
    return (message if message.isascii() else plain_json(message.decode()).encode()) + b"\n"
