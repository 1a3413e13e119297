"""Line: one row of the screen, built from styled pieces of known width."""

from collections.abc import Iterable, Sequence

from rich.cells import cell_len, set_cell_size

from rtemo.cli.view.plain import clean


class Line:
    """A row of (text, style name) pieces whose width in cells is always known.

    The view is drawn eight times a second beside the driver thread, so lines are put together by hand: laying
    the same view out with nested tables takes several times as long and holds the interpreter meanwhile.
    """

    __slots__ = ("pieces", "width")

    def __init__(self) -> None:
        self.pieces: list[tuple[str, str]] = []
        self.width = 0

    def put(self, text: str, style: str = "") -> "Line":
        """Append text of our own making, whose characters are all one cell wide."""
        if text:
            self.pieces.append((text, style))
            self.width += len(text)
        return self

    def put_name(self, text: str, width: int, style: str = "") -> "Line":
        """Append a name from outside, in at most `width` cells, with an ellipsis when it is cut."""
        text = clean(text)
        if cell_len(text) > width:
            text = set_cell_size(text, max(width - 1, 0)) + "…"
        self.pieces.append((text, style))
        self.width += cell_len(text)
        return self

    def join(self, other: "Line") -> "Line":
        """Append another line."""
        self.pieces += other.pieces
        self.width += other.width
        return self

    def pad(self, width: int, fill: str = " ", style: str = "") -> "Line":
        """Fill up to `width` cells."""
        return self.put(fill * (width - self.width), style)

    def clip(self, width: int) -> "Line":
        """Cut what lies beyond `width` cells."""
        while self.width > width:
            text, style = self.pieces.pop()
            self.width -= cell_len(text)
            if self.width < width:
                self.pieces.append((set_cell_size(text, width - self.width), style))
                self.width = width
        return self

    @property
    def text(self) -> str:
        """The bare text."""
        return "".join(text for text, _ in self.pieces)


def spread(left: Line, right: Line, width: int) -> Line:
    """Put one line at the left end and one at the right end; the right one goes when there is no room."""
    if left.width + 1 + right.width > width:
        return left.pad(width)
    return left.pad(width - right.width).join(right)


def beside(columns: Sequence[Sequence[Line]], widths: Sequence[int], gap: int = 0) -> list[Line]:
    """Put blocks of lines side by side."""
    height = max(map(len, columns), default=0)
    rows = []
    for row in range(height):
        line = Line()
        for index, block in enumerate(columns):
            if index:
                line.put(" " * gap)
            line.join(block[row] if row < len(block) else Line()).pad(sum(widths[: index + 1]) + gap * index)
        rows.append(line)
    return rows


def boxed(body: Iterable[Line], width: int, title: Line, foot: Line, style: str) -> list[Line]:
    """Draw a rounded box around lines; title and foot are let into the border."""
    rows = [Line().put("╭─", style).join(title).pad(width - 1, "─", style).put("╮", style)]
    rows += [Line().put("│ ", style).join(line).pad(width - 2).put(" │", style) for line in body]
    rows.append(Line().put("╰", style).pad(width - 2 - foot.width, "─", style).join(foot).put("─╯", style))
    return rows
