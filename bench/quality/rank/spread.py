"""How far scores err, as dev speakers show it: what the exported spread is made of, and whether it says the truth."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from bench.quality.rank.tasks import TASKS
from rtemo_models.kit.corpora.clip import Clip
from rtemo_models.systems.ranker.data.labels import RankLabels
from rtemo_models.systems.ranker.net import ATTRIBUTES

Values = NDArray[np.float64]


def moods(clips: Sequence[Clip], attribute: int, per_speaker: bool) -> NDArray[np.int64]:
    """Number of the group of clips that should score alike: of a corpus (and speaker) and label; -1 without one."""
    values = RankLabels.of(clips, ()).values[:, attribute]
    numbers: dict[tuple[object, ...], int] = {}
    found = np.full(len(clips), -1, np.int64)
    for i in np.flatnonzero(~np.isnan(values)):
        key = clips[i].corpus, clips[i].speaker if per_speaker else "", float(values[i])
        found[i] = numbers.setdefault(key, len(numbers))
    return found


def errors(scores: Values, ends: Values, group: NDArray[np.int64]) -> Values:
    """Squared distance of scores [moments, clips] to the mean of their group's `ends` [clips]; NaN in small groups.

    The mean is of the others: a clip does not count among those that it is compared with.
    """
    found = np.full(scores.shape, np.nan)
    for g in range(group.max(initial=-1) + 1):
        rows = np.flatnonzero(group == g)
        if len(rows) >= 4:
            others = (ends[rows].sum() - ends[rows]) / (len(rows) - 1)
            found[:, rows] = (scores[:, rows] - others) ** 2 * (len(rows) - 1) / len(rows)
    return found


def fit_error(square: Values, speech: Values) -> tuple[float, float]:
    """Variance with much speech and what one step of speech adds: the squares as a + b / speech, neither below 0."""
    from scipy.optimize import nnls

    known = np.isfinite(square) & (speech >= 1)
    y, x = square[known], 1 / speech[known]
    weight = 1 / (y.mean() * (1 + 10 * x))  # early squares scatter most and must not decide alone
    (a, b), _ = nnls(np.stack([weight, weight * x], 1), weight * y)
    return float(a), float(b)


def error_of(
    clips: Sequence[Clip], scores: Sequence[NDArray[np.float32]], speech: Sequence[NDArray[np.float32]]
) -> tuple[dict[str, tuple[float, float]], dict[str, float]]:
    """The error of each attribute, and the share of its deviation that is left within a speaker.

    Args:
        clips: Dev clips.
        scores: Per condition float32 [clips, moments, 3], the end last; the first condition is the clean one.
        speech: Per condition float32 [clips, moments], faded steps.
    """
    error, share = {}, {}
    for a, attribute in enumerate(ATTRIBUTES):
        ends = scores[0][:, -1, a].astype(np.float64)
        square = {}
        for per_speaker in (False, True):
            group = moods(clips, a, per_speaker)
            square[per_speaker] = np.concatenate(
                [errors(s[:, :, a].T.astype(np.float64), ends, group).ravel() for s in scores]
            )
        steps = np.concatenate([s.T.ravel() for s in speech]).astype(np.float64)
        error[attribute] = fit_error(square[False], steps)
        both = np.isfinite(square[True]) & np.isfinite(square[False])
        share[attribute] = float(np.sqrt(square[True][both].mean() / square[False][both].mean()))
    return error, share


def promised(
    clips: Sequence[Clip],
    scores: NDArray[np.float32],
    speech: NDArray[np.float32],
    error: dict[str, tuple[float, float]],
    share: dict[str, float],
    bins: int = 5,
) -> dict[str, list[tuple[float, float, int]]]:
    """Whether P(now > before) = Φ(Δ / √(σ² + σ²)) holds: mean promise, share kept and count in bins, per attribute.

    Pairs are of one speaker and of labels that differ by more than the task's gap, all moments but the same for both;
    σ is what is left of the spread within a speaker. Promises are of the order that scores say, so .5 to 1.

    Args:
        clips: Dev clips.
        scores: float32 [clips, moments, 3].
        speech: float32 [clips, moments].
        error: As `error_of` gives it.
        share: Likewise.
        bins: How many, evenly from .5 to 1.
    """
    from scipy.stats import norm

    found = {}
    values = RankLabels.of(clips, ()).values
    speakers = np.array([c.speaker for c in clips])
    gaps = {task.attribute: task.gap for task in TASKS}
    for a, attribute in enumerate(ATTRIBUTES):
        promises, kept = [], []
        stays, of_a_step = error[attribute]
        for speaker in np.unique(speakers):
            rows = np.flatnonzero((speakers == speaker) & ~np.isnan(values[:, a]))[:60]
            i, j = np.triu_indices(len(rows), 1)
            i, j = rows[i], rows[j]
            label = values[i, a] - values[j, a]
            some = np.abs(label) > max(gaps[attribute], 1e-6)
            i, j, label = i[some], j[some], label[some]
            difference = scores[i, :, a] - scores[j, :, a]
            variance = 2 * stays + of_a_step * (1 / np.maximum(speech[i], 1) + 1 / np.maximum(speech[j], 1))
            promises.append(norm.cdf(np.abs(difference) / (share[attribute] * np.sqrt(variance))).ravel())
            kept.append((np.sign(difference) == np.sign(label)[:, None]).ravel())
        promise, right = np.concatenate(promises), np.concatenate(kept)
        place = np.minimum((2 * (promise - 0.5) * bins).astype(int), bins - 1)
        found[attribute] = [
            (float(promise[place == b].mean()), float(right[place == b].mean()), int(np.sum(place == b)))
            for b in range(bins)
            if np.any(place == b)
        ]
    return found
