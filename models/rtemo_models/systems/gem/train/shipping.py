"""Calibrates the network that ships: `python -m rtemo_models.systems.gem.train.shipping --net WORK/all/average.pt ...`.

It was trained on every system, so nothing is left that it did not see. Slope and offset are those of its siblings,
the networks of the folds, on the systems that each of them did not see: log-odds that hold for new systems as far as
these stand for them.
"""

from pathlib import Path

import click
import torch

from rtemo_models.kit.command import PATH, config_option, data_option, set_option, task, work_option
from rtemo_models.kit.recipe import read_recipe
from rtemo_models.kit.run_folder import save_net
from rtemo_models.systems.gem.data.clips import FOLDS, in_report
from rtemo_models.systems.gem.data.trial_cache import open_trials
from rtemo_models.systems.gem.net import load_gem
from rtemo_models.systems.gem.train.recipe import GemRecipe
from rtemo_models.systems.gem.train.run import prepare
from rtemo_models.systems.gem.train.trials import fit, said_of


@task(
    __doc__,
    click.option("--net", "net_path", type=PATH, required=True, help="average.pt of the run without --fold."),
    click.option(
        "--folds", "folds_path", type=PATH, nargs=FOLDS, required=True, help="average.pt of fold 0, 1, 2 and 3."
    ),
    config_option(Path(__file__).parents[1] / "recipes" / "recipe.toml"),
    set_option,
    data_option,
    work_option,
)
def main(
    net_path: Path,
    folds_path: tuple[Path, ...],
    config: tuple[Path, ...],
    changes: tuple[str, ...],
    data: Path,
    work: Path,
) -> None:
    """Command line."""
    torch.set_num_threads(1)
    made = prepare(read_recipe(config, GemRecipe, changes), data, work)
    told = []
    for fold, path in enumerate(folds_path):
        net = load_gem(path)
        cached = work / "cache" / f"trials-{fold}.npz"
        trials = open_trials(cached, made.corpus, made.gates, net.measures, [fold])
        told.append(said_of(net, trials, trials.places(in_report(made.corpus.clips, fold))))
    net = load_gem(net_path)
    print(fit(net, told))
    save_net(net, net_path.with_name("calibrated.pt"))


if __name__ == "__main__":
    main()
