"""Training of the heads."""

from collections.abc import Sequence
from pathlib import Path

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rtemo.api import EXPERTS
from rtemo_models.systems.gem_large.net import GemLarge, NetConfig, gate_of, pool
from rtemo_models.systems.gem_large.windows import EACH, Drawer, Windows

RECIPE = Path(__file__).with_name("recipe.toml")
TEMPERATURE = 0.837
"""Of the listener's emotions, as its card says."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a run may vary; the defaults are those of `recipe.toml`.

    Attributes:
        net: Shape of the network.
        gate: What the experts are mixed by in training: `emotion`, `uniform` or `random`.
        floor: Share of every clip that each expert is trained on whatever its emotion.
        pairs: Weight of the loss that asks synthetic windows of a source to score above its genuine ones.
        corpora, alone, plain: See `Drawer`.
        sources: Sources in a batch.
        steps, rate, decay: Of the optimiser.
        seeds: Networks that are averaged.
    """

    net: NetConfig = NetConfig()
    gate: str = "emotion"
    floor: float = 0.15
    pairs: float = 1.0
    corpora: float = 0.5
    alone: float = 0.3
    plain: float = 0.5
    sources: int = 32
    steps: int = 500
    rate: float = 1e-3
    decay: float = 0.05
    seeds: int = 1


def train(windows: Windows, clips: Sequence[int], settings: Settings, seed: int) -> GemLarge:
    """Train a network on some clips."""
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    drawer = Drawer(windows, clips, settings.plain, settings.alone, settings.corpora, random)
    net = GemLarge(settings.net)
    fit_scale(net, windows, drawer)
    optimiser = torch.optim.AdamW(net.parameters(), settings.rate, weight_decay=settings.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, settings.rate, total_steps=settings.steps, pct_start=0.1)
    net.train()
    for _ in range(settings.steps):
        batch = drawer.draw(settings.sources)
        blocks, frames = windows.take(batch.rows, settings.net, batch.first, batch.count)
        gate = train_gate(torch.from_numpy(windows.logits[batch.rows]), settings.gate, random)
        score, said = net(blocks, frames, gate)
        loss = loss_of(score, said, gate, torch.from_numpy(batch.is_there), settings)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 5.0)
        optimiser.step()
        schedule.step()
    return net.eval()


def train_gate(logits: Tensor, kind: str, random: np.random.Generator) -> Tensor:
    """What experts are mixed by in training [n, 4]."""
    if kind == "uniform":
        return torch.full((len(logits), len(EXPERTS)), 1 / len(EXPERTS))
    if kind == "random":
        return torch.from_numpy(random.dirichlet(np.full(len(EXPERTS), 0.3), len(logits)).astype(np.float32))
    return gate_of(logits, TEMPERATURE)


def loss_of(score: Tensor, said: Tensor, gate: Tensor, is_there: Tensor, settings: Settings) -> Tensor:
    """Cross-entropy of the mixture and of every expert on what is its own, and the order within every source.

    Args:
        score: [sources · 2 · EACH], in the order of `Batch`.
        said: [sources · 2 · EACH, 4].
        gate: Likewise.
        is_there: bool [sources · 2 · EACH].
        settings: Weights.
    """
    target = torch.tensor([0.0, 1.0]).repeat_interleave(EACH).repeat(len(score) // (2 * EACH))
    entropy = nn.functional.binary_cross_entropy_with_logits
    mass = is_there.float()
    loss = (entropy(score, target, reduction="none") * mass).sum() / mass.sum()
    if settings.net.kind == "ensemble":
        own = (gate + settings.floor) * mass[:, None]
        each = entropy(said, target[:, None].expand_as(said), reduction="none")
        loss = loss + (each * own).sum() / own.sum()
    if settings.pairs:
        both = score.reshape(-1, 2, EACH)
        known = is_there.reshape(-1, 2 * EACH).all(1).float()
        gap = both[:, 1, :, None] - both[:, 0, None, :]
        loss = loss + settings.pairs * (nn.functional.softplus(-gap).mean((1, 2)) * known).sum() / known.sum().clamp_min(1)
    return loss


def fit_scale(net: GemLarge, windows: Windows, drawer: Drawer) -> None:
    """Mean and deviation of windows as they are drawn."""
    values = []
    for _ in range(12):
        batch = drawer.draw(32)
        there = batch.is_there
        blocks, frames = windows.take(batch.rows[there], net.config, batch.first[there], batch.count[there])
        weight = frames / frames.sum(1, keepdim=True).clamp_min(1.0)
        values.append(pool(blocks, weight, net.config.statistics))
    drawn = torch.cat(values)
    net.mean.copy_(drawn.mean(0))
    net.scale.copy_(drawn.std(0).clamp_min(1e-3))


def hear(
    nets: Sequence[GemLarge], windows: Windows, rows: NDArray[np.int64], blocks: int | None = None
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What networks, averaged, say of windows: log-odds of every expert [n, 4], and the gate [n, 4].

    Args:
        nets: Of one recipe.
        windows: All of them.
        rows: Which windows.
        blocks: Only so many blocks at the beginning of each.
    """
    said, gates = [], []
    config = nets[0].config
    for at in range(0, len(rows), 256):
        part = rows[at : at + 256]
        first = None if blocks is None else np.zeros(len(part), np.int64)
        count = None if blocks is None else np.full(len(part), blocks)
        x, frames = windows.take(part, config, first, count)
        gate = gate_of(torch.from_numpy(windows.logits[part]), TEMPERATURE)
        with torch.no_grad():
            each = [net.experts(net.standardised(x, frames), gate) for net in nets]
        said.append(torch.stack(each).mean(0).double().numpy())
        gates.append(gate.double().numpy())
    return np.concatenate(said), np.concatenate(gates)
