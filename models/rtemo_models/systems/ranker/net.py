"""The ranker: words of the listener in, scores of arousal, valence and intensity with their spread out, step by step.

Scores are ordinal: they are trained to stand in the right order (`train/losses.py`), and then standardised, so
that 1 is one standard deviation of the training clips.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from rtemo_models.kit.run_folder import load_net

ATTRIBUTES = ("arousal", "valence", "intensity")
"""What is ranked, in the order of the outputs."""

POOLED = ("pool_max", "pool_mass", "pool_sum", "pool_square")


@dataclass(frozen=True, slots=True)
class RankerConfig:
    """Sizes of the network."""

    width: int = 192
    embedding: int = 192
    """Values that words are mapped to and that are pooled before the words themselves; 0 for none."""
    heads: int = 8
    attention: int = 64
    """Hidden values of the attention; 0 for none: all speech counts alike but for its age."""
    hidden: int = 128
    dropout: float = 0.3
    memory_steps: float = 125.0
    """Steps of speech after which a step counts 1/e in the pooling: 5 s."""

    @property
    def pooled(self) -> int:
        """Values of a step that are pooled."""
        return self.embedding + self.width


class FadingPool(nn.Module):
    """Attentive mean and deviation over the speech of the last seconds, exact at every step.

    As `streaming.AttentivePool`, but speech fades with speech, not with time: a step counts exp(-s / memory) once s
    steps of speech have followed, however long the silences between. With S the speech so far, that is a softmax over
    scores plus S / memory, so the running form only lets its largest score sink by what is added to S.
    """

    def __init__(self, width: int, heads: int, hidden: int, memory_steps: float) -> None:
        super().__init__()
        self.heads, self.memory_steps = heads, memory_steps
        self.hidden = nn.Linear(width, hidden) if hidden else None
        self.score = nn.Linear(hidden, heads) if hidden else None

    def scores(self, x: Tensor) -> Tensor:
        """Scores of steps, float32 [..., heads]."""
        if self.hidden is None or self.score is None:
            return x.new_zeros(*x.shape[:-1], self.heads)
        return self.score(torch.tanh(self.hidden(x)))

    def forward(self, x: Tensor, weight: Tensor, ends: Tensor) -> tuple[Tensor, Tensor]:
        """Statistics of clips up to and with each of their own `ends`, and how much speech they are of.

        Args:
            x: float32 [batch, steps, width].
            weight: float32 [batch, steps], share of each step that is speech.
            ends: int64 [batch, ends], steps to stop at.

        Returns:
            Statistics float32 [batch, ends, 2 · width], faded steps of speech float32 [batch, ends].
        """
        said = weight.cumsum(1) / self.memory_steps
        e = self.scores(x) + said[..., None]
        until = torch.arange(x.shape[1]) <= ends[..., None]
        age = (said.gather(1, ends)[..., None] - said[:, None]).clamp_min(0)
        speech = (until * weight[:, None] * torch.exp(-age)).sum(2)
        hidden = e[:, None].masked_fill(~until[..., None], -torch.inf)
        shares = weight[:, None, :, None] * torch.exp(hidden - hidden.amax(2, keepdim=True).detach())
        grouped = x.unflatten(2, (self.heads, -1))
        total = torch.einsum("beth,bthc->behc", shares, grouped)
        square = torch.einsum("beth,bthc->behc", shares, grouped.square())
        return self._statistics(shares.sum(2)[..., None], total, square), speech

    def step(
        self, x: Tensor, weight: Tensor, top: Tensor, mass: Tensor, total: Tensor, square: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Take in one step and return statistics and the next states.

        Args:
            x: float32 [n, width].
            weight: float32 [n, 1].
            top: float32 [n, heads, 1], largest score so far, sunk by the speech since.
            mass: float32 [n, heads, 1].
            total: float32 [n, heads, width / heads].
            square: float32 [n, heads, width / heads].
        """
        e = self.scores(x)[:, :, None]
        sunk = top - weight[:, :, None] / self.memory_steps
        new_top = torch.maximum(sunk, e)
        keep = torch.exp(sunk - new_top)
        p = weight[:, :, None] * torch.exp(e - new_top)
        grouped = x.unflatten(1, (self.heads, -1))
        gained = p * grouped
        mass, total, square = mass * keep + p, total * keep + gained, square * keep + gained * grouped
        return self._statistics(mass, total, square), new_top, mass, total, square

    @staticmethod
    def _statistics(mass: Tensor, total: Tensor, square: Tensor) -> Tensor:
        inverse = 1.0 / mass.clamp_min(1e-20)
        mean = total * inverse
        deviation = (square * inverse - mean * mean).clamp_min(1e-5).sqrt()
        return torch.cat([mean.flatten(-2), deviation.flatten(-2)], -1)


