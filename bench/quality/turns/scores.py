"""How often a speaker is cut off, at which mean delay."""

from collections.abc import Sequence

import numpy as np

from bench.quality.turns.material import Judged
from bench.quality.turns.pauses import RATE_HZ

Trace = np.ndarray
"""float [steps]: probability of an end after 100, 200, … ms of silence."""

THRESHOLDS = np.concatenate([np.linspace(0.0, 1.0, 401), [1.01]])


def delays(judged: Sequence[Judged], traces: Sequence[Trace], threshold: float, longest_s: float) -> np.ndarray:
    """Tell when each pause is taken for an end, float [pauses], in s after the last voice; else infinite."""
    found = np.full(len(judged), np.inf)
    for index, (one, trace) in enumerate(zip(judged, traces, strict=True)):
        known_s = (one.pause.known - one.pause.voice_end) / RATE_HZ
        is_over = (trace >= threshold) | (known_s >= longest_s)
        hit = np.flatnonzero(is_over)
        if len(hit):
            found[index] = known_s[hit[0]]
        elif one.is_end:
            found[index] = longest_s
    return found


def rates(judged: Sequence[Judged], at_s: np.ndarray) -> tuple[float, float]:
    """Tell the mean delay over ends, in s, and the share of the other pauses that were taken for an end."""
    is_end = np.array([one.is_end for one in judged])
    length_s = np.array([one.pause.duration_s for one in judged])
    cut = at_s[~is_end] < length_s[~is_end]
    return float(at_s[is_end].mean()), float(cut.mean())


def hangover(judged: Sequence[Judged], hangover_s: float) -> tuple[float, float]:
    """Do the same with nothing but a hangover."""
    return rates(judged, np.full(len(judged), hangover_s))


def at_delay(
    judged: Sequence[Judged], traces: Sequence[Trace], mean_s: float, longest_s: float
) -> tuple[float, float, float]:
    """Find the threshold whose mean delay is nearest to `mean_s` without exceeding it.

    Returns:
        Threshold, mean delay and share of pauses cut off.
    """
    best = (np.nan, np.nan, np.nan)
    for threshold in THRESHOLDS:  # a higher one waits longer
        delay_s, cut = rates(judged, delays(judged, traces, float(threshold), longest_s))
        if delay_s <= mean_s + 1e-9:
            best = (float(threshold), delay_s, cut)
    return best


def area(judged: Sequence[Judged], traces: Sequence[Trace], step: int) -> float:
    """Tell the area under the curve of ends against other pauses that last so many steps, both at that step."""
    ends = [t[step - 1] for one, t in zip(judged, traces, strict=True) if one.is_end and len(t) >= step]
    others = [t[step - 1] for one, t in zip(judged, traces, strict=True) if not one.is_end and len(t) >= step]
    if not ends or not others:
        return float("nan")
    a, b = np.array(ends)[:, None], np.array(others)[None, :]
    return float(np.mean((a > b) + 0.5 * (a == b)))
