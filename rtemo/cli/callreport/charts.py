"""Charts: inline SVG that stretches with the page; text stands beside it as HTML, so that it stays readable."""

from collections.abc import Sequence
from pathlib import Path
from typing import TypeVar

from rtemo.api import EMOTIONS
from rtemo.cli.callreport.record import Estimate, Party, Span, united

Item = TypeVar("Item")

_WIDTH, _HEIGHT = 1000.0, 120.0
_BAND_S = 5.0
_SILENCE_S = 12.0
_POINTS = 600  # of a line; a call of an hour has thousands of estimates


def colours() -> str:
    """Give the custom properties of CSS that name the colours, on a light ground and on a dark one."""
    return (Path(__file__).parent / "colours.css").read_text()


def lane(party: Party, overlap: Sequence[Span], total_s: float, moods: Sequence[tuple[Span, str]]) -> str:
    """Draw when a party speaks, in the colour of how it sounds; where another speaks too there is a bar below."""
    bars = [_bar(turn, total_s, "speech", 6, 28) for turn in united(party.turns)]
    bars += [_bar(span, total_s, f"mood-{hue_of(label)}", 6, 28) for span, label in moods]
    bars += [_bar(span, total_s, "overlap", 36, 5) for span in overlap]
    return f'<svg viewBox="0 0 {_WIDTH:g} 44" preserveAspectRatio="none" aria-hidden="true">{"".join(bars)}</svg>'


def hue_of(label: str) -> str:
    """The name of the colour of a label; classes of a user's own have one together."""
    return label if label in (*EMOTIONS, "unsure") else "other"


def moods_of(party: Party) -> list[tuple[Span, str]]:
    """Cut the turns of a party by its estimates: each counts from the one before it, or from the start of the turn."""
    found = []
    for turn in united(party.turns):
        since_s = turn.start_s
        for estimate in party.estimates:
            if turn.start_s < estimate.at_s <= turn.end_s + 0.5:
                end_s = min(estimate.at_s, turn.end_s)
                if end_s > since_s:
                    found.append((Span(since_s, end_s), estimate.label))
                since_s = end_s
    return found


def course(estimates: Sequence[Estimate], field: str, total_s: float) -> str:
    """Draw arousal or valence of a party: its estimates, and their mean and variation over ten seconds."""
    values = [(estimate.at_s, float(getattr(estimate, field))) for estimate in estimates]
    dots = _thinned(values)
    means = []
    for at_s, _ in dots:
        near = [value for other_s, value in values if abs(other_s - at_s) <= _BAND_S]
        mean = sum(near) / len(near)
        means.append((at_s, mean, (sum((value - mean) ** 2 for value in near) / len(near)) ** 0.5))
    return _chart(dots, means, total_s, 1.0, field)


def rank_course(ranks: Sequence[tuple[float, float, float]], total_s: float) -> str:
    """Draw the rank of a party; the band is the standard deviation of its error."""
    kept = _thinned(ranks)
    return _chart([(at_s, score) for at_s, score, _ in kept], kept, total_s, 3.0, "rank")


def _chart(
    dots: Sequence[tuple[float, float]],
    bands: Sequence[tuple[float, float, float]],
    total_s: float,
    most: float,
    name: str,
) -> str:
    parts = []
    for run in _runs(bands):
        upper = [f"{_x(at_s, total_s)},{_y(mean + spread, most)}" for at_s, mean, spread in run]
        lower = [f"{_x(at_s, total_s)},{_y(mean - spread, most)}" for at_s, mean, spread in reversed(run)]
        line = " ".join(f"{_x(at_s, total_s)},{_y(mean, most)}" for at_s, mean, _ in run)
        parts.append(
            f'<polygon class="band" points="{" ".join(upper + lower)}"/><polyline class="line" points="{line}"/>'
        )
    points = "".join(f"M{_x(at_s, total_s)} {_y(value, most)}h0" for at_s, value in dots)
    middle = _HEIGHT / 2
    return (
        f'<svg class="course {name}" viewBox="0 0 {_WIDTH:g} {_HEIGHT:g}" preserveAspectRatio="none" '
        'aria-hidden="true">'
        f'<line class="zero" x1="0" x2="{_WIDTH:g}" y1="{middle:g}" y2="{middle:g}"/>'
        f'{"".join(parts)}<path class="dots" d="{points}"/></svg>'
    )


def _runs(bands: Sequence[tuple[float, float, float]]) -> list[list[tuple[float, float, float]]]:
    """Cut where nothing was known for long: a line across a silence would claim what nobody heard."""
    runs: list[list[tuple[float, float, float]]] = []
    for band in bands:
        if runs and band[0] - runs[-1][-1][0] <= _SILENCE_S:
            runs[-1].append(band)
        else:
            runs.append([band])
    return runs


def _bar(span: Span, total_s: float, name: str, y: int, height: int) -> str:
    width = max(1.0, (span.end_s - span.start_s) / total_s * _WIDTH)
    return f'<rect class="{name}" x="{_x(span.start_s, total_s)}" y="{y}" width="{width:.1f}" height="{height}"/>'


def _x(at_s: float, total_s: float) -> str:
    return f"{at_s / total_s * _WIDTH:.1f}"


def _y(value: float, most: float) -> str:
    return f"{_HEIGHT / 2 - max(-1.0, min(1.0, value / most)) * (_HEIGHT / 2 - 4):.1f}"


def _thinned(items: Sequence[Item]) -> Sequence[Item]:
    step = -(-len(items) // _POINTS) or 1
    return items[::step]
