"""Table: events as rows and columns, written as CSV or Parquet."""

import csv
import importlib.util
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from rtemo.api import RtemoError
from rtemo.io.wire import WireEvent

TEXT, NUMBER, BOOL = "text", "number", "bool"
_PLACE: tuple[tuple[str, str], ...] = (
    *(("t_pub_ms", NUMBER), ("call", TEXT), ("channel", TEXT), ("role", TEXT), ("kind", TEXT), ("plugin", TEXT)),
    *(("t0_ms", NUMBER), ("t1_ms", NUMBER), ("t_capture_ms", NUMBER), ("epoch", TEXT), ("pub_seq", NUMBER)),
    ("purpose", TEXT),
)
"""Columns of every event → what stands in them; the names of the wire format."""
_BATCH = 10_000
_Row = list[Any]
_Read = Callable[[], Iterable[WireEvent[Any]]]


class Table:
    """Events as a table.

    A row has the place and times of an event, and its payload: as JSON in the column `data`, or, when only one kind is
    asked for, a column for each of its fields. Two passes: the first finds the columns.

    Args:
        read: Begins to read the events anew.
        is_one_kind: Whether all of them are of one kind.

    Attributes:
        columns: Name → `TEXT`, `NUMBER` or `BOOL`.
    """

    def __init__(self, read: _Read, is_one_kind: bool) -> None:
        self._read = read
        self._fields: list[str] | None = None
        self.columns = dict(_PLACE)
        if is_one_kind:
            found: dict[str, set[str]] = {}
            for event in read():
                for name, value in _fields_of(event).items():
                    found.setdefault(name, set()).update(() if value is None else (_kind_of(value),))
            self._fields = list(found)
            self.columns |= {
                f"data.{name}": next(iter(kinds)) if len(kinds) == 1 else TEXT for name, kinds in found.items()
            }
        else:
            self.columns["data"] = TEXT

    def rows(self) -> Iterator[_Row]:
        """Give the rows, in the order in which events were written."""
        kinds = list(self.columns.values())
        for event in self._read():
            policy = event.policy
            row = [policy.purpose if name == "purpose" and policy else getattr(event, name, None) for name, _ in _PLACE]
            if self._fields is None:
                row.append(msgspec.json.encode(event.data).decode())
            else:
                fields = _fields_of(event)
                row += [fields.get(name) for name in self._fields]
            yield [_as(value, kind) for value, kind in zip(row, kinds, strict=True)]


def _fields_of(event: WireEvent[Any]) -> dict[str, Any]:
    fields: dict[str, Any] = msgspec.to_builtins(event.data)
    fields.pop("kind", None)
    return fields


def _kind_of(value: Any) -> str:
    return BOOL if isinstance(value, bool) else NUMBER if isinstance(value, int | float) else TEXT


def _as(value: Any, kind: str) -> Any:
    if value is None or (kind == TEXT and isinstance(value, str)):
        return value
    return msgspec.json.encode(value).decode() if kind == TEXT else value


def write_csv(path: Path, table: Table) -> int:
    """Write a table as CSV (RFC 4180, UTF-8) and tell how many rows it has.

    A text that a spreadsheet would take for a formula has `'` before it: names of calls and what is said come from
    outside.
    """
    count = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(table.columns)
        for row in table.rows():
            writer.writerow([_unarmed(cell) for cell in row])
            count += 1
    return count


def _unarmed(cell: Any) -> Any:
    if isinstance(cell, str) and cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n")):
        return "'" + cell
    return cell


def check_parquet() -> None:
    """Look whether Parquet can be written.

    Raises:
        RtemoError: The library is not installed.
    """
    if importlib.util.find_spec("pyarrow") is None:
        raise RtemoError("Parquet needs pyarrow", "run: pip install 'rtemo[parquet]', or name a file that ends in .csv")


def write_parquet(path: Path, table: Table) -> int:
    """Write a table as Parquet and tell how many rows it has.

    Raises:
        RtemoError: The library is not installed.
    """
    check_parquet()
    import pyarrow as pa
    import pyarrow.parquet as pq

    types = {TEXT: pa.string(), NUMBER: pa.float64(), BOOL: pa.bool_()}
    schema = pa.schema([(name, types[kind]) for name, kind in table.columns.items()])
    count, rows = 0, table.rows()
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        while batch := list(itertools.islice(rows, _BATCH)):
            columns = [pa.array(values, field.type) for values, field in zip(_columns(batch), schema, strict=True)]
            writer.write_table(pa.Table.from_arrays(columns, schema=schema))
            count += len(batch)
    return count


def _columns(rows: Sequence[_Row]) -> Iterator[tuple[Any, ...]]:
    return zip(*rows, strict=True)
