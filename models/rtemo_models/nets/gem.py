"""GEM: a gated ensemble of emotion-specialised experts that tells synthetic voices from genuine ones, step by step.

After Mahapatra et al. (2025, arXiv:2505.23962), "Can Emotion Fool Anti-spoofing?": one detector per emotion and a gate
that recognises emotion. The published experts are whole networks on waveforms of 4 s; here they are heads on one causal
trunk at 25 Hz, with a pooling that forgets, so that a voice that changes during a call shows.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from rtemo_models.nets.streaming import PRIOR_LEVEL_LOG, CausalBlock, RunningLevel

EXPERTS = ("neutral", "happy", "angry", "sad")
"""Names of the experts, in the order of gate and outputs."""

EXPERT_OF = {
    "neutral": "neutral",
    "calm": "neutral",
    "happy": "happy",
    "surprise": "happy",
    "angry": "angry",
    "disgust": "angry",
    "sad": "sad",
    "fear": "sad",
}
"""Emotion → the expert that answers for it."""


@dataclass(frozen=True, slots=True)
class GemConfig:
    """Sizes of the network, and which of two it is."""

    kind: Literal["ensemble", "single"] = "ensemble"
    """`ensemble`: an expert per emotion, mixed by the gate; `single`: one head that is told the emotion."""
    band_count: int = 96
    hops_per_step: int = 4
    colour_bands: int = 8
    colour_width: float = 6.0
    """Deviation, in bands, of what counts as the colour of a channel."""
    hop_width: int = 64
    width: int = 80
    expansion: int = 2
    kernel: int = 3
    dilations: tuple[int, ...] = (1, 2, 4)
    time_constants_steps: tuple[float, ...] = (4.0, 12.0, 35.0, 100.0)
    level_decay: float = 0.995
    expert_width: int = 32
    attention: int = 32
    hidden: int = 24
    memory_steps: float = 100.0
    """Speech steps after which a step counts 1/e in the pooling: 4 s."""
    dropout: float = 0.1
    head_dropout: float = 0.3


class ForgettingPool(nn.Module):
    """Attentive mean and deviation over the speech of the last seconds; time stands still while nobody speaks.

    A step's mass is its speech weight times exp(score); all mass fades by exp(-weight / memory) as speech goes on. The
    score is bounded, so that sums need no running maximum. Each head has its own scores and its own share of channels.
    """

    BOUND = 3.0

    def __init__(self, width: int, heads: int, hidden: int, memory_steps: float) -> None:
        super().__init__()
        self.heads, self.memory_steps = heads, memory_steps
        self.hidden = nn.Linear(width, hidden)
        self.score = nn.Linear(hidden, heads)

    def mass(self, x: Tensor) -> Tensor:
        """Mass of a step of speech, float32 [..., heads]."""
        return torch.exp(self.BOUND * torch.tanh(self.score(torch.tanh(self.hidden(x)))))

    def forward(self, x: Tensor, weight: Tensor, ends: Sequence[int]) -> Tensor:
        """Statistics of what was heard up to and with each of `ends`.

        Args:
            x: float32 [batch, steps, width].
            weight: float32 [batch, steps], share of a step that is speech.
            ends: Steps to stop at.

        Returns:
            float32 [batch, ends, heads, 2 · width / heads].
        """
        spoken = weight.cumsum(1)
        age = spoken[:, list(ends), None] - spoken[:, None]
        is_past = torch.arange(x.shape[1]) <= torch.tensor(list(ends))[:, None]
        kept = torch.where(is_past, torch.exp(-age.clamp_min(0) / self.memory_steps), torch.zeros(()))
        shares = kept[..., None] * (weight[..., None] * self.mass(x))[:, None]
        grouped = x.unflatten(2, (self.heads, -1))
        total = torch.einsum("beth,bthc->behc", shares, grouped)
        square = torch.einsum("beth,bthc->behc", shares, grouped * grouped)
        return self.statistics(shares.sum(2)[..., None], total, square)

    def step(
        self, x: Tensor, weight: Tensor, mass: Tensor, total: Tensor, square: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Take in one step and return statistics and the next states.

        Args:
            x: float32 [n, width].
            weight: float32 [n, 1].
            mass: float32 [n, heads, 1].
            total: float32 [n, heads, width / heads].
            square: float32 [n, heads, width / heads].
        """
        keep = torch.exp(-weight / self.memory_steps)[:, :, None]
        p = (weight * self.mass(x))[:, :, None]
        grouped = x.unflatten(1, (self.heads, -1))
        gained = p * grouped
        mass, total, square = keep * mass + p, keep * total + gained, keep * square + gained * grouped
        return self.statistics(mass, total, square), mass, total, square

    @staticmethod
    def statistics(mass: Tensor, total: Tensor, square: Tensor) -> Tensor:
        """Mean and deviation of the sums; zero and next to zero before anything was heard."""
        inverse = 1.0 / mass.clamp_min(1e-6)
        mean = total * inverse
        return torch.cat([mean, (square * inverse - mean * mean).clamp_min(1e-5).sqrt()], -1)


