"""StorePublisher: events in a SQLite file, without audio; kept for some days, and erased by call."""

import contextlib
import logging
import os
import re
import sqlite3
import time
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from rtemo.api import Event, Health, Level, Prosody, RtemoError, StreamEnd, StreamFormat, kind_of
from rtemo.io.publishers.numbering import Numbering
from rtemo.io.publishers.options import StoreOptions
from rtemo.io.wire import WireEvent, encode, utc_ms

_TABLES = """
CREATE TABLE IF NOT EXISTS events (
    id INTEGER PRIMARY KEY, t_pub_ms REAL NOT NULL, call TEXT NOT NULL, channel TEXT NOT NULL, kind TEXT NOT NULL,
    message TEXT NOT NULL
);
CREATE INDEX IF NOT EXISTS events_by_call ON events (call, id);
CREATE INDEX IF NOT EXISTS events_by_time ON events (t_pub_ms);
"""
_INSERT = "INSERT INTO events (t_pub_ms, call, channel, kind, message) VALUES (?, ?, ?, ?, ?)"
_log = logging.getLogger(__name__)

_READINGS = frozenset(kind_of(cls) for cls in (Level, Prosody, Health))
_DAY_MS = 86_400_000.0
_FLUSH_S = 0.5
_PRUNE_S = 60.0
_PRUNED_ROWS = 5_000  # at once: nobody waits for a day's worth
_WAITING_ROWS = 100_000
_LOCKED_S = 0.2

_Row = tuple[float, str, str, str, str]


class StorePublisher:
    """Writes every event into a SQLite file, as the same JSON that goes over ZeroMQ.

    Others may read meanwhile (write-ahead log). While somebody else writes, as `rtemo erase` does, events wait in
    memory, within a bound.

    Args:
        options: The file, how long events are kept, which kinds are left out.
        purpose: What the results are used for; stamped on every event when not empty.
        format: Rate of sample positions, until a `session_start` event tells another.

    Attributes:
        dropped_events: Events that found no room while the file was locked.
    """

    name = "store"
    options_type: ClassVar[type[StoreOptions]] = StoreOptions

    def __init__(
        self, options: StoreOptions | None = None, *, purpose: str = "", format: StreamFormat | None = None
    ) -> None:
        self.dropped_events = 0
        self._options = options or StoreOptions()
        self._left_out = frozenset(self._options.leave_out) | (frozenset() if self._options.readings else _READINGS)
        self._numbering = Numbering("main", purpose, format)
        self._waiting: list[_Row] = []
        self._file: sqlite3.Connection | None = None
        self._flushed_s = 0.0
        self._pruned_s = 0.0

    def check(self) -> None:
        """Look whether the file can be written, before the seconds of warming up.

        Raises:
            RtemoError: It cannot.
        """
        path = Path(self._options.path)
        place = path if path.exists() else path.parent
        if path.is_dir() or not place.exists() or not os.access(place, os.W_OK):
            raise RtemoError(f"cannot write {path}", "check that the folder exists and may be written")

    def open(self) -> None:
        """Open the file, readable by its owner alone.

        Raises:
            RtemoError: It cannot be written, or is no SQLite file.
        """
        self.check()
        self._file = open_store(Path(self._options.path))

    def publish(self, events: Sequence[Event]) -> None:
        """Take events; they are written twice a second."""
        for event in events:
            wire = self._numbering.number(event)[1]
            if wire.kind in self._left_out:
                continue
            if len(self._waiting) >= _WAITING_ROWS:
                if not self.dropped_events:
                    _log.warning("%s is locked for long: events are dropped until it is free", self._options.path)
                self.dropped_events += 1
                continue
            self._waiting.append((wire.t_pub_ms, wire.call, wire.channel, wire.kind, encode(wire).decode()))
        for event in events:
            if type(event.data) is StreamEnd:
                self._numbering.forget(event.call, event.channel)

    def tick(self) -> None:
        """Write what waits, and drop what is too old.

        Raises:
            RtemoError: The disk is full.
        """
        now_s = time.monotonic()
        if now_s - self._flushed_s >= _FLUSH_S:
            self._flushed_s = now_s
            self._flush()
        if now_s - self._pruned_s >= _PRUNE_S:
            before_ms = utc_ms(time.time_ns()) - self._options.keep_days * _DAY_MS
            if self._prune(before_ms) < _PRUNED_ROWS:
                self._pruned_s = now_s

    def close(self) -> None:
        """Write what waits and close the file."""
        if self._file is not None:
            with contextlib.suppress(RtemoError):
                self._flush()
            self._file.close()
            self._file = None

    def _flush(self) -> None:
        if self._file is None or not self._waiting:
            return
        with _told(self._options.path), self._file:
            self._file.executemany(_INSERT, self._waiting)
            self._waiting = []

    def _prune(self, before_ms: float) -> int:
        if self._file is None:
            return 0
        old = "DELETE FROM events WHERE id IN (SELECT id FROM events WHERE t_pub_ms < ? LIMIT ?)"
        with _told(self._options.path), self._file:
            return self._file.execute(old, (before_ms, _PRUNED_ROWS)).rowcount
        return 0  # it was locked


