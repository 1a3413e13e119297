"""Gathers what the card tells: `python -m rtemo_models.systems.gem.train.results --net NET --out JSON ...`.

Scores are those of the report of `bench.quality.spoof`, thresholds what `bench.quality.spoof.false_alarms` found for
the network that ships. Which clips these thresholds catch only the networks of the folds can tell, each of the systems
that it did not see; their scores are put on the scale of the one that ships first.
"""

import csv
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import numpy as np
import torch
from numpy.typing import NDArray

from rtemo_models.kit.command import PATH, task
from rtemo_models.systems.gem.data.clips import FOLDS
from rtemo_models.systems.gem.net import load_gem

MISSED_BELOW = 0.05
"""Share of synthetic trials that may fall below the threshold of the verdict `bona_fide`."""
TRAINED_ON = (
    "every system above; scores are of four networks of the same recipe, each on sites and systems that it did not see"
)


def calibration_of(path: Path) -> tuple[float, float]:
    """Slope and offset of a calibrated network."""
    slope, offset = load_gem(path).calibration[0].tolist()
    return slope, offset


def synthetic_scores(
    trials: Sequence[Path], folds: Sequence[tuple[float, float]], ships: tuple[float, float]
) -> dict[str, NDArray[np.float64]]:
    """Band → scores after 4 s of synthetic clips of unseen systems, on the scale of the network that ships.

    Args:
        trials: Files that `gem_trials` wrote for folds 0, 1, 2 and 3.
        folds: Slope and offset of each fold's network.
        ships: Slope and offset of the one that ships.
    """
    found: dict[str, list[float]] = {"full": [], "telephone": []}
    for fold, (path, (slope, offset)) in enumerate(zip(trials, folds, strict=True)):
        with path.open(newline="", encoding="utf-8") as file:
            for row in csv.DictReader(file):
                is_unseen = row["arm"] == "gem" and row["label"] == "1" and row["fold"] == str(fold)
                if is_unseen and row["seconds"] == "4":
                    found[row["band"]].append(ships[0] * (float(row["score"]) - offset) / slope + ships[1])
    return {band: np.asarray(scores) for band, scores in found.items()}


def results_of(
    report: dict[str, Any],
    card: dict[str, float],
    synthetic: dict[str, NDArray[np.float64]],
    ships: tuple[float, float],
) -> dict[str, Any]:
    """Scores and calibration for the card, and beside them what each threshold catches, which the card leaves out."""
    told = report["conditions"]

    def brief(name: str, *keys: str) -> dict[str, float]:
        return {key: round(told[name][key], 3) for key in keys}

    calibration = {**card, "bona_fide_below": round(float(np.quantile(synthetic["full"], MISSED_BELOW)), 4)}
    thresholds = {name: value for name, value in card.items() if name.startswith("threshold")}
    within = [entry["eer"] for entry in report["within"].values()]
    return {
        "calibration": calibration | {"slope": round(ships[0], 4), "offset": round(ships[1], 4)},
        "scores": {
            **{f"unseen_systems_{s}_s": brief(f"full, {s}", "eer") for s in ("1", "2")},
            "unseen_systems_4_s": brief("full, 4", "eer", "min_dcf", "cllr"),
            "unseen_systems_4_s_telephone": brief("telephone, 4", "eer", "min_dcf", "cllr"),
            "unseen_systems_4_s_emotions": {k: round(e["eer"], 3) for k, e in report["emotions"]["by"].items()},
            "same_corpus_4_s": {"eer": round(float(np.mean(within)), 3)},
        },
        "trained_on": [TRAINED_ON],
        "caught": {
            band: {name: round(float(np.mean(scores >= value)), 3) for name, value in thresholds.items()}
            for band, scores in synthetic.items()
        },
    }


@task(
    __doc__,
    click.option("--net", "net_path", type=PATH, required=True, help="calibrated.pt of what ships."),
    click.option(
        "--folds", "folds_path", type=PATH, nargs=FOLDS, required=True, help="calibrated.pt of fold 0, 1, 2 and 3."
    ),
    click.option(
        "--trials", "trials_path", type=PATH, nargs=FOLDS, required=True, help="Trials of fold 0, 1, 2 and 3."
    ),
    click.option("--report", "report_path", type=PATH, required=True, help="report.json of bench.quality.spoof."),
    click.option("--false-alarms", "false_alarms_path", type=PATH, help="JSON of bench.quality.spoof.false_alarms."),
    click.option("--out", type=PATH, required=True),
)
def main(
    net_path: Path,
    folds_path: tuple[Path, ...],
    trials_path: tuple[Path, ...],
    report_path: Path,
    false_alarms_path: Path | None,
    out: Path,
) -> None:
    """Command line."""
    torch.set_num_threads(1)
    ships = calibration_of(net_path)
    synthetic = synthetic_scores(trials_path, [calibration_of(path) for path in folds_path], ships)
    card = json.loads(false_alarms_path.read_text())["card"] if false_alarms_path else {}
    results = results_of(json.loads(report_path.read_text()), card, synthetic, ships)
    out.write_text(json.dumps(results, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(results["caught"]))


if __name__ == "__main__":
    main()
