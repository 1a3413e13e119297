"""Head: a new last layer, fitted to windows of known class and drawn towards what the bundle said before.

Multinomial logistic regression on the standardised features and on the bundle's own logits. The penalty on the first
draws the map towards using the features not at all, that on the second towards the bundle's own word for every class
that it knows, so that with few clips the result is the bundle as it was, re-scaled.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtemo.api import ConfigError
from rtemo.cli.tuning.windows import Table
from rtemo.scoring.classes import softmax

Array = NDArray[np.float64]

STRENGTHS = (10.0, 1.0, 0.3, 0.1, 0.03, 0.01, 0.003)
"""Weights of the penalty that are tried, strongest first."""
OWN_STRENGTH = 0.01
_STEPS = 200


class Head(NamedTuple):
    """logits = features · from_features + own logits · from_logits + bias."""

    from_features: NDArray[np.float32]
    from_logits: NDArray[np.float32]
    bias: NDArray[np.float32]

    def hear(self, table: Table) -> Array:
        """Logits of every window, float64 [n, classes]."""
        said = table.features @ self.from_features + table.logits @ self.from_logits + self.bias
        return np.asarray(said, np.float64)


class Choice(NamedTuple):
    """What was found by leaving parts of the clips out in turn."""

    strength: float
    logits: Array
    """Of every turn, told by a head that its speaker was kept from, float64 [turns, classes]."""
    temperature: float


def check_scipy() -> None:
    """Refuse to go on where what fits is missing.

    Raises:
        ConfigError: SciPy is not installed.
    """
    try:
        import scipy.optimize  # noqa: F401
    except ImportError:
        raise ConfigError(
            "nothing can be fitted without SciPy", "install the extra, as `pip install 'rtemo[tune]'`"
        ) from None


def fit_head(table: Table, labels: NDArray[np.int64], start: Array, strength: float, rows: NDArray[np.bool_]) -> Head:
    """Fit a head to some windows.

    Args:
        table: All windows.
        labels: Class of every clip, int64 [clips].
        start: What the bundle's own logits are drawn towards, float64 [its classes, classes].
        strength: Of the penalty on the features.
        rows: Which windows, bool [n].
    """
    from scipy.optimize import minimize

    classes = start.shape[1]
    features, own = table.features[rows], table.logits[rows]
    truth = labels[table.clip[table.turn[rows]]]
    weight = window_weights(table, labels, classes)[rows]
    weight = (weight / weight.sum()).astype(np.float32)
    mean, scale = spread_of(features, weight)
    scale = (scale * np.sqrt(features.shape[1])).astype(np.float32)  # so that a window's values have length one
    x = np.concatenate([(features - mean) / scale, own], 1)
    wanted = np.eye(classes, dtype=np.float32)[truth]
    k = features.shape[1]
    centre = np.concatenate([np.zeros((k, classes)), start])
    penalty = np.concatenate([np.full(k, strength), np.full(len(start), OWN_STRENGTH)])[:, None]

    def loss(flat: Array) -> tuple[float, Array]:
        map_, bias = flat[:-classes].reshape(-1, classes), flat[-classes:]
        logits = x @ map_.astype(np.float32) + bias.astype(np.float32)
        logits -= logits.max(1, keepdims=True)
        exp = np.exp(logits)
        total = exp.sum(1, keepdims=True)
        error = float(-(weight * ((logits * wanted).sum(1) - np.log(total[:, 0]))).sum())
        slope = weight[:, None] * (exp / total - wanted)
        away = map_ - centre
        value = error + 0.5 * float((penalty * away * away).sum())
        return value, np.concatenate([(x.T @ slope + penalty * away).ravel(), slope.sum(0)]).astype(np.float64)

    first = np.concatenate([centre.ravel(), np.zeros(classes)])
    found = minimize(loss, first, jac=True, method="L-BFGS-B", options={"maxiter": _STEPS, "maxcor": 10}).x
    map_, bias = found[:-classes].reshape(-1, classes), found[-classes:]
    from_features = map_[:k] / scale[:, None]
    return Head(
        from_features.astype(np.float32),
        map_[k:].astype(np.float32),
        (bias - mean @ from_features).astype(np.float32),
    )


def choose(
    table: Table,
    labels: NDArray[np.int64],
    start: Array,
    fold: NDArray[np.int64],
    on_step: Callable[[int, int], None] = lambda step, steps: None,
) -> Choice:
    """Choose the strength of the penalty by leaving folds out in turn, and the temperature with it.

    Args:
        table: All windows.
        labels: Class of every clip.
        start: See `fit_head`.
        fold: Fold of every clip, int64 [clips].
        on_step: Told how many fits are done.
    """
    fold_of = fold[table.clip[table.turn]]
    folds = int(fold.max()) + 1
    truth = labels[table.clip]
    weight = turn_weights(truth)
    best: tuple[float, Choice] | None = None
    for at, strength in enumerate(STRENGTHS):
        said = np.zeros((len(fold_of), start.shape[1]))
        for k in range(folds):
            head = fit_head(table, labels, start, strength, fold_of != k)
            said[fold_of == k] = head.hear(table)[fold_of == k]
            on_step(at * folds + k + 1, len(STRENGTHS) * folds)
        turns = turn_logits(table, said)
        temperature = temperature_of(turns, truth, weight)
        cost = log_loss(turns / temperature, truth, weight)
        if best is None or cost < best[0]:
            best = cost, Choice(strength, turns, temperature)
    assert best is not None
    return best[1]


def turn_logits(table: Table, said: Array) -> Array:
    """Logits of every turn from those of its windows, as the plugin adds them up, float64 [turns, classes]."""
    turns = np.zeros((len(table.clip), said.shape[1]))
    for turn, share, one in zip(table.turn.tolist(), table.share.tolist(), said, strict=True):
        turns[turn] = share * one + (1.0 - share) * turns[turn]
    return turns


def temperature_of(logits: Array, truth: NDArray[np.int64], weight: Array) -> float:
    """The temperature under which the truth is most probable (Guo et al. 2017)."""
    grid = np.geomspace(0.2, 5.0, 65)
    return float(min(grid, key=lambda t: log_loss(logits / t, truth, weight)))


def unsure_below(logits: Array, truth: NDArray[np.int64], aim: float = 0.8, most: float = 0.4) -> float:
    """Confidence below which not to commit: so that what is left is right in `aim` of all turns, if that can be had.

    Args:
        logits: Of turns, divided by the temperature, float64 [n, classes].
        truth: int64 [n].
        aim: Share of committed turns that should be right.
        most: Share of turns of which at most one is to be unsure.
    """
    posterior = softmax(logits)
    confidence, right = posterior.max(1), posterior.argmax(1) == truth
    order = np.argsort(-confidence)
    accuracy = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    least = int(np.ceil((1 - most) * len(order))) - 1
    good = np.flatnonzero(accuracy[least:] >= aim)
    kept = least + int(good[-1]) if len(good) else least
    return 0.0 if kept == len(order) - 1 else float(confidence[order[kept]])


def start_of(own: Sequence[str], classes: Sequence[str], temperature: float) -> Array:
    """The bundle's own word for each class, float64 [its classes, classes]; zeros for one that it does not know."""
    return np.array([[float(label == name) for name in classes] for label in own]) / temperature


