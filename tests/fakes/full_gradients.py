"""Takes one step of the full-size network and writes the gradients: one of the processes of a parallel run."""

import json
import os
import sys
from pathlib import Path

import msgspec
import torch

from rtemo_models.kit.corpora.clip import read_manifest
from rtemo_models.systems.full_merit.train.process_group import join
from rtemo_models.systems.full_merit.train.recipe import FullMeritRecipe
from rtemo_models.systems.full_merit.train.run import FullRun
from tests.fakes.licensed import SETTINGS, tiny_encoder


def take_step(data: Path, out: Path, changes: dict) -> None:
    """One step and one evaluation, in the group that the environment describes."""
    torch.set_num_threads(1)
    group = join()
    recipe = msgspec.convert(SETTINGS | changes, FullMeritRecipe)
    run = FullRun(recipe, tiny_encoder(), read_manifest(data / "emotion" / "manifest.csv"), data, out, group)
    run.take_step(run._parallel(), run._batches(0))
    scores = run.evaluate()
    if group.first:
        gradients = {n: p.grad for n, p in run.net.named_parameters() if p.grad is not None}
        torch.save({"gradients": gradients, "scores": scores, "size": group.size}, out / "step.pt")
    group.wait()
    group.close()


def take_step_as(rank: int, size: int, port: int, *arguments) -> None:
    """What `torchrun` does for a process: describe the group in its environment, then run it."""
    place = {"RANK": rank, "LOCAL_RANK": rank, "WORLD_SIZE": size, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    os.environ.update({name: str(value) for name, value in place.items()})
    take_step(*arguments)


if __name__ == "__main__":
    take_step(Path(sys.argv[1]), Path(sys.argv[2]), json.loads(sys.argv[3]))
