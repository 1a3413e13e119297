"""Bars and sparklines made of characters."""

from collections.abc import Sequence

FILLED, HALF, EMPTY = "━", "╸", "─"
"""Heavy for filled, light for empty: the bar reads without colour."""

_EIGHTHS = " ▁▂▃▄▅▆▇█"


def bar(share: float, width: int) -> tuple[str, str]:
    """Draw a bar of half-cell steps.

    Args:
        share: 0 to 1; anything beyond is cut.
        width: Cells.

    Returns:
        The filled and the empty part.

    >>> bar(0.5, 5)
    ('━━╸', '──')
    """
    halves = round(min(max(share, 0.0), 1.0) * 2 * width)
    filled = FILLED * (halves // 2) + HALF * (halves % 2)
    return filled, EMPTY * (width - len(filled))


def mirrored(values: Sequence[float | None]) -> tuple[list[tuple[str, bool]], list[tuple[str, bool]]]:
    """Draw values of -1 to 1 as a sparkline of two rows around a zero line between them.

    A row has eight steps, so the whole has seventeen. The lower row hangs from the zero line; since there are
    no characters that hang, its cells are the complement in reverse video.

    Args:
        values: One per cell; None leaves the cell empty.

    Returns:
        Upper and lower row, each a list of (character, whether in reverse video).

    >>> upper, lower = mirrored([1.0, -0.5, None])
    >>> "".join(char for char, _ in upper), lower[1]
    ('█  ', ('▄', True))
    """
    upper: list[tuple[str, bool]] = []
    lower: list[tuple[str, bool]] = []
    for value in values:
        steps = 0 if value is None else round(min(max(value, -1.0), 1.0) * 8)
        if value is not None and steps == 0:
            steps = 1 if value >= 0 else -1  # a value near zero still shows that there is one
        upper.append((_EIGHTHS[max(steps, 0)], False))
        lower.append((" ", False) if steps >= 0 else ("█", False) if steps == -8 else (_EIGHTHS[8 + steps], True))
    return upper, lower


def sparkline(values: Sequence[float | None]) -> str:
    """Draw values of -1 to 1 as one row of eight steps.

    >>> sparkline([-1.0, 0.0, 1.0, None])
    '▁▅█ '
    """
    return "".join(
        " " if value is None else _EIGHTHS[1 + min(7, int((max(value, -1.0) + 1.0) * 4))] for value in values
    )


def buckets(points: Sequence[tuple[float, float]], now_s: float, span_s: float, width: int) -> list[float | None]:
    """Sort points into cells of equal time, the newest at the right.

    Cells are fixed to the clock, so a drawn point moves by whole cells and never flickers between two.

    Args:
        points: (time in s, value), in order.
        now_s: Time at the right end.
        span_s: Time shown.
        width: Cells.

    Returns:
        The last value within each cell; None where there is none.
    """
    cell_s = span_s / width
    last = int(now_s / cell_s)
    cells: list[float | None] = [None] * width
    for at_s, value in reversed(points):
        index = width - 1 - (last - int(at_s / cell_s))
        if index < 0:
            break
        if index < width and cells[index] is None:
            cells[index] = value
    return cells
