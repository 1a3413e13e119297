"""Compares arms on what they never heard: `python -m rtemo_models.systems.merit_large.trial --data DATA --work WORK`.

Three runs for each arm. A run keeps a group of corpora from training, and of the other corpora a third of the speakers;
it is scored on both, clean and in a degraded copy. Dev speakers take no part. All arms begin from the heads that are
trained on the frozen layers of the same windows, and draw the same windows.
"""

import sys
from pathlib import Path
from typing import Any, NamedTuple

import click
import msgspec
import numpy as np
import torch
from numpy.typing import NDArray

from rtemo_models.kit.command import PATH, config_option, data_option, set_option, task, work_option
from rtemo_models.kit.recipe import read_recipe
from rtemo_models.systems.merit_large.branch import KEPT
from rtemo_models.systems.merit_large.cached import open_cached
from rtemo_models.systems.merit_large.data import open_sounds
from rtemo_models.systems.merit_large.folds import folds_of
from rtemo_models.systems.merit_large.heads import Heads, restored
from rtemo_models.systems.merit_large.net import Layer, load_encoder
from rtemo_models.systems.merit_large.train import Settings, Table, hear, train, uar
from rtemo_models.systems.merit_large.tune import Tuning, hear_branch, tune, used
from rtemo_models.systems.merit_large.weights import read_packages, read_variables

RECIPES = Path(__file__).parent / "recipes"
GROUPS = (("ravdess", "ketts"), ("nemo", "crema"), ("ased", "tess", "rakshak"))
"""Corpora that are kept from training together; those not named are dealt."""


class Arm(NamedTuple):
    """What an arm changes of the recipes.

    Attributes:
        heads: Of that of the heads.
        tuning: Of that of what is tuned; None for heads alone.
    """

    heads: dict[str, Any]
    tuning: dict[str, Any] | None = None


_VOICES = {"voices": 0.5}
ARMS: dict[str, Arm] = {
    "frozen": Arm({}),
    "voices": Arm(_VOICES),
    "voices-near": Arm(_VOICES | {"far": 0.0}),
    "longer": Arm({}, {"rank": 0, "experts": "none"}),
    "tuned": Arm({}, {"experts": "none"}),
    "tuned-voices": Arm(_VOICES, {"experts": "none"}),
    **{kind: Arm({}, {"rank": 0, "experts": kind}) for kind in ("sparse", "shared", "random", "dense", "single")},
    "tuned-sparse": Arm({}, {"experts": "sparse"}),
    "tuned-dense": Arm({}, {"experts": "dense"}),
}
"""`frozen` are the heads that ship; `longer` the same, trained for as many more steps as what is tuned."""
KINDS, COPIES = ("corpora", "speakers"), ("clean", "degraded")
CELLS = [(kind, copy) for kind in KINDS for copy in COPIES]
"""What is scored: whose corpus, or whose speaker alone, was kept from training; as recorded, or in a degraded copy."""
_MOST = 300
"""Windows of a corpus that are scored in each of four ways."""


class Scored(msgspec.Struct):
    """Windows that a run is scored on.

    Attributes:
        rows: Of the table.
        is_corpus: bool, whether their corpus was kept from training, or else their speaker alone.
    """

    rows: NDArray[np.int64]
    is_corpus: NDArray[np.bool_]


def group_of(corpora: list[str]) -> dict[str, int]:
    """The run in which each corpus is kept from training."""
    named = {corpus: k for k, group in enumerate(GROUPS) for corpus in group}
    others = [corpus for corpus in sorted(corpora) if corpus not in named]
    return {
        corpus: named.get(corpus, others.index(corpus) % len(GROUPS) if corpus in others else 0) for corpus in corpora
    }


def parts_of(table: Table, run: int) -> tuple[NDArray[np.int64], Scored]:
    """Windows of a run: those that are trained on, and those that are scored."""
    group = group_of([corpus for corpus, known in table.known.items() if known])
    away = np.array([group.get(corpus, -1) == run for corpus in table.corpus])
    held = folds_of(table.clips) == run + 1
    wanted = (table.label >= 0) & (((table.copy == 0) & table.is_last) | (table.copy == 1)) & (away | held)
    random = np.random.default_rng((run, 21))
    rows: list[int] = []
    for corpus in sorted(set(table.corpus[wanted].tolist())):
        for copy in (0, 1):
            of = np.flatnonzero(wanted & (table.corpus == corpus) & (table.copy == copy))
            rows += sorted(random.permutation(of)[:_MOST].tolist())
    scored = np.array(rows, np.int64)
    return np.flatnonzero(~away & ~held), Scored(scored, away[scored])


