"""Gains from what surrounds a bin: a weighted sum of a few views of it, with new weights at every hop.

Each bin is seen as it is, a hop ago, through its neighbours, against three running means of its past and a floor
that follows its minima (minimum statistics, Martin 2001, in its simplest form). The network that hears the whole
spectrum says how much each view counts in each group of bins. The views have no weights of their own: what is learnt
on them holds for noise of any colour.
"""

import math
from typing import Any

import numba
import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from rtemo.dsp.kernel import cached

LOCAL_BINS = 256
GROUP_BINS = 8
"""Bins that are weighed alike."""
MEANS_HOPS = (4.0, 16.0, 64.0)
"""Time constants of the running means."""
RISE = 0.0035
"""How fast the floor may rise per hop, in the scaled logarithm: 5 dB a second."""
VIEWS = 5 + len(MEANS_HOPS)


@cached
@numba.njit(nogil=True, fastmath=True)  # type: ignore[misc]
def _look(logs: Any, decays: Any, rise: float, means: Any, floor: Any, out: Any) -> None:
    """Fill `out` [views, bins] at one hop from scaled logs [2, bins + 4] of the hop before and this one.

    `logs` has two empty bins on both sides; `means` [count, bins] and `floor` [bins] are carried from hop to hop.
    """
    bins = floor.size
    for f in range(bins):
        now = logs[1, f + 2]
        out[0, f] = now
        out[1, f] = logs[0, f + 2]
        out[2, f] = logs[1, f + 1] + logs[1, f + 3]
        out[3, f] = logs[1, f] + logs[1, f + 4]
        floor[f] = min(now, floor[f] + rise)
        out[4, f] = now - floor[f]
    for k in range(decays.size):
        for f in range(bins):
            means[k, f] += (1.0 - decays[k]) * (logs[1, f + 2] - means[k, f])
            out[5 + k, f] = logs[1, f + 2] - means[k, f]


@cached
@numba.njit(nogil=True, fastmath=True)  # type: ignore[misc]
def _forwards(logs: Any, decays: Any, rise: float, weights: Any, own: Any, out: Any) -> None:
    """Fill `out` [batch, hops, bins] from `logs` [batch, hops + 1, bins + 4], an empty hop before the first one.

    `weights` [batch, hops, views, groups], `own` [views, bins].
    """
    batch, hops, bins = out.shape
    views, groups = weights.shape[2:]
    size = bins // groups
    seen = np.zeros((views, bins), np.float32)
    for b in range(batch):
        means, floor = np.zeros((decays.size, bins), np.float32), np.zeros(bins, np.float32)
        for t in range(hops):
            _look(logs[b, t : t + 2], decays, rise, means, floor, seen)
            out[b, t] = 0.0
            for k in range(views):
                for g in range(groups):
                    weight = weights[b, t, k, g]
                    for f in range(g * size, (g + 1) * size):
                        out[b, t, f] += seen[k, f] * (weight + own[k, f])


@cached
@numba.njit(nogil=True, fastmath=True)  # type: ignore[misc]
def _backwards(logs: Any, decays: Any, rise: float, grad: Any, grad_weights: Any, grad_own: Any) -> None:
    """Fill the gradients of `weights` and add to those of `own`, looking again instead of keeping what was seen."""
    batch, hops, bins = grad.shape
    views, groups = grad_weights.shape[2:]
    size = bins // groups
    seen = np.zeros((views, bins), np.float32)
    for b in range(batch):
        means, floor = np.zeros((decays.size, bins), np.float32), np.zeros(bins, np.float32)
        for t in range(hops):
            _look(logs[b, t : t + 2], decays, rise, means, floor, seen)
            for k in range(views):
                for g in range(groups):
                    total = np.float32(0)
                    for f in range(g * size, (g + 1) * size):
                        share = grad[b, t, f] * seen[k, f]
                        grad_own[k, f] += share
                        total += share
                    grad_weights[b, t, k, g] = total


class _WeighedViews(torch.autograd.Function):
    """One pass over the clip: the views take eight times the memory of the spectrum, and memory is what costs."""

    @staticmethod
    def forward(ctx: Any, logs: Tensor, decays: Tensor, weights: Tensor, own: Tensor) -> Tensor:
        out = torch.empty(logs.shape)
        padded = F.pad(logs, (2, 2, 1, 0)).contiguous()
        _forwards(padded.numpy(), decays.numpy(), RISE, weights.detach().numpy(), own.detach().numpy(), out.numpy())
        ctx.save_for_backward(padded, decays, weights, own)
        return out

    @staticmethod
    def backward(ctx: Any, grad: Tensor) -> tuple[None, None, Tensor, Tensor]:
        padded, decays, weights, own = ctx.saved_tensors
        grad_weights, grad_own = torch.empty_like(weights), torch.zeros_like(own)
        _backwards(
            padded.numpy(), decays.numpy(), RISE, grad.contiguous().numpy(), grad_weights.numpy(), grad_own.numpy()
        )
        return None, None, grad_weights, grad_own


class LocalGains(nn.Module):
    """Views of each bin and their weights.

    Args:
        width: Values that the whole spectrum's network gives.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.groups = LOCAL_BINS // GROUP_BINS
        self.weigh = nn.Linear(width, VIEWS * self.groups)
        self.own = nn.Parameter(torch.zeros(VIEWS, LOCAL_BINS))
        self.register_buffer("decays", torch.tensor([math.exp(-1 / t) for t in MEANS_HOPS]), persistent=False)
        with torch.no_grad():
            self.weigh.weight.mul_(0.3)

    def clip(self, logs: Tensor, whole: Tensor) -> Tensor:
        """Sum of the views of a clip, weighed by the whole spectrum's values, on a CPU.

        Args:
            logs: float32 [batch, hops, 256], scaled logs; gets no gradient.
            whole: [batch, hops, width].

        Returns:
            float32 [batch, hops, 256].
        """
        weights = self.weigh(whole).float().unflatten(-1, (VIEWS, self.groups))
        total: Tensor = _WeighedViews.apply(logs.detach(), self.decays, weights.contiguous(), self.own)
        return total

    def forward(self, views: Tensor, whole: Tensor) -> Tensor:
        """Sum of the views [VIEWS, ..., 256], weighed by the whole spectrum's values [..., width]: [..., 256]."""
        weights = self.weigh(whole).float().unflatten(-1, (VIEWS, self.groups))
        total = torch.zeros_like(views[0])
        for k in range(VIEWS):
            total = total + views[k] * (weights[..., k, :].repeat_interleave(GROUP_BINS, -1) + self.own[k])
        return total

    def state_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name → shape of one row of each state."""
        return {"bins_before": (LOCAL_BINS,), "bins_floor": (LOCAL_BINS,), "bins_means": (len(MEANS_HOPS), LOCAL_BINS)}

    def step(self, logs: Tensor, state: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Views of one hop, float32 [VIEWS, n, 256], from scaled logs [n, 256]; and the next states."""
        before = state["bins_means"]
        means = before + (1 - self.decays[:, None]) * (logs[:, None] - before)
        floor = torch.minimum(logs, state["bins_floor"] + RISE)
        around = F.pad(logs, (2, 2))
        near, far = around[:, 1:-3] + around[:, 3:-1], around[:, :-4] + around[:, 4:]
        views = [logs, state["bins_before"], near, far, logs - floor, *(logs[:, None] - means).unbind(1)]
        return torch.stack(views), {"bins_before": logs, "bins_floor": floor, "bins_means": means}
