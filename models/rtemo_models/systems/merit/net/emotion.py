"""The causal emotion network: log-mel frames in, emotions, arousal and valence after every step out."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from rtemo.api import EMOTIONS
from rtemo_models.kit.nets.streaming import PRIOR_LEVEL_LOG, AttentivePool, CausalBlock, RunningLevel


@dataclass(frozen=True, slots=True)
class EmotionNetConfig:
    """Sizes of the network."""

    mel_count: int = 64
    hops_per_step: int = 4
    width: int = 192
    expansion: int = 2
    kernel: int = 5
    dilations: tuple[int, ...] = (1, 1, 1, 2, 2, 2)
    time_constants_steps: tuple[float, ...] = (6.0, 18.0, 50.0, 150.0)
    level_decay: float = 0.995
    embedding: int = 192
    heads: int = 4
    attention: int = 64
    hidden: int = 128
    dropout: float = 0.1
    head_dropout: float = 0.4
    teacher_width: int = 288


class EmotionNet(nn.Module):
    """Causal encoder, attentive pooling and heads.

    A step is `hops_per_step` log-mel frames (40 ms): the encoder runs at 25 Hz and looks at no future frame. `distil`
    maps encoder steps into the teacher's space; it is used in training only and is not exported.
    """

    def __init__(self, config: EmotionNetConfig = EmotionNetConfig()) -> None:
        super().__init__()
        self.config = config
        self.level = RunningLevel(config.level_decay, PRIOR_LEVEL_LOG, 3.0, -9.0, 5.0, 0.3)
        step_values = config.hops_per_step * config.mel_count
        self.stem = nn.Linear(2 * step_values, config.width)
        self.blocks = nn.ModuleList(
            CausalBlock(
                config.width, config.expansion, config.kernel, dilation, config.time_constants_steps, config.dropout
            )
            for dilation in config.dilations
        )
        self.norm = nn.LayerNorm(config.width)
        self.embed = nn.Linear(config.width, config.embedding)
        self.pool = AttentivePool(config.embedding, config.heads, config.attention)
        self.hidden = nn.Linear(2 * config.embedding, config.hidden)
        self.out = nn.Linear(config.hidden, len(EMOTIONS) + 2)
        self.head_dropout = nn.Dropout(config.head_dropout)
        self.distil = nn.Linear(config.width, config.teacher_width)

    def encode(self, logmel: Tensor) -> Tensor:
        """Encode a clip, float32 [batch, steps, hops, mel_count] → [batch, steps, width]."""
        with torch.autocast("cpu", enabled=False):
            now = self.level(logmel).flatten(2)
        before = F.pad(now, (0, 0, 1, 0))[:, :-1]
        x = self.stem(torch.cat([before, now], 2))
        for block in self.blocks:
            x = block(x)
        return self.norm(x)

    def statistics(self, encoded: Tensor, weight: Tensor, ends: Sequence[int] | None = None) -> Tensor:
        """Pooled statistics after each step, or after each of `ends`, for weights float32 [batch, steps, hops]."""
        return self.pool(F.relu(self.embed(encoded)), weight.mean(2), ends)

    def heads(self, statistics: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits [..., 8], arousal [...] and valence [...] of pooled statistics."""
        values = self.out(self.head_dropout(F.relu(self.hidden(self.head_dropout(statistics)))))
        return values[..., :-2], torch.tanh(values[..., -2]), torch.tanh(values[..., -1])

    def forward(self, logmel: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits, arousal and valence after every step of a clip."""
        return self.heads(self.statistics(self.encode(logmel), weight))

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

    def step(
        self, logmel: Tensor, weight: Tensor, state: dict[str, Tensor]
    ) -> tuple[tuple[Tensor, Tensor, Tensor], dict[str, Tensor]]:
        """One step of n streams: logmel float32 [n, hops, mel_count], weight float32 [n, hops]."""
        after: dict[str, Tensor] = {}
        levelled, after["level_sum"], after["level_mass"] = self.level.step(
            logmel, state["level_sum"], state["level_mass"]
        )
        now = levelled.flatten(1)
        after["frames"] = now
        x = self.stem(torch.cat([state["frames"], now], 1))
        for i, block in enumerate(self.blocks):
            x, after[f"past_{i}"], after[f"memory_{i}"] = block.step(x, state[f"past_{i}"], state[f"memory_{i}"])
        embedded = F.relu(self.embed(self.norm(x)))
        statistics, *pooled = self.pool.step(
            embedded,
            weight.mean(1, keepdim=True),
            state["pool_max"],
            state["pool_mass"],
            state["pool_sum"],
            state["pool_square"],
        )
        after |= dict(zip(("pool_max", "pool_mass", "pool_sum", "pool_square"), pooled, strict=True))
        return self.heads(statistics), after
