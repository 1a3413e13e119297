"""Operating points: from scores on genuine speech to thresholds that give so many false alarms per hour of it."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.quality.spoof.heard import Heard
from bench.quality.spoof.trials import BANDS, Trials

RATES_PER_H = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 20.0)
LEAST_SPEECH_S = 1.5
"""Speech before which nobody is suspected."""
DECISION_S = 0.5
"""Speech between two decisions."""
COOL_DOWN = 60
"""Decisions below the limit before an alarm is over."""
LEAST_LIMIT = 1.0
"""Of the alarm's sum: however clean the genuine speech was, no smaller one is proposed."""
_LIMITS = 400
MISSED_BELOW = 0.05
"""Share of synthetic clips that may fall below the threshold of the verdict `bona_fide`."""

Series = Sequence[NDArray[np.float64]]


def rises(series: Series, threshold: float) -> int:
    """How often a value comes to a threshold from below; series are of one call each."""
    is_above = [values >= threshold for values in series]
    return sum(int(np.sum(np.diff(above.astype(np.int64), prepend=0) == 1)) for above in is_above)


def threshold_at(series: Series, most: int) -> float:
    """The lowest threshold from which on upwards there are at most so many rises; -inf if there are never more.

    Counts need not fall as the threshold rises: one so low that every caller is suspected throughout gives one rise for
    each. They grow at values only, from the highest on down.
    """
    series = [values for values in series if len(values)]
    if not series:
        return float("-inf")
    before = np.concatenate([np.concatenate([[-np.inf], values[:-1]]) for values in series])
    after = np.concatenate(series)
    low, high = before[after > before], after[after > before]
    at = np.unique(high)
    counts = np.searchsorted(np.sort(low), at, "left") - np.searchsorted(np.sort(high), at, "left")
    too_many = np.flatnonzero(counts > most)
    return float(np.nextafter(at[too_many[-1]], np.inf)) if len(too_many) else float("-inf")


def alarms(
    series: Series, limits: NDArray[np.float64], keep: float, drift: float, cool_down: int = COOL_DOWN
) -> NDArray[np.int64]:
    """How many alarms the scores of some calls raise at each of some limits, int64 [limits].

    S = min(limit, max(0, keep S + score - drift)) after each decision (Page 1954, with a sum that forgets); an alarm
    begins when S reaches the limit and is over after `cool_down` decisions below it.
    """
    counts = np.zeros(len(limits), np.int64)
    for values in series:
        total, left = np.zeros(len(limits)), np.zeros(len(limits), np.int64)
        stands = np.zeros(len(limits), np.bool_)
        for score in values.tolist():
            total = np.clip(keep * total + score - drift, 0.0, limits)
            is_over = total >= limits
            counts += is_over & ~stands
            left = np.where(is_over, cool_down, np.maximum(left - 1, 0))
            stands = is_over | (left > 0)
    return counts


def limit_at(series: Series, most: int, keep: float, drift: float, cool_down: int = COOL_DOWN) -> float:
    """The lowest limit, to 1/400 of the highest sum, from which on upwards there are at most so many alarms."""
    highest = 0.0
    for values in series:
        total = 0.0
        for score in values.tolist():
            total = max(0.0, keep * total + score - drift)
            highest = max(highest, total)
    limits = LEAST_LIMIT + np.linspace(0, max(0.0, highest - LEAST_LIMIT) * 1.0025 + 1e-6, _LIMITS)
    too_many = np.flatnonzero(alarms(series, limits, keep, drift, cool_down) > most)
    return float(limits[too_many[-1] + 1]) if len(too_many) else LEAST_LIMIT


def decisions(heard: Heard) -> NDArray[np.float64]:
    """Scores at which is decided: the first after 1.5 s of speech, and then the first of every further half second."""
    is_known = np.isfinite(heard.score) & (heard.speech_s >= LEAST_SPEECH_S - 1e-6)
    if len(heard.is_final):
        is_known &= ~heard.is_final
    speech_s, score = heard.speech_s[is_known], heard.score[is_known]
    number = np.floor((speech_s - LEAST_SPEECH_S) / DECISION_S + 1e-6)
    return score[np.diff(number, prepend=-1) > 0]


def poisson_interval(count: int, hours: float) -> tuple[float, float]:
    """95 % interval of a rate per hour, exact (Garwood 1936)."""
    from scipy.stats import chi2

    low = chi2.ppf(0.025, 2 * count) / 2 if count else 0.0
    return float(low / hours), float(chi2.ppf(0.975, 2 * count + 2) / 2 / hours)


def operating_points(
    calls: Sequence[tuple[str, Heard]],
    trials: Trials | None = None,
    keep: float = 0.98,
    drift: float = 0.0,
    rates_per_h: Sequence[float] = RATES_PER_H,
) -> list[dict[str, Any]]:
    """Threshold on the score, and limit of the alarm, for each rate per hour of genuine speech.

    Args:
        calls: Corpus and what was heard of each call.
        trials: Tell for each threshold what share of synthetic clips of unseen systems is above it after 4 s.
        keep: What the alarm's sum keeps from decision to decision.
        drift: What is taken from every score before it is summed.
        rates_per_h: Rates that are asked for.

    Returns:
        Per rate: `threshold` and `limit`, `verdicts` and `alarms` that they give here, `is_resolved` (whether there is
        so much speech that at least one is allowed), and `caught` per band.
    """
    scores = [decisions(heard) for _, heard in calls]
    hours = sum(heard.total_speech_s for _, heard in calls) / 3600
    points = []
    for rate in rates_per_h:
        most = int(rate * hours + 1e-9)
        threshold, limit = threshold_at(scores, most), limit_at(scores, most, keep, drift)
        point: dict[str, Any] = {"rate_per_h": rate, "is_resolved": rate * hours >= 1}
        point |= {"threshold": threshold, "verdicts": rises(scores, threshold)}
        point |= {"limit": limit, "alarms": int(alarms(scores, np.array([limit]), keep, drift)[0])}
        if trials is not None:
            point["caught"] = {band: caught(trials, band, threshold) for band in BANDS}
        points.append(point)
    return points


def calibration(points: Sequence[dict[str, Any]], trials: Trials | None, keep: float, drift: float) -> dict[str, float]:
    """What a card keeps of it, by the names that the plugin reads, without rates that the speech was too short for.

    `bona_fide_below` is the score that 5 % of the synthetic clips of unseen systems do not reach after 4 s of speech.
    """
    card = {"alarm_keep": keep, "alarm_drift": drift}
    for point in points:
        if point["is_resolved"]:
            for name, value in (("threshold", point["threshold"]), ("alarm_limit", point["limit"])):
                if np.isfinite(value):
                    card[f"{name}_at_{point['rate_per_h']:g}_per_hour"] = round(value, 4)
    if trials is not None and len(unseen := unseen_scores(trials, "full")):
        card["bona_fide_below"] = round(float(np.quantile(unseen, MISSED_BELOW)), 4)
    return card


def caught(trials: Trials, band: str, threshold: float) -> float:
    """Share of synthetic clips of unseen systems at or above a threshold after 4 s of speech; NaN without any."""
    scores = unseen_scores(trials, band)
    return float(np.mean(scores >= threshold)) if len(scores) else float("nan")


def unseen_scores(trials: Trials, band: str) -> NDArray[np.float64]:
    """Scores of synthetic clips of unseen systems after 4 s of speech."""
    return trials.score[trials.is_synthetic & ~trials.is_seen & (trials.band == band) & (trials.seconds == "4")]
