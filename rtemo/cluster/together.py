"""What several engines tell of themselves, put together as if it came from one."""

from collections.abc import Collection, Sequence
from typing import Any, TypeVar

import msgspec

from rtemo.api import Board, BoardEntry, Counters, Event, Health, Payload

_TIE_Z = 0.253  # one above the other with a probability of 60 %, as on the board of one engine


def boards_together(boards: Collection[Board], most_entries: int) -> Board:
    """Make one board of those of several engines.

    Urgency is measured against voices at large, so that it can be compared across engines. Streams of which one is
    above the other with a probability below 60 % share a place.

    Args:
        boards: One of each engine.
        most_entries: Length of the board.
    """
    entries = sorted((entry for board in boards for entry in board.entries), key=lambda entry: -entry.urgency)
    placed: list[BoardEntry] = []
    for index, entry in enumerate(entries[:most_entries]):
        first = placed[placed[-1].place - 1] if placed else entry
        error = (first.spread**2 + entry.spread**2) ** 0.5
        place = first.place if placed and first.urgency - entry.urgency <= _TIE_Z * error else index + 1
        placed.append(msgspec.structs.replace(entry, place=place))
    return Board(
        entries=tuple(placed),
        ranked=sum(board.ranked for board in boards),
        unsure=sum(board.unsure for board in boards),
    )


def counters_together(parts: Sequence[Counters]) -> Counters:
    """Add counters up."""
    return _merged(parts) if parts else Counters()


def about_all(data: Payload, plugin: str, seq: int, emit_ns: int) -> Event:
    """Make an event about all engines together, which is of no call."""
    return Event(
        call="",
        channel="",
        plugin=plugin,
        seq=seq,
        start_sample=0,
        end_sample=0,
        capture_ns=0,
        emit_ns=emit_ns,
        data=data,
    )


def together(healths: Collection[Health], *, is_live: bool = False) -> Health:
    """Make one of the states of several engines: what is counted is added up, of times the longest is told.

    Args:
        healths: One of each engine; at least one.
        is_live: Whether the highest load is told, which shows how near one of them is to being late, and not the sum.
    """
    healths = list(healths)
    merged = _merged(healths, is_live)
    lists = {}
    for name in ("plugins", "sinks", "lanes", "sources"):
        parts = [part for health in healths for part in getattr(health, name)]
        lists[name] = tuple(_merged(group, is_live) for group in _by_name(parts))
    lacking = max(healths, key=lambda health: len(health.given_up))
    return msgspec.structs.replace(merged, given_up=lacking.given_up, given_up_s=lacking.given_up_s, **lists)


Struct = TypeVar("Struct", bound=msgspec.Struct)


def _merged(parts: Sequence[Struct], is_live: bool = False) -> Struct:
    """Make one of several alike, field by field."""
    fields = parts[0].__struct_fields__
    joined = {name: _joined(name, [getattr(part, name) for part in parts], is_live) for name in fields}
    return type(parts[0])(**joined)


def _joined(name: str, values: list[Any], is_live: bool) -> Any:
    first = values[0]
    if isinstance(first, Counters):
        return _merged(values)
    if isinstance(first, str):  # a name, which all share, or a state: the one that is not as it should be
        return next((value for value in values if value != "running"), first)
    if isinstance(first, tuple):
        return first
    is_extent = name.endswith(("_us", "_ms", "_mean", "_per_stream")) or (is_live and name == "load")
    return max(values) if is_extent else sum(values)


def _by_name(parts: Sequence[Any]) -> list[list[Any]]:
    groups: dict[str, list[Any]] = {}
    for part in parts:
        groups.setdefault(part.name, []).append(part)
    return list(groups.values())
