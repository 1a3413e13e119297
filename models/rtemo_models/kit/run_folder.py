"""What a training run keeps in its folder, written so that a kill at any moment leaves the last state whole."""

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

N = TypeVar("N", bound=nn.Module)


def resume(folder: Path, parts: Mapping[str, Any], device: torch.device | None = None) -> dict[str, Any]:
    """Put the state of `checkpoint.pt` in place.

    Args:
        folder: Of the run.
        parts: Name in the checkpoint → what has a state: networks, optimisers.
        device: Where the tensors go; where they were by default.

    Returns:
        The whole checkpoint; empty without one.
    """
    if not (folder / "checkpoint.pt").exists():
        return {}
    saved: dict[str, Any] = torch.load(folder / "checkpoint.pt", map_location=device, weights_only=True)
    for name, part in parts.items():
        part.load_state_dict(saved[name])
    return saved


def keep(folder: Path, parts: Mapping[str, Any], **values: Any) -> None:
    """Write `checkpoint.pt`: the states of all parts, and single values such as `step`."""
    write(folder / "checkpoint.pt", {name: part.state_dict() for name, part in parts.items()} | values)


def write(path: Path, values: Any) -> None:
    """Write a file of tensors whole or not at all."""
    part = path.with_suffix(".part")
    torch.save(values, part)
    part.replace(path)


def save_net(net: nn.Module, path: Path) -> None:
    """Write a network with its configuration, a dataclass, which is all it takes to build it again."""
    config: Any = net.config
    write(path, {"config": asdict(config), "weights": net.state_dict()})


def load_net(path: Any, build: Callable[[dict[str, Any]], N]) -> N:
    """Load what `save_net` wrote, ready to run.

    Args:
        path: The file.
        build: Makes the network of its configuration's fields.
    """
    saved = torch.load(path, weights_only=True, map_location="cpu")
    net = build(saved["config"])
    net.load_state_dict(saved["weights"])
    return net.eval()


def log(folder: Path, line: dict[str, Any]) -> None:
    """Print a line and add it to `log.jsonl`."""
    with (folder / "log.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(line) + "\n")
    print(json.dumps(line), flush=True)
