"""CausalNet: what the networks of merit have in common: an encoder that looks at no future frame, a pool, and heads."""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from rtemo.api import EMOTIONS
from rtemo_models.kit.nets.streaming import PRIOR_LEVEL_LOG, AttentivePool, CausalBlock, RunningLevel

States = dict[str, Tensor]
_POOL = ("pool_max", "pool_mass", "pool_sum", "pool_square")


class Sizes(Protocol):
    """What the configuration of such a network says."""

    mel_count: int
    hops_per_step: int
    width: int
    expansion: int
    kernel: int
    dilations: tuple[int, ...]
    time_constants_steps: tuple[float, ...]
    level_decay: float
    embedding: int
    heads: int
    attention: int
    hidden: int
    dropout: float
    head_dropout: float
    teacher_width: int


class CausalNet(nn.Module):
    """Causal encoder, attentive pooling and heads for emotion.

    A step is `hops_per_step` log-mel frames (40 ms). `distil` maps into a teacher's space; it is used in training only
    and is not exported. A network calls `add_encoder`, makes what stands between, and calls `add_heads`: in this order
    its weights are drawn and listed.
    """

    config: Sizes

    def add_encoder(self, c: Sizes) -> None:
        """Make running level, stem, blocks and norm."""
        self.level = RunningLevel(c.level_decay, PRIOR_LEVEL_LOG, 3.0, -9.0, 5.0, 0.3)
        self.stem = nn.Linear(2 * c.hops_per_step * c.mel_count, c.width)
        self.blocks = nn.ModuleList(
            CausalBlock(c.width, c.expansion, c.kernel, dilation, c.time_constants_steps, c.dropout)
            for dilation in c.dilations
        )
        self.norm = nn.LayerNorm(c.width)

    def add_heads(self, c: Sizes) -> None:
        """Make embedding, pool, heads and what is distilled."""
        self.embed = nn.Linear(c.width, c.embedding)
        self.pool = AttentivePool(c.embedding, c.heads, c.attention)
        self.hidden = nn.Linear(2 * c.embedding, c.hidden)
        self.out = nn.Linear(c.hidden, len(EMOTIONS) + 2)
        self.head_dropout = nn.Dropout(c.head_dropout)
        self.distil = nn.Linear(c.width, c.teacher_width)

    def encode(self, bands: Tensor) -> Tensor:
        """Encode a clip, float32 [batch, steps, hops, mel_count] → [batch, steps, width]."""
        with torch.autocast("cpu", enabled=False):
            now = self.level(bands).flatten(2)
        before = F.pad(now, (0, 0, 1, 0))[:, :-1]
        x = self.stem(torch.cat([before, now], 2))
        for block in self.blocks:
            x = block(x)
        return self.norm(x)

    def statistics(self, words: Tensor, weight: Tensor, ends: Sequence[int] | None = None) -> Tensor:
        """Pooled statistics after each step, or after each of `ends`, for weights float32 [batch, steps, hops]."""
        return self.pool(F.relu(self.embed(words)), weight.mean(2), ends)

    def heads(self, statistics: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits [..., 8], arousal [...] and valence [...] of pooled statistics."""
        values = self.out(self.head_dropout(F.relu(self.hidden(self.head_dropout(statistics)))))
        return values[..., :-2], torch.tanh(values[..., -2]), torch.tanh(values[..., -1])

    def state_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name → shape of one row of each state, in the order of the exported graph."""
        c = self.config
        shapes: dict[str, tuple[int, ...]] = {
            "level_sum": (1,),
            "level_mass": (1,),
            "frames": (c.hops_per_step * c.mel_count,),
        }
        for i, dilation in enumerate(c.dilations):
            shapes[f"past_{i}"] = ((c.kernel - 1) * dilation, c.width)
            shapes[f"memory_{i}"] = (c.width,)
        return shapes | {
            "pool_max": (c.heads, 1),
            "pool_mass": (c.heads, 1),
            "pool_sum": (c.heads, c.embedding // c.heads),
            "pool_square": (c.heads, c.embedding // c.heads),
        }

    def state_fills(self) -> dict[str, float]:
        """Name → what a fresh state holds where that is not zero."""
        return {"level_sum": self.level.prior_sum, "level_mass": self.level.prior_mass, "pool_max": -1e30}

    def new_state(self, n: int) -> dict[str, Tensor]:
        """Fresh states of n streams."""
        fills = self.state_fills()
        return {name: torch.full((n, *shape), fills.get(name, 0.0)) for name, shape in self.state_shapes().items()}

    def encode_step(self, bands: Tensor, state: States, after: States) -> Tensor:
        """`encode` for one step of n streams, float32 [n, hops, mel_count]; what the states become goes to `after`."""
        levelled, after["level_sum"], after["level_mass"] = self.level.step(
            bands, state["level_sum"], state["level_mass"]
        )
        now = after["frames"] = levelled.flatten(1)
        x = self.stem(torch.cat([state["frames"], now], 1))
        for i, block in enumerate(self.blocks):
            x, after[f"past_{i}"], after[f"memory_{i}"] = block.step(x, state[f"past_{i}"], state[f"memory_{i}"])
        return self.norm(x)

    def statistics_step(self, words: Tensor, weight: Tensor, state: States, after: States) -> Tensor:
        """`statistics` after one step of n streams, for weights float32 [n, hops]."""
        statistics, *pooled = self.pool.step(
            F.relu(self.embed(words)), weight.mean(1, keepdim=True), *(state[name] for name in _POOL)
        )
        after |= dict(zip(_POOL, pooled, strict=True))
        return statistics
