"""Routers and experts: which of several small networks transforms a frame, decided per frame and per task.

A router is one linear layer and a softmax over experts; each task has its own router, the experts are shared
(Sparse MERIT, Tzeng et al. 2025, arXiv:2509.08470). How the decision enters the result is the router's gate:

- `top1_scaled`: the chosen expert times its probability, z = p_n* · E_n*(f) (Switch, Fedus et al. 2021,
  arXiv:2101.03961). The probability carries the task's gradient to the router.
- `straight_through`: the chosen expert as it is; backwards the hard mask counts as the probabilities,
  (mask - p).detach() + p (Bengio et al. 2013, arXiv:1308.3432).
- `dense`: all experts, weighted by their probabilities. The upper bound that sparse gates are held against.
- `random_fixed`: a hard mask of an untrained router. A mask made by scattering ones has no gradient, so a router that
  is trained through one keeps its first weights; this gate does so on purpose, as the control of every comparison.
"""

from typing import Literal, NamedTuple, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

Gate = Literal["top1_scaled", "straight_through", "dense", "random_fixed"]
GATES: tuple[str, ...] = get_args(Gate)


class Route(NamedTuple):
    """Decision of a router for every frame."""

    weights: Tensor
    """float32 [..., experts]: what each expert's output is multiplied by; 0 for experts that do not count."""
    index: Tensor
    """int64 [...]: the most probable expert."""
    losses: dict[str, Tensor]
    """`balance` and `z`, unscaled scalars; see `balance_loss` and `z_loss`."""


class Router(nn.Module):
    """Decides per frame which experts count.

    Args:
        width: Values per frame.
        experts: How many experts there are to choose from.
        gate: How the decision enters the result, one of `GATES`.

    Raises:
        ValueError: If the gate is unknown.
    """

    def __init__(self, width: int, experts: int, gate: Gate = "top1_scaled") -> None:
        super().__init__()
        if gate not in GATES:
            raise ValueError(f"gate is {gate!r}; expected one of {', '.join(GATES)}")
        self.experts, self.gate = experts, gate
        self.linear = nn.Linear(width, experts)
        if gate == "random_fixed":
            self.linear.requires_grad_(False)

    def forward(self, x: Tensor, valid: Tensor | None = None) -> Route:
        """Route frames, float32 [..., width].

        The softmax is taken in float32 also under autocast: rounding of half precision would decide close races (the
        "selective precision" of the Switch paper).

        Args:
            x: Frames.
            valid: bool or float32 [...], which frames the losses count; all by default. Padding must not be balanced.
        """
        with torch.autocast(x.device.type, enabled=False):
            logits = F.linear(x.float(), self.linear.weight.float(), self.linear.bias.float())
            if self.gate == "random_fixed":
                logits = logits.detach()
            p = torch.softmax(logits, -1)
            index = p.argmax(-1)
            hard = F.one_hot(index, self.experts).to(p.dtype)
            if self.gate == "dense":
                weights = p
            elif self.gate == "top1_scaled":
                weights = p * hard
            elif self.gate == "straight_through" and self.training:
                weights = (hard - p).detach() + p
            else:
                weights = hard
            losses = {"balance": balance_loss(p, hard, valid), "z": z_loss(logits, valid)}
        return Route(weights, index, losses)


def balance_loss(probability: Tensor, hard: Tensor, valid: Tensor | None = None) -> Tensor:
    """Load-balancing loss N · Σ F_n · P_n, 1 when balanced and N when one expert takes all (Fedus et al. 2021, eq. 4).

    F_n is the share of frames that chose expert n and P_n its mean probability, which carries the gradient.

    Args:
        probability: float32 [..., experts].
        hard: float32 [..., experts], one-hot choice.
        valid: bool or float32 [...], frames that count; all by default.
    """
    experts = probability.shape[-1]
    return experts * (mean_over(hard, valid) * mean_over(probability, valid)).sum()


def z_loss(logits: Tensor, valid: Tensor | None = None) -> Tensor:
    """Mean square of the logits' log-sum-exp, which keeps them small (Zoph et al. 2022, arXiv:2202.08906, eq. 5)."""
    return mean_over(torch.logsumexp(logits, -1)[..., None] ** 2, valid).sum()


def mean_over(values: Tensor, valid: Tensor | None) -> Tensor:
    """Mean over all frames that count, float32 [..., channels] → [channels]."""
    rows = values.reshape(-1, values.shape[-1])
    if valid is None:
        return rows.mean(0)
    share = valid.reshape(-1, 1).to(rows.dtype)
    return (rows * share).sum(0) / share.sum().clamp_min(1)


class Expert(nn.Module):
    """One expert: two linear layers with a ReLU between."""

    def __init__(self, width: int, hidden: int, out: int) -> None:
        super().__init__()
        self.widen = nn.Linear(width, hidden)
        self.narrow = nn.Linear(hidden, out)

    def forward(self, x: Tensor) -> Tensor:
        """Transform frames, float32 [..., width] → [..., out]."""
        return self.narrow(F.relu(self.widen(x)))


class ExpertPool(nn.Module):
    """Experts that several tasks share.

    Args:
        width: Values per frame.
        hidden: Width of each expert's hidden layer.
        out: Values per transformed frame.
        experts: How many experts.
        sparse_training: Run only the chosen experts in training too. The gradients of `top1_scaled` and `random_fixed`
            stay the same at a fraction of the cost; `straight_through` needs all experts for its gradient.
    """

    def __init__(self, width: int, hidden: int, out: int, experts: int, sparse_training: bool = False) -> None:
        super().__init__()
        self.out, self.sparse_training = out, sparse_training
        self.experts = nn.ModuleList(Expert(width, hidden, out) for _ in range(experts))

    def forward(self, x: Tensor, weights: Tensor) -> Tensor:
        """Weighted sum of the experts' outputs.

        Args:
            x: float32 [..., width].
            weights: float32 [..., experts], of a router.

        Returns:
            float32 [..., out].
        """
        if self.training and not self.sparse_training:
            return self.every(x, weights)
        return self.chosen(x, weights)

    def every(self, x: Tensor, weights: Tensor) -> Tensor:
        """Run all experts on all frames, as `forward` does in training."""
        parts = [weights[..., n, None] * expert(x) for n, expert in enumerate(self.experts)]
        return torch.stack(parts).sum(0)

    def chosen(self, x: Tensor, weights: Tensor) -> Tensor:
        """Run each expert on the frames only where its weight is not 0, as `forward` does when evaluating.

        An expert that no frame chose still takes part with no rows, so that it has a (zero) gradient and replicas of a
        parallel run agree on what to exchange.
        """
        rows, shares = x.reshape(-1, x.shape[-1]), weights.reshape(-1, len(self.experts))
        total: Tensor = shares.new_zeros(len(rows), self.out)
        for n, expert in enumerate(self.experts):
            at = shares[:, n].nonzero()[:, 0]
            total = total.index_add(0, at, (shares[at, n, None] * expert(rows[at])).to(total.dtype))
        return total.reshape(*x.shape[:-1], self.out)
