"""Causal layers in two forms that compute the same: over a whole clip (training) and step by step (running).

Every layer has `forward(x)` for a clip from a fresh state, and `step(x, state) -> (y, next_state)` for one step of n
streams. Time is axis 1 of a clip, `float32 [batch, steps, channels]`; a step has no time axis, `float32 [n, channels]`.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

PRIOR_LEVEL_LOG = math.log(1e-5)
"""Level a stream is taken to have before anything was heard (mean mel power, natural log): a faint voice."""


def leaky_sum(x: Tensor, decay: Tensor) -> Tensor:
    """Sum with exponential forgetting, `y[t] = decay · y[t-1] + x[t]`, as one matrix product per decay.

    Args:
        x: float32 [batch, steps, groups, channels].
        decay: float32 [groups], one per group.
    """
    steps = torch.arange(x.shape[1], device=x.device)
    age = (steps[:, None] - steps[None, :]).to(torch.float32)
    kernel = torch.where(age >= 0, decay[:, None, None] ** age.clamp_min(0), torch.zeros(()))
    return torch.einsum("gts,bsgc->btgc", kernel, x)


class RunningLevel(nn.Module):
    """Takes a stream's own running level off its log-mel frames, so that gain and distance do not matter.

    The level is a leaky mean of the frames' log power, weighted by the frames' amplitude (the square root of power):
    loud frames, that is speech, decide it, silence hardly moves it, and a single slam cannot either. A few frames of a
    quiet prior keep the first silence from being blown up. Shifting the input by a constant shifts the level by the
    same once the prior has been outweighed.
    """

    def __init__(
        self, decay: float, prior_log: float, prior_frames: float, low: float, high: float, scale: float
    ) -> None:
        super().__init__()
        self.decay, self.low, self.high, self.scale = decay, low, high, scale
        self.prior_mass = prior_frames * math.exp(0.5 * prior_log)
        self.prior_sum = self.prior_mass * prior_log

    @staticmethod
    def _frame(logmel: Tensor) -> tuple[Tensor, Tensor]:
        power_log = torch.logsumexp(logmel, -1) - math.log(logmel.shape[-1])
        weight = torch.exp(0.5 * power_log)
        return (weight * power_log).mean(-1), weight.mean(-1)

    def forward(self, logmel: Tensor) -> Tensor:
        """Normalise log-mel steps, float32 [batch, steps, hops, mel_count]."""
        return self._scale(logmel, self.levels(logmel))

    def levels(self, logmel: Tensor) -> Tensor:
        """The running level after each step, float32 [batch, steps]."""
        total, mass = self._frame(logmel)
        both = torch.stack([total, mass], -1)
        prior = both.new_tensor([self.prior_sum, self.prior_mass]).expand(both.shape[0], 1, 2)
        summed = leaky_sum(torch.cat([prior, both], 1)[:, :, None], both.new_tensor([self.decay]))[:, 1:, 0]
        return summed[..., 0] / summed[..., 1]

    def step(self, logmel: Tensor, total: Tensor, mass: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Normalise one step, float32 [n, hops, mel_count]; states float32 [n, 1]."""
        new_total, new_mass = self._frame(logmel)
        total = self.decay * total + new_total[:, None]
        mass = self.decay * mass + new_mass[:, None]
        return self._scale(logmel, (total / mass)[:, 0]), total, mass

    def _scale(self, logmel: Tensor, level: Tensor) -> Tensor:
        return (logmel - level[..., None, None]).clamp(self.low, self.high) * self.scale


