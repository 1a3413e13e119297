"""The table of `rtemo board`: which calls need a person first, and the last alerts."""

from collections.abc import Sequence

from rtemo.api import Board, BoardEntry
from rtemo.cli.view.bars import bar
from rtemo.cli.view.line import Line, spread
from rtemo.cli.view.numbers import clock, signed
from rtemo.cli.view.panel import trend_arrow

_CAUTION = "perceived vocal expression, not inner state: advice to a person"
_BAR_CELLS = 8
_BAR_RANGE = 3.0  # urgency, in standard deviations, at the end of a bar
_LEAST_NAME_CELLS, _MOST_NAME_CELLS = 12, 40
_ATTRIBUTE_CELLS = 10
_PLACE_CELLS, _NUMBER_CELLS, _TREND_CELLS, _SILENT_CELLS = 8, 13, 11, 8
_FIXED_CELLS = _PLACE_CELLS + _BAR_CELLS + _NUMBER_CELLS + _TREND_CELLS + _SILENT_CELLS


def table(board: Board | None, alerts: Sequence[str], title: str, width: int, query: str | None = None) -> list[Line]:
    """Draw the floor.

    Args:
        board: The last one; None before the first has come.
        alerts: The last alerts, newest first, one sentence each.
        title: Where it comes from.
        width: Cells.
        query: What the calls are ordered by; by urgency when None.

    Returns:
        Lines of at most `width` cells.
    """
    head = Line().put(" rtemo board ", "brand").put_name(title, max(8, width - 40), "bold")
    if board is None:
        return [
            head,
            Line(),
            Line().put("   waiting for a board: does a plugin over there say it?", "dim"),
        ]
    measure = "urgency" if query is None else "likeness"
    facts = Line().put(f"{board.ranked} ranked", "bold").put(f"   {board.unsure} unsure ", "dim")
    lines = [spread(head, facts, width), Line()]
    if query is not None:
        lines[1:] = [Line().put(" most like  ", "dim").put_name(query, max(8, width - 14), "bold"), Line()]
    if board.entries:
        lines += _rows(board.entries, width, measure)
    else:
        lines.append(Line().put("   nobody has said enough yet", "dim"))
    if alerts:
        lines += [Line(), Line().put(" alerts, newest first", "dim")]
        lines += [Line().put(" ").put_name(alert, width - 2, "trouble") for alert in alerts]
    lines += [Line(), Line().put(f" {_CAUTION}", "dim")]
    return [line.clip(width) for line in lines]


def _rows(entries: Sequence[BoardEntry], width: int, measure: str) -> list[Line]:
    attributes = list(entries[0].percentiles)
    has_trend = any(entry.trend_per_min is not None for entry in entries)
    fixed = _FIXED_CELLS - (0 if has_trend else _TREND_CELLS)
    while attributes and fixed + _LEAST_NAME_CELLS + _ATTRIBUTE_CELLS * len(attributes) > width:
        attributes.pop()  # what does not fit is left out from the right
    room = width - fixed - _ATTRIBUTE_CELLS * len(attributes)
    names = max(_LEAST_NAME_CELLS, min(_MOST_NAME_CELLS, room))
    head = Line().put(f" place  {'call':<{names}}{measure:<{_BAR_CELLS + _NUMBER_CELLS}}", "dim")
    if has_trend:
        head.put(f"{'trend':>{_TREND_CELLS - 1}} ", "dim")
    for attribute in attributes:
        head.put(f"{attribute[: _ATTRIBUTE_CELLS - 1]:>{_ATTRIBUTE_CELLS}}", "dim")
    head.put(f"{'silent':>{_SILENT_CELLS}}", "dim")
    rows, before = [head], 0
    for entry in entries:
        rows.append(_row(entry, entry.place == before, attributes, names, has_trend))
        before = entry.place
    return rows


def _row(entry: BoardEntry, is_tied: bool, attributes: Sequence[str], names: int, has_trend: bool) -> Line:
    place = f"={entry.place}" if is_tied else f"{entry.place}"
    line = (
        Line()
        .put(f" {place:>5}  ", "bold")
        .put_name(f"{entry.call}/{entry.channel}", names - 1)
        .pad(_PLACE_CELLS + names)
    )
    filled, empty = bar(entry.urgency / _BAR_RANGE, _BAR_CELLS)
    line.put(filled, "rising").put(empty, "track")
    line.put(f" {signed(entry.urgency):>6}", "bold").put(f" ±{entry.spread:.2f}", "dim")
    if has_trend:
        arrow, style = trend_arrow(entry.trend_per_min)
        line.put(f"  {arrow:1} ", style)
        line.put("      ·" if entry.trend_per_min is None else f"{signed(entry.trend_per_min):>6} ")
    for attribute in attributes:
        share = entry.percentiles.get(attribute)
        line.put(f"{'·' if share is None else f'{share:.0f} %':>{_ATTRIBUTE_CELLS}}")
    return line.put(f"{clock(entry.silent_s):>{_SILENT_CELLS}}", "dim")
