"""Scores of speakers and cuts against what is known of strung recordings."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy.optimize import linear_sum_assignment

from bench.quality.corpus.strung import RATE_HZ, Span
from rtemo.scoring.bootstrap import Draws, interval

_FRAME_SAMPLES = 160
_COLLAR_S = 0.25


class SpeakerError(NamedTuple):
    """Shares of the speech, as NIST counts them: missed, alarmed, given to the wrong speaker; their sum."""

    missed: float
    alarmed: float
    confused: float
    total: float


def speaker_error(
    spans: Sequence[Span], pieces: Sequence[tuple[int, int, int]], length: int, collar_s: float = _COLLAR_S
) -> SpeakerError:
    """Diarisation error rate of one recording, with speakers matched one to one, and a collar around every edge."""
    frames = length // _FRAME_SAMPLES + 1
    names = sorted({span.speaker for span in spans})
    truth, said = np.full(frames, -1), np.full(frames, -1)
    counts = np.ones(frames, bool)
    for span in spans:
        a, b = span.start // _FRAME_SAMPLES, span.end // _FRAME_SAMPLES
        truth[a:b] = names.index(span.speaker)
        for edge in (a, b):
            width = round(collar_s * RATE_HZ / _FRAME_SAMPLES)
            counts[max(0, edge - width) : edge + width] = False
    for start, end, speaker in pieces:
        said[start // _FRAME_SAMPLES : end // _FRAME_SAMPLES] = speaker
    truth, said = truth[counts], said[counts]
    both = (truth >= 0) & (said >= 0)
    table = np.zeros((len(names), max(int(said.max(initial=0)) + 1, 1)))
    np.add.at(table, (truth[both], said[both]), 1)
    rows, columns = linear_sum_assignment(-table)
    speech = max(int((truth >= 0).sum()), 1)
    missed = ((truth >= 0) & (said < 0)).sum() / speech
    alarmed = ((truth < 0) & (said >= 0)).sum() / speech
    confused = (both.sum() - table[rows, columns].sum()) / speech
    return SpeakerError(float(missed), float(alarmed), float(confused), float(missed + alarmed + confused))


class CutError(NamedTuple):
    """How turns lie on the clips: distance of their edges from the nearest, and whether they hold one of a kind."""

    edges_s: list[float]
    one_speaker: list[bool]
    one_emotion: list[bool]


def cut_error(spans: Sequence[Span], turns: Sequence[tuple[int, int]]) -> CutError:
    """Score turns; nine tenths of their speech must be of one speaker, or one emotion, to count as one of a kind."""
    starts = np.array([span.start for span in spans])
    ends = np.array([span.end for span in spans])
    found = CutError([], [], [])
    for start, end in turns:
        found.edges_s.append(float(np.abs(starts - start).min()) / RATE_HZ)
        found.edges_s.append(float(np.abs(ends - end).min()) / RATE_HZ)
        inside = [(overlap(span, start, end), span) for span in spans if overlap(span, start, end)]
        total = sum(length for length, _ in inside) or 1
        for kind, held in (("speaker", found.one_speaker), ("emotion", found.one_emotion)):
            shares: dict[str, int] = {}
            for length, span in inside:
                name = str(getattr(span, kind))
                shares[name] = shares.get(name, 0) + length
            held.append(max(shares.values(), default=0) / total >= 0.9)
    return found


def overlap(span: Span, start: int, end: int) -> int:
    """Samples of a clip within a turn."""
    return max(0, min(span.end, end) - max(span.start, start))


def main_span(spans: Sequence[Span], start: int, end: int) -> Span | None:
    """The clip that most of a turn is of."""
    best = max(spans, key=lambda span: overlap(span, start, end))
    return best if overlap(best, start, end) else None


class Share(NamedTuple):
    """A share, its 95 % interval by a bootstrap over clusters, and of how many it is."""

    value: float
    low: float
    high: float
    count: int

    def __str__(self) -> str:
        if not self.count:
            return "-"
        return f"{self.value:.1%} of {self.count} ({self.low:.1%} to {self.high:.1%})"


def share_of(hits: Sequence[bool], clusters: Sequence[str]) -> Share:
    """Tell which share of turns is so; clusters, as speakers or recordings, are drawn whole."""
    if not len(hits):
        return Share(float("nan"), float("nan"), float("nan"), 0)
    values = np.asarray(hits, float)
    sums = Draws(clusters).sums(np.stack([values, np.ones_like(values)], axis=1))
    with np.errstate(invalid="ignore"):
        low, high = interval(sums[:, 0] / sums[:, 1])
    return Share(float(values.mean()), low, high, len(values))
