"""Stage 2: features made from a code, words and noise, under mutual information (InfoGAN; Chen et al. 2016).

The generator is told an emotion, a corpus, the words where there are some, and noise. A discriminator with projection
(Miyato and Koyama 2018) tells made from real; its trunk also guesses the emotion and the words from what was made, and
what it guesses right is a lower bound of their mutual information with it, which the generator raises. With the weight
0 of that bound it is a plain conditional network. In pair mode words are made too, and told from real ones with it.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from rtemo.api import EMOTIONS
from rtemo_models.systems.mi_augment.mi import Critic, info_nce, normal_log, pointwise
from rtemo_models.systems.mi_augment.settings import Generate


class Features(NamedTuple):
    """Real features of clips that are trained on.

    Attributes:
        h: [n, k].
        t: [n, k], zeros where there are no words.
        has_text: bool [n].
        label: int64 [n].
        corpus: int64 [n].
        weights: By what they are drawn, float64 [n].
        corpora: How many there are.
    """

    h: Tensor
    t: Tensor
    has_text: Tensor
    label: Tensor
    corpus: Tensor
    weights: Tensor
    corpora: int

    def draw(self, count: int) -> Tensor:
        """Rows by their weights."""
        return torch.multinomial(self.weights, count, replacement=True)


class Generator(nn.Module):
    """Noise, code, corpus and words → a feature, and in pair mode words with it."""

    def __init__(self, width: int, corpora: int, settings: Generate, is_pair: bool) -> None:
        super().__init__()
        self.noise, self.width, self.is_pair = settings.noise, width, is_pair
        self.code, self.corpus = nn.Embedding(len(EMOTIONS), 32), nn.Embedding(corpora, 16)
        self.no_words = nn.Parameter(torch.zeros(width))
        inputs, hidden = settings.noise + 48 + width, settings.hidden
        parts: list[nn.Module] = []
        for size in (inputs, hidden, hidden):
            parts += [nn.Linear(size, hidden), nn.LeakyReLU(0.2), nn.LayerNorm(hidden)]
        self.body = nn.Sequential(*parts, nn.Linear(hidden, width * (2 if is_pair else 1)))

    def forward(self, code: Tensor, corpus: Tensor, words: Tensor, has_words: Tensor) -> tuple[Tensor, Tensor | None]:
        """A feature [n, k] for each code, and words [n, k] in pair mode."""
        t = torch.where(has_words[:, None], words, self.no_words)
        z = torch.randn(len(code), self.noise)
        made = self.body(torch.cat([z, self.code(code), self.corpus(corpus), t], 1))
        return (made[:, : self.width], made[:, self.width :]) if self.is_pair else (made, None)


class Discriminator(nn.Module):
    """Real or made; and from what it sees of a feature, its emotion and its words."""

    def __init__(self, width: int, corpora: int, settings: Generate, is_pair: bool) -> None:
        super().__init__()
        hidden = settings.hidden
        spectral = nn.utils.parametrizations.spectral_norm
        self.trunk = nn.Sequential(
            spectral(nn.Linear(width * (2 if is_pair else 1), hidden)),
            nn.LeakyReLU(0.2),
            spectral(nn.Linear(hidden, hidden)),
            nn.LeakyReLU(0.2),
        )
        self.real = nn.Linear(hidden, 1)
        self.code, self.corpus = nn.Embedding(len(EMOTIONS), hidden), nn.Embedding(corpora, hidden)
        self.emotion, self.words = nn.Linear(hidden, len(EMOTIONS)), nn.Linear(hidden, 2 * width)

    def forward(self, h: Tensor, code: Tensor, corpus: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Score of being real [n], logits of the emotion [n, 8], mean and log variance of the words [n, 2k]."""
        seen = self.trunk(h)
        score = self.real(seen).squeeze(1) + (seen * (self.code(code) + self.corpus(corpus))).sum(1)
        return score, self.emotion(seen), self.words(seen)


def bound(emotion: Tensor, words: Tensor, code: Tensor, t: Tensor, has_words: Tensor) -> Tensor:
    """What the bound is made of: log q(code | made) and log q(words | made) for each value; the entropies are fixed."""
    about_code = -nn.functional.cross_entropy(emotion, code)
    if not has_words.any():
        return about_code
    mean, spread = words[has_words].chunk(2, 1)
    return about_code + normal_log(t[has_words], mean, 4.0 * (spread / 4.0).tanh()).mean() / t.shape[1]


