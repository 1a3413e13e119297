"""Who reports changes of mood, and how reports are judged: by the delay, and by those that nothing had happened for."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from bench.quality.rank.call_words import STEP_S, CallWords
from bench.quality.rank.mood_calls import MoodCall
from rtemo.api import ModelHandle
from rtemo_plugins.ranker.rolling import ChangeRule, Rolling
from rtemo_plugins.ranker.scorer import Scorer

WINDOW_S = 12.0
"""A change not reported within this is missed, and counts as so late."""

START_S = 8.0
_SAMPLE_S = 0.5
_SETTLE, _LEAST, _MOST = 8, 6, 60

Reports = list[NDArray[np.float64]]
"""Per call float64 [reports], when."""

Series = list[NDArray[np.float64]]
"""Per call float64 [samples, 1 + values], time and values, one sample for half a second of speech."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """How reports were, by call.

    Attributes:
        delays_s: Per call float64 [changes], infinite where missed.
        false_reports: int64 [calls].
        quiet_s: float64 [calls], time in which every report is false.
    """

    delays_s: list[NDArray[np.float64]]
    false_reports: NDArray[np.int64]
    quiet_s: NDArray[np.float64]

    def false_per_hour(self, counts: NDArray[np.int64] | None = None) -> float:
        """False reports per hour, calls counted as often as `counts` says."""
        often = np.ones(len(self.quiet_s)) if counts is None else counts
        return float(3600 * (self.false_reports @ often) / (self.quiet_s @ often))

    def delay_s(self, counts: NDArray[np.int64] | None = None) -> float:
        """Mean delay, missed changes as late as the window."""
        return self._mean(lambda delay_s: np.minimum(delay_s, WINDOW_S), counts)

    def found(self, counts: NDArray[np.int64] | None = None) -> float:
        """Share of the changes that were reported in time."""
        return self._mean(lambda delay_s: np.isfinite(delay_s).astype(float), counts)

    def _mean(
        self, of: Callable[[NDArray[np.float64]], NDArray[np.float64]], counts: NDArray[np.int64] | None
    ) -> float:
        often = np.ones(len(self.delays_s)) if counts is None else counts
        weights = np.repeat(often, [len(delay_s) for delay_s in self.delays_s])
        return float(of(np.concatenate(self.delays_s)) @ weights / weights.sum())


def judge(calls: Sequence[MoodCall], reports: Reports) -> Verdict:
    """Judge reports: the first one within the window after a change finds it, those outside all windows are false."""
    delays, false, quiet = [], [], []
    for call, at_s in zip(calls, reports, strict=True):
        changes = np.array(call.change_s)
        after = at_s[:, None] - changes[None]  # [reports, changes]
        is_timely = (after > 0) & (after <= WINDOW_S)
        delays.append(np.where(is_timely, after, np.inf).min(axis=0, initial=np.inf))
        false.append(int(np.count_nonzero(~is_timely.any(axis=1) & (at_s >= START_S))))
        quiet.append(call.duration_s - START_S - WINDOW_S * len(changes))
    return Verdict(delays, np.array(false), np.maximum(np.array(quiet), 0.0))


def ranker_series(heard: Sequence[CallWords], model: ModelHandle) -> tuple[Series, int]:
    """Scores, spreads and moods of each call at every sample, and how many attributes there are."""
    n = len(heard)
    scorer = Scorer(model, n)
    for row in range(n):
        scorer.admit(row)
    due = np.full(n, round(2.0 / 0.01))
    samples: list[list[NDArray[np.float64]]] = [[] for _ in range(n)]
    words, voiced = np.zeros((n, heard[0].words.shape[1]), np.float32), np.zeros(n, np.float32)
    for step in range(max(len(one.end_s) for one in heard)):
        voiced[:] = 0.0
        for row, one in enumerate(heard):
            if step < len(one.end_s):
                words[row], voiced[row] = one.words[step], one.voiced[step]
        rows = scorer.hear(np.arange(n), words, voiced, n)
        for row in rows[scorer.spoken_hops[rows] >= due[rows]].tolist():
            due[row] += round(_SAMPLE_S / 0.01)
            at_s = heard[row].end_s[step]
            samples[row].append(np.concatenate([[at_s], scorer.score[row], scorer.spread[row], scorer.mood[row]]))
    width = 1 + 2 * len(scorer.attributes) + scorer.mood.shape[1]
    return [np.array(one).reshape(-1, width) for one in samples], len(scorer.attributes)


def ranker_reports(series: Series, count: int, rule: ChangeRule) -> Reports:
    """What the plugin's own code reports."""
    axes = series[0].shape[1] - 1 - 2 * count
    rolling = Rolling(count, axes, 120.0, rule, len(series))
    for row in range(len(series)):
        rolling.admit(row)
    reports: list[list[float]] = [[] for _ in series]
    for k in range(max(map(len, series))):
        rows = np.array([row for row, samples in enumerate(series) if k < len(samples)])
        now = np.stack([series[row][k] for row in rows]).astype(np.float32)
        rolling.take(rows, now[:, 1 : 1 + count], now[:, 1 + count : 1 + 2 * count], now[:, 1 + 2 * count :])
        for row in rows[np.isfinite(rolling.change[rows]).any(axis=1)].tolist():
            reports[row].append(series[row][k, 0])
    return [np.array(one) for one in reports]


def smoothed(heard: Sequence[CallWords], tau_s: float) -> Series:
    """The emotion probabilities, exponentially smoothed over speech."""
    found = []
    for one in heard:
        value, due_s, spoken_s = np.zeros(0), _SAMPLE_S, 0.0
        samples = []
        for at_s, posterior, voiced in zip(one.end_s, one.posterior, one.voiced, strict=True):
            if voiced <= 0 or np.isnan(posterior[0]):
                continue
            keep = np.exp(-STEP_S * voiced / tau_s) if len(value) else 0.0
            value = posterior + keep * (value - posterior) if len(value) else posterior.astype(np.float64)
            spoken_s += STEP_S * float(voiced)
            if spoken_s >= due_s:
                due_s += _SAMPLE_S
                samples.append(np.concatenate([[at_s], value]))
        found.append(np.array(samples).reshape(-1, 1 + one.posterior.shape[1]))
    return found


def label_switches(series: Series, margin: float) -> Reports:
    """A report when another label leads the one that stands by a margin."""
    reports = []
    for samples in series:
        stands, found = -1, []
        for at_s, *value in samples[4:].tolist():
            best = int(np.argmax(value))
            if stands < 0:
                stands = best
            elif best != stands and value[best] - value[stands] > margin:
                stands = best
                found.append(at_s)
        reports.append(np.array(found))
    return reports


def departures(series: Series, distance: float) -> Reports:
    """A report when a probability departs from its own mean since the last one, which begins anew then."""
    reports = []
    for samples in series:
        mean, count, found = np.zeros(samples.shape[1] - 1), -_SETTLE, []
        for at_s, value in zip(samples[:, 0], samples[:, 1:], strict=True):
            if count >= _LEAST and np.abs(value - mean).max() > distance:
                found.append(float(at_s))
                count = -_SETTLE - 1
            count = min(count + 1, _MOST)
            mean = mean + (value - mean) / max(count, 1)
        reports.append(np.array(found))
    return reports
