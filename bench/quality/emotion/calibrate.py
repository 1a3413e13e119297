"""Temperature and the threshold of "unsure", from dev speakers, each half scored with the other half's fit."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.quality.emotion.streams import Heard
from rtemo.api import EMOTIONS
from rtemo.scoring.classes import calibration_error, softmax
from rtemo_models.kit.corpora.clip import Clip

CONDITIONS = ("clean", "telephone", "noise_10db")
"""What the temperature is fitted on: what a call sounds like."""
MOMENTS_S = (1.5, 3.0, None)
"""When the plugin speaks: at its first estimate, at a refresh, at the end."""
COVERAGE = 0.6
"""Share of estimates that should stand; the least confident others are called unsure."""
NEUTRAL, CALM = EMOTIONS.index("neutral"), EMOTIONS.index("calm")


def calibrate(clips: list[Clip], heard: dict[str, list[Heard]], known: dict[str, tuple[int, ...]]) -> dict[str, Any]:
    """Fit and check the calibration over all eight emotions, corpora weighing the same.

    Calm in a corpus that knows no neutral also counts as neutral, as in training.

    Returns:
        `card`: temperature, threshold and what it gives; `detail`: errors before and after, the trade of coverage.
    """
    rows = [k for k, c in enumerate(clips) if c.label >= 0]
    logits = np.stack(
        [heard[c][k].logits[heard[c][k].at(s)] for c in CONDITIONS for s in MOMENTS_S for k in rows]
    ).astype(np.float64)
    repeats = len(CONDITIONS) * len(MOMENTS_S)
    accepted = np.tile(np.stack([_accepted(clips[k], known) for k in rows]), (repeats, 1))
    corpora = np.tile([clips[k].corpus for k in rows], repeats)
    share = np.array([1.0 / np.sum(corpora == c) for c in corpora])
    halves = {s: i % 2 for i, s in enumerate(sorted({clips[k].speaker for k in rows}))}
    half = np.tile([halves[clips[k].speaker] for k in rows], repeats)
    right = accepted[np.arange(len(logits)), logits.argmax(1)]

    fits = [fit_temperature(logits[half != h], accepted[half != h], share[half != h]) for h in (0, 1)]
    crossed = np.array([fits[h] for h in half])
    before, after = softmax(logits).max(1), softmax(logits / crossed[:, None]).max(1)
    temperature = fit_temperature(logits, accepted, share)
    order = np.argsort(-after)
    covered = np.cumsum(share[order]) / share.sum()
    hit = np.cumsum((share * right)[order]) / np.cumsum(share[order])
    trade = {f"{c:.1f}": round(float(hit[np.searchsorted(covered, c - 1e-9)]), 3) for c in (1.0, 0.8, 0.6, 0.4, 0.2)}
    place = int(np.searchsorted(covered, COVERAGE))
    detail = {
        "temperature": round(temperature, 3),
        "temperature_of_halves": [round(f, 3) for f in fits],
        "ece_before": round(calibration_error(before, right, share), 3),
        "ece_after": round(calibration_error(after, right, share), 3),
        "nll_before": round(_nll(logits, accepted, share, 1.0), 3),
        "nll_after": round(_nll(logits, accepted, share, crossed), 3),
        "accuracy_by_coverage": trade,
        "unsure_below": round(float(after[order][place]), 3),
    }
    card = {
        "temperature": detail["temperature"],
        "unsure_below": detail["unsure_below"],
        "coverage": COVERAGE,
        "accuracy_at_coverage": round(float(hit[place]), 3),
        "accuracy_at_full_coverage": trade["1.0"],
        "ece_before": detail["ece_before"],
        "ece_after": detail["ece_after"],
    }
    return {"card": card, "detail": detail}


def fit_temperature(logits: NDArray[np.float64], accepted: NDArray[np.bool_], share: NDArray[np.float64]) -> float:
    """The temperature of least negative log-likelihood (Guo et al. 2017, arXiv:1706.04599)."""
    from scipy.optimize import minimize_scalar

    found = minimize_scalar(lambda t: _nll(logits, accepted, share, np.exp(t)), bounds=(-2, 2), method="bounded")
    return float(np.exp(found.x))


def _nll(
    logits: NDArray[np.float64],
    accepted: NDArray[np.bool_],
    share: NDArray[np.float64],
    temperature: float | NDArray[np.float64],
) -> float:
    p = softmax(logits / np.reshape(temperature, (-1, 1)))
    return float(-(share * np.log((p * accepted).sum(1) + 1e-12)).sum() / share.sum())


def _accepted(clip: Clip, known: dict[str, tuple[int, ...]]) -> NDArray[np.bool_]:
    accepted = np.zeros(len(EMOTIONS), bool)
    accepted[clip.label] = True
    if clip.label == CALM and NEUTRAL not in known[clip.corpus]:
        accepted[NEUTRAL] = True
    return accepted