class Ranker(nn.Module):
    """Pooling, a hidden layer and the scores.

    Attributes:
        shift: float32 [2 · pooled], mean of the statistics in training, taken off.
        scale: float32 [2 · pooled], one over their deviation.
        offset: float32 [3], mean of the scores of training clips, taken off.
        slope: float32 [3], one over their deviation.
        error: float32 [3, 2], variance of a standardised score with much speech, and what one step of speech adds.
        anchors: float32 [3, 101], percent points of the standardised scores of training clips.
    """

    def __init__(self, config: RankerConfig = RankerConfig()) -> None:
        super().__init__()
        self.config = c = config
        count = len(ATTRIBUTES)
        self.embed = nn.Linear(c.width, c.embedding) if c.embedding else None
        self.pool = FadingPool(c.pooled, c.heads, c.attention, c.memory_steps)
        self.hidden = nn.Linear(2 * c.pooled, c.hidden)
        self.out = nn.Linear(c.hidden, count)
        self.dropout = nn.Dropout(c.dropout)
        self.register_buffer("shift", torch.zeros(2 * c.pooled))
        self.register_buffer("scale", torch.ones(2 * c.pooled))
        self.register_buffer("offset", torch.zeros(count))
        self.register_buffer("slope", torch.ones(count))
        self.register_buffer("error", torch.tensor([[1.0, 0.0]] * count))
        self.register_buffer("anchors", torch.linspace(-2.5, 2.5, 101).repeat(count, 1))

    @torch.no_grad()
    def start_as(self, listener: Mapping[str, Tensor]) -> None:
        """Take the embedding and the attention of a listener's emotion head; words are pooled evenly at first.

        Args:
            listener: Its weights by name; read are those of `embed`, `pool.hidden` and `pool.score`.

        Raises:
            ValueError: If sizes differ.
        """
        c = self.config
        if self.embed is None or self.pool.hidden is None or self.pool.score is None:
            raise ValueError("only a network with embedding and attention can start as a listener")
        (embedding, width), (heads, attention) = listener["embed.weight"].shape, listener["pool.score.weight"].shape
        if (c.width, c.embedding, c.attention, c.heads) != (width, embedding, attention, 2 * heads):
            its = f"width {width}, embedding {embedding}, attention {attention}, heads {heads}"
            raise ValueError(f"the listener has other sizes ({its}) than the ranker ({c})")
        self.embed.load_state_dict({name: listener[f"embed.{name}"] for name in ("weight", "bias")})
        for mine, name in ((self.pool.hidden, "pool.hidden"), (self.pool.score, "pool.score")):
            theirs = listener[f"{name}.weight"]
            rows, columns = theirs.shape
            mine.weight.zero_()
            mine.bias.zero_()
            mine.weight[:rows, :columns] = theirs
            mine.bias[:rows] = listener[f"{name}.bias"]

    def forward(self, words: Tensor, weight: Tensor, ends: Tensor) -> tuple[Tensor, Tensor]:
        """Scores and spread of clips up to and with each of their own `ends`.

        Before the first whole step of speech the scores stand between 0, an average voice, and what was heard.

        Args:
            words: float32 [batch, steps, width].
            weight: float32 [batch, steps], share of each step that is speech.
            ends: int64 [batch, ends].

        Returns:
            Twice float32 [batch, ends, 3].
        """
        statistics, speech = self.pool(self.embedded(words), weight, ends)
        return self.scores(statistics) * speech.clamp_max(1.0)[..., None], self.spread(speech)

    def embedded(self, words: Tensor) -> Tensor:
        """What is pooled, float32 [..., pooled], of words [..., width]."""
        return words if self.embed is None else torch.cat([F.relu(self.embed(words)), words], -1)

    def scores(self, statistics: Tensor) -> Tensor:
        """Standardised scores [..., 3] of pooled statistics."""
        x = self.dropout(((statistics - self.shift) * self.scale).clamp(-5, 5))
        return (self.out(self.dropout(F.relu(self.hidden(x)))) - self.offset) * self.slope

    def spread(self, speech: Tensor) -> Tensor:
        """Standard deviation [..., 3] of the scores' error after faded steps of speech [...]."""
        return (self.error[:, 0] + self.error[:, 1] / speech.clamp_min(1.0)[..., None]).sqrt()

    def state_shapes(self) -> dict[str, tuple[int, ...]]:
        """Name → shape of one row of each state, in the order of the exported graph."""
        c = self.config
        each = (c.heads, c.pooled // c.heads)
        return {
            "pool_max": (c.heads, 1),
            "pool_mass": (c.heads, 1),
            "pool_sum": each,
            "pool_square": each,
            "pool_speech": (1,),
        }

    def state_fills(self) -> dict[str, float]:
        """Name → what a fresh state holds where that is not zero."""
        return {"pool_max": -1e30}

    def new_state(self, n: int) -> dict[str, Tensor]:
        """Fresh states of n streams."""
        fills = self.state_fills()
        return {name: torch.full((n, *shape), fills.get(name, 0.0)) for name, shape in self.state_shapes().items()}

    def step(self, words: Tensor, weight: Tensor, state: dict[str, Tensor]) -> tuple[Tensor, Tensor, dict[str, Tensor]]:
        """Scores and spread after one step of n streams, words float32 [n, width], weight float32 [n]."""
        share = weight[:, None]
        statistics, *pooled = self.pool.step(self.embedded(words), share, *(state[name] for name in POOLED))
        speech = state["pool_speech"] * torch.exp(-share / self.config.memory_steps) + share
        after = dict(zip(POOLED, pooled, strict=True)) | {"pool_speech": speech}
        return self.scores(statistics) * speech.clamp_max(1.0), self.spread(speech[:, 0]), after


def load_ranker(path: Any) -> Ranker:
    """Load a ranker, ready to run."""
    return load_net(path, lambda config: Ranker(RankerConfig(**config)))
