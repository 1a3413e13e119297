"""GEM: a gated ensemble of emotion-specialised experts that tells synthetic voices from genuine ones, step by step.

After Mahapatra et al. (2025, arXiv:2505.23962), "Can Emotion Fool Anti-spoofing?": one detector per emotion and a gate
that recognises emotion. The published experts are whole networks on waveforms of 4 s; here they are small heads on one
trunk, which hears statistics of the last seconds of speech. What is measured is fixed and what is learned is small:
from a handful of synthesisers a large network learns these synthesisers.
"""

import math
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from rtemo.api import EXPERTS
from rtemo_models.kit.run_folder import load_net

HOPS = 4
"""Hops of a step."""


@dataclass(frozen=True, slots=True)
class GemConfig:
    """Sizes of the network, and which of two it is."""

    kind: Literal["ensemble", "single"] = "ensemble"
    """`ensemble`: an expert per emotion, mixed by the gate; `single`: one head that is told the emotion."""
    band_count: int = 16
    frames: int = 2
    """Short frames of a hop, 5 ms each."""
    residual: int = 4
    """Values of a hop that describe the residual of linear prediction."""
    window_frames: int = 48
    """Short frames over which modulation is measured, 240 ms."""
    modulations: tuple[int, ...] = (1, 2, 3, 5, 8, 13, 20, 25)
    """Edges of the bands of modulation, in bins of 1/240 ms: 4 to 100 Hz."""
    lags: tuple[int, ...] = (1, 2, 4)
    """Distances in bands at which changes are compared."""
    range_log: float = 8.0
    """A frame counts as voice within this of the running peak, 35 dB."""
    memory_steps: float = 100.0
    """Speech steps after which a step counts 1/e in the pooling: 4 s."""
    width: int = 64
    hidden: int = 16
    dropout: float = 0.3

    @property
    def traces(self) -> int:
        """Values of a hop."""
        return self.frames * self.band_count + self.residual

    @property
    def pairs(self) -> int:
        """Pairs of bands that are compared."""
        return sum(self.band_count - lag for lag in self.lags)

    @property
    def modulation(self) -> int:
        """Values that describe modulation."""
        return self.band_count * (len(self.modulations) - 1)

    @property
    def pooled(self) -> int:
        """Values whose means are kept."""
        return self.pairs + 3 * self.band_count + 2 * (self.residual + self.modulation)

    @property
    def statistics(self) -> int:
        """Values that the means become."""
        return self.pairs + 3 * self.band_count + 2 * (self.residual + self.modulation)


