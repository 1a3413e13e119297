"""The listener: a causal encoder whose shared experts serve two tasks, emotion and enhancement.

After Sparse MERIT (Tzeng, Busso and Lee 2025, arXiv:2509.08470): every frame of the encoder is sent by one router per
task to an expert out of one pool. The emotion side pools what its experts say over a turn; the enhancement side hands
its expert's words to the enhancer, which works at the hop rate. The published encoder is a large bidirectional one;
this is a small causal one at 25 Hz with every state explicit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from rtemo.api import EMOTIONS
from rtemo_models.kit.nets.routing import ExpertPool, Gate, Router
from rtemo_models.kit.nets.streaming import PRIOR_LEVEL_LOG, AttentivePool, CausalBlock, RunningLevel

TASKS = ("emotion", "enhance")


@dataclass(frozen=True, slots=True)
class ListenerConfig:
    """Sizes of the listener."""

    mel_count: int = 64
    hops_per_step: int = 4
    width: int = 192
    expansion: int = 2
    kernel: int = 5
    dilations: tuple[int, ...] = (1, 1, 1, 2, 2, 2)
    time_constants_steps: tuple[float, ...] = (6.0, 18.0, 50.0, 150.0)
    level_decay: float = 0.995
    experts: int = 4
    expert_hidden: int = 192
    gate: Gate | Literal["shared"] = "top1_scaled"
    """How a frame is sent to experts, see `routing.Router`; `shared`: one expert for both tasks, no router."""
    context: int = 64
    embedding: int = 192
    heads: int = 4
    attention: int = 64
    hidden: int = 128
    dropout: float = 0.1
    head_dropout: float = 0.4
    teacher_width: int = 288


@dataclass(slots=True)
class Heard:
    """What the listener made of a clip, or of one step."""

    emotion: Tensor
    """float32 [..., width]: the emotion experts' words."""
    context: Tensor
    """float32 [..., context]: the enhancement experts' words for the enhancer."""
    experts: Tensor
    """int64 [..., 2]: which expert each task's router chose."""
    auxiliary: dict[str, Tensor]
    """Losses of the routers, summed over tasks; in training only."""


class Listener(nn.Module):
    """Encoder, experts and emotion heads; `distil` maps into the teacher's space in training only."""

    def __init__(self, config: ListenerConfig = ListenerConfig()) -> None:
        super().__init__()
        self.config = c = config
        self.level = RunningLevel(c.level_decay, PRIOR_LEVEL_LOG, 3.0, -9.0, 5.0, 0.3)
        self.stem = nn.Linear(2 * c.hops_per_step * c.mel_count, c.width)
        self.blocks = nn.ModuleList(
            CausalBlock(c.width, c.expansion, c.kernel, dilation, c.time_constants_steps, c.dropout)
            for dilation in c.dilations
        )
        self.norm = nn.LayerNorm(c.width)
        self.experts = ExpertPool(c.width, c.expert_hidden, c.width, 1 if c.gate == "shared" else c.experts)
        self.routers = nn.ModuleDict()
        if c.gate != "shared":
            self.routers.update({task: Router(c.width, c.experts, c.gate) for task in TASKS})
        self.told = nn.Linear(c.width, c.context)
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

    def consult(self, x: Tensor) -> Heard:
        """Ask the experts of both tasks about encoded steps, float32 [..., width]."""
        words, chosen, auxiliary = [], [], {}
        for task in TASKS:
            if not self.routers:
                one = torch.ones_like(x[..., :1])
                words.append(x + self.experts(x, one))
                chosen.append(torch.zeros_like(x[..., 0], dtype=torch.int64))
                continue
            weights, index, losses = self.routers[task](x)
            words.append(x + self.experts(x, weights))
            chosen.append(index)
            for name, value in losses.items():
                auxiliary[name] = auxiliary.get(name, 0.0) + value
        return Heard(words[0], self.told(words[1]), torch.stack(chosen, -1), auxiliary)

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

    def step(
        self, bands: Tensor, weight: Tensor, state: dict[str, Tensor]
    ) -> tuple[tuple[Tensor, Tensor, Tensor], Heard, dict[str, Tensor]]:
        """One step of n streams: bands float32 [n, hops, mel_count], weight float32 [n, hops]."""
        after: dict[str, Tensor] = {}
        levelled, after["level_sum"], after["level_mass"] = self.level.step(
            bands, state["level_sum"], state["level_mass"]
        )
        now = after["frames"] = levelled.flatten(1)
        x = self.stem(torch.cat([state["frames"], now], 1))
        for i, block in enumerate(self.blocks):
            x, after[f"past_{i}"], after[f"memory_{i}"] = block.step(x, state[f"past_{i}"], state[f"memory_{i}"])
        heard = self.consult(self.norm(x))
        names = ("pool_max", "pool_mass", "pool_sum", "pool_square")
        statistics, *pooled = self.pool.step(
            F.relu(self.embed(heard.emotion)), weight.mean(1, keepdim=True), *(state[name] for name in names)
        )
        after |= dict(zip(names, pooled, strict=True))
        return self.heads(statistics), heard, after
