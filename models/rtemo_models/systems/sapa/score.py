"""UAR of every arm on the target with intervals by speaker: `python -m rtemo_models.systems.sapa.score`."""

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtemo.scoring.bootstrap import draw_counts, interval
from rtemo.scoring.classes import one_hot, uar_of
from rtemo_models.kit.command import config_option, data_option, set_option, task, work_option
from rtemo_models.kit.recipe import read_recipe
from rtemo_models.systems.sapa.compare import ARMS, read_table
from rtemo_models.systems.sapa.settings import CLASSES, RECIPE, Settings
from rtemo_models.systems.sapa.tokens import TOKENS

_DRAWS = 1000
BASE = "anchors off"
BASES = dict.fromkeys(ARMS, BASE) | {"no pseudo-labels": "source alone"}
"""What an arm is held against: the same without anchors."""


def drawn(counts: NDArray[np.float64], member: NDArray[np.int64], random: np.random.Generator) -> NDArray[np.float64]:
    """UAR of draws of speakers, [draws]; counts [n, classes, classes + 1] are means over seeds."""
    weight = draw_counts(int(member.max()) + 1, _DRAWS, random).astype(np.float64)
    by = np.zeros((weight.shape[1], *counts.shape[1:]))
    np.add.at(by, member, counts)
    return uar_of(np.tensordot(weight, by, 1))


def report(found: dict[str, Any]) -> str:
    """The tables in Markdown."""
    directions = list(next(iter(found["arms"].values()))["UAR"])
    head = ["arm", *directions, "mean", "held against", "above it (95 %)", "by seed"]
    lines = ["## Transfer", "", f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
    for arm, entry in found["arms"].items():
        cells = [f"{entry['UAR'][d][0]:.3f} ± {entry['UAR'][d][1]:.3f}" for d in directions] + [f"{entry['mean']:.3f}"]
        if "above" in entry:
            above = entry["above"]
            cells += [BASES[arm], f"{above[0]:+.3f} ({above[1]:+.3f} to {above[2]:+.3f})"]
            cells.append(" ".join(f"{value:+.3f}" for value in entry["above by seed"]))
        else:
            cells += ["", "", ""]
        lines.append(f"| {arm} | {' | '.join(cells)} |")
    lines += ["", "## Phone error rate of the head", "", "| | |", "|---|---|"]
    lines += [f"| {name} | {value:.3f} |" for name, value in found["phone error rate"].items()]
    return "\n".join([*lines, "", f"Phones: {' '.join(found['phones'])}", ""])


@task(__doc__, data_option, work_option, config_option(RECIPE), set_option)
def main(data: Path, work: Path, config: tuple[Path, ...], changes: tuple[str, ...]) -> None:
    """Write figures and tables."""
    settings = read_recipe(config, Settings, changes)
    table = read_table(data, work, settings)
    label = table.label.numpy()
    values: dict[str, dict[str, list[float]]] = {arm: {} for arm in ARMS}
    draws: dict[str, list[NDArray[np.float64]]] = {arm: [] for arm in ARMS}
    by_seed: dict[str, list[list[float]]] = {arm: [] for arm in ARMS}
    for number, (source, target) in enumerate(settings.directions):
        files = [np.load(path) for path in sorted((work / "sapa").glob(f"{source}-{target}-*.npz"))]
        rows = files[0]["rows"]
        member = np.unique([table.speaker[row] for row in rows.tolist()], return_inverse=True)[1]
        for arm in ARMS:
            each = [one_hot(label[rows], file[arm].argmax(1), len(CLASSES)) for file in files]
            recalls = [float(uar_of(counts.sum(0))) for counts in each]
            values[arm][f"{source} to {target}"] = [round(float(f(recalls)), 4) for f in (np.mean, np.std)]
            by_seed[arm].append(recalls)
            draws[arm].append(drawn(np.mean(each, axis=0), member, np.random.default_rng(number)))
    found: dict[str, Any] = {"arms": {}}
    for arm, by in values.items():
        entry: dict[str, Any] = {"UAR": by, "mean": round(float(np.mean([v[0] for v in by.values()])), 4)}
        base = BASES[arm]
        if arm != base:
            low, high = interval(np.mean(draws[arm], axis=0) - np.mean(draws[base], axis=0))
            seeds = np.mean(by_seed[arm], axis=0) - np.mean(by_seed[base], axis=0)
            entry["above"] = [round(float(value), 4) for value in (seeds.mean(), low, high)]
            entry["above by seed"] = [round(float(value), 4) for value in seeds]
        found["arms"][arm] = entry
    with np.load(work / TOKENS) as kept:
        found["phone error rate"] = json.loads(str(kept["rates"]))
        found["phones"] = kept["signs"].tolist()[1:]
    (work / "sapa" / "scores.json").write_text(json.dumps(found, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (work / "sapa" / "TABLES.md").write_text(report(found), encoding="utf-8")


if __name__ == "__main__":
    main()