def open_frozen(place: Path, table: Table, rows: NDArray[np.int64], settings: Settings) -> Heads:
    """The heads that all arms of a run begin from."""
    told = msgspec.json.encode(settings).decode()
    if place.exists() and (kept := torch.load(place, weights_only=True))["settings"] == told:
        return restored(kept["heads"])
    heads = train(table, rows, settings, 0)
    torch.save({"settings": told, "heads": heads.state_dict()}, place)
    return heads


def run_arm(table: Table, run: int, arm: str, layer: Layer, settings: Settings, tuning: Tuning, place: Path) -> None:
    """Train and score an arm in one run; what it says goes to `place`."""
    rows, scored = parts_of(table, run)
    change = ARMS[arm]
    settings = msgspec.structs.replace(settings, **change.heads)
    if not len(scored.rows):
        raise ValueError(f"run {run} keeps no corpus and no speaker from training: choose others with --runs")
    called = "-".join(f"{name}-{value}" for name, value in change.heads.items())
    heads = open_frozen(place.parent / f"heads-{run}{called and '-'}{called}.pt", table, rows, settings)
    if change.tuning is None:
        said = {name: values[scored.rows] for name, values in hear([heads], table).items()}
    else:
        own = msgspec.structs.replace(tuning, **change.tuning)
        branch = tune(table, rows, heads, layer, settings, own, run)
        said = hear_branch(branch, table, scored.rows)
        if branch.experts is not None and branch.experts.routers:
            some = scored.rows[:: max(1, len(scored.rows) // 64)]
            sys.stdout.write(f"{arm}, run {run}, share of frames of every expert: {used(branch, table, some)}\n")
    np.savez(place, rows=scored.rows, is_corpus=scored.is_corpus, **said)


def print_arms(table: Table, folder: Path, arms: list[str], runs: list[int], draws: int = 400) -> None:
    """Print the mean UAR of corpora, kept from training whole or by speaker, and how far arms are from the first."""
    out = sys.stdout
    said = {arm: [dict(np.load(folder / f"{arm}-{run}.npz")) for run in runs] for arm in arms}
    units = {arm: units_of(table, of) for arm, of in said.items()}
    cells = [cell for cell in CELLS if units[arms[0]][cell]]
    out.write(f"| arm | {' | '.join(map(', '.join, cells))} | arousal, valence in order |\n")
    out.write("|---" * (len(cells) + 2) + "|\n")
    first = {cell: mean_uar(units[arms[0]][cell], draws) for cell in cells}
    for arm in arms:
        told = []
        for cell in cells:
            values = mean_uar(units[arm][cell], draws)
            gaps = values - first[cell]
            low, high = np.percentile(gaps[1:], (2.5, 97.5))
            gap = f" ({gaps[0]:+.3f}, {low:+.3f} to {high:+.3f})" if arm != arms[0] else ""
            told.append(f"{values[0]:.3f}{gap}")
        order = " / ".join(f"{in_order(table, said[arm], name):.3f}" for name in ("arousal", "valence"))
        out.write(f"| {arm} | {' | '.join(told)} | {order} |\n")
    out.write(f"\n| corpus | kept out, heard | {' | '.join(arms)} |\n")
    out.write("|---" * (len(arms) + 2) + "|\n")
    for cell in cells:
        for corpus in sorted(units[arms[0]][cell]):
            each = [np.mean([uar(*pair) for pair in units[arm][cell][corpus]]) for arm in arms]
            out.write(f"| {corpus} | {', '.join(cell)} | {' | '.join(f'{value:.3f}' for value in each)} |\n")


Pairs = list[tuple[NDArray[np.int64], NDArray[np.float32]]]


def units_of(table: Table, said: list[dict[str, NDArray[Any]]]) -> dict[tuple[str, str], dict[str, Pairs]]:
    """(kind, copy) → corpus → truth and logits of every run."""
    units: dict[tuple[str, str], dict[str, Pairs]] = {cell: {} for cell in CELLS}
    for one in said:
        rows, is_corpus = one["rows"], one["is_corpus"]
        for kind, of_kind in zip(KINDS, (is_corpus, ~is_corpus), strict=True):
            for k, copy in enumerate(COPIES):
                for corpus in sorted(set(table.corpus[rows].tolist())):
                    at = of_kind & (table.corpus[rows] == corpus) & (table.copy[rows] == k)
                    if at.any():
                        units[kind, copy].setdefault(corpus, []).append((table.label[rows[at]], one["logits"][at]))
    return units


def mean_uar(units: dict[str, Pairs], draws: int) -> NDArray[np.float64]:
    """Mean UAR over corpora: first of all windows, then of windows of each class drawn again, alike for all arms."""
    random = np.random.default_rng(0)
    result = np.zeros(draws + 1)
    for pairs in units.values():
        for truth, logits in pairs:
            classes, place = np.unique(truth, return_inverse=True)
            hit = classes[logits[:, classes].argmax(1)] == truth
            share = 1.0 / (len(units) * len(pairs) * len(classes))
            for k in range(len(classes)):
                of = hit[place == k]
                result[0] += share * of.mean()
                result[1:] += share * of[random.integers(len(of), size=(draws, len(of)))].mean(1)
    return result


def in_order(table: Table, said: list[dict[str, NDArray[Any]]], name: str, gap: float = 0.5) -> float:
    """Share of pairs of one speaker and copy, targets at least so far apart, that are put in order."""
    axis = ("arousal", "valence").index(name)
    right = total = 0
    for one in said:
        rows, values = one["rows"], one[name]
        keys = np.array([f"{table.corpus[i]}/{table.clips[i].speaker}/{table.copy[i]}" for i in rows])
        wanted = table.attributes[rows, axis]
        for key in sorted(set(keys.tolist())):
            of = (keys == key) & ~np.isnan(wanted)
            t, v = wanted[of], values[of]
            clear = t[:, None] - t[None] >= gap
            right += int((clear & (v[:, None] > v[None])).sum())
            total += int(clear.sum())
    return right / max(total, 1)


@task(
    __doc__,
    config_option(RECIPES / "recipe.toml"),
    set_option,
    data_option,
    work_option,
    click.option("--tune", "tune_recipe", type=PATH, default=RECIPES / "tune.toml", help="Recipe of what is tuned."),
    click.option("--tune-set", multiple=True, metavar="NAME=VALUE", help="Change one setting of it."),
    click.option("--arms", default="frozen,longer,tuned", show_default=True, help=f"Of {', '.join(ARMS)}."),
    click.option("--runs", default="0,1,2", show_default=True, help="Which groups of corpora are kept out."),
    click.option("--name", default="trial", show_default=True, help="Name of the folder under --work."),
    click.option("--weights", type=PATH, help="Whisper base as a model.bin; from its packages by default."),
)
def main(
    config: tuple[Path, ...],
    changes: tuple[str, ...],
    data: Path,
    work: Path,
    tune_recipe: Path,
    tune_set: tuple[str, ...],
    arms: str,
    runs: str,
    name: str,
    weights: Path | None,
) -> None:
    """Train what has not been trained, and print the tables."""
    settings = read_recipe(config, Settings, changes)
    tuning = read_recipe(tune_recipe, Tuning, tune_set)
    chosen, numbers = arms.split(","), [int(run) for run in runs.split(",")]
    if unknown := sorted(set(chosen) - set(ARMS)):
        raise ValueError(f"--arms {','.join(unknown)}: expected some of {', '.join(ARMS)}")
    torch.set_num_threads(1)
    variables = read_variables(weights.read_bytes() if weights else read_packages())
    cached = open_cached(open_sounds(data, work), work, variables, settings.copies, KEPT)
    table = cached.training(settings.layers)
    layer = load_encoder(variables, KEPT[-1]).layers[-1]
    (work / name).mkdir(exist_ok=True)
    for run in numbers:
        for arm in chosen:
            place = work / name / f"{arm}-{run}.npz"
            if not place.exists():
                run_arm(table, run, arm, layer, settings, tuning, place)
    print_arms(table, work / name, chosen, numbers)


if __name__ == "__main__":
    main()
