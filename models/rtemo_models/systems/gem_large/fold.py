"""The networks of one fold: `python -m rtemo_models.systems.gem_large.fold --data DATA --work WORK --fold K`.

Trains the networks of every arm on the pages of the other folds and writes to WORK/fold-K.npz what they say of its own.
"""

from pathlib import Path

import click
import msgspec
import numpy as np
import torch

from rtemo_models.kit.command import config_option, data_option, set_option, task, work_option
from rtemo_models.kit.recipe import read_recipe
from rtemo_models.systems.gem_large.clips import FOLDS
from rtemo_models.systems.gem_large.folds import Scored, allowed_of, score_fold
from rtemo_models.systems.gem_large.tables import open_tables
from rtemo_models.systems.gem_large.train import RECIPE, Settings, prepare
from rtemo_models.systems.gem_large.windows import Windows

BANDS = {"full": "plain", "telephone": "telephone"}
"""Band of a trial → view."""
GEM = "gem-large"
ARMS = (GEM, "single", "trained evenly", "trained at random")
"""Networks that are trained: the ensemble; one that is told the emotion; with a gate that knows nothing."""


def settings_of(arm: str, settings: Settings) -> Settings:
    """The settings of an arm."""
    if arm == "single":
        return msgspec.structs.replace(settings, net=msgspec.structs.replace(settings.net, kind="single"))
    gates = {"trained evenly": "uniform", "trained at random": "random"}
    return msgspec.structs.replace(settings, gate=gates.get(arm, settings.gate))


def write_fold(work: Path, fold: int, scored: dict[tuple[str, str], Scored]) -> None:
    """Keep what the networks of a fold said, by arm and view."""
    arrays = {
        f"{arm}|{view}|{name}": getattr(s, name)
        for (arm, view), s in scored.items()
        for name in ("clips", "fold", "said", "mixed", "gate")
    }
    part = work / f"fold-{fold}.part"
    with part.open("wb") as file:
        np.savez(file, **arrays)
    part.replace(work / f"fold-{fold}.npz")


def read_fold(work: Path, fold: int) -> dict[tuple[str, str], Scored]:
    """What `write_fold` kept."""
    arrays = np.load(work / f"fold-{fold}.npz")
    parts: dict[tuple[str, str], dict[str, np.ndarray]] = {}
    for key in arrays.files:
        arm, view, name = key.split("|")
        parts.setdefault((arm, view), {})[name] = arrays[key]
    return {key: Scored(**values) for key, values in parts.items()}


@task(
    __doc__,
    data_option,
    work_option,
    config_option(RECIPE),
    set_option,
    click.option("--fold", type=click.IntRange(0, FOLDS - 1), required=True, help="Whose pages are unseen."),
)
def main(data: Path, work: Path, config: tuple[Path, ...], changes: tuple[str, ...], fold: int) -> None:
    """Train the networks of a fold, and hear the pages that they never saw."""
    torch.set_num_threads(1)
    settings = read_recipe(config, Settings, changes)
    windows = Windows(open_tables(data, work, settings.sets))
    material = prepare(windows, allowed_of(windows.clips, fold), settings.net)
    scored = {}
    for arm in ARMS:
        for view, said in score_fold(material, settings_of(arm, settings), fold, tuple(BANDS.values())).items():
            scored[arm, view] = said
    write_fold(work, fold, scored)


if __name__ == "__main__":
    main()
