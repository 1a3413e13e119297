"""Compares training runs of the ranker: `python -m bench.quality.rank.arms --data DIR --work DIR NAME=RUN[+RUN…] …`.

Runs joined by `+` are seeds of one arm. Dev speakers, clean, end of the clip. An arm with `{}` in its runs is trained
with each corpus left out in turn, `{}` standing for its name, and heard on that corpus alone. Prints Kendall's tau-b
and pair accuracy of the four tasks with intervals over speakers, and how far the first arm is ahead, drawn together.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.quality.emotion.streams import write_json
from bench.quality.rank.heard import Dev, open_dev, scores_at
from bench.quality.rank.metrics import Mean, bootstrap, mean_of
from bench.quality.rank.tasks import TASKS, Task
from rtemo_models.systems.ranker.net import load_ranker

CORPORA = ("ravdess", "nemo", "ased", "rakshak", "baved")


class Arm:
    """Scores of the dev clips by the seeds of one arm.

    Args:
        work: Folder of the runs.
        pattern: Runs joined by `+`, with or without `{}`.
        dev: What is heard.
        condition: How it is heard.
    """

    def __init__(self, work: Path, pattern: str, dev: Dev, condition: str) -> None:
        self._is_cross = "{}" in pattern
        self._dev = dev
        corpora = CORPORA if self._is_cross else ("",)
        self._scores = {
            corpus: [self._read(work / run.format(corpus), condition) for run in pattern.split("+")]
            for corpus in corpora
        }

    def _read(self, folder: Path, condition: str) -> NDArray[np.float32]:
        """Scores at the end, float32 [clips, 3]; kept beside the run."""
        kept, net = folder / f"dev-{condition}.npy", folder / "average.pt"
        if not kept.exists() or kept.stat().st_mtime < net.stat().st_mtime:
            np.save(kept, scores_at(load_ranker(net), self._dev, condition)[:, -1])
        return np.asarray(np.load(kept))

    def orders(self, task: Task, corpus: str, gap: float | None = None) -> tuple[Any, Any, Any]:
        """Tau and accuracy of each speaker, float64 [2, speakers], mean of the seeds; tau of seeds; clips."""
        seeds = self._scores[corpus if self._is_cross else ""]
        found = [task.speakers(self._dev.clips, scores, corpus, gap) for scores in seeds]
        names = sorted(found[0])
        values = np.array([[[f[n].tau for n in names], [f[n].accuracy for n in names]] for f in found])
        return values.mean(0), values[:, 0], np.array([found[0][n].clips for n in names], float)


def drawn_of(arm: Arm, task: Task, corpora: Sequence[str], gap: float | None = None) -> tuple[Any, Any, float]:
    """Tau and accuracy [2] over corpora, of every draw [draws, 2], and the deviation of tau over seeds."""
    parts = [arm.orders(task, corpus, gap) for corpus in corpora]
    value, drawn = bootstrap([p[0] for p in parts], [p[2] for p in parts])
    by_seed = np.mean([p[1] @ (p[2] / p[2].sum()) for p in parts], 0)
    return value, drawn, float(by_seed.std(ddof=1)) if len(by_seed) > 1 else float("nan")


def compare(arms: dict[str, Arm], per_corpus: bool) -> dict[str, Any]:
    """All figures of all arms."""
    result: dict[str, Any] = {}
    first = next(iter(arms))
    for task in TASKS:
        places = {"all": task.corpora}
        if per_corpus and len(task.corpora) > 1:
            places |= {corpus: (corpus,) for corpus in task.corpora}
        for place, corpora in places.items():
            found = {name: drawn_of(arm, task, corpora) for name, arm in arms.items()}
            entry = result.setdefault(task.name, {}).setdefault(place, {})
            for name, (value, drawn, deviation) in found.items():
                tau, accuracy = (mean_of(value[k], drawn[:, k]) for k in (0, 1))
                behind = found[first][1][:, 0] - drawn[:, 0]
                ahead = mean_of(found[first][0][0] - value[0], behind)
                entry[name] = {"tau": tau, "accuracy": accuracy, "seeds": deviation, "first_ahead": ahead}
    return result


def report(result: dict[str, Any]) -> None:
    """Print the tables."""
    for task, places in result.items():
        for place, arms in places.items():
            sys.stdout.write(f"\n{task}, {place}\n| arm | tau-b | pair accuracy | seeds | first is ahead by |\n")
            sys.stdout.write("|---|---|---|---|---|\n")
            for name, e in arms.items():
                sys.stdout.write(f"| {name} | {e['tau']} | {e['accuracy']} | {e['seeds']:.3f} | {e['first_ahead']} |\n")


def plain(value: Any) -> Any:
    """Figures as JSON holds them."""
    if isinstance(value, Mean):
        return [round(value.value, 4), round(value.low, 4), round(value.high, 4)]
    if isinstance(value, dict):
        return {k: plain(v) for k, v in value.items()}
    return round(value, 4) if isinstance(value, float) else value


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True, help="folder of caches and runs")
    parser.add_argument("--condition", default="clean")
    parser.add_argument("--per-corpus", action="store_true")
    parser.add_argument("--out", type=Path, help="JSON file for the figures")
    parser.add_argument("arms", nargs="+", metavar="NAME=RUN+RUN")
    options = parser.parse_args()
    dev = open_dev(options.data, options.work, [options.condition])
    told = dict(arm.split("=", 1) for arm in options.arms)
    arms = {name: Arm(options.work, runs, dev, options.condition) for name, runs in told.items()}
    result = compare(arms, options.per_corpus)
    report(result)
    if options.out:
        write_json(options.out, json.loads(json.dumps(plain(result))))


if __name__ == "__main__":
    main()
