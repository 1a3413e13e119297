"""Trials of all arms: `python -m rtemo_models.systems.gem_large.trials --data DATA --work WORK`.

Joins what the networks of all folds said of pages that they never saw. Writes WORK/trials.csv for `bench.quality.spoof`
and `bench.quality.spoof.pages`, WORK/pages.csv to have other detectors score the same clips (`--manifest`), and
WORK/calibration.json for what ships.
"""

import csv
import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtemo.api import EXPERT_OF, EXPERTS
from rtemo_models.kit.command import data_option, task, work_option
from rtemo_models.systems.gem_large.clips import FOLDS, SpoofClip
from rtemo_models.systems.gem_large.fold import ARMS, BANDS, GEM, read_fold
from rtemo_models.systems.gem_large.folds import Scored, joined
from rtemo_models.systems.gem_large.tables import listed

MIXING = {"trained evenly": "experts evenly", "trained at random": "experts at random"}
"""How the experts of an arm that was trained without knowing emotions are mixed."""
MANIFEST = ("path", "label", "system", "corpus", "speaker", "emotion", "fold")
"""Of the list of the same clips, for other detectors to score."""
COLUMNS = ("clip", "system", "corpus", "speaker", "emotion", "fold", "band", "seconds", "label", "score", "arm")


def arms_of(scored: Scored, clips: Sequence[SpoofClip], seed: int = 0) -> dict[str, NDArray[np.float64]]:
    """The same experts mixed in several ways: by the gate, evenly, at random, by the likeliest, by the label."""
    count = len(EXPERTS)
    labels = [EXPERT_OF.get(clips[k].emotion, "") for k in scored.clips.tolist()]
    oracle = np.stack(
        [np.eye(count)[EXPERTS.index(name)] if name else gate for name, gate in zip(labels, scored.gate, strict=True)]
    )
    random = np.random.default_rng(seed).dirichlet(np.full(count, 0.3), len(labels))
    return {
        GEM: scored.mixed,
        "top1": (scored.said * np.eye(count)[scored.gate.argmax(1)]).sum(1),
        "experts evenly": scored.said.mean(1),
        "experts at random": (scored.said * random).sum(1),
        "oracle": (scored.said * oracle).sum(1),
    }


def balance(clips: Sequence[SpoofClip], scored: Scored) -> NDArray[np.float64]:
    """What a trial counts: both classes of a page alike, pages by the root of their size; others nothing."""
    source = np.array([clips[k].source for k in scored.clips.tolist()])
    is_synthetic = np.array([clips[k].is_synthetic for k in scored.clips.tolist()])
    weight = np.zeros(len(source))
    for page in np.unique(source).tolist():
        parts = [np.flatnonzero((source == page) & (is_synthetic == kind)) for kind in (False, True)]
        if min(map(len, parts)):
            for rows in parts:
                weight[rows] = np.sqrt(sum(map(len, parts))) / len(rows)
    return weight


def fit_affine(
    score: NDArray[np.float64], is_synthetic: NDArray[np.bool_], weight: NDArray[np.float64]
) -> tuple[float, float]:
    """Slope and offset that make scores log-odds, by weighted logistic regression (Newton's steps)."""
    values = np.column_stack([score, np.ones(len(score))])
    found = np.array([1.0, 0.0])
    mass = weight / weight.sum()
    for _ in range(50):
        likely = 1 / (1 + np.exp(-np.clip(values @ found, -30, 30)))
        slope = values.T @ (mass * (likely - is_synthetic)) + 1e-6 * (found - [1.0, 0.0])
        curve = (values * (mass * likely * (1 - likely))[:, None]).T @ values + 1e-6 * np.eye(2)
        step = np.linalg.solve(curve, slope)
        found -= step * min(1.0, 2.0 / (np.abs(step).max() + 1e-9))
    return float(found[0]), float(found[1])