class LeakyDepthwise(nn.Module):
    """Depthwise causal convolution plus a learned share of a leaky mean of the past, both per channel.

    The taps see what just was; the leaky means, a quarter of the channels each with one time constant, give the block a
    memory of seconds for one state value per channel, which taps alone would pay for with a long line of old steps.
    """

    def __init__(self, width: int, kernel: int, dilation: int, time_constants_steps: Sequence[float]) -> None:
        super().__init__()
        self.kernel, self.dilation = kernel, dilation
        self.context = (kernel - 1) * dilation
        self.taps = nn.Parameter(torch.randn(kernel, width) / math.sqrt(kernel))
        self.bias = nn.Parameter(torch.zeros(width))
        self.memory_gain = nn.Parameter(0.1 * torch.ones(width))
        decays = torch.tensor([math.exp(-1.0 / t) for t in time_constants_steps])
        self.register_buffer("decays", decays, persistent=False)
        self.register_buffer("decay", decays.repeat_interleave(width // len(decays)), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """Filter a clip, float32 [batch, steps, width]."""
        # Written out tap by tap: on a CPU several times faster, backward above all, than a grouped convolution.
        taps = self.taps.to(x.dtype)
        padded = F.pad(x, (0, 0, self.context, 0))
        y = self.bias.to(x.dtype) + taps[0] * padded[:, : x.shape[1]]
        for k in range(1, self.kernel):
            y = torch.addcmul(y, padded[:, k * self.dilation : k * self.dilation + x.shape[1]], taps[k])
        groups = x.unflatten(2, (len(self.decays), -1))
        return y + self.memory_weight() * leaky_sum(groups, self.decays).flatten(2)

    def memory_weight(self) -> Tensor:
        """What a leaky sum is multiplied by: the gain, times what makes the sum a mean."""
        return self.memory_gain * (1 - self.decay)

    def step(self, x: Tensor, past: Tensor, memory: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Filter one step, float32 [n, width]; past float32 [n, context, width], memory float32 [n, width]."""
        line = torch.cat([past, x[:, None]], 1)
        memory = self.decay * memory + x
        y = (line[:, :: self.dilation] * self.taps).sum(1) + self.bias + self.memory_weight() * memory
        return y, line[:, 1:], memory


class ChannelDropout(nn.Module):
    """Drops channels for the whole clip at once, in training only."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        """Drop channels of float32 [batch, steps, channels]."""
        if not self.training or self.share == 0:
            return x
        keep = (torch.rand(x.shape[0], 1, x.shape[2]) >= self.share).to(x.dtype)
        return x * (keep / (1 - self.share))


class CausalBlock(nn.Module):
    """Residual block: depthwise in time, then two pointwise layers (after ConvNeXt, Liu et al. 2022)."""

    def __init__(
        self,
        width: int,
        expansion: int,
        kernel: int,
        dilation: int,
        time_constants_steps: Sequence[float],
        dropout: float,
    ) -> None:
        super().__init__()
        self.depthwise = LeakyDepthwise(width, kernel, dilation, time_constants_steps)
        self.norm = nn.LayerNorm(width)
        self.widen = nn.Linear(width, width * expansion)
        self.narrow = nn.Linear(width * expansion, width)
        self.dropout = ChannelDropout(dropout)
        with torch.no_grad():
            self.narrow.weight.mul_(0.5)

    def _mix(self, x: Tensor, y: Tensor) -> Tensor:
        return x + self.dropout(self.narrow(F.relu(self.widen(self.norm(y)))))

    def forward(self, x: Tensor) -> Tensor:
        """Transform a clip, float32 [batch, steps, width]."""
        return self._mix(x, self.depthwise(x))

    def step(self, x: Tensor, past: Tensor, memory: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Transform one step, float32 [n, width]."""
        y, past, memory = self.depthwise.step(x, past, memory)
        return self._mix(x, y), past, memory


class AttentivePool(nn.Module):
    """Attentive mean and deviation over all weighted steps so far, exact at every step through an online softmax.

    Attentive statistics pooling is of Okabe et al. (2018, arXiv:1803.10963); the running form keeps the largest score
    m, the mass Z = Σ w·exp(e-m) and the sums of x and x², and rescales them when m grows (Milakov and Gimelshein 2018,
    arXiv:1805.02867). Each head has its own scores and its own share of the channels.
    """

    def __init__(self, width: int, heads: int, hidden: int) -> None:
        super().__init__()
        self.heads = heads
        self.hidden = nn.Linear(width, hidden)
        self.score = nn.Linear(hidden, heads)

    def scores(self, x: Tensor) -> Tensor:
        """Scores of steps, float32 [..., heads]."""
        return self.score(torch.tanh(self.hidden(x)))

    def forward(self, x: Tensor, weight: Tensor, ends: Sequence[int] | None = None) -> Tensor:
        """Statistics of all steps up to and with each of `ends`.

        Args:
            x: float32 [batch, steps, width].
            weight: float32 [batch, steps].
            ends: Steps to stop at; every step by default.

        Returns:
            float32 [batch, ends, 2·width].
        """
        x = x.float()
        e = self.scores(x).float()
        p = weight[..., None] * torch.exp(e - e.amax(1, keepdim=True).detach())
        grouped = x.unflatten(2, (self.heads, -1))
        if ends is None:
            gained = p[..., None] * grouped
            return self._statistics(p.cumsum(1)[..., None], gained.cumsum(1), (gained * grouped).cumsum(1))
        until = torch.arange(x.shape[1]) <= torch.tensor(ends)[:, None]
        shares = until[None, :, :, None] * p[:, None]
        total = torch.einsum("beth,bthc->behc", shares, grouped)
        square = torch.einsum("beth,bthc->behc", shares, grouped * grouped)
        return self._statistics(shares.sum(2)[..., None], total, square)

    def step(
        self, x: Tensor, weight: Tensor, top: Tensor, mass: Tensor, total: Tensor, square: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Take in one step and return statistics and the next states.

        Args:
            x: float32 [n, width].
            weight: float32 [n, 1].
            top: float32 [n, heads, 1], largest score so far.
            mass: float32 [n, heads, 1], mass so far.
            total: float32 [n, heads, width / heads], sum of x so far.
            square: float32 [n, heads, width / heads], sum of x² so far.
        """
        e = self.scores(x)[:, :, None]
        new_top = torch.maximum(top, e)
        keep = torch.exp(top - new_top)
        p = weight[:, :, None] * torch.exp(e - new_top)
        grouped = x.unflatten(1, (self.heads, -1))
        gained = p * grouped
        mass = mass * keep + p
        total = total * keep + gained
        square = square * keep + gained * grouped
        return self._statistics(mass, total, square), new_top, mass, total, square

    @staticmethod
    def _statistics(mass: Tensor, total: Tensor, square: Tensor) -> Tensor:
        inverse = 1.0 / mass.clamp_min(1e-20)
        mean = total * inverse
        deviation = (square * inverse - mean * mean).clamp_min(1e-5).sqrt()
        return torch.cat([mean.flatten(-2), deviation.flatten(-2)], -1)
