"""GEM: a gated ensemble of emotion-specialised experts that tells synthetic voices from genuine ones, step by step.

After Mahapatra et al. (2025, arXiv:2505.23962), "Can Emotion Fool Anti-spoofing?": one detector per emotion and a gate
that recognises emotion. The published experts are whole networks on waveforms of 4 s; here they are small heads on one
trunk, which hears statistics of the last seconds of speech. What is measured is fixed and what is learned is small:
from a handful of synthesisers a large network learns these synthesisers.
"""

import math
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from rtemo.api import EXPERTS
from rtemo_models.nets.streaming import PRIOR_LEVEL_LOG, RunningLevel

HOPS = 4
"""Hops of a step."""


@dataclass(frozen=True, slots=True)
class GemConfig:
    """Sizes of the network, and which of two it is."""

    kind: Literal["ensemble", "single"] = "ensemble"
    """`ensemble`: an expert per emotion, mixed by the gate; `single`: one head that is told the emotion."""
    band_count: int = 96
    colour_width: float = 6.0
    """Deviation, in bands, of what counts as the colour of a channel."""
    lags: tuple[int, ...] = (1, 2, 3, 4)
    """Distances in bands at which fine structure is compared with itself."""
    regions: int = 12
    """Parts of the spectrum in which that is done."""
    memory_steps: float = 100.0
    """Speech steps after which a step counts 1/e in the pooling: 4 s."""
    level_decay: float = 0.995
    width: int = 64
    hidden: int = 16
    dropout: float = 0.3

    @property
    def measures(self) -> int:
        """Values measured in each hop."""
        return 3 * self.band_count + len(self.lags) * self.regions


