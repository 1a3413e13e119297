"""The listener: a causal encoder whose shared experts serve two tasks, emotion and enhancement.

After Sparse MERIT (Tzeng, Busso and Lee 2025, arXiv:2509.08470): every frame of the encoder is sent by one router per
task to an expert out of one pool. The emotion side pools what its experts say over a turn; the enhancement side hands
its expert's words to the enhancer, which works at the hop rate. The published encoder is a large bidirectional one;
this is a small causal one at 25 Hz with every state explicit.
"""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor, nn

from rtemo_models.kit.nets.routing import ExpertPool, Gate, Router
from rtemo_models.systems.merit.net.causal import CausalNet

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


class Listener(CausalNet):
    """Encoder, experts and emotion heads; `distil` maps into the teacher's space in training only."""

    def __init__(self, config: ListenerConfig = ListenerConfig()) -> None:
        super().__init__()
        self.config = c = config
        self.add_encoder(c)
        self.experts = ExpertPool(c.width, c.expert_hidden, c.width, 1 if c.gate == "shared" else c.experts)
        self.routers = nn.ModuleDict()
        if c.gate != "shared":
            self.routers.update({task: Router(c.width, c.experts, c.gate) for task in TASKS})
        self.told = nn.Linear(c.width, c.context)
        self.add_heads(c)

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

    def step(
        self, bands: Tensor, weight: Tensor, state: dict[str, Tensor]
    ) -> tuple[tuple[Tensor, Tensor, Tensor], Heard, dict[str, Tensor]]:
        """One step of n streams: bands float32 [n, hops, mel_count], weight float32 [n, hops]."""
        after: dict[str, Tensor] = {}
        heard = self.consult(self.encode_step(bands, state, after))
        return self.heads(self.statistics_step(heard.emotion, weight, state, after)), heard, after
