"""The enhancer: at every hop, one gain per frequency bin from the spectrum so far and what the listener made of it."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from rtemo_models.kit.nets.gated import GatedBlock
from rtemo_models.kit.nets.streaming import PRIOR_LEVEL_LOG, RunningLevel
from rtemo_models.systems.merit.net.local import LOCAL_BINS, LocalGains

COMPRESSION = 1 / 3
"""Exponent of the compressed magnitudes that the gain is learnt in (Braun and Tashev 2020, arXiv:2009.12286, take 0.3).

A third makes the way back a cube: two products instead of a power.
"""


def cube(x: Tensor) -> Tensor:
    """From compressed gains to gains."""
    return x * x * x


@dataclass(frozen=True, slots=True)
class EnhancerConfig:
    """Sizes of the enhancer."""

    mel_count: int = 64
    bins: int = 257
    low_bins: int = 128
    context: int = 64
    width: int = 144
    blocks: int = 2
    kernel: int = 3
    time_constants_hops: tuple[float, float] = (2.0, 200.0)
    level_decay: float = 0.99875
    local: bool = True
    """Whether there is a path that looks at each bin and its surroundings."""


class Enhancer(nn.Module):
    """Log power relative to a running level → gated blocks → gains, and beside them a local path per bin.

    The blocks see the whole spectrum (mel bands, and the lowest bins one by one for the harmonics of a voice) and know
    voices; the local path sees each bin's own past and knows noise of any colour, as classical noise suppressors do.
    `context` is what the listener's enhancement expert last said; zeros do without.
    """

    def __init__(self, config: EnhancerConfig = EnhancerConfig()) -> None:
        super().__init__()
        self.config = config
        self.level = RunningLevel(config.level_decay, PRIOR_LEVEL_LOG, 12.0, -9.0, 5.0, 0.3)
        self.stem = nn.Linear(config.mel_count + config.low_bins, config.width)
        self.told = nn.Linear(config.context, config.width, bias=False)
        self.blocks = nn.ModuleList(
            GatedBlock(config.width, config.kernel, config.time_constants_hops) for _ in range(config.blocks)
        )
        self.norm = nn.LayerNorm(config.width)
        self.out = nn.Linear(config.width, config.bins)
        nn.init.constant_(self.out.bias, 2.0)
        self.local = LocalGains(config.width) if config.local else None

    def forward(self, bands: Tensor, bins: Tensor, context: Tensor) -> Tensor:
        """Compressed gains of a clip, in [0, 1]; the gain is their cube.

        Args:
            bands: float32 [batch, hops, mel_count], natural log of mel power.
            bins: float32 [batch, hops, bins], natural log of the power of each bin.
            context: float32 [batch, hops, context].
        """
        with torch.autocast("cpu", enabled=False):
            level = self.level.levels(bands[:, :, None])[..., None]
            seen = torch.cat([bands, bins[..., : self.config.low_bins]], -1)
            seen = self._relative(seen, level)
            around = self._relative(bins[..., :LOCAL_BINS], level)
        x = self.stem(seen) + self.told(context)
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)
        wanted = self.out(x).float()
        if self.local is not None:
            wanted = wanted + F.pad(self.local.clip(around, x), (0, 1))
        return torch.sigmoid(wanted)

    def _relative(self, logs: Tensor, level: Tensor) -> Tensor:
        return (logs - level).clamp(self.level.low, self.level.high) * self.level.scale

    def state_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name → shape of one row of each state, in the order of the exported graph."""
        shapes: dict[str, tuple[int, ...]] = {"level_sum": (1,), "level_mass": (1,)}
        for i in range(self.config.blocks):
            shapes[f"past_{i}"] = (self.config.kernel - 1, self.config.width)
            shapes[f"memory_{i}"] = (self.config.width,)
        return shapes | (self.local.state_shapes() if self.local else {})

    def state_fills(self) -> dict[str, float]:
        """Name → what a fresh state holds where that is not zero."""
        return {"level_sum": self.level.prior_sum, "level_mass": self.level.prior_mass}

    def new_state(self, n: int) -> dict[str, Tensor]:
        """Fresh states of n streams."""
        fills = self.state_fills()
        return {name: torch.full((n, *shape), fills.get(name, 0.0)) for name, shape in self.state_shapes().items()}

    def step(
        self, bands: Tensor, bins: Tensor, context: Tensor, state: dict[str, Tensor]
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Gains (not compressed) of one hop of n streams, float32 [n, bins], and the next states."""
        after: dict[str, Tensor] = {}
        _, after["level_sum"], after["level_mass"] = self.level.step(
            bands[:, None], state["level_sum"], state["level_mass"]
        )
        level = after["level_sum"] / after["level_mass"]
        seen = self._relative(torch.cat([bands, bins[..., : self.config.low_bins]], -1), level)
        x = self.stem(seen) + self.told(context)
        for i, block in enumerate(self.blocks):
            x, after[f"past_{i}"], after[f"memory_{i}"] = block.step(x, state[f"past_{i}"], state[f"memory_{i}"])
        x = self.norm(x)
        wanted = self.out(x)
        if self.local is not None:
            views, kept = self.local.step(self._relative(bins[..., :LOCAL_BINS], level), state)
            after |= kept
            wanted = wanted + F.pad(self.local(views, x), (0, 1))
        return cube(torch.sigmoid(wanted)), after
