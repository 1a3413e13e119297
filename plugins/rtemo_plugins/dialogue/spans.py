"""Spans: unions of stretches of time."""

from collections.abc import Iterable
from typing import NamedTuple


class Span(NamedTuple):
    """From a sample to one past the last."""

    start: int
    end: int


def union_length(spans: Iterable[Span]) -> int:
    """Give the time that one span at least covers.

    >>> union_length([Span(3, 4), Span(0, 2), Span(1, 3)])
    4
    """
    length, reached = 0, None
    for start, end in sorted(spans):
        begin = start if reached is None or start > reached else reached
        if end > begin:
            length += end - begin
            reached = end
    return length


def within(span: Span, others: Iterable[Span]) -> list[Span]:
    """Give the parts of others that are within a span.

    >>> within(Span(2, 5), [Span(0, 3), Span(4, 9), Span(6, 7)])
    [Span(start=2, end=3), Span(start=4, end=5)]
    """
    cut = (Span(max(span.start, other.start), min(span.end, other.end)) for other in others)
    return [part for part in cut if part.start < part.end]


class Cover:
    """How long anybody has spoken: the length of a union that grows, of which only the newest part is kept."""

    def __init__(self) -> None:
        self._settled = 0
        self._recent: list[Span] = []

    def add(self, span: Span) -> None:
        """Take in a span that is over."""
        self._recent.append(span)

    def settle(self, before: int) -> None:
        """Put together what lies before a moment: nothing that is still to come begins there."""
        old = [Span(span.start, min(span.end, before)) for span in self._recent if span.start < before]
        self._settled += union_length(old)
        self._recent = [Span(max(span.start, before), span.end) for span in self._recent if span.end > before]

    def length(self, going_on: Iterable[Span] = ()) -> int:
        """Give the time covered, with spans that are not over yet."""
        return self._settled + union_length([*self._recent, *going_on])
