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

LOCAL_BINS = 256
GROUP_BINS = 8
"""Bins that are weighed alike."""
MEANS_HOPS = (4.0, 16.0, 64.0)
"""Time constants of the running means."""
RISE = 0.0035
"""How fast the floor may rise per hop, in the scaled logarithm: 5 dB a second."""
VIEWS = 5 + len(MEANS_HOPS)


@numba.njit(nogil=True, cache=True, fastmath=True)  # type: ignore[misc]
def _views(logs: Any, decays: Any, rise: float, out: Any) -> None:
    """Fill `out` [views, batch, hops, bins] from scaled logs [batch, hops, bins + 4], two empty bins on both sides."""
    count = decays.size
    _, batch, hops, bins = out.shape
    for b in range(batch):
        means, floor = np.zeros((count, bins), np.float32), np.zeros(bins, np.float32)
        for t in range(hops):
            for f in range(bins):
                now = logs[b, t, f + 2]
                out[0, b, t, f] = now
                out[1, b, t, f] = logs[b, t - 1, f + 2] if t > 0 else 0.0
                out[2, b, t, f] = logs[b, t, f + 1] + logs[b, t, f + 3]
                out[3, b, t, f] = logs[b, t, f] + logs[b, t, f + 4]
                floor[f] = min(now, floor[f] + rise)
                out[4, b, t, f] = now - floor[f]
            for k in range(count):
                for f in range(bins):
                    means[k, f] += (1.0 - decays[k]) * (logs[b, t, f + 2] - means[k, f])
                    out[5 + k, b, t, f] = logs[b, t, f + 2] - means[k, f]


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

    @torch.no_grad()
    def views(self, logs: Tensor) -> Tensor:
        """Views of a clip, from scaled logs [batch, hops, 256]: float32 [VIEWS, batch, hops, 256]."""
        out = torch.empty(VIEWS, *logs.shape)
        _views(F.pad(logs, (2, 2)).contiguous().numpy(), self.decays.numpy(), RISE, out.numpy())
        return out

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