class Measures(nn.Module):
    """What is measured in each hop, and its mean and deviation over the speech of the last seconds.

    A microphone or a room colours a voice smoothly over frequency; synthesis leaves traces from band to band and from
    hop to hop. So the bands enter without their smooth part, and as what changed since one hop and one step before;
    products of the fine structure with itself some bands away tell how regular harmonics are, region by region.
    Nothing is learned here.
    """

    def __init__(self, config: GemConfig) -> None:
        super().__init__()
        self.config = c = config
        self.level = RunningLevel(c.level_decay, PRIOR_LEVEL_LOG, 3.0, -11.0, 6.0, 0.3)
        fine, regions = measure_matrices(c)
        self.register_buffer("fine", torch.from_numpy(fine), persistent=False)
        self.register_buffer("regions", torch.from_numpy(regions), persistent=False)

    def hop(self, now: Tensor, before: Tensor, step_before: Tensor) -> Tensor:
        """Measure hops, float32 [..., band_count] each, relative to the running level: float32 [..., measures]."""
        fine = now @ self.fine
        products = [(fine * torch.roll(fine, lag, -1)) @ self.regions for lag in self.config.lags]
        return torch.cat([fine, (now - before).abs(), (now - step_before).abs(), *products], -1)

    def forward(self, bands: Tensor, weight: Tensor, ends: list[int]) -> Tensor:
        """Statistics of clips up to and with each of `ends`.

        Args:
            bands: float32 [batch, steps, hops, band_count].
            weight: float32 [batch, steps, hops], 1 where a hop is speech.
            ends: Steps to stop at.

        Returns:
            float32 [batch, ends, 2 · measures].
        """
        hops = self.level(bands).flatten(1, 2)
        past = F.pad(hops, (0, 0, HOPS, 0))
        measured = self.hop(hops, past[:, HOPS - 1 : -1], past[:, :-HOPS])
        spoken = weight.mean(2).cumsum(1)
        age = spoken[:, ends, None] - spoken[:, None]
        is_past = torch.arange(bands.shape[1]) <= torch.tensor(ends)[:, None]
        kept = torch.where(is_past, torch.exp(-age.clamp_min(0) / self.config.memory_steps), torch.zeros(()))
        shares = (kept[..., None] * weight[:, None]).flatten(2)
        return self.statistics(shares.sum(-1, keepdim=True), shares @ measured, shares @ measured.square())

    def step(self, bands: Tensor, weight: Tensor, state: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Take in one step of n streams, bands float32 [n, hops, band_count], weight float32 [n, hops]."""
        after: dict[str, Tensor] = {}
        hops, after["level_sum"], after["level_mass"] = self.level.step(bands, state["level_sum"], state["level_mass"])
        before = torch.cat([state["hops"][:, -1:], hops[:, :-1]], 1)
        measured = self.hop(hops, before, state["hops"])
        after["hops"] = hops
        keep = torch.exp(-weight.mean(1, keepdim=True) / self.config.memory_steps)
        share = weight[:, :, None]
        after["pool_mass"] = keep * state["pool_mass"] + weight.sum(1, keepdim=True)
        after["pool_sum"] = keep * state["pool_sum"] + (share * measured).sum(1)
        after["pool_square"] = keep * state["pool_square"] + (share * measured.square()).sum(1)
        return self.statistics(after["pool_mass"], after["pool_sum"], after["pool_square"]), after

    @staticmethod
    def statistics(mass: Tensor, total: Tensor, square: Tensor) -> Tensor:
        """Mean and deviation of the sums; zero and next to zero before anything was heard."""
        inverse = 1.0 / mass.clamp_min(1e-6)
        mean = total * inverse
        return torch.cat([mean, (square * inverse - mean * mean).clamp_min(1e-5).sqrt()], -1)

    def state_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name → shape of one row of each state, in the order of the exported graph."""
        c = self.config
        return {
            "level_sum": (1,),
            "level_mass": (1,),
            "hops": (HOPS, c.band_count),
            "pool_mass": (1,),
            "pool_sum": (c.measures,),
            "pool_square": (c.measures,),
        }


def measure_matrices(config: GemConfig) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Bands → bands without their smooth part [bands, bands], and bands → means of regions [bands, regions]."""
    places = np.arange(config.band_count)
    smooth = np.exp(-0.5 * ((places[:, None] - places[None]) / config.colour_width) ** 2)
    smooth /= smooth.sum(0)
    region = places * config.regions // config.band_count
    means = (region[:, None] == np.arange(config.regions)[None]).astype(np.float64)
    return (np.eye(config.band_count) - smooth).astype(np.float32), (means / means.sum(0)).astype(np.float32)


class Gem(nn.Module):
    """Measures, trunk and experts.

    Attributes:
        shift: float32 [2 · measures], mean of the statistics in training, taken off.
        scale: float32 [2 · measures], one over their deviation.
        calibration: float32 [experts, 2], slope and offset of each expert's log-odds.
    """

    def __init__(self, config: GemConfig = GemConfig()) -> None:
        super().__init__()
        self.config = c = config
        self.measures = Measures(c)
        self.register_buffer("shift", torch.zeros(2 * c.measures))
        self.register_buffer("scale", torch.ones(2 * c.measures))
        self.trunk = nn.Linear(2 * c.measures, c.width)
        heads = len(EXPERTS)
        if c.kind == "ensemble":
            self.hidden = nn.ModuleList(nn.Linear(c.width, c.hidden) for _ in EXPERTS)
        else:
            self.told = nn.Linear(heads, heads * c.hidden, bias=False)
            self.hidden = nn.ModuleList([nn.Linear(c.width, heads * c.hidden)])
        self.out = nn.ModuleList(nn.Linear(layer.out_features, 1) for layer in self.hidden)
        self.dropout = nn.Dropout(c.dropout)
        self.register_buffer("calibration", torch.tensor([[1.0, 0.0]] * len(self.out)))

    def experts(self, statistics: Tensor, gate: Tensor) -> Tensor:
        """Log-odds of each expert before calibration, float32 [..., 4]; of a single network the same for all.

        Args:
            statistics: float32 [..., 2 · measures].
            gate: float32 [..., 4], which a single network is told and experts do not hear.
        """
        x = self.dropout(((statistics - self.shift) * self.scale).clamp(-6, 6))
        x = self.dropout(F.relu(self.trunk(x)))
        if self.config.kind == "single":
            said = self.out[0](F.relu(self.hidden[0](x) + self.told(normalised(gate))))
            return said.expand(*said.shape[:-1], len(EXPERTS))
        return torch.cat([out(F.relu(hidden(x))) for hidden, out in zip(self.hidden, self.out, strict=True)], -1)

    def calibrated(self, experts: Tensor) -> Tensor:
        """Calibrated log-odds of each expert, float32 [..., 4]."""
        return self.calibration[:, 0] * experts + self.calibration[:, 1]

    def forward(self, bands: Tensor, weight: Tensor, gate: Tensor, ends: list[int]) -> tuple[Tensor, Tensor]:
        """Score clips.

        Args:
            bands: float32 [batch, steps, hops, band_count].
            weight: float32 [batch, steps, hops].
            gate: float32 [batch, ends, 4].
            ends: Steps to score at.

        Returns:
            Score float32 [batch, ends] and calibrated log-odds of each expert float32 [batch, ends, 4].
        """
        said = self.calibrated(self.experts(self.measures(bands, weight, ends), gate))
        return mixed(said, gate), said

    def state_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name → shape of one row of each state."""
        return self.measures.state_shapes()

    def state_fills(self) -> dict[str, float]:
        """Name → what a fresh state holds where that is not zero."""
        return {"level_sum": self.measures.level.prior_sum, "level_mass": self.measures.level.prior_mass}

    def new_state(self, n: int) -> dict[str, Tensor]:
        """Fresh states of n streams."""
        fills = self.state_fills()
        return {name: torch.full((n, *shape), fills.get(name, 0.0)) for name, shape in self.state_shapes().items()}

    def step(
        self, bands: Tensor, weight: Tensor, gate: Tensor, state: dict[str, Tensor]
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """One step of n streams: bands float32 [n, hops, band_count], weight float32 [n, hops], gate float32 [n, 4]."""
        statistics, after = self.measures.step(bands, weight, state)
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
    tiny = math.exp(-15.0)
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
