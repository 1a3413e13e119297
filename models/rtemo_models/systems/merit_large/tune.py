"""Tunes the last layer with the heads, and trains experts, on cached frames of the layer below."""

import copy
from typing import Any

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rtemo.dsp.holes import with_holes
from rtemo_models.kit.loop import descend, follow
from rtemo_models.kit.progress import progress
from rtemo_models.systems.merit_large.branch import KEPT, Branch
from rtemo_models.systems.merit_large.experts import Kind, usage
from rtemo_models.systems.merit_large.heads import Heads
from rtemo_models.systems.merit_large.net import WIDTH, Layer
from rtemo_models.systems.merit_large.train import Settings, Table, loss_of
from rtemo_models.systems.merit_large.voices import Voices

_GROUP = 16
"""Windows of about one length that are run together."""


class Tuning(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What tuning may vary; the defaults are those of `tune.toml`."""

    rank: int = 16
    """Of what is added to the layer's matrices; 0 tunes no layer."""
    experts: Kind = "none"
    steps: int = 500
    batch: int = 64
    rate: float = 5e-4
    """Of the layer and the experts."""
    head_rate: float = 3e-4
    decay: float = 0.05
    average: float = 0.99
    """Decay of the averaged weights, which are what is kept."""
    holes: float = 0.5
    """Share of windows of which stretches are left out; see `with_holes`."""
    stride: int = 2
    """Every so many frames are heard in training, from a random one on; neighbours say nearly the same."""


class Frames:
    """Frames of the windows of a table.

    Args:
        table: Its caches have kept frames after the layers `KEPT`.
    """

    def __init__(self, table: Table) -> None:
        self._table = table
        if any(cache.kept is None for cache in table.caches):
            raise ValueError(f"frames after the layers {KEPT} were not kept: open the caches with keep={KEPT}")

    def batch(
        self, items: NDArray[np.int64], stride: int = 1, random: np.random.Generator | None = None
    ) -> tuple[Tensor, Tensor]:
        """Frames float32 [n, t, 2, 512] of windows, and which are there, float32 [n, t].

        Args:
            items: Windows by their number in the table.
            stride: Frames from one that is taken to the next.
            random: Draws the first one; it is number 0 without.
        """
        table = self._table
        first = random.integers(0, stride, len(items)) if random else np.zeros(len(items), np.int64)
        counts = -(-(table.frames[items] - first) // stride)
        frames = np.zeros((len(items), int(counts.max()), len(KEPT), WIDTH), np.float32)
        there = np.zeros(frames.shape[:2], np.float32)
        for b, item in enumerate(items.tolist()):
            cache = table.caches[table.copy[item]]
            start = int(cache.starts[table.place[item]])
            frames[b, : counts[b]] = cache.kept[start + first[b] : start + table.frames[item] : stride]
            there[b, : counts[b]] = 1
        return torch.from_numpy(frames), torch.from_numpy(there)


def tune(
    table: Table, rows: NDArray[np.int64], heads: Heads, layer: Layer, settings: Settings, tuning: Tuning, seed: int
) -> Branch:
    """Train a branch on some windows of a table.

    Args:
        table: Windows of the layers 1 to 3.
        rows: Which are trained on.
        heads: Trained on them with the layers frozen.
        layer: The last layer as it is.
        settings: Those of the heads: loss and how windows are drawn.
        tuning: Of what is new.
        seed: Of draws and weights.

    Returns:
        The branch with averaged weights.
    """
    torch.manual_seed(seed)
    random = np.random.default_rng((seed, 3))
    share = table.weights(settings.clean)
    is_taken = np.zeros(len(share), bool)
    is_taken[rows] = True
    cumulative = np.cumsum(share * is_taken) / np.sum(share * is_taken)
    branch = Branch(copy.deepcopy(heads), layer, tuning.rank, tuning.experts).train()
    average = copy.deepcopy(branch).eval()
    frames = Frames(table)
    own = [p for p in branch.heads.parameters() if p.requires_grad]
    known = set(map(id, own))
    new = [p for p in branch.parameters() if p.requires_grad and id(p) not in known]
    groups = [{"params": own, "lr": tuning.head_rate}, {"params": new, "lr": tuning.rate}]
    groups = [group for group in groups if group["params"]]
    optimiser = torch.optim.AdamW(groups, weight_decay=tuning.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, [float(group["lr"]) for group in groups], total_steps=tuning.steps, pct_start=0.1
    )
    right, mask = torch.from_numpy(table.right), torch.from_numpy(table.mask)
    wanted = torch.from_numpy(table.attributes)
    voices = Voices(table, rows, branch.heads, settings.far) if settings.voices else None
    for step in progress(range(tuning.steps), "tune"):
        items = np.minimum(np.searchsorted(cumulative, random.random(tuning.batch)), len(cumulative) - 1)
        items = items[np.argsort(table.frames[items], kind="stable")]
        heard, losses = [], []
        for begin in range(0, len(items), _GROUP):
            group = items[begin : begin + _GROUP]
            kept, there = frames.batch(group, tuning.stride, random)
            there = torch.from_numpy(with_holes(there.numpy(), tuning.holes, random))
            one, routing = branch(table.window(group), kept[:, :, 0], kept[:, :, 1], there)
            heard.append(one)
            losses.append(routing * len(group) / len(items))
        x = torch.cat(heard)
        if voices is not None:
            offsets = voices.offsets(items, settings.voices, random)
            x = x + nn.functional.pad(offsets, (0, x.shape[1] - offsets.shape[1]))
        loss = loss_of(branch, x, right[items], mask[items], wanted[items], settings, random)
        descend(loss + sum(losses), optimiser, [own, new], 2.0)
        schedule.step()
        follow(average, branch, step, tuning.average)
    return average


@torch.no_grad()
def hear_branch(branch: Branch, table: Table, rows: NDArray[np.int64]) -> dict[str, NDArray[Any]]:
    """What a branch says of some windows of a table: logits [n, 8], arousal and valence [n]."""
    frames = Frames(table)
    order = rows[np.argsort(table.frames[rows], kind="stable")]
    parts: list[tuple[Tensor, Tensor, Tensor]] = []
    for begin in range(0, len(order), _GROUP):
        group = order[begin : begin + _GROUP]
        x, there = frames.batch(group)
        heard, _ = branch(table.window(group), x[:, :, 0], x[:, :, 1], there)
        parts.append(branch.said(heard)[1:])
    back = np.argsort(np.argsort(table.frames[rows], kind="stable"), kind="stable")
    names = ("logits", "arousal", "valence")
    return {name: torch.cat([part[k] for part in parts]).numpy()[back] for k, name in enumerate(names)}


@torch.no_grad()
def used(branch: Branch, table: Table, rows: NDArray[np.int64]) -> list[list[float]]:
    """Share of the frames of some windows that each router gives to each expert."""
    kept, there = Frames(table).batch(rows)
    _, tuned = branch.values(table.window(rows), kept[:, :, 0], there, None)
    assert branch.experts is not None
    return usage(branch.experts, [kept[:, :, 0], kept[:, :, 1] if tuned is None else tuned], there)
