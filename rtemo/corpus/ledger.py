"""Ledger: what became of every unit of a stage, line by line, so that a run goes on where it was killed."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from rtemo.api import ConfigError


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one unit.

    Attributes:
        unit: Its name: of a recording as `0003`, of a turn as `0003_0017`.
        dropped: Why it goes no further; empty when it does.
    """

    unit: str
    dropped: str = ""


E = TypeVar("E", bound=Entry)


class Ledger(Generic[E]):
    """Entries of one stage by unit, in the order in which they were made.

    Every entry is appended as one line of JSON, entries that are added together as one line with all of them. A program
    that is killed while it writes leaves half a line, which is taken away when the ledger is opened for writing again;
    its units are then worked on once more, together again, since what a network says of one hangs on the others of its
    batch by a last digit.

    Args:
        path: The file; there need be none.
        type_: Of the entries.

    Raises:
        ConfigError: A line other than the last makes no sense.
    """

    def __init__(self, path: Path, type_: type[E]) -> None:
        self._path = path
        self._decoder: msgspec.json.Decoder[E | list[E]] = msgspec.json.Decoder(type_ | list[type_])  # type: ignore[valid-type]
        self._entries: dict[str, E] = {}
        self._whole_bytes = 0
        self._read()

    def __contains__(self, unit: str) -> bool:
        return unit in self._entries

    def __iter__(self) -> Iterator[E]:
        return iter(self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    def __getitem__(self, unit: str) -> E:
        return self._entries[unit]

    def get(self, unit: str) -> E | None:
        """Give what became of a unit; None if nothing did yet."""
        return self._entries.get(unit)

    @property
    def kept(self) -> list[E]:
        """The entries that go further."""
        return [entry for entry in self if not entry.dropped]

    def add(self, *entries: E) -> None:
        """Append entries; they are on disk when this returns, and all of them or none when the program is killed."""
        if not entries:
            return
        self._path.parent.mkdir(parents=True, exist_ok=True)
        line = msgspec.json.encode(entries if len(entries) > 1 else entries[0]) + b"\n"
        number = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        with open(number, "r+b") as file:
            file.truncate(self._whole_bytes)
            file.seek(self._whole_bytes)
            file.write(line)
            file.flush()
            os.fsync(file.fileno())
        self._whole_bytes += len(line)
        self._entries.update({entry.unit: entry for entry in entries})

    def _read(self) -> None:
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return
        except OSError as error:
            raise ConfigError(f"{self._path} cannot be read ({error.strerror})", "check who may read it") from None
        whole, _, _ = content.rpartition(b"\n")
        for number, line in enumerate(whole.splitlines(), 1):
            try:
                entries = self._decoder.decode(line)
            except (msgspec.DecodeError, RecursionError) as error:
                raise ConfigError(
                    f"{self._path} makes no sense in line {number} ({error})",
                    "take that line away; what it tells of is worked on again",
                ) from None
            for entry in entries if isinstance(entries, list) else [entries]:
                self._entries[entry.unit] = entry
        self._whole_bytes = len(whole) + 1 if whole else 0