def spread_of(
    features: NDArray[np.float32], weight: NDArray[np.float32]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Mean and deviation of every feature, float32 [k]."""
    mean = np.average(features, axis=0, weights=weight).astype(np.float32)
    scale = np.sqrt(np.average((features - mean) ** 2, axis=0, weights=weight)) + 1e-4
    return mean, scale.astype(np.float32)


def turn_weights(truth: NDArray[np.int64]) -> Array:
    """Every class counts the same, and every turn of one, float64 [turns]."""
    return np.asarray(1.0 / np.bincount(truth)[truth])


def window_weights(table: Table, labels: NDArray[np.int64], classes: int) -> Array:
    """Every class counts the same, every turn of one the same, and of a turn the final window half."""
    truth = labels[table.clip[table.turn]]
    is_final = np.append(np.diff(table.turn) != 0, True)
    windows = np.bincount(table.turn, minlength=len(table.clip))[table.turn]
    within = np.where(is_final, np.where(windows > 1, 0.5, 1.0), 0.5 / np.maximum(windows - 1, 1))
    turns = np.bincount(labels[table.clip], minlength=classes)
    return np.asarray(within / turns[truth])


def log_loss(logits: Array, truth: NDArray[np.int64], weight: Array) -> float:
    """How improbable the truth is under logits of turns, by weight."""
    logits = logits - logits.max(1, keepdims=True)
    found = logits[np.arange(len(truth)), truth] - np.log(np.exp(logits).sum(1))
    return float(-(weight * found).sum() / weight.sum())
