"""Picture of the view as SVG, for documents.

Boxes, bars and blocks are drawn as shapes and every word is placed on its cell, so that the picture looks the
same whatever monospaced font the reader has.
"""

import re
from collections.abc import Iterator, Sequence
from html import escape

from rich.style import Style

from rtemo.cli.view.line import Line
from rtemo.cli.view.palette import styles

CELL_X, CELL_Y = 8.4, 19.0
FONT_SIZE = 14
GROUND, TEXT = "#16181d", "#d7dae0"
_FONTS = "ui-monospace, 'SF Mono', Menlo, Consolas, 'DejaVu Sans Mono', 'Liberation Mono', monospace"
_MARGIN, _TITLE_Y = 16.0, 30.0
_GAP = 0.4
_EIGHTHS = "▁▂▃▄▅▆▇█"
_ARMS = {"─": "lr", "━": "LR", "╸": "L", "│": "ud", "┃": "UD"}
_CORNERS = {"╭": (1, 1), "╮": (-1, 1), "╰": (1, -1), "╯": (-1, -1)}
_SHAPED = re.compile(f"([{_EIGHTHS}]|[{''.join(_ARMS)}]+|[{''.join(_CORNERS)}])")


def picture(lines: Sequence[Line], title: str) -> str:
    """Draw lines as an SVG of a terminal window.

    Args:
        lines: What `Screen.lines` made.
        title: Title of the window, also the text alternative.
    """
    look = styles()
    columns = max((line.width for line in lines), default=1)
    width = columns * CELL_X + 2 * _MARGIN
    height = len(lines) * CELL_Y + 2 * _MARGIN + _TITLE_Y
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height:.0f}" role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>text{{font:{FONT_SIZE}px {_FONTS};white-space:pre}}</style>",
        f'<rect width="{width:.0f}" height="{height:.0f}" rx="9" fill="{GROUND}"/>',
        *(
            f'<circle cx="{_MARGIN + 6 + 20 * index:.0f}" cy="19" r="6" fill="{colour}"/>'
            for index, colour in enumerate(("#e5484d", "#d9a514", "#3fae54"))
        ),
        f'<text x="{width / 2:.0f}" y="24" fill="#7d828c" text-anchor="middle">{escape(title)}</text>',
        f'<g transform="translate({_MARGIN:.0f} {_MARGIN + _TITLE_Y:.0f})">',
    ]
    for row, line in enumerate(lines):
        parts += _row(line, row * CELL_Y, look)
    return "\n".join([*parts, "</g>", "</svg>", ""])


def _row(line: Line, y: float, look: dict[str, Style]) -> Iterator[str]:
    column = 0
    for text, name in line.pieces:
        style = look[name]
        colour = style.color.triplet.hex if style.color and style.color.triplet else TEXT
        for part in _SHAPED.split(text):
            x = column * CELL_X
            if not part or part.isspace():
                pass
            elif part[0] in _EIGHTHS:
                gap = 0.0 if name == "track" else _GAP  # the zero line is one line
                yield _block(part, x, y, colour, bool(style.reverse), gap)
            elif part[0] in _ARMS:
                yield _stroke(part, x, y, colour)
            elif part in _CORNERS:
                yield _corner(part, x, y, colour)
            else:
                yield from _words(part, x, y, colour, bool(style.bold))
            column += len(part)


def _block(char: str, x: float, y: float, colour: str, is_hanging: bool, gap: float) -> str:
    share = (_EIGHTHS.index(char) + 1) / 8
    height = CELL_Y * (1 - share if is_hanging else share)
    top = y if is_hanging else y + CELL_Y - height
    width = CELL_X - 2 * gap
    return f'<rect x="{x + gap:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" fill="{colour}"/>'


def _stroke(run: str, x: float, y: float, colour: str) -> str:
    arms = _ARMS[run[0]]
    middle_y = y + CELL_Y / 2
    if arms in ("ud", "UD"):
        middle_x, thick = x + CELL_X / 2, 1.2 if arms == "ud" else 3
        path = f"M{middle_x:.1f} {y:.1f}v{CELL_Y:.1f}"
    else:
        cells = sum(0.5 if char == "╸" else 1 for char in run)
        thick = 1.2 if arms == "lr" else 5
        path = f"M{x:.1f} {middle_y:.1f}h{cells * CELL_X:.1f}"
    return f'<path d="{path}" stroke="{colour}" stroke-width="{thick}"/>'


def _corner(char: str, x: float, y: float, colour: str) -> str:
    across, down = _CORNERS[char]
    middle_x, middle_y = x + CELL_X / 2, y + CELL_Y / 2
    end_x, end_y = middle_x + across * CELL_X / 2, middle_y + down * CELL_Y / 2
    path = f"M{end_x:.1f} {middle_y:.1f}Q{middle_x:.1f} {middle_y:.1f} {middle_x:.1f} {end_y:.1f}"
    return f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.2"/>'


def _words(text: str, x: float, y: float, colour: str, is_bold: bool) -> Iterator[str]:
    weight = ' font-weight="600"' if is_bold else ""
    for match in re.finditer(r"\S+(?: \S+)*", text):
        word = match[0]
        left, width = x + match.start() * CELL_X, len(word) * CELL_X
        yield (
            f'<text x="{left:.1f}" y="{y + CELL_Y * 0.72:.1f}" textLength="{width:.1f}" fill="{colour}"{weight}>'
            f"{escape(word)}</text>"
        )
