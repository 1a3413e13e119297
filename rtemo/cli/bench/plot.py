"""Plot: panels that share their x axis, as SVG for documents, readable in the dark and in the light."""

import math
from collections.abc import Sequence
from html import escape
from typing import Literal, NamedTuple

from rtemo.cli.callreport.charts import colours

_WIDTH = 860.0
_LEFT, _RIGHT = 84.0, 28.0
_HEAD_Y, _PANEL_Y, _PLOT_Y, _FOOT_Y = 70.0, 34.0, 190.0, 52.0
_ROW_Y = 19.0
_SERIES = ("arousal", "valence", "rank", "other")
"""Colours of the first, second, ... series; the stroke differs, too, so that colour is never the only sign."""
_DASHES = ("", "8 4", "2 4", "12 4 2 4")
_STYLE = """text { font: 13px system-ui, "Segoe UI", Roboto, "Helvetica Neue", "DejaVu Sans", sans-serif; }
text { fill: var(--soft); }
.title { font-size: 18px; font-weight: 650; fill: var(--text); } .panel { font-weight: 650; fill: var(--text); }
.ground { fill: var(--panel); stroke: var(--edge); } .grid { stroke: var(--line); } .axis { stroke: var(--soft); }
.mark { stroke: var(--overlap); stroke-width: 1.5; } .marked { fill: var(--overlap); }
.series { fill: none; stroke-width: 2; stroke-linejoin: round; } .area { opacity: .15; }"""
MOST_SERIES = len(_SERIES)


class Axis(NamedTuple):
    """What runs along an axis."""

    label: str
    """With the unit."""
    low: float
    high: float
    is_log: bool = False

    def place(self, value: float) -> float:
        """Tell where a value lies, 0 at the low end and 1 at the high one; what lies beyond is put at the end."""
        low, high, value = (math.log(max(v, 1e-12)) if self.is_log else v for v in (self.low, self.high, value))
        return min(1.0, max(0.0, (value - low) / (high - low)))

    def ticks(self) -> list[float]:
        """Give round values along the axis: 1, 2, 5 of each decade, or four to eight steps."""
        if self.is_log:
            decades = range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1)
            steps = (1, 2, 5) if self.high / self.low < 2e3 else (1,)
            found = [step * 10.0**decade for decade in decades for step in steps]
        else:
            rough = (self.high - self.low) / 4
            size = 10.0 ** math.floor(math.log10(rough))
            step = max(size * share for share in (1, 2, 5) if size * share <= rough)
            found = [step * index for index in range(math.ceil(self.low / step), math.floor(self.high / step) + 1)]
        return [value for value in found if self.low <= value * 1.0001 and value <= self.high * 1.0001]


class Series(NamedTuple):
    """Points that belong together, joined by a line."""

    name: str
    points: Sequence[tuple[float, float]]
    kind: Literal["line", "area"] = "line"
    """`area` fills what lies below."""
    has_dots: bool = False
    hue: int = 0
    """Which colour and stroke; the same for what belongs together in several panels."""


class Mark(NamedTuple):
    """A line across a panel."""

    label: str
    value: float
    is_across: bool = False
    """Whether it lies at a height instead of at a place along x."""


class Panel(NamedTuple):
    """One pair of axes."""

    title: str
    y: Axis
    series: Sequence[Series]
    marks: Sequence[Mark] = ()


def plot(title: str, notes: Sequence[str], x: Axis, panels: Sequence[Panel]) -> str:
    """Draw panels below each other.

    Args:
        title: Of the whole, also the text alternative.
        notes: Lines below the title: on what it was measured, and by which command.
        x: The axis that all panels share.
        panels: From the top.

    Returns:
        The SVG, a document of its own.
    """
    top = _HEAD_Y + _ROW_Y * (len(notes) - 1)
    tops = []
    for panel in panels:
        tops.append(top + _PANEL_Y + _ROW_Y * len(panel.series))
        top = tops[-1] + _PLOT_Y + _FOOT_Y
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH:g} {top:g}" role="img">',
        f"<title>{escape(title)}</title>",
        f"<style>{colours()}{_STYLE}</style>",
        f'<rect class="ground" x=".5" y=".5" width="{_WIDTH - 1:g}" height="{top - 1:g}" rx="12"/>',
        _text(_LEFT, 34, title, "title"),
        *(_text(_LEFT, 56 + _ROW_Y * row, note) for row, note in enumerate(notes)),
    ]
    for panel, y in zip(panels, tops, strict=True):
        parts += _panel(panel, x, y)
    return "\n".join([*parts, "</svg>", ""])


