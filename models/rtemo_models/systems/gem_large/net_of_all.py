"""The networks that ship: `python -m rtemo_models.systems.gem_large.net_of_all --data DATA --work WORK`.

Trains on all pages and writes WORK/net.pt.
"""

from pathlib import Path

import torch

from rtemo_models.kit.command import config_option, data_option, set_option, task, work_option
from rtemo_models.kit.recipe import read_recipe
from rtemo_models.systems.gem_large.net import GemLarge
from rtemo_models.systems.gem_large.project import Projection
from rtemo_models.systems.gem_large.tables import open_tables
from rtemo_models.systems.gem_large.train import RECIPE, Settings, prepare, train
from rtemo_models.systems.gem_large.windows import Windows


def read_nets(path: Path, settings: Settings) -> tuple[list[GemLarge], Projection]:
    """Networks of one recipe, and the projection that comes before them."""
    kept = torch.load(path, weights_only=True)
    nets = []
    for state in kept["nets"]:
        net = GemLarge(settings.net)
        net.load_state_dict(state)
        nets.append(net.eval())
    return nets, Projection(kept["mean"].numpy(), kept["basis"].numpy())


@task(__doc__, data_option, work_option, config_option(RECIPE), set_option)
def main(data: Path, work: Path, config: tuple[Path, ...], changes: tuple[str, ...]) -> None:
    """Train on all pages."""
    torch.set_num_threads(1)
    settings = read_recipe(config, Settings, changes)
    windows = Windows(open_tables(data, work, settings.sets))
    everything = list(range(len(windows.clips)))
    material = prepare(windows, everything, settings.net)
    nets = [train(material, everything, settings, seed) for seed in range(settings.seeds)]
    kept = {
        "nets": [net.state_dict() for net in nets],
        "mean": torch.from_numpy(material.projection.mean),
        "basis": torch.from_numpy(material.projection.basis),
    }
    torch.save(kept, work / "net.pt")


if __name__ == "__main__":
    main()
