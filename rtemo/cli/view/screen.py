"""The whole screen: head, panels, foot."""

from collections.abc import Callable, Iterator, Sequence

from rich.console import Console, ConsoleOptions, RenderResult
from rich.segment import Segment

from rtemo.cli.view.line import Line, beside, spread
from rtemo.cli.view.numbers import clock, micros, overload_troubles, sink_troubles, troubles
from rtemo.cli.view.palette import styles
from rtemo.cli.view.panel import LEAST_CELLS, NARROW_LINES, WIDE_CELLS, WIDE_LINES, panel, row
from rtemo.cli.view.state import StreamView, ViewState

_CAUTION = "perceived vocal expression, not inner state"


class Lines:
    """A rich renderable made of lines, drawn for the size that the terminal has at that moment.

    Args:
        draw: Gives the lines for a width and a height in cells.
    """

    def __init__(self, draw: Callable[[int, int], Sequence[Line]]) -> None:
        self._draw = draw
        self._styles = styles()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        for line in self._draw(options.max_width, options.height or options.size.height):
            for text, style in line.pieces:
                yield Segment(text, self._styles[style])
            yield Segment.line()


class Screen:
    """Draws a `ViewState` into whatever room there is.

    Args:
        state: What to draw; read at every drawing.
        trend_s: Span of the trend.
        hint: What the reader can do, shown at the foot.
    """

    def __init__(self, state: ViewState, trend_s: float = 30.0, hint: str = "Ctrl-C ends") -> None:
        self.state = state
        self.trend_s = trend_s
        self.hint = hint

    def lines(self, width: int, height: int, is_filled: bool = True) -> list[Line]:
        """Draw everything in at most `height` lines of at most `width` cells.

        Args:
            width: Cells.
            height: Lines.
            is_filled: Whether to put the foot on the last line, so that it never moves.
        """
        foot = self._foot(width)
        head = [self._head(width)]
        room = height - len(head) - len(foot)
        body = self._body(width, room)
        body += self._log(width, room - len(body))
        if is_filled:
            body += [Line() for _ in range(room - len(body))]
        return [line.clip(width) for line in [*head, *body, *foot][:height]]

    def _head(self, width: int) -> Line:
        state = self.state
        chain = " → ".join(state.session.chain)
        left = Line().put(" rtemo ", "brand").put_name(state.title, max(8, width - 24), "bold")
        right = Line().put(f"{clock(state.position_s)} ", "bold")
        if state.duration_s:
            right.put(f"of {clock(state.duration_s)} ", "dim")
        if left.width + len(chain) + right.width + 6 <= width:
            left.put("   ").put(chain, "dim")
        return spread(left, right, width)

    def _body(self, width: int, room: int) -> list[Line]:
        streams = [stream for stream in self.state.streams.values() if not stream.is_ended]
        streams = streams or list(self.state.streams.values())[-4:]
        if not streams:
            return [Line(), Line().put("   waiting for audio …", "dim")]
        columns = _columns(len(streams), width, room)
        if columns == 0:
            return self._rows(streams, width, room)
        widths = [width // columns + (index < width % columns) for index in range(columns)]
        body: list[Line] = []
        for first in range(0, len(streams), columns):
            group = streams[first : first + columns]
            body += beside(
                [
                    panel(stream, self.state.name_of(stream), cells, self.trend_s)
                    for stream, cells in zip(group, widths, strict=False)
                ],
                widths[: len(group)],
            )
        return body

    def _rows(self, streams: list[StreamView], width: int, room: int) -> list[Line]:
        if len(streams) <= room:
            return [row(stream, self.state.name_of(stream), width) for stream in streams]
        # Speakers first: of many calls those that say something now are worth a line.
        speakers = sorted(streams, key=lambda stream: not stream.is_speaking)[: max(room - 1, 0)]
        rest = Line().put(f"  … and {len(streams) - len(speakers)} more streams", "dim")
        return [*(row(stream, self.state.name_of(stream), width) for stream in speakers), rest]

    def _log(self, width: int, room: int) -> list[Line]:
        if room < 3:
            return []
        lines = list(self.state.log)[-(room - 1) :]  # one line stays free above the foot
        shown = [Line().put(" ").put_name(line, width - 2, "trouble" if " ! " in line else "dim") for line in lines]
        return [*shown, Line()]

    def _foot(self, width: int) -> list[Line]:
        lines = [self._load(width)]
        busy = self._busy(width)
        if busy.width:
            lines.append(busy)
        lines.append(self._trouble(width))
        lines.append(spread(Line().put(f" {_CAUTION}", "dim"), Line().put(f"{self.hint} ", "dim"), width))
        return lines

    def _load(self, width: int) -> Line:
        state, health = self.state, self.state.health
        latency_ms = 1e3 * state.session.latency_samples / state.session.sample_rate_hz
        parts = [("latency", f"{latency_ms:.0f} ms")]
        p50_ms, p99_ms = state.age_ms(50), state.age_ms(99)
        if p50_ms is not None and p99_ms is not None:
            parts.append(("event age", f"{p50_ms:.0f} ms, p99 {p99_ms:.0f} ms"))
        if health is not None:
            parts.append(("tick p99", micros(health.tick_p99_us)))
            parts.append(("load", f"{health.load:.1%}"))
        return _row_of(parts, width)

    def _busy(self, width: int) -> Line:
        health = self.state.health
        if health is None or not health.plugins:
            return Line()
        parts = []
        for plugin in health.plugins:
            is_well = plugin.state == "running"
            parts.append((plugin.name, micros(plugin.busy_p99_us) if is_well else f"! {plugin.state}"))
        return _row_of(parts, width, lead="BUSY p99")

    def _trouble(self, width: int) -> Line:
        found = troubles(self.state.counters, self.state.session.sample_rate_hz)
        if self.state.health is not None:
            health = self.state.health
            sinks = sink_troubles(health.sinks, self.state.session.sample_rate_hz)
            found = [*overload_troubles(health), *sinks, *found]
        is_well = not any(is_trouble for *_, is_trouble in found)
        line = Line().put(" ✓ " if is_well else " ! ", "good" if is_well else "trouble")
        for index, (name, value, is_trouble) in enumerate(found):
            text = f"{'   ' if index else ''}{name} "
            if line.width + len(text) + len(value) > width:
                break
            line.put(text, "trouble" if is_trouble else "dim").put(value, "trouble" if is_trouble else "")
        return line.pad(width)


def _columns(count: int, width: int, room: int) -> int:
    """Choose the fewest columns of panels that fit; 0 when none do."""
    for columns in range(1, count + 1):
        cells = width // columns
        if cells < LEAST_CELLS:
            return 0
        lines = WIDE_LINES if cells >= WIDE_CELLS else NARROW_LINES
        if -(-count // columns) * lines <= room:
            return columns
    return 0


def _row_of(parts: list[tuple[str, str]], width: int, lead: str = "") -> Line:
    line = Line().put(f" {lead}" if lead else " ", "dim")
    for index, (name, value) in enumerate(_whole(parts, width - line.width)):
        line.put(f"{'   ' if index or lead else ''}{name} ", "dim").put(
            value, "trouble" if value.startswith("!") else ""
        )
    return line.pad(width)


def _whole(parts: list[tuple[str, str]], room: int) -> Iterator[tuple[str, str]]:
    for name, value in parts:
        room -= len(name) + len(value) + 4
        if room < 0:
            return
        yield name, value
