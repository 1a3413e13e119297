"""Calibrates the network that ships: `python -m rtemo_models.systems.gem.train.shipping --net WORK/all/average.pt ...`.

It was trained on every system, so nothing is left that it did not see. Slope and offset are those of its siblings,
the networks of the folds, on the systems that each of them did not see: log-odds that hold for new systems as far as
these stand for them.
"""

import argparse
from pathlib import Path

import torch

from rtemo_models.systems.gem.data.clips import FOLDS, in_report
from rtemo_models.systems.gem.data.trial_cache import open_trials
from rtemo_models.systems.gem.net import load_gem, save_gem
from rtemo_models.systems.gem.train.recipe import read_gem_recipe
from rtemo_models.systems.gem.train.run import prepare
from rtemo_models.systems.gem.train.trials import fit, said_of


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--net", type=Path, required=True, help="average.pt of the run without --fold")
    parser.add_argument("--folds", type=Path, nargs=FOLDS, required=True, help="average.pt of fold 0, 1, 2 and 3")
    parser.add_argument("--config", type=Path, required=True, help="recipe.toml")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    options = parser.parse_args()
    torch.set_num_threads(1)
    made = prepare(read_gem_recipe(options.config), options.data, options.work)
    told = []
    for fold, path in enumerate(options.folds):
        net = load_gem(path)
        cached = options.work / "cache" / f"trials-{fold}.npz"
        trials = open_trials(cached, made.corpus, made.gates, net.measures, [fold])
        told.append(said_of(net, trials, trials.places(in_report(made.corpus.clips, fold))))
    net = load_gem(options.net)
    print(fit(net, told))
    save_gem(net, options.net.with_name("calibrated.pt"))


if __name__ == "__main__":
    main()