@contextlib.contextmanager
def _told(path: str) -> Iterator[None]:
    """Let a lock of somebody else pass, and name what is really wrong."""
    try:
        yield
    except sqlite3.OperationalError as error:
        if "locked" not in str(error):
            raise RtemoError(f"cannot write {path}: {error}", "make room on the disk") from None


def open_store(path: Path) -> sqlite3.Connection:
    """Open a store, and make it where there is none.

    What is deleted is overwritten, too (`secure_delete`).

    Raises:
        RtemoError: It cannot be written, or is no SQLite file.
    """
    try:
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))
        file = sqlite3.connect(path, timeout=_LOCKED_S)
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "secure_delete=ON"):
            file.execute(f"PRAGMA {pragma}")
        file.executescript(_TABLES)
    except (OSError, sqlite3.Error) as error:
        raise RtemoError(f"{path} cannot be used as a store ({error})", "name another file") from None
    return file


def append(path: Path, event: WireEvent[Any], patience_s: float = 5.0) -> None:
    """Write one event into a store, beside whoever else writes.

    Args:
        path: The store; made when it is not there.
        event: As on every other way out.
        patience_s: How long others may hold the file.

    Raises:
        RtemoError: It cannot be written.
    """
    file = open_store(path)
    try:
        file.execute(f"PRAGMA busy_timeout={int(patience_s * 1000)}")
        with file:
            file.execute(_INSERT, (event.t_pub_ms, event.call, event.channel, event.kind, encode(event).decode()))
    except sqlite3.Error as error:
        raise RtemoError(f"{path} cannot be written ({error})", "make room, or name another file") from None
    finally:
        file.close()


def erase(path: Path, call: str, patience_s: float = 30.0) -> int:
    """Erase everything about a call: its events, and those of the engine that name it.

    Args:
        path: The store.
        call: Its name.
        patience_s: How long others may hold the file.

    Returns:
        How many events were erased.

    Raises:
        RtemoError: There is no store, or others hold it too long.
    """
    if not path.is_file():
        raise RtemoError(f"there is no store {path}", "name the file with --store")
    file = open_store(path)
    written = msgspec.json.encode(call).decode()[1:-1]
    as_a_whole = re.compile(rf"(?<![\w-]){re.escape(written)}(?![\w-])")
    try:
        file.execute(f"PRAGMA busy_timeout={int(patience_s * 1000)}")
        with file:
            count = file.execute("DELETE FROM events WHERE call = ?", (call,)).rowcount
            near = "SELECT id, message FROM events WHERE call = '' AND instr(message, ?) > 0"
            named = [(number,) for number, text in file.execute(near, (written,)) if as_a_whole.search(text)]
            file.executemany("DELETE FROM events WHERE id = ?", named)
        (is_busy, *_) = file.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    except sqlite3.Error as error:
        raise RtemoError(f"{path} cannot be written ({error})", "try again when others are done with it") from None
    finally:
        file.close()
    if is_busy:  # what is erased must not go on in the log
        raise RtemoError(
            f"the events are out of {path}, but others read it, so that its log ({path.name}-wal) still holds them",
            "run the command again when they are done",
        )
    return count + len(named)


def rows(path: Path, calls: Collection[str] = (), kinds: Collection[str] = ()) -> Iterator[bytes]:
    """Give events of any calls as JSON, in the order in which they came.

    Args:
        path: The store.
        calls: Only of these; empty for all, and for what is said of the engine.
        kinds: Only these; empty for all.

    Raises:
        RtemoError: It is no store.
    """
    wanted = [
        f"{column} IN ({', '.join('?' * len(values))})"
        for column, values in (("call", calls), ("kind", kinds))
        if values
    ]
    query = f"SELECT message FROM events {'WHERE ' + ' AND '.join(wanted) if wanted else ''} ORDER BY id"
    with _reading(path) as file:
        for (message,) in file.execute(query, (*calls, *kinds)):
            yield message.encode()


def messages(path: Path, call: str = "") -> Iterator[bytes]:
    """Give the events of a call as JSON, in the order in which they came.

    Args:
        path: The store.
        call: Its name; empty for the one that began last.

    Raises:
        RtemoError: It is no store.
    """
    if not call:
        last = "SELECT call FROM events WHERE kind = 'stream_start' ORDER BY id DESC LIMIT 1"
        with _reading(path) as file:
            call = (file.execute(last).fetchone() or ("",))[0]
    return rows(path, (call,))


@contextlib.contextmanager
def _reading(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a store to read, while others may write."""
    try:
        file = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro", uri=True)
        try:
            yield file
        finally:
            file.close()
    except sqlite3.Error as error:
        raise RtemoError(f"{path} cannot be read as a store ({error})", "name another file") from None
