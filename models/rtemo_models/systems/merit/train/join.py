"""Joins the listener of one run and the enhancer of another: `python -m rtemo_models.systems.merit.train.join --help`.

Each part was trained beside another partner; a short run of `train.merit` with a listener that stands still makes the
enhancer used to what it is told now. Several listeners of one line of training become their mean, which is better than
each of them in noise (model soups, Wortsman et al. 2022, arXiv:2203.05482).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import click
import torch
from torch import Tensor

from rtemo_models.kit.command import PATH, task

Saved = dict[str, Any]


def mean_listener(runs: Sequence[Saved]) -> dict[str, Tensor]:
    """Mean of the runs' listeners; what differs in shape, as `distil` may, is the first's own."""
    mean: dict[str, Tensor] = {}
    for name, values in runs[0]["weights"].items():
        if name.startswith("listener."):
            found = [run["weights"].get(name) for run in runs]
            same = all(other is not None and other.shape == values.shape for other in found)
            mean[name] = torch.stack(found).mean(0) if same else values
    return mean


def join(listeners: Sequence[Saved], enhancer: Saved) -> Saved:
    """What `average.pt` of one network with both parts holds."""
    own = {name: values for name, values in enhancer["weights"].items() if name.startswith("enhancer.")}
    parts = (("listener", listeners[0]), ("enhancer", enhancer))
    net = {part: saved["net"][part] for part, saved in parts if part in saved["net"]}
    return {"weights": mean_listener(listeners) | own, "net": net}


@task(
    __doc__,
    click.option(
        "--listener",
        "listener_path",
        type=PATH,
        multiple=True,
        required=True,
        help="average.pt of the runs whose listeners are taken.",
    ),
    click.option(
        "--enhancer", "enhancer_path", type=PATH, required=True, help="average.pt of the run whose enhancer is taken."
    ),
    click.option("--out", type=PATH, required=True, help="average.pt to write."),
)
def main(listener_path: tuple[Path, ...], enhancer_path: Path, out: Path) -> None:
    """Command line."""
    listeners = [torch.load(path, weights_only=True) for path in listener_path]
    out.parent.mkdir(parents=True, exist_ok=True)
    torch.save(join(listeners, torch.load(enhancer_path, weights_only=True)), out)


if __name__ == "__main__":
    main()