class Measures(nn.Module):
    """What is measured of a voice, gathered over the speech of the last seconds.

    Frames of 8 ms resolve single periods of the glottis, where synthesis errs: how the bands change from one to the
    next (how peaked and lopsided, and which bands change together), how the power of each band is modulated at 4 to
    100 Hz, and what is left of the wave when linear prediction takes the vocal tract off. None depends on gain, and
    on a microphone only as far as it buries bands. Nothing is learned here.
    """

    PEAK_FALL = 0.02
    """Natural logarithm of power that the running peak falls by in a step: 2 dB per second."""
    UNHEARD = 1e3
    """What frames hold that are before the stream: no power is so large. The first frame stands in for them."""
    FAINT = 1e-4
    """Variance of changes that is too small to matter."""

    def __init__(self, config: GemConfig) -> None:
        super().__init__()
        self.config = config
        transform, groups = modulation_matrices(config)
        self.register_buffer("transform", torch.from_numpy(transform), persistent=False)
        self.register_buffer("groups", torch.from_numpy(groups), persistent=False)

    def split(self, traces: Tensor) -> tuple[Tensor, Tensor]:
        """Short frames [..., hops · frames, band_count] and residual [..., hops, residual] of traces [..., hops, *]."""
        c = self.config
        bands, residual = traces.split([c.frames * c.band_count, c.residual], -1)
        return bands.unflatten(-1, (c.frames, c.band_count)).flatten(-3, -2), residual

    def peaks(self, bands: Tensor) -> Tensor:
        """Loudest frame of each step, float32 [..., steps]; short frames [..., steps, frames of a step, band_count]."""
        return torch.logsumexp(bands, -1).amax(-1)

    def modulation(self, window: Tensor) -> Tensor:
        """Log power of modulation, float32 [..., modulation], of windows [..., window_frames, band_count]."""
        wave = window.transpose(-1, -2) @ self.transform
        return torch.log(wave.square() @ self.groups + 1e-2).flatten(-2)

    def products(self, change: Tensor) -> Tensor:
        """Products of changes [..., band_count] whose means are kept, float32 [..., pairs + 3 · band_count]."""
        pairs = [change[..., :-lag] * change[..., lag:] for lag in self.config.lags]
        square = change * change
        return torch.cat([*pairs, square, square * change, square * square], -1)

    def step_values(self, bands: Tensor, change: Tensor, residual: Tensor, window: Tensor, mass: Tensor) -> Tensor:
        """Sums over a step of what is pooled, [..., pooled], frames weighed by `mass` [..., frames of a step]."""
        of_hop = mass.unflatten(-1, (HOPS, self.config.frames)).sum(-1)
        modulation = self.modulation(window)
        whole = mass.sum(-1, keepdim=True)
        return torch.cat(
            [
                (mass[..., None, :] @ self.products(change))[..., 0, :],
                (of_hop[..., None, :] @ residual)[..., 0, :],
                (of_hop[..., None, :] @ residual.square())[..., 0, :],
                whole * modulation,
                whole * modulation.square(),
            ],
            -1,
        )

    def forward(self, traces: Tensor, weight: Tensor, ends: list[int]) -> Tensor:
        """Statistics of clips up to and with each of `ends`.

        Args:
            traces: float32 [batch, steps, hops, traces].
            weight: float32 [batch, steps, hops], 1 where a hop is speech.
            ends: Steps to stop at.

        Returns:
            float32 [batch, ends, statistics].
        """
        c, steps = self.config, traces.shape[1]
        bands, residual = self.split(traces)
        fall = self.PEAK_FALL * torch.arange(steps)
        peak = torch.cummax(self.peaks(bands) + fall, 1).values - fall
        mass = self.masses(bands, weight, peak)
        line = bands.flatten(1, 2)
        before = line[:, :1].expand(-1, c.window_frames, -1)
        line = torch.cat([before, line], 1)
        change = self.change(line[:, c.window_frames - 1 :]).unflatten(1, (steps, -1))
        count = HOPS * c.frames
        window = line[:, count:].unfold(1, c.window_frames, count).transpose(2, 3)
        values = self.step_values(bands, change, residual, window, mass)
        share = mass.mean(-1)
        spoken = share.cumsum(1)
        age = spoken[:, ends, None] - spoken[:, None]
        is_past = torch.arange(steps) <= torch.tensor(ends)[:, None]
        kept = torch.where(is_past, torch.exp(-age.clamp_min(0) / c.memory_steps), torch.zeros(()))
        return self.statistics((kept @ mass.sum(-1, keepdim=True)), kept @ values)

    def masses(self, bands: Tensor, weight: Tensor, peak: Tensor) -> Tensor:
        """Weight of each short frame, float32 [..., frames of a step]: the hop's, if the frame is near the peak."""
        is_loud = torch.logsumexp(bands, -1) > peak[..., None] - self.config.range_log
        return weight.repeat_interleave(self.config.frames, -1) * is_loud

    @staticmethod
    def change(line: Tensor) -> Tensor:
        """Change from each short frame to the next, limited; float32 [..., frames - 1, band_count]."""
        return (line[..., 1:, :] - line[..., :-1, :]).clamp(-5.0, 5.0)

    def step(self, traces: Tensor, weight: Tensor, state: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Take in one step of n streams, traces float32 [n, hops, traces], weight float32 [n, hops]."""
        after: dict[str, Tensor] = {}
        bands, residual = self.split(traces)
        past = torch.where(state["frames"] > 0.5 * self.UNHEARD, bands[:, :1], state["frames"])
        line = torch.cat([past, bands], 1)
        after["frames"] = line[:, HOPS * self.config.frames :]
        peak = torch.maximum(state["peak"] - self.PEAK_FALL, self.peaks(bands)[:, None])
        after["peak"] = peak
        mass = self.masses(bands, weight, peak[:, 0])
        change = self.change(line[:, self.config.window_frames - 1 :])
        keep = torch.exp(-mass.mean(1, keepdim=True) / self.config.memory_steps)
        values = self.step_values(bands, change, residual, after["frames"], mass)
        after["pool_mass"] = keep * state["pool_mass"] + mass.sum(1, keepdim=True)
        after["pool_sum"] = keep * state["pool_sum"] + values
        return self.statistics(after["pool_mass"], after["pool_sum"]), after

    def statistics(self, mass: Tensor, total: Tensor) -> Tensor:
        """What the sums tell, float32 [..., statistics]; finite before anything was heard."""
        c = self.config
        mean = total / mass.clamp_min(1e-6)
        bands = (c.band_count,) * 3
        pairs, square, third, fourth, *rest = mean.split(
            [c.pairs, *bands, c.residual, c.residual, c.modulation, c.modulation], -1
        )
        power = square + self.FAINT
        deviation = power.sqrt()
        sides = torch.cat([deviation[..., :-lag] * deviation[..., lag:] for lag in c.lags], -1)
        peaked = torch.log((fourth + 3 * self.FAINT**2) / (power * power))
        spreads = [(b - a * a).clamp_min(1e-5).sqrt() for a, b in zip(rest[::2], rest[1::2], strict=True)]
        lopsided = third / (power * deviation)
        return torch.cat(
            [pairs / sides, lopsided, peaked, torch.log(power), rest[0], spreads[0], rest[2], spreads[1]], -1
        )

    def state_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name → shape of one row of each state, in the order of the exported graph."""
        c = self.config
        return {
            "frames": (c.window_frames, c.band_count),
            "peak": (1,),
            "pool_mass": (1,),
            "pool_sum": (c.pooled,),
        }

    def state_fills(self) -> dict[str, float]:
        """Name → what a fresh state holds where that is not zero."""
        return {"frames": self.UNHEARD, "peak": -self.UNHEARD}


def modulation_matrices(config: GemConfig) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Window [window_frames] → real and imaginary parts of its spectrum, and squares of these → bands of modulation.

    The mean is taken off and a Hann window put on first, all in one matrix [window_frames, 2 · bins].
    """
    size, edges = config.window_frames, config.modulations
    hann = np.hanning(size + 2)[1:-1]
    phase = 2 * np.pi * np.arange(size)[:, None] * np.arange(edges[0], edges[-1])[None] / size
    without_mean = np.eye(size) - 1 / size
    transform = without_mean @ (hann[:, None] * np.concatenate([np.cos(phase), np.sin(phase)], 1))
    groups = np.zeros((edges[-1] - edges[0], len(edges) - 1))
    for k, (low, high) in enumerate(pairwise(edges)):
        groups[low - edges[0] : high - edges[0], k] = 1 / (high - low)
    return transform.astype(np.float32), np.concatenate([groups, groups]).astype(np.float32)


class Gem(nn.Module):
    """Measures, trunk and experts.

    Attributes:
        shift: float32 [statistics], mean of the statistics in training, taken off.
        scale: float32 [statistics], one over their deviation.
        calibration: float32 [experts, 2], slope and offset of each expert's log-odds.
    """

    def __init__(self, config: GemConfig = GemConfig()) -> None:
        super().__init__()
        self.config = c = config
        self.measures = Measures(c)
        self.register_buffer("shift", torch.zeros(c.statistics))
        self.register_buffer("scale", torch.ones(c.statistics))
        self.trunk = nn.Linear(c.statistics, c.width)
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
            statistics: float32 [..., statistics].
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

    def forward(self, traces: Tensor, weight: Tensor, gate: Tensor, ends: list[int]) -> tuple[Tensor, Tensor]:
        """Score clips.

        Args:
            traces: float32 [batch, steps, hops, traces].
            weight: float32 [batch, steps, hops].
            gate: float32 [batch, ends, 4].
            ends: Steps to score at.

        Returns:
            Score float32 [batch, ends] and calibrated log-odds of each expert float32 [batch, ends, 4].
        """
        said = self.calibrated(self.experts(self.measures(traces, weight, ends), gate))
        return mixed(said, gate), said

    def state_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name → shape of one row of each state."""
        return self.measures.state_shapes()

    def state_fills(self) -> dict[str, float]:
        """Name → what a fresh state holds where that is not zero."""
        return self.measures.state_fills()

    def new_state(self, n: int) -> dict[str, Tensor]:
        """Fresh states of n streams."""
        fills = self.state_fills()
        return {name: torch.full((n, *shape), fills.get(name, 0.0)) for name, shape in self.state_shapes().items()}

    def step(
        self, traces: Tensor, weight: Tensor, gate: Tensor, state: dict[str, Tensor]
    ) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """One step of n streams: traces float32 [n, hops, traces], weight float32 [n, hops], gate float32 [n, 4]."""
        statistics, after = self.measures.step(traces, weight, state)
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


def load_gem(path: Path) -> Gem:
    """Read a network as its run wrote it, ready to score."""

    def build(config: dict[str, Any]) -> Gem:
        return Gem(GemConfig(**{key: tuple(v) if isinstance(v, list) else v for key, v in config.items()}))

    return load_net(path, build)
