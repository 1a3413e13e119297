"""Estimators of mutual information, in nats: from samples of pairs, by a network that is fitted to some of them.

Forms as in the code that Cheng et al. published with CLUB ("CLUB: a contrastive log-ratio upper bound of mutual
information", ICML 2020). Lower bounds: MINE (Belghazi et al. 2018, Donsker and Varadhan's form), NWJ (Nguyen,
Wainwright and Jordan 2010), InfoNCE (van den Oord et al. 2018, at most the logarithm of the batch), and the variational
one of Barber and Agakov (2003). CLUB is an upper bound, and a loose one: of Gaussians whose values pair by pair
correlate by r it gives r²/(1 - r²) for each, where the truth is -log(1 - r²)/2.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor, nn

ESTIMATORS = ("MINE", "NWJ", "InfoNCE", "variational", "CLUB")
_BATCH = 256
_MEMORY = 0.05
"""Weight of the newest batch in MINE's running mean, which takes the bias of a batch from its gradient."""


def layers(inputs: int, hidden: int, outputs: int) -> nn.Sequential:
    """Two hidden layers."""
    return nn.Sequential(
        nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(), nn.Linear(hidden, outputs)
    )


class Critic(nn.Module):
    """How well two things fit each other: the product of where either lies in a common space.

    Args:
        width: Values of the one.
        other_width: Values of the other.
        hidden: Units.
        space: Axes of the space.
    """

    def __init__(self, width: int, other_width: int, hidden: int = 128, space: int = 32) -> None:
        super().__init__()
        self.one, self.other = layers(width, hidden, space), layers(other_width, hidden, space)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Scores of every x with every y, [n, m]."""
        return self.one(x) @ self.other(y).T / math.sqrt(self.one[-1].out_features)


class Joint(nn.Module):
    """A score of pairs by both together; of every x with every y it would be dear."""

    def __init__(self, width: int, other_width: int, hidden: int = 128) -> None:
        super().__init__()
        self.body = layers(width + other_width, hidden, 1)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Scores of pairs, [n]."""
        return self.body(torch.cat([x, y], 1)).squeeze(1)


class Gaussian(nn.Module):
    """q(y|x): a normal law whose mean and spread a network gives; the log of its variance stays within ± `most`."""

    def __init__(self, width: int, other_width: int, hidden: int = 128, most: float = 5.0) -> None:
        super().__init__()
        self.mean, self.spread, self.most = layers(width, hidden, other_width), layers(width, hidden, other_width), most

    def log_of(self, x: Tensor, y: Tensor) -> Tensor:
        """Log q(y|x) of pairs, [n]."""
        log_variance = self.most * (self.spread(x) / self.most).tanh()
        return normal_log(y, self.mean(x), log_variance)

    def log_of_all(self, x: Tensor, y: Tensor) -> Tensor:
        """Log q(y|x) of every x with every y, [n, m]."""
        log_variance = self.most * (self.spread(x) / self.most).tanh()
        return normal_log(y[None], self.mean(x)[:, None], log_variance[:, None])


def normal_log(y: Tensor, mean: Tensor, log_variance: Tensor) -> Tensor:
    """Log density of independent normal values, summed over the last axis."""
    return -0.5 * ((y - mean).square() / log_variance.exp() + log_variance + math.log(2 * math.pi)).sum(-1)


def info_nce(scores: Tensor) -> Tensor:
    """Bound from scores [n, n] whose diagonal are the pairs; at most log n."""
    return (scores.diagonal() - scores.logsumexp(1)).mean() + math.log(len(scores))


def pointwise(scores: Tensor) -> Tensor:
    """Of every pair how much better it fits than what else there is, [n]; their mean is `info_nce`."""
    return scores.diagonal() - scores.logsumexp(1) + math.log(len(scores))


def measure(kind: str, x: Tensor, y: Tensor, steps: int = 600, seed: int = 0) -> float:
    """Estimate the mutual information of pairs; fitted to one half of them, read off the other.

    Args:
        kind: One of `ESTIMATORS`.
        x: float32 [n, k].
        y: float32 [n, m].
        steps: Of fitting.
        seed: Of everything that is drawn.

    Returns:
        Nats.
    """
    torch.manual_seed(seed)
    net, loss, read = _MADE[kind](x.shape[1], y.shape[1])
    half = len(x) // 2
    optimiser = torch.optim.Adam(net.parameters(), 2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 2e-3, total_steps=steps)
    for _ in range(steps):
        rows = torch.randint(half, (_BATCH,))
        optimiser.zero_grad()
        loss(x[rows], y[rows]).backward()
        optimiser.step()
        schedule.step()
    with torch.no_grad():
        return float(read(x[half:], y[half:]))


Made = tuple[nn.Module, Callable[[Tensor, Tensor], Tensor], Callable[[Tensor, Tensor], Tensor]]
"""A network, what is to be made small, and the estimate."""


def _mine(k: int, m: int) -> Made:
    net = Joint(k, m)
    past: list[Tensor] = []

    def loss(x: Tensor, y: Tensor) -> Tensor:
        odds = net(x, shuffled(y)).exp().mean()
        past[:] = [(1 - _MEMORY) * past[0] + _MEMORY * odds.detach() if past else odds.detach()]
        return odds / past[0] - net(x, y).mean()

    def read(x: Tensor, y: Tensor) -> Tensor:
        other = net(x, shuffled(y))
        return net(x, y).mean() - (other.logsumexp(0) - math.log(len(x)))

    return net, loss, read


def _nwj(k: int, m: int) -> Made:
    net = Joint(k, m)

    def read(x: Tensor, y: Tensor) -> Tensor:
        return net(x, y).mean() - (net(x, shuffled(y)) - 1).exp().mean()

    return net, lambda x, y: -read(x, y), read


def _info_nce(k: int, m: int) -> Made:
    net = Critic(k, m)

    def read(x: Tensor, y: Tensor) -> Tensor:
        parts = zip(x.split(_BATCH), y.split(_BATCH), strict=True)
        return torch.stack([info_nce(net(a, b)) for a, b in parts if len(a) == _BATCH]).mean()

    return net, lambda x, y: -info_nce(net(x, y)), read


def _variational(k: int, m: int) -> Made:
    """The entropy of y is that of a normal law with its mean and covariance: exact for normal y, else too large."""
    net = Gaussian(k, m)

    def read(x: Tensor, y: Tensor) -> Tensor:
        _, logdet = torch.linalg.slogdet(y.T.cov().reshape(m, m))
        entropy = 0.5 * (logdet + m * (1 + math.log(2 * math.pi)))
        return net.log_of(x, y).mean() + entropy

    return net, lambda x, y: -net.log_of(x, y).mean(), read


def _club(k: int, m: int) -> Made:
    net = Gaussian(k, m)

    def read(x: Tensor, y: Tensor) -> Tensor:
        parts = list(zip(x.split(_BATCH), y.split(_BATCH), strict=True))
        return torch.stack([net.log_of(a, b).mean() - net.log_of_all(a, b).mean() for a, b in parts]).mean()

    return net, lambda x, y: -net.log_of(x, y).mean(), read


def shuffled(y: Tensor) -> Tensor:
    """The same rows in an order by chance, so that none is with its own."""
    return y.roll(int(torch.randint(1, len(y), ())), 0)


_MADE = dict(zip(ESTIMATORS, (_mine, _nwj, _info_nce, _variational, _club), strict=True))
