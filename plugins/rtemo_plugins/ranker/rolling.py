"""Rolling: each stream's own course: past, trend, and what has changed."""

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtemo.api import StateTable
from rtemo.dsp.kernel import kernel
from rtemo.dsp.order import sort_values

SAMPLE_S = 0.5
"""Speech between two samples of a score."""

_WINDOW = 60  # samples of the trend: half a minute
_LEAST_TREND = 20
_PRESENT = 16  # samples that are not past yet; longer than the network's own memory
_BINS, _LOW, _STEP = 64, -4.0, 0.125  # of the past; scores have mean 0 and deviation 1 over training clips
_LEAST_PAST = 20.0
_SETTLE = 8  # samples in which a score still moves to where it belongs, at the beginning and after a change
_LEAST_BEFORE = 6  # samples that make a "before"
_MOST_BEFORE = 60
_BLUR = 8.0  # samples that rest on much the same speech: so many are worth one
_TOLD_SHARE = 0.5  # of the largest ratio: attributes that moved by as much are told with a change


class ChangeRule(NamedTuple):
    """When a score has changed.

    Attributes:
        within_share: float64 [attributes], the share of the spread that is left when a voice is compared with itself.
        limit_z: Standard errors beyond which a mood has changed.
    """

    within_share: NDArray[np.float64]
    limit_z: float


