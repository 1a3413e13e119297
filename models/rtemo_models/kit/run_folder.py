"""What a training run keeps in its folder, written so that a kill at any moment leaves the last state whole."""

import json
from pathlib import Path
from typing import Any

import torch
from torch import nn


def resume(folder: Path, net: nn.Module, average: nn.Module, optimiser: torch.optim.Optimizer) -> int:
    """Put the state of `checkpoint.pt` in place; gives the step to go on with, 0 without one."""
    if not (folder / "checkpoint.pt").exists():
        return 0
    saved = torch.load(folder / "checkpoint.pt", weights_only=True)
    net.load_state_dict(saved["net"])
    average.load_state_dict(saved["average"])
    optimiser.load_state_dict(saved["optimiser"])
    return int(saved["step"])


def keep(folder: Path, step: int, net: nn.Module, average: nn.Module, optimiser: torch.optim.Optimizer) -> None:
    """Write `checkpoint.pt`: all that `resume` puts in place."""
    state = {"net": net.state_dict(), "average": average.state_dict(), "optimiser": optimiser.state_dict()}
    write(folder / "checkpoint.pt", state | {"step": step})


def write(path: Path, values: Any) -> None:
    """Write a file of tensors whole or not at all."""
    part = path.with_suffix(".part")
    torch.save(values, part)
    part.replace(path)


def log(folder: Path, line: dict[str, Any]) -> None:
    """Print a line and add it to `log.jsonl`."""
    with (folder / "log.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    print(json.dumps(line), flush=True)


@torch.no_grad()
def follow(average: nn.Module, net: nn.Module, step: int, decay: float) -> None:
    """Move the average of the weights toward those after `step`; at first it is quicker than `decay` says."""
    share = 1 - min(decay, (step + 1) / (step + 10))
    for mine, its in zip(average.parameters(), net.parameters(), strict=True):
        mine.lerp_(its, share)


def decayed_groups(net: nn.Module) -> list[dict[str, Any]]:
    """Parameter groups of an optimiser: matrices decay, biases and scales do not."""
    return [
        {"params": [p for p in net.parameters() if p.ndim >= 2]},
        {"params": [p for p in net.parameters() if p.ndim < 2], "weight_decay": 0.0},
    ]