def _panel(panel: Panel, x: Axis, top: float) -> list[str]:
    bottom, right = top + _PLOT_Y, _WIDTH - _RIGHT
    legend_y = top - _ROW_Y * len(panel.series) - 14
    parts = [_text(_LEFT, legend_y, panel.title, "panel")]
    for value in x.ticks():
        at = _x(x, value)
        parts += [_line(at, top, at, bottom, "grid"), _text(at, bottom + 18, f"{value:g}", anchor="middle")]
    for value in panel.y.ticks():
        at = _y(panel.y, value, top)
        parts += [_line(_LEFT, at, right, at, "grid"), _text(_LEFT - 8, at + 4, f"{value:g}", anchor="end")]
    parts += [
        _line(_LEFT, bottom, right, bottom, "axis"),
        _text((_LEFT + right) / 2, bottom + 38, x.label, anchor="middle"),
        f'<text transform="translate(22 {(top + bottom) / 2:.1f}) rotate(-90)" text-anchor="middle">'
        f"{escape(panel.y.label)}</text>",
    ]
    for row, series in enumerate(panel.series):
        key_y = legend_y + _ROW_Y * (row + 1)
        parts += [_path(f"M{_LEFT:g} {key_y - 4:g}h28", series.hue), _text(_LEFT + 36, key_y, series.name)]
        parts += _drawn(series, x, panel.y, top)
    for mark in panel.marks:
        if mark.is_across:
            at = _y(panel.y, mark.value, top)
            parts += [_line(_LEFT, at, right, at, "mark"), _text(right - 4, at - 5, mark.label, "marked", "end")]
        else:
            at = _x(x, mark.value)
            anchor, beside = ("end", -5) if x.place(mark.value) > 0.8 else ("start", 5)
            parts += [_line(at, top, at, bottom, "mark"), _text(at + beside, top + 13, mark.label, "marked", anchor)]
    return parts


def _drawn(series: Series, x: Axis, y: Axis, top: float) -> list[str]:
    if not series.points:
        return []
    places = [(_x(x, across), _y(y, up, top)) for across, up in series.points]
    line = "L".join(f"{across:.1f} {up:.1f}" for across, up in places)
    parts = []
    if series.kind == "area":
        bottom = top + _PLOT_Y
        closed = f"M{places[0][0]:.1f} {bottom:.1f}L{line}L{places[-1][0]:.1f} {bottom:.1f}Z"
        parts.append(f'<path class="area" d="{closed}" style="fill:var(--{_SERIES[series.hue]})"/>')
    parts.append(_path(f"M{line}", series.hue))
    if series.has_dots:
        colour = _SERIES[series.hue]
        parts += [f'<circle cx="{a:.1f}" cy="{u:.1f}" r="3.5" style="fill:var(--{colour})"/>' for a, u in places]
    return parts


def _x(axis: Axis, value: float) -> float:
    return _LEFT + axis.place(value) * (_WIDTH - _LEFT - _RIGHT)


def _y(axis: Axis, value: float, top: float) -> float:
    return top + (1.0 - axis.place(value)) * _PLOT_Y


def _path(d: str, hue: int) -> str:
    dash = f' stroke-dasharray="{_DASHES[hue]}"' if _DASHES[hue] else ""
    return f'<path class="series" d="{d}" style="stroke:var(--{_SERIES[hue]})"{dash}/>'


def _line(x1: float, y1: float, x2: float, y2: float, kind: str) -> str:
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def _text(x: float, y: float, text: str, kind: str = "", anchor: str = "start") -> str:
    name = f' class="{kind}"' if kind else ""
    return f'<text{name} x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