class Rolling:
    """Follows the scores of each stream, sample by sample, where a sample is half a second of its speech.

    - *Past*: a histogram of the samples that are no longer present, forgetting by half every `memory_s`.
    - *Trend*: the median of the slopes between samples at least half the window apart, after Theil (1950) and Sen
      ("Estimates of the regression coefficient based on Kendall's tau", JASA 63, 1968). Pairs that lie close together
      are left out, because their samples rest on the same speech; it makes the median four times cheaper too.
    - *Change*: the present mood against the mean of what was before, which begins anew with every change. It is found
      when the distance exceeds `limit_z`, an axis of the mood being scaled such that an unchanged mood has a deviation
      of 1. Without moods, scores over their errors take their place. What is told is by how much the scores have
      moved: those whose ratio to their error is at least half of the largest one.
    - *Rising*: the same difference of a score over its standard error, as a probability.

    Args:
        count: Attributes.
        axes: Axes of the mood; 0 where there is none.
        memory_s: Speech after which half of the past is forgotten.
        rule: When a score has changed.
        capacity: Most streams.

    Attributes:
        percentile: float64 [capacity, count], share of the past below the present score, in percent.
        trend_per_min: float64 [capacity, count], per minute of speech.
        p_rising: float64 [capacity, count].
        change: float64 [capacity, count], now less before, where the last sample was a change.
        past_mean: float64 [capacity, count]; 0 before there is any.
        past_mass: float64 [capacity], samples in the past, those forgotten left out.

    All are NaN while there is too little to tell.
    """

    def __init__(self, count: int, axes: int, memory_s: float, rule: ChangeRule, capacity: int) -> None:
        self._rule = rule
        self._keep = 0.5 ** (SAMPLE_S / memory_s)
        self._table = table = StateTable(capacity)
        self._ring = table.add("ring", (_WINDOW, count), np.float32)
        self._taken = table.add("taken", (), np.int64)
        self._past = table.add("past", (count, _BINS), np.float32)
        self._before = table.add("before", (count,), np.float64)
        self._mood_before = table.add("mood_before", (axes,), np.float64)
        self._before_samples = table.add("before_samples", (), np.int64, -_SETTLE)
        self.past_mean = self._told("past_mean", count, 0.0)
        self.past_mass: NDArray[np.float64] = table.add("past_mass", (), np.float64)  # type: ignore[assignment]
        self.percentile = self._told("percentile", count)
        self.trend_per_min = self._told("trend_per_min", count)
        self.p_rising = self._told("p_rising", count)
        self.change = self._told("change", count)
        self._slopes = np.zeros(_WINDOW * _WINDOW // 4, np.float32)
        self.admit, self.retire, self.reset = table.admit, table.retire, table.reset
        self._warm(count, axes)

    def _told(self, name: str, count: int, fill: float = math.nan) -> NDArray[np.float64]:
        return self._table.add(name, (count,), np.float64, fill)  # type: ignore[return-value]

    def _warm(self, count: int, axes: int) -> None:
        nothing = np.zeros((0, count), np.float32)
        self.take(np.zeros(0, np.int64), nothing, nothing, np.zeros((0, axes), np.float32))

    def take(
        self,
        rows: NDArray[np.int64],
        score: NDArray[np.float32],
        spread: NDArray[np.float32],
        mood: NDArray[np.float32],
    ) -> None:
        """Take a sample of some streams: scores and spreads float32 [k, count], moods float32 [k, axes]."""
        _take(
            rows, score, spread, mood, self._rule.within_share, self._rule.limit_z, self._keep, self._ring, self._taken,
            self._past, self.past_mass, self.past_mean, self._before, self._mood_before, self._before_samples,
            self.percentile,
            self.trend_per_min, self.p_rising, self.change, self._slopes,
        )  # fmt: skip


@kernel
def _take(
    rows: NDArray[np.int64],
    score: NDArray[np.float32],
    spread: NDArray[np.float32],
    mood: NDArray[np.float32],
    within_share: NDArray[np.float64],
    limit_z: float,
    keep: float,
    ring: NDArray[np.float32],
    taken: NDArray[np.int64],
    past: NDArray[np.float32],
    past_mass: NDArray[np.float64],
    past_mean: NDArray[np.float64],
    before: NDArray[np.float64],
    mood_before: NDArray[np.float64],
    before_samples: NDArray[np.int64],
    percentile: NDArray[np.float64],
    trend_per_min: NDArray[np.float64],
    p_rising: NDArray[np.float64],
    change: NDArray[np.float64],
    slopes: NDArray[np.float32],
) -> None:
    """Follow every row by one sample."""
    for i in range(rows.shape[0]):
        row = rows[i]
        count = taken[row]
        taken[row] = count + 1
        if count >= _PRESENT:
            past_mass[row] = keep * past_mass[row] + 1.0
        for a in range(score.shape[1]):
            if count >= _PRESENT:
                left = ring[row, (count - _PRESENT) % _WINDOW, a]
                for b in range(_BINS):
                    past[row, a, b] *= keep
                past[row, a, _bin_of(left)] += 1.0
                past_mean[row, a] += (left - past_mean[row, a]) / past_mass[row]
            ring[row, count % _WINDOW, a] = score[i, a]
            if past_mass[row] >= _LEAST_PAST:
                percentile[row, a] = _percentile(past[row, a], score[i, a])
            trend_per_min[row, a] = _trend(ring[row, :, a], count + 1, slopes)
        before_samples[row] = _compare(
            score[i], spread[i], mood[i], within_share, limit_z, before[row], mood_before[row], before_samples[row],
            p_rising[row], change[row],
        )  # fmt: skip


@kernel
def _compare(
    score: NDArray[np.float32],
    spread: NDArray[np.float32],
    mood: NDArray[np.float32],
    within_share: NDArray[np.float64],
    limit_z: float,
    before: NDArray[np.float64],
    mood_before: NDArray[np.float64],
    samples: int,
    p_rising: NDArray[np.float64],
    change: NDArray[np.float64],
) -> int:
    """Compare one row's sample with what was before, and let that follow; give how many samples it then rests on."""
    p_rising[:] = np.nan
    change[:] = np.nan
    if samples >= _LEAST_BEFORE:
        blur = math.sqrt(1.0 + _BLUR / samples)
        largest = distance = 0.0
        for a in range(score.shape[0]):
            ratio = (score[a] - before[a]) / max(within_share[a] * spread[a] * blur, 1e-6)
            p_rising[a] = 0.5 * math.erfc(-ratio / math.sqrt(2.0))
            largest = max(largest, abs(ratio))
            change[a] = ratio
            distance += ratio * ratio
        if mood.shape[0]:
            distance = 0.0
            for axis in range(mood.shape[0]):
                distance += ((mood[axis] - mood_before[axis]) / blur) ** 2
        has_changed = distance > limit_z * limit_z
        for a in range(score.shape[0]):
            is_told = has_changed and abs(change[a]) >= _TOLD_SHARE * largest
            change[a] = score[a] - before[a] if is_told else np.nan
        if has_changed:
            samples = -_SETTLE - 1
    samples = min(samples + 1, _MOST_BEFORE)
    weight = 1.0 / max(samples, 1)
    for a in range(score.shape[0]):
        before[a] += (score[a] - before[a]) * weight
    for axis in range(mood.shape[0]):
        mood_before[axis] += (mood[axis] - mood_before[axis]) * weight
    return samples


@kernel
def _bin_of(value: float) -> int:
    return min(max(int((value - _LOW) / _STEP), 0), _BINS - 1)


@kernel
def _percentile(past: NDArray[np.float32], now: float) -> float:
    """Share of a histogram below a value, a bin's samples spread evenly over it."""
    place = min(max((now - _LOW) / _STEP, 0.0), float(_BINS))
    below = total = 0.0
    for b in range(_BINS):
        total += past[b]
        below += past[b] * min(max(place - b, 0.0), 1.0)
    return 100.0 * below / total


@kernel
def _trend(ring: NDArray[np.float32], taken: int, slopes: NDArray[np.float32]) -> float:
    """Median slope per minute over the samples held; the oldest is that number `taken` - `size`."""
    size = min(taken, _WINDOW)
    if size < _LEAST_TREND:
        return np.nan
    first, apart, found = taken - size, size // 2, 0
    line = np.empty(size, np.float32)
    for i in range(size):
        line[i] = ring[(first + i) % _WINDOW]
    for i in range(size - apart):
        for j in range(i + apart, size):
            slopes[found] = (line[j] - line[i]) / (j - i)
            found += 1
    sort_values(slopes[:found])
    median = (slopes[(found - 1) // 2] + slopes[found // 2]) / 2
    return median * (60.0 / SAMPLE_S)
