"""Summary: everything that is said about a file of trials, as plain numbers."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.quality.spoof import metrics
from bench.quality.spoof.bootstrap import DRAWS, Weights, draw_weights, drawn
from bench.quality.spoof.trials import GATE, SECONDS, Trials
from rtemo.scoring.bootstrap import interval

GEM, SINGLE = "gem", "single"
AT = "4"
"""Seconds of speech at which everything but the curve is taken."""
Rows = NDArray[np.int64]


def summarise(trials: Trials, draws: int = DRAWS) -> dict[str, Any]:
    """Make all figures of the report.

    Systems that were trained on are left out of everything but the row `seen`, genuine speakers that were trained on
    of everything. Intervals are of 95 %, over speakers and systems.

    Args:
        trials: Of one arm or several; `gem` is the one that is told in full, or else the first.
        draws: Of the bootstrap.

    Returns:
        Plain dictionaries, ready for JSON; NaN where a class has no trials.
    """
    arms = list(dict.fromkeys(trials.arm.tolist()))
    main = GEM if GEM in arms else arms[0]
    told = trials.where((trials.arm == main) & ~(trials.is_seen & ~trials.is_synthetic))
    unseen = told.where(~told.is_seen)
    at = unseen.where((unseen.seconds == AT) & (unseen.band == "full"))
    result: dict[str, Any] = {"arm": main, "draws": draws, "conditions": conditions(told, unseen, draws)}
    result["emotions"] = emotions(at, draws)
    result["emotions_telephone"] = emotions(unseen.where((unseen.seconds == AT) & (unseen.band == "telephone")), draws)
    result["systems"] = systems(at, draws)
    result["corpora"] = corpora(at, draws)
    result["within"] = within(at, draws)
    result["folds"] = folds(at, draws)
    result["arms"] = compare_arms(trials, arms, draws)
    return result


def entry(trials: Trials, draws: int) -> dict[str, Any]:
    """Make the figures of one set of trials."""
    genuine = trials.where(~trials.is_synthetic)
    synthetic = trials.where(trials.is_synthetic)
    counts = {
        "genuine": len(genuine),
        "speakers": len(np.unique(genuine.cluster)),
        "synthetic": len(synthetic),
        "systems": len(np.unique(synthetic.cluster)),
    }
    nothing = float("nan")
    if not counts["genuine"] or not counts["synthetic"]:
        names = ("eer", "eer_hull", "min_dcf", "act_dcf", "cllr", "min_cllr")
        return counts | dict.fromkeys(names, nothing) | {"eer_interval": (nothing, nothing)}
    score, label = trials.score, trials.label
    return counts | {
        "eer": float(metrics.eer(score, label)),
        "eer_interval": interval(drawn(metrics.eer, trials, draw_weights(trials, draws))),
        "eer_hull": metrics.eer_of_hull(score, label),
        "min_dcf": float(metrics.min_dcf(score, label)),
        "act_dcf": float(metrics.act_dcf(score, label)),
        "cllr": float(metrics.cllr(score, label)),
        "min_cllr": metrics.min_cllr(score, label),
    }


def conditions(told: Trials, unseen: Trials, draws: int) -> dict[str, Any]:
    """The curve over seconds of speech in both bands, and systems that were trained on."""
    rows: dict[str, Any] = {}
    for band in ("full", "telephone"):
        for seconds in SECONDS:
            chosen = unseen.where((unseen.band == band) & (unseen.seconds == seconds))
            if len(chosen):
                rows[f"{band}, {seconds}"] = entry(chosen, draws)
    seen = told.where((told.band == "full") & (told.seconds == AT) & (told.is_seen | ~told.is_synthetic))
    if seen.is_synthetic.any():
        rows[f"full, {AT}, seen systems"] = entry(seen, draws)
    return rows


def emotions(trials: Trials, draws: int) -> dict[str, Any]:
    """Per expert's emotions: genuine against synthetic clips of these; the worst, and the spread between them.

    The intervals of worst and spread come from draws over all emotions at once, for a speaker is in several.
    """
    groups = {name: np.flatnonzero(trials.expert == name) for name in GATE}
    groups = {name: rows for name, rows in groups.items() if len(np.unique(trials.label[rows])) == 2}
    if not groups:
        return {}
    result: dict[str, Any] = {"by": {name: entry(trials.where(rows), draws) for name, rows in groups.items()}}
    found = np.array([result["by"][name]["eer"] for name in groups])
    weights = draw_weights(trials, draws)
    every = np.stack([drawn(metrics.eer, trials, weights, rows) for rows in groups.values()])
    result["worst"] = _with_interval(float(found.max()), every.max(0))
    result["spread"] = _with_interval(float(found.max() - found.min()), every.max(0) - every.min(0))
    result["without_label"] = int(np.sum(trials.expert == ""))
    return result


def systems(trials: Trials, draws: int) -> dict[str, Any]:
    """Each synthetic system against all genuine speech."""
    names = np.unique(trials.system[trials.is_synthetic]).tolist()
    return {
        name: entry(trials.where(~trials.is_synthetic | (trials.system == name)), draws)
        | {"mean_score": float(trials.score[trials.is_synthetic & (trials.system == name)].mean())}
        for name in names
    }


def corpora(trials: Trials, draws: int) -> dict[str, Any]:
    """Genuine speech of each corpus against all synthetic speech."""
    names = np.unique(trials.corpus[~trials.is_synthetic]).tolist()
    return {
        name: entry(trials.where(trials.is_synthetic | (trials.corpus == name)), draws)
        | {"mean_score": float(trials.score[~trials.is_synthetic & (trials.corpus == name)].mean())}
        for name in names
    }


def within(trials: Trials, draws: int) -> dict[str, Any]:
    """Corpora and sites that have both classes, each by itself: there is nothing but synthesis to tell them apart.

    Over all trials genuine speech is mostly from corpora that no synthesis is from, so a part of what looks like
    detection is the recognition of corpora.
    """
    names = np.intersect1d(trials.corpus[trials.is_synthetic], trials.corpus[~trials.is_synthetic]).tolist()
    return {name: entry(trials.where(trials.corpus == name), draws) for name in names}


def folds(trials: Trials, draws: int) -> dict[str, Any]:
    """Each part of the protocol by itself, where there are several: one threshold need not suit all models."""
    names = np.unique(trials.fold).tolist()
    return {name: entry(trials.where(trials.fold == name), draws) for name in names} if len(names) > 1 else {}


def compare_arms(trials: Trials, arms: list[str], draws: int) -> dict[str, Any]:
    """Arms side by side on unseen systems, each with what it saves over the single model on trials both scored."""
    at = trials.where((trials.seconds == AT) & (trials.band == "full") & ~trials.is_seen)
    by = {arm: at.where(at.arm == arm) for arm in arms}
    result: dict[str, Any] = {}
    for arm, own in by.items():
        if not len(own):
            continue
        result[arm] = entry(own, draws)
        split = emotions(own, draws)
        if split:
            result[arm] |= {"worst": split["worst"], "spread": split["spread"]}
        for rival in (SINGLE, GEM):
            if rival != arm and len(by.get(rival, ())):
                saved = reduction(own, by[rival], draws)
                if saved:
                    result[arm][f"over_{rival}"] = saved
    return result


def reduction(own: Trials, rival: Trials, draws: int) -> dict[str, Any]:
    """By which share the EER is lower than a rival's, on the trials that both scored and with the same draws.

    Returns:
        `trials`, `eer`, `rival_eer`, `relative` and `points` (their difference), the last two with intervals; empty
        without common trials of both classes.
    """
    _, mine, theirs = np.intersect1d(own.key, rival.key, return_indices=True)
    own, rival = own.where(mine), rival.where(theirs)
    if len(np.unique(own.label)) < 2:
        return {}
    weights: Weights = draw_weights(own, draws)
    mine_drawn, theirs_drawn = (drawn(metrics.eer, t, weights) for t in (own, rival))
    mine_eer, theirs_eer = (float(metrics.eer(t.score, t.label)) for t in (own, rival))
    with np.errstate(invalid="ignore", divide="ignore"):
        relative = 1 - mine_drawn / theirs_drawn
    return {
        "trials": len(own),
        "eer": mine_eer,
        "rival_eer": theirs_eer,
        "relative": _with_interval(1 - mine_eer / theirs_eer if theirs_eer else float("nan"), relative),
        "points": _with_interval(theirs_eer - mine_eer, theirs_drawn - mine_drawn),
    }


def plain(value: Any) -> Any:
    """Give a result as JSON can hold it: null for what is not finite."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return None if isinstance(value, float) and not np.isfinite(value) else value


def _with_interval(value: float, values: NDArray[np.float64]) -> dict[str, Any]:
    return {"value": value, "interval": interval(values)}