def train_generator(
    real: Features, settings: Generate, seed: int, information: float, uses_words: bool, is_pair: bool = False
) -> Generator:
    """Train a generator on real features.

    Args:
        real: What it imitates.
        settings: Of the stage.
        seed: Of everything that is drawn.
        information: Weight of the bound.
        uses_words: Whether it is told words at all.
        is_pair: Whether it makes words, too; only clips with words are trained on then.
    """
    torch.manual_seed(seed)
    width = real.h.shape[1]
    generator = Generator(width, real.corpora, settings, is_pair)
    judge = Discriminator(width, real.corpora, settings, is_pair)
    steps = [
        torch.optim.Adam(net.parameters(), settings.rate, betas=(0.5, 0.9), fused=True) for net in (generator, judge)
    ]
    for _ in range(settings.steps):
        rows = real.draw(settings.batch)
        code, corpus, t = real.label[rows], real.corpus[rows], real.t[rows]
        has_words = real.has_text[rows] & uses_words & (torch.rand(len(rows)) >= settings.words_dropped)

        def make(given: Tensor = has_words, c: Tensor = code, k: Tensor = corpus, w: Tensor = t) -> Tensor:
            h, words = generator(c, k, w, given)
            return h if words is None else torch.cat([h, words], 1)

        seen = torch.cat([real.h[rows], t], 1) if is_pair else real.h[rows]
        score, _, _ = judge(seen, code, corpus)
        fake, emotion, words = judge(make().detach(), code, corpus)
        loss = (1 - score).relu().mean() + (1 + fake).relu().mean() - bound(emotion, words, code, t, has_words)
        _step(steps[1], loss)
        fake, emotion, words = judge(make(), code, corpus)
        loss = -fake.mean() - information * bound(emotion, words, code, t, has_words)
        _step(steps[0], loss)
    return generator.eval()


def _step(optimiser: torch.optim.Optimizer, loss: Tensor) -> None:
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()


class Made(NamedTuple):
    """What a generator made, [n, ...], with what it was told."""

    h: Tensor
    t: Tensor | None
    label: Tensor
    corpus: Tensor
    words: Tensor
    has_words: Tensor


def make(generator: Generator, real: Features, count: int, uses_words: bool) -> Made:
    """Make features for codes, corpora and words as they are drawn from the real ones."""
    rows = real.draw(count)
    has_words = real.has_text[rows] & uses_words
    with torch.no_grad():
        h, t = generator(real.label[rows], real.corpus[rows], real.t[rows], has_words)
    return Made(h, t, real.label[rows], real.corpus[rows], real.t[rows], has_words)


def told(label: Tensor, words: Tensor, has_words: Tensor) -> Tensor:
    """What a feature is to depend on, as one vector: the emotion, one of eight, and the words, zeros where none."""
    code = nn.functional.one_hot(label, len(EMOTIONS)).float()
    return torch.cat([code, words * has_words[:, None]], 1)


def train_critic(held: Features, steps: int, batch: int, seed: int) -> Critic:
    """A critic of how well a feature fits its emotion and words, fitted to real pairs that no generator saw."""
    torch.manual_seed(seed)
    given = told(held.label, held.t, held.has_text)
    critic = Critic(given.shape[1], held.h.shape[1])
    optimiser = torch.optim.Adam(critic.parameters(), 1e-3, weight_decay=1e-3)
    for _ in range(steps):
        rows = held.draw(batch)
        _step(optimiser, -info_nce(critic(given[rows], held.h[rows])))
    return critic.eval()


def fits(critic: Critic, given: Tensor, h: Tensor, batch: int = 256) -> Tensor:
    """Pointwise mutual information of every feature with what it is to depend on, [n], in nats."""
    with torch.no_grad():
        parts = zip(given.split(batch), h.split(batch), strict=True)
        return torch.cat([pointwise(critic(a, b).T) for a, b in parts])


def gated(made: Made, fit: Tensor, least: float) -> Made:
    """Those whose fit is above what half of the real ones have; all, if hardly any is."""
    good = fit >= least
    if int(good.sum()) < 8:
        return made
    return Made(*(None if part is None else part[good] for part in made))  # type: ignore[arg-type]