def colour_matrices(config: GemConfig) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Bands → bands without their colour [bands, bands], and bands → their colour [bands, colour_bands].

    Colour is what a microphone, a room or an equaliser adds to a voice: a smooth curve over frequency. The network
    sees the fine structure apart from it, and of the colour itself a few values only.
    """
    places = np.arange(config.band_count)
    smooth = np.exp(-0.5 * ((places[:, None] - places[None]) / config.colour_width) ** 2)
    smooth /= smooth.sum(0)
    centres = (np.arange(config.colour_bands) + 0.5) * config.band_count / config.colour_bands
    coarse = np.exp(-0.5 * ((places[:, None] - centres[None]) / config.colour_width) ** 2)
    return (np.eye(config.band_count) - smooth).astype(np.float32), (coarse / coarse.sum(0)).astype(np.float32)


class Gem(nn.Module):
    """Trunk, pooling and experts; `calibration` [experts, 2] is the slope and the offset of each expert's log-odds."""

    def __init__(self, config: GemConfig = GemConfig()) -> None:
        super().__init__()
        self.config = c = config
        self.level = RunningLevel(c.level_decay, PRIOR_LEVEL_LOG, 3.0, -11.0, 6.0, 0.3)
        fine, coarse = colour_matrices(c)
        self.register_buffer("fine", torch.from_numpy(fine), persistent=False)
        self.register_buffer("coarse", torch.from_numpy(coarse), persistent=False)
        self.hear = nn.Linear(2 * c.band_count + c.colour_bands, c.hop_width)
        self.stem = nn.Linear(c.hops_per_step * c.hop_width, c.width)
        self.blocks = nn.ModuleList(
            CausalBlock(c.width, c.expansion, c.kernel, dilation, c.time_constants_steps, c.dropout)
            for dilation in c.dilations
        )
        self.norm = nn.LayerNorm(c.width)
        heads = len(EXPERTS)
        self.embed = nn.Linear(c.width, heads * c.expert_width)
        self.pool = ForgettingPool(heads * c.expert_width, heads, c.attention, c.memory_steps)
        self.head_dropout = nn.Dropout(c.head_dropout)
        if c.kind == "ensemble":
            self.hidden = nn.ModuleList(nn.Linear(2 * c.expert_width, c.hidden) for _ in EXPERTS)
            self.out = nn.ModuleList(nn.Linear(c.hidden, 1) for _ in EXPERTS)
        else:
            self.told = nn.Linear(heads, c.hidden, bias=False)
            self.hidden = nn.ModuleList([nn.Linear(2 * heads * c.expert_width, c.hidden)])
            self.out = nn.ModuleList([nn.Linear(c.hidden, 1)])
        self.register_buffer("calibration", torch.tensor([[1.0, 0.0]] * len(self.out)))

    def encode(self, bands: Tensor) -> Tensor:
        """Encode a clip, float32 [batch, steps, hops, band_count] → [batch, steps, width]."""
        hops = self.level(bands).flatten(1, 2)
        x = self.stem(self._heard(hops, F.pad(hops, (0, 0, 1, 0))[:, :-1]).unflatten(1, bands.shape[1:3]).flatten(2))
        for block in self.blocks:
            x = block(x)
        return self.norm(x)

    def _heard(self, hops: Tensor, before: Tensor) -> Tensor:
        """What each hop shows: its fine structure, what changed since the hop before, and its colour in a few values.

        All three are linear in both hops, so one matrix takes them in.
        """
        count = self.config.band_count
        fine, change, colour = self.hear.weight.split([count, count, self.config.colour_bands], 1)
        now = fine @ self.fine.T + change + colour @ self.coarse.T
        return F.relu(F.linear(hops, now, self.hear.bias) - F.linear(before, change))

    def statistics(self, x: Tensor, weight: Tensor, ends: Sequence[int]) -> Tensor:
        """Pooled statistics after each of `ends`, for weights float32 [batch, steps, hops]."""
        return self.pool(F.relu(self.embed(x)), weight.mean(2), ends)

    def experts(self, statistics: Tensor, gate: Tensor) -> Tensor:
        """Log-odds of each expert before calibration, float32 [..., experts]; of a single model the same for all.

        Args:
            statistics: float32 [..., heads, 2 · expert_width].
            gate: float32 [..., 4], which a single model is told and experts do not hear.
        """
        statistics = self.head_dropout(statistics)
        if self.config.kind == "single":
            hidden = F.relu(self.hidden[0](statistics.flatten(-2)) + self.told(normalised(gate)))
            return self.out[0](self.head_dropout(hidden))
        said = [
            out(self.head_dropout(F.relu(hidden(statistics[..., k, :]))))
            for k, (hidden, out) in enumerate(zip(self.hidden, self.out, strict=True))
        ]
        return torch.cat(said, -1)

    def calibrated(self, experts: Tensor) -> Tensor:
        """Calibrated log-odds of each expert, float32 [..., 4]."""
        said = self.calibration[:, 0] * experts + self.calibration[:, 1]
        return said.expand(*said.shape[:-1], len(EXPERTS))

    def forward(self, bands: Tensor, weight: Tensor, gate: Tensor, ends: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Score clips.

        Args:
            bands: float32 [batch, steps, hops, band_count].
            weight: float32 [batch, steps, hops].
            gate: float32 [batch, ends, 4].
            ends: Steps to score at.

        Returns:
            Score float32 [batch, ends] and calibrated log-odds of each expert float32 [batch, ends, 4].
        """
        said = self.calibrated(self.experts(self.statistics(self.encode(bands), weight, ends), gate))
        return mixed(said, gate), said

    def state_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name → shape of one row of each state, in the order of the exported graph."""
        c = self.config
        shapes: dict[str, tuple[int, ...]] = {"level_sum": (1,), "level_mass": (1,), "hop": (c.band_count,)}
        for i, dilation in enumerate(c.dilations):
            shapes[f"past_{i}"] = ((c.kernel - 1) * dilation, c.width)
            shapes[f"memory_{i}"] = (c.width,)
        heads = len(EXPERTS)
        return shapes | {
            "pool_mass": (heads, 1),
            "pool_sum": (heads, c.expert_width),
            "pool_square": (heads, c.expert_width),
        }

    def state_fills(self) -> dict[str, float]:
        """Name → what a fresh state holds where that is not zero."""
        return {"level_sum": self.level.prior_sum, "level_mass": self.level.prior_mass}

    def new_state(self, n: int) -> dict[str, Tensor]:
        """Fresh states of n streams."""
        fills = self.state_fills()
        return {name: torch.full((n, *shape), fills.get(name, 0.0)) for name, shape in self.state_shapes().items()}

    def step(
        self, bands: Tensor, weight: Tensor, gate: Tensor, state: dict[str, Tensor]
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """One step of n streams: bands float32 [n, hops, band_count], weight float32 [n, hops], gate float32 [n, 4]."""
        after: dict[str, Tensor] = {}
        hops, after["level_sum"], after["level_mass"] = self.level.step(bands, state["level_sum"], state["level_mass"])
        before = torch.cat([state["hop"][:, None], hops[:, :-1]], 1)
        after["hop"] = hops[:, -1]
        x = self.stem(self._heard(hops, before).flatten(1))
        for i, block in enumerate(self.blocks):
            x, after[f"past_{i}"], after[f"memory_{i}"] = block.step(x, state[f"past_{i}"], state[f"memory_{i}"])
        embedded = F.relu(self.embed(self.norm(x)))
        names = ("pool_mass", "pool_sum", "pool_square")
        statistics, *pooled = self.pool.step(embedded, weight.mean(1, keepdim=True), *(state[name] for name in names))
        after |= dict(zip(names, pooled, strict=True))
        said = self.calibrated(self.experts(statistics, gate))
        return mixed(said, gate), said, after


def normalised(gate: Tensor) -> Tensor:
    """A gate that sums to 1; one that says nothing trusts every expert alike."""
    lifted = gate + 1e-6
    return lifted / lifted.sum(-1, keepdim=True)


def mixed(said: Tensor, gate: Tensor) -> Tensor:
    """Log-odds mixed by the gate, float32 [...]: a product of experts, each weighed by its share."""
    return (normalised(gate) * said).sum(-1)


def mixed_probability(said: Tensor, gate: Tensor) -> Tensor:
    """Log-odds of the probabilities mixed by the gate, float32 [...]: a mixture of experts."""
    p = (normalised(gate) * torch.sigmoid(said)).sum(-1)
    tiny = math.exp(-30.0)
    return torch.log(p + tiny) - torch.log1p(tiny - p)


def save_gem(net: Gem, path: Path) -> None:
    """Write configuration and weights."""
    part = path.with_suffix(".part")
    torch.save({"config": asdict(net.config), "weights": net.state_dict()}, part)
    part.replace(path)


def load_gem(path: Path) -> Gem:
    """Read a network as `save_gem` wrote it, ready to score."""
    saved = torch.load(path, weights_only=True)
    config = {key: tuple(v) if isinstance(v, list) else v for key, v in saved["config"].items()}
    net = Gem(GemConfig(**config))
    net.load_state_dict(saved["weights"])
    return net.eval()
