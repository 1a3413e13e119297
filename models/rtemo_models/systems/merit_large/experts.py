"""Frame-wise sparse experts with a router per task on frames of the encoder (Tzeng et al. 2025, arXiv:2509.08470).

As in `rtemo_models.kit.nets.routing`, at the size of this listener: the frames of two layers, each normed, are narrowed
by one layer that all experts share, since experts on the wide frames would be larger than the encoder.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from rtemo_models.kit.nets.routing import ExpertPool, Router, mean_over
from rtemo_models.systems.merit_large.net import WIDTH

Kind = Literal["none", "sparse", "shared", "random", "dense", "single"]
GATES = {"sparse": "top1_scaled", "shared": "top1_scaled", "random": "random_fixed", "dense": "dense"}
TASKS = ("emotion", "attributes")
NARROW, HIDDEN, OUT, EXPERTS = 192, 192, 96, 4


class Experts(nn.Module):
    """What every task makes of the frames of a window: mean and deviation by learned attention.

    Args:
        kind: `sparse` has a router per task and evaluates one expert a frame; `shared` one router for both tasks;
            `random` routers that stay as they were drawn; `dense` all experts, weighted; `single` one network of as
            many parameters in place of all.
        layers: Whose frames are taken, how many.
    """

    def __init__(self, kind: Kind, layers: int = 2) -> None:
        super().__init__()
        self.kind = kind
        self.norms = nn.ModuleList([nn.LayerNorm(WIDTH) for _ in range(layers)])
        self.narrow = nn.Linear(layers * WIDTH, NARROW)
        count, hidden = (1, EXPERTS * HIDDEN) if kind == "single" else (EXPERTS, HIDDEN)
        self.pool = ExpertPool(NARROW, hidden, OUT, count)
        self.routers = nn.ModuleList()
        if kind != "single":
            gate = GATES[kind]
            self.routers.extend(Router(NARROW, count, gate) for _ in TASKS[: 1 if kind == "shared" else 2])  # type: ignore[arg-type]
        self.scores = nn.ModuleList([nn.Sequential(nn.Linear(OUT, OUT), nn.Tanh(), nn.Linear(OUT, 1)) for _ in TASKS])

    @property
    def width(self) -> int:
        """Values for each task."""
        return 2 * OUT

    def narrowed(self, frames: list[Tensor]) -> Tensor:
        """What routers and experts are given, [n, t, narrow]."""
        x = torch.cat([norm(each) for norm, each in zip(self.norms, frames, strict=True)], 2)
        return nn.functional.gelu(self.narrow(x))

    def forward(self, frames: list[Tensor], there: Tensor) -> tuple[list[Tensor], Tensor]:
        """Hear windows.

        Args:
            frames: [n, t, 512] of every layer.
            there: float [n, t], 1 where there is a frame.

        Returns:
            For every task [n, 2 · `OUT`], and the routers' loss, see `gated`.
        """
        x = self.narrowed(frames)
        loss = x.new_zeros(())
        transformed = []
        if self.kind == "single":
            transformed.append(self.pool.experts[0](x))
        else:
            every = torch.stack([expert(x) for expert in self.pool.experts], 2)
        for router in self.routers:
            weights, routing = gated(router, x, there)
            transformed.append((every * weights[..., None]).sum(2))
            loss = loss + routing
        return [
            attended(z, score(z).squeeze(2), there)
            for z, score in zip(transformed * (len(TASKS) // len(transformed)), self.scores, strict=True)
        ], loss


def gated(router: Router, x: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
    """Weight of every expert [n, t, experts], and the loss: 0.01 · balance + 0.001 · z."""
    if torch.onnx.is_in_onnx_export():  # the same in operations that every back end knows
        p = torch.softmax(router.linear(x), -1)
        if router.gate == "dense":
            return p, x.new_zeros(())
        hard = (p == p.amax(-1, keepdim=True)).to(p.dtype)
        return (p * hard if router.gate == "top1_scaled" else hard), x.new_zeros(())
    route = router(x, there)
    loss = 0.01 * route.losses["balance"] + 0.001 * route.losses["z"]
    return route.weights, loss if router.training and router.linear.weight.requires_grad else x.new_zeros(())


def attended(z: Tensor, scores: Tensor, there: Tensor) -> Tensor:
    """Mean and deviation [n, 2k] of frames [n, t, k] weighed by the softmax of scores [n, t]."""
    share = (scores + (there - 1) * 1e4).softmax(1)[..., None]
    mean = (z * share).sum(1)
    spread = ((z - mean[:, None]).square() * share).sum(1)
    return torch.cat([mean, spread.clamp_min(1e-5).sqrt()], 1)


def usage(experts: Experts, frames: list[Tensor], there: Tensor) -> list[list[float]]:
    """Share of frames that each router gives to each expert."""
    x = experts.narrowed(frames)
    chosen = [nn.functional.one_hot(router(x).index, EXPERTS).float() for router in experts.routers]
    return [[round(float(share), 3) for share in mean_over(one, there)] for one in chosen]
