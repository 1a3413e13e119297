"""The network: components of a window's values, a trunk, one expert per kind of mood, log-odds mixed by a gate."""

import msgspec
import torch
from torch import Tensor, nn

from rtemo.api import EMOTIONS, EXPERT_OF, EXPERTS

EXPERT_ROWS = tuple(EXPERTS.index(EXPERT_OF[emotion]) for emotion in EMOTIONS)


class NetConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Shape of the network.

    Attributes:
        components: Principal components of a window's values that are heard.
        ridge: See `fit_projection`.
        hidden: Units of the trunk.
        expert: Units of every expert.
        dropout: Share of the components left out in training, and half as much again of the trunk's units.
        kind: `ensemble`, or `single`: one head that is told the emotion, of as many parameters.
    """

    components: int = 384
    ridge: float = 1.0
    hidden: int = 96
    expert: int = 16
    dropout: float = 0.3
    kind: str = "ensemble"


def gate_of(logits: Tensor, temperature: float) -> Tensor:
    """Share of every expert [n, 4] from the logits of the eight emotions [n, 8]."""
    posterior = (logits / temperature).softmax(1)
    shares = torch.zeros(len(logits), len(EXPERTS), dtype=posterior.dtype)
    return shares.index_add(1, torch.tensor(EXPERT_ROWS), posterior)


class GemLarge(nn.Module):
    """From a window's components and gate to the log-odds that the voice is synthetic.

    After Mahapatra et al. 2025 (arXiv:2505.23962): an expert per emotion, chosen by an emotion recogniser. Their
    experts are whole networks; here they share the encoder and a trunk.
    """

    def __init__(self, config: NetConfig) -> None:
        super().__init__()
        self.config = c = config
        told = len(EXPERTS) if c.kind == "single" else 0
        self.trunk = nn.Sequential(
            nn.Dropout(c.dropout), nn.Linear(c.components, c.hidden), nn.GELU(), nn.Dropout(min(0.6, 1.5 * c.dropout))
        )
        heads = 1 if c.kind == "single" else len(EXPERTS)
        units = c.expert * len(EXPERTS) // heads
        self.first = nn.ModuleList([nn.Linear(c.hidden + told, units) for _ in range(heads)])
        self.last = nn.ModuleList([nn.Linear(units, 1) for _ in range(heads)])

    def experts(self, components: Tensor, gate: Tensor) -> Tensor:
        """Log-odds of every expert [n, 4]; those of a `single` network are all the same."""
        hidden = self.trunk(components)
        if self.config.kind == "single":
            hidden = torch.cat([hidden, gate], 1)
        said = [last(nn.functional.gelu(first(hidden))) for first, last in zip(self.first, self.last, strict=True)]
        return torch.cat(said, 1).expand(-1, len(EXPERTS))

    def forward(self, components: Tensor, gate: Tensor) -> tuple[Tensor, Tensor]:
        """Log-odds mixed by the gate [n], and those of every expert [n, 4]."""
        said = self.experts(components, gate)
        return (gate * said).sum(1), said