def by_siblings(
    scored: Mapping[str, Scored], arms: Mapping[str, NDArray[np.float64]], clips: Sequence[SpoofClip]
) -> dict[str, NDArray[np.float64]]:
    """Scores of every view as log-odds: those of a fold by what the other folds' networks said of their own pages."""
    of = {view: np.array([clips[k].is_synthetic for k in s.clips.tolist()]) for view, s in scored.items()}
    weights = {view: balance(clips, s) for view, s in scored.items()}
    made = {view: np.empty(len(values)) for view, values in arms.items()}
    for fold in np.unique(next(iter(scored.values())).fold).tolist():
        others = {view: np.flatnonzero(s.fold != fold) for view, s in scored.items()}
        slope, offset = fit_affine(
            np.concatenate([arms[view][rows] for view, rows in others.items()]),
            np.concatenate([of[view][rows] for view, rows in others.items()]),
            np.concatenate([weights[view][rows] for view, rows in others.items()]),
        )
        for view, s in scored.items():
            mine = s.fold == fold
            made[view][mine] = slope * arms[view][mine] + offset
    return made


def rows_of(scored: Mapping[str, Scored], clips: Sequence[SpoofClip], prefix: str = "") -> list[dict[str, object]]:
    """Rows of trials of every way to mix the experts; only of their own, under the name `prefix`, if one is given."""
    by_view = {view: arms_of(s, clips) for view, s in scored.items()}
    rows = []
    for arm in [GEM] if prefix else list(next(iter(by_view.values()))):
        told = by_siblings(scored, {view: arms[arm] for view, arms in by_view.items()}, clips)
        for band, view in BANDS.items():
            if view not in scored:
                continue
            s = scored[view]
            for k, fold, score, gate in zip(
                s.clips.tolist(), s.fold.tolist(), told[view].tolist(), s.gate, strict=True
            ):
                clip = clips[k]
                rows.append({
                    "clip": clip.key, "system": clip.system, "corpus": clip.source, "speaker": clip.speaker,
                    "emotion": clip.emotion or EXPERTS[int(gate.argmax())], "fold": f"{fold}", "band": band,
                    "seconds": "4", "label": int(clip.is_synthetic), "score": round(score, 5), "arm": prefix or arm,
                })  # fmt: skip
    return rows


def write_rows(path: Path, rows: Sequence[Mapping[str, object]], columns: Sequence[str]) -> None:
    """Write some columns as CSV."""
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


@task(__doc__, data_option, work_option)
def main(data: Path, work: Path) -> None:
    """Join what the networks of all folds said, as log-odds."""
    clips = listed(data, work)["pages"]
    rows: list[dict[str, object]] = []
    for arm in ARMS:
        scored = {view: joined([read_fold(work, fold)[arm, view] for fold in range(FOLDS)]) for view in BANDS.values()}
        if arm == GEM:
            write_calibration(work / "calibration.json", scored, clips)
        if arm in MIXING:
            scored = {v: dataclasses.replace(s, mixed=arms_of(s, clips)[MIXING[arm]]) for v, s in scored.items()}
        rows += rows_of(scored, clips, "" if arm == GEM else arm)
    write_rows(work / "trials.csv", rows, COLUMNS)
    listed_ = [row | {"path": row["clip"]} for row in rows if (row["arm"], row["band"]) == (GEM, "full")]
    write_rows(work / "pages.csv", listed_, MANIFEST)


def write_calibration(path: Path, scored: Mapping[str, Scored], clips: Sequence[SpoofClip]) -> None:
    """Slope and offset over all folds, for the network that is trained on all pages."""
    slope, offset = fit_affine(
        np.concatenate([s.mixed for s in scored.values()]),
        np.array([clips[k].is_synthetic for s in scored.values() for k in s.clips.tolist()]),
        np.concatenate([balance(clips, s) for s in scored.values()]),
    )
    path.write_text(json.dumps({"slope": slope, "offset": offset}) + "\n")


if __name__ == "__main__":
    main()
