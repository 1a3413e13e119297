"""Training of the heads."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rtemo.api import EXPERTS
from rtemo_models.kit.loop import descend
from rtemo_models.systems.gem_large.net import GemLarge, NetConfig, gate_of
from rtemo_models.systems.gem_large.project import Projection, fit_projection
from rtemo_models.systems.gem_large.windows import CROPS, EACH, Drawer, Windows

RECIPE = Path(__file__).parent / "recipes" / "recipe.toml"
TEMPERATURE = 0.837
"""Of the listener's emotions, as its card says."""
MOST_FITTED = 2500
"""Windows that a projection is fitted to at most."""


class Settings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a run may vary; the defaults are those of `recipes/recipe.toml`.

    Attributes:
        sets: Sets of clips that are trained on, of `tables.SETS`.
        net: Shape of the network.
        gate: What the experts are mixed by in training: `emotion`, `uniform` or `random`.
        floor: Share of every clip that each expert is trained on whatever its emotion.
        pairs: Weight of the loss that asks synthetic windows of a source to score above its genuine ones.
        corpora, alone, plain, said: See `Drawer`.
        sources: Sources in a batch.
        steps, rate, decay: Of the optimiser.
        seeds: Networks that are averaged.
    """

    sets: tuple[str, ...] = ("pages", "said")
    net: NetConfig = NetConfig()
    gate: str = "emotion"
    floor: float = 0.15
    pairs: float = 1.0
    corpora: float = 0.5
    alone: float = 0.3
    plain: float = 0.5
    said: float = 1.0
    sources: int = 32
    steps: int = 500
    rate: float = 1e-3
    decay: float = 0.05
    seeds: int = 1


@dataclass(frozen=True, slots=True)
class Material:
    """What networks of one fold learn from and hear.

    Attributes:
        windows: All of them.
        projection: Fitted to what may be trained on.
        components: float32 [windows, crops, components].
    """

    windows: Windows
    projection: Projection
    components: NDArray[np.float32]


def prepare(windows: Windows, clips: Sequence[int], config: NetConfig) -> Material:
    """Fit the projection to the clips that may be trained on, without their labels, and project all windows."""
    allowed = np.flatnonzero(np.isin(windows.clip, np.asarray(clips)) & (windows.view != "telephone"))
    some = np.random.default_rng(0).permutation(allowed)[:MOST_FITTED]
    projection = fit_projection(windows.values[some, 0].astype(np.float32), config.components, config.ridge)
    return Material(windows, projection, np.stack([projection(windows.values[:, k]) for k in range(len(CROPS))], 1))


def train(material: Material, clips: Sequence[int], settings: Settings, seed: int) -> GemLarge:
    """Train a network on some clips."""
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    windows = material.windows
    drawer = Drawer(windows, clips, settings.plain, settings.alone, settings.corpora, settings.said, random)
    net = GemLarge(settings.net)
    optimiser = torch.optim.AdamW(net.parameters(), settings.rate, weight_decay=settings.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, settings.rate, total_steps=settings.steps, pct_start=0.1)
    net.train()
    for _ in range(settings.steps):
        batch = drawer.draw(settings.sources)
        components = torch.from_numpy(material.components[batch.rows, batch.crop])
        gate = train_gate(torch.from_numpy(windows.logits[batch.rows]), settings.gate, random)
        score, said = net(components, gate)
        loss = loss_of(score, said, gate, torch.from_numpy(batch.is_there), settings)
        descend(loss, optimiser, [net.parameters()], 5.0)
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
        loss = loss + settings.pairs * (
            nn.functional.softplus(-gap).mean((1, 2)) * known
        ).sum() / known.sum().clamp_min(1)
    return loss


def hear(
    nets: Sequence[GemLarge], material: Material, rows: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What networks of one recipe, averaged, say of windows: log-odds of every expert [n, 4], and the gate [n, 4]."""
    components = torch.from_numpy(material.components[rows, 0])
    gate = gate_of(torch.from_numpy(material.windows.logits[rows]), TEMPERATURE)
    with torch.no_grad():
        said = torch.stack([net.experts(components, gate) for net in nets]).mean(0)
    return said.double().numpy(), gate.double().numpy()
