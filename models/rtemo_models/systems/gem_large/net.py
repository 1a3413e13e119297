"""The network: statistics of the encoder's frames over a window, a trunk, one expert per kind of mood, log-odds mixed."""

import msgspec
import torch
from torch import Tensor, nn

from rtemo.api import EMOTIONS, EXPERT_OF, EXPERTS

EXPERT_ROWS = tuple(EXPERTS.index(EXPERT_OF[emotion]) for emotion in EMOTIONS)
STATISTICS = ("mean", "deviation", "change")


class NetConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Shape of the network.

    Attributes:
        layers: Layers of the encoder that are heard, counted from 1.
        statistics: Which of `STATISTICS` are heard of them.
        attends: Whether blocks of half a second are weighed by what is in them, or all alike.
        hidden: Units of the trunk.
        expert: Units of every expert.
        dropout: Share of the values left out in training, and half as much again of the trunk's units.
        kind: `ensemble`, or `single`: one head that is told the emotion, of as many parameters.
        width: Values of a layer and statistic.
    """

    layers: tuple[int, ...] = (1, 2, 3)
    statistics: tuple[str, ...] = ("mean", "deviation")
    attends: bool = False
    hidden: int = 96
    expert: int = 16
    dropout: float = 0.4
    kind: str = "ensemble"
    width: int = 512

    @property
    def values(self) -> int:
        """Values of a window."""
        return len(self.layers) * len(self.statistics) * self.width


def gate_of(logits: Tensor, temperature: float) -> Tensor:
    """Share of every expert [n, 4] from the logits of the eight emotions [n, 8]."""
    posterior = (logits / temperature).softmax(1)
    shares = torch.zeros(len(logits), len(EXPERTS), dtype=posterior.dtype)
    return shares.index_add(1, torch.tensor(EXPERT_ROWS), posterior)


def pool(blocks: Tensor, weight: Tensor, statistics: tuple[str, ...]) -> Tensor:
    """Statistics over a window from those of its blocks.

    Args:
        blocks: [n, blocks, layers, 3, width], the three `STATISTICS`.
        weight: [n, blocks], sums to 1.
        statistics: Which are wanted.

    Returns:
        [n, layers · statistics · width], a layer's statistics together.
    """
    share = weight[:, :, None, None]
    mean = (blocks[:, :, :, 0] * share).sum(1)
    parts = {"mean": mean}
    if "deviation" in statistics:
        square = ((blocks[:, :, :, 1].square() + blocks[:, :, :, 0].square()) * share).sum(1)
        parts["deviation"] = (square - mean.square()).clamp_min(1e-6).sqrt()
    if "change" in statistics:
        parts["change"] = (blocks[:, :, :, 2].square() * share).sum(1).clamp_min(1e-6).sqrt()
    return torch.stack([parts[name] for name in statistics], 2).flatten(1)


class GemLarge(nn.Module):
    """From a window's blocks and gate to the log-odds that the voice is synthetic.

    After Mahapatra et al. 2025 (arXiv:2505.23962): an expert per emotion, chosen by an emotion recogniser. Their
    experts are whole networks; here they share the encoder and a trunk.
    """

    def __init__(self, config: NetConfig) -> None:
        super().__init__()
        self.config = c = config
        self.register_buffer("mean", torch.zeros(c.values))
        self.register_buffer("scale", torch.ones(c.values))
        self.register_buffer("slope", torch.tensor(1.0))
        self.register_buffer("offset", torch.tensor(0.0))
        told = len(EXPERTS) if c.kind == "single" else 0
        self.trunk = nn.Sequential(
            nn.Dropout(c.dropout), nn.Linear(c.values, c.hidden), nn.GELU(), nn.Dropout(min(0.6, 1.5 * c.dropout))
        )
        heads = 1 if c.kind == "single" else len(EXPERTS)
        units = c.expert * len(EXPERTS) // heads
        self.first = nn.ModuleList([nn.Linear(c.hidden + told, units) for _ in range(heads)])
        self.last = nn.ModuleList([nn.Linear(units, 1) for _ in range(heads)])
        if c.attends:
            self.key = nn.Linear(len(c.layers) * c.width, 32)
            self.query = nn.Linear(32, 1, bias=False)
            nn.init.zeros_(self.query.weight)

    def standardised(self, blocks: Tensor, frames: Tensor) -> Tensor:
        """Values of windows [n, values] as the trunk takes them.

        Args:
            blocks: [n, blocks, layers, 3, width] of the config's layers.
            frames: [n, blocks], how many frames each has.
        """
        c = self.config
        weight = frames / frames.sum(1, keepdim=True).clamp_min(1.0)
        if c.attends:
            weight = self.attention(blocks[:, :, :, 0], weight)
        return (pool(blocks, weight, c.statistics) - self.mean) / self.scale

    def attention(self, means: Tensor, weight: Tensor) -> Tensor:
        """Weights of blocks that sum to 1, from their means [n, blocks, layers, width]; what is empty gets none."""
        c = self.config
        shape = (len(c.layers), len(c.statistics), c.width)
        at = c.statistics.index("mean")
        middle, scale = self.mean.reshape(shape)[:, at], self.scale.reshape(shape)[:, at]
        key = self.key(((means - middle) / scale).flatten(2)).tanh()
        odds = self.query(key).squeeze(2).exp() * weight
        return odds / odds.sum(1, keepdim=True).clamp_min(1e-6)

    def experts(self, x: Tensor, gate: Tensor) -> Tensor:
        """Log-odds of every expert [n, 4]; those of a `single` network are all the same."""
        hidden = self.trunk(x)
        if self.config.kind == "single":
            hidden = torch.cat([hidden, gate], 1)
        said = [last(nn.functional.gelu(first(hidden))) for first, last in zip(self.first, self.last, strict=True)]
        return torch.cat(said, 1).expand(-1, len(EXPERTS)) * self.slope + self.offset

    def forward(self, blocks: Tensor, frames: Tensor, gate: Tensor) -> tuple[Tensor, Tensor]:
        """Log-odds mixed by the gate [n], and those of every expert [n, 4]."""
        said = self.experts(self.standardised(blocks, frames), gate)
        return (gate * said).sum(1), said
