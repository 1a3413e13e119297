"""Trains the heads on cached blocks: windows of random length, of streams of random past."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rtemo.api import EMOTIONS
from rtemo_models.kit.corpora.clip import NEUTRAL_CORPORA, Clip
from rtemo_models.systems.merit_large.data import NEUTRAL, WINDOW_SAMPLES, accepted
from rtemo_models.systems.merit_large.features import BLOCK_FRAMES, BLOCK_SAMPLES, WIDTH, BlockCache
from rtemo_models.systems.merit_large.heads import Heads, pool

SESSION_CLIPS = 20
"""Clips of one speaker that share device, room and line: what a stream's past is drawn from."""
MOST_BLOCKS = WINDOW_SAMPLES // BLOCK_SAMPLES
CLOSED = -1e4
"""Added to the logits of classes that a corpus does not know."""


@dataclass(frozen=True, slots=True)
class Settings:
    """What a run may vary; the defaults are those of `recipe.toml`."""

    layers: tuple[int, ...] = (2, 3)
    """Counted from 1."""
    hidden: int = 256
    dropout: float = 0.3
    adapts: bool = False
    """Whether the mean of the stream is taken off; see `Heads`."""
    smoothing: float = 0.1
    mixup: float = 0.4
    attributes: float = 1.0
    """Weight of arousal and valence in the loss."""
    batch: int = 256
    steps: int = 1500
    rate: float = 2e-3
    decay: float = 0.02
    alone: float = 0.35
    """Share of windows whose stream has no past."""
    same_mood: float = 0.4
    """Share of pasts that are all of the mood of the window."""
    clean: float = 0.4
    """Share of windows from undegraded clips."""


class Table:
    """Clips of several copies as tensors.

    Args:
        clips: The clip of every chunk.
        copies: Block caches with the place of every chunk in them, -1 for none; the undegraded one first.
        layers: Which layers to take, counted from 1.
    """

    def __init__(self, clips: list[Clip], copies: list[tuple[BlockCache, list[int]]], layers: tuple[int, ...]) -> None:
        self.clips = clips
        self.copies = len(copies)
        chosen = [layer - 1 for layer in layers]
        means, deviations, begins, counts = [], [], [], []
        at = 0
        is_there: list[bool] = []
        nothing = np.zeros((1, len(layers), 2, WIDTH), np.float16)
        for copy, places in copies:
            for i in places:
                blocks = copy.of(i)[:, chosen] if i >= 0 else nothing
                is_there.append(i >= 0)
                means.append(blocks[:, :, 0].reshape(len(blocks), -1))
                deviations.append(blocks[:, :, 1].reshape(len(blocks), -1))
                begins.append(at)
                counts.append(len(blocks))
                at += len(blocks)
        self.mean = torch.from_numpy(np.concatenate(means))
        self.deviation = torch.from_numpy(np.concatenate(deviations))
        self.begin = np.array(begins)
        self.count = np.array(counts)
        self.is_there = np.array(is_there)
        n = len(clips)
        known = {
            c.corpus: sorted({o.label for o in self.clips if o.corpus == c.corpus and o.label >= 0}) for c in self.clips
        }
        self.known = known
        self.right = np.stack([accepted(c, NEUTRAL in known[c.corpus]) for c in self.clips])
        self.mask = np.full((n, len(EMOTIONS)), CLOSED, np.float32)
        for i, clip in enumerate(self.clips):
            classes = list(known[clip.corpus]) if known[clip.corpus] else list(range(len(EMOTIONS)))
            self.mask[i, classes] = 0
            self.mask[i, self.right[i] > 0] = 0
        self.attributes = np.array([(c.valence_arousal[1], c.valence_arousal[0]) for c in self.clips], np.float32)
        self.label = np.array([c.label for c in self.clips])
        self.corpus = np.array([c.corpus for c in self.clips])
        self.session = sessions(self.clips)
        self.clip_mean = torch.zeros(n * self.copies, self.mean.shape[1])
        for k in range(n * self.copies):
            self.clip_mean[k] = self.mean[self.begin[k] : self.begin[k] + self.count[k]].float().mean(0)

    def windows(self, items: NDArray[np.int64], first: NDArray[np.int64], length: NDArray[np.int64]) -> Tensor:
        """Pooled values of so many blocks from `first` of every item (copy · clips + clip), float32 [n, 2·k]."""
        most = int(length.max())
        steps = np.arange(most)
        index = (self.begin[items] + first)[:, None] + np.minimum(steps[None], length[:, None] - 1)
        weight = torch.from_numpy((steps[None] < length[:, None]).astype(np.float32))
        flat = torch.from_numpy(index.reshape(-1))
        shape = (*index.shape, self.mean.shape[1])
        return pool(self.mean[flat].reshape(shape).float(), self.deviation[flat].reshape(shape).float(), weight)

    def weights(self, clean: float) -> NDArray[np.float64]:
        """How often to draw every item: classes of a corpus alike, corpora by the root of their size."""
        n = len(self.clips)
        keys = [f"{c.corpus}/{c.label}/{c.level if c.label < 0 else ''}" for c in self.clips]
        _, inverse, counts = np.unique(keys, return_inverse=True, return_counts=True)
        share = np.zeros(n)
        for corpus in set(self.corpus):
            of = self.corpus == corpus
            size = np.sqrt(of.sum()) * (0.2 if corpus in NEUTRAL_CORPORA else 1.0)
            share[of] = size / counts[inverse[of]] / len(set(inverse[of]))
        share /= share.sum()
        if self.copies == 1:
            return share
        rest = (1 - clean) / (self.copies - 1)
        return np.concatenate([share * clean] + [share * rest] * (self.copies - 1)) * self.is_there


def sessions(clips: list[Clip]) -> NDArray[np.int64]:
    """A number for every clip, the same for up to `SESSION_CLIPS` clips of one speaker, drawn so that moods mix."""
    of: dict[str, list[int]] = {}
    for i, clip in enumerate(clips):
        of.setdefault(f"{clip.corpus}/{clip.speaker}", []).append(i)
    number = np.zeros(len(clips), np.int64)
    at = 0
    for speaker, rows in sorted(of.items()):
        random = np.random.default_rng([17, *speaker.encode()])
        order = random.permutation(rows)
        parts = max(1, round(len(order) / SESSION_CLIPS))
        for part in np.array_split(order, parts):
            number[part] = at
            at += 1
    return number


def train(table: Table, rows: NDArray[np.int64], settings: Settings, seed: int) -> Heads:
    """Train heads on some clips of a table."""
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    n = len(table.clips)
    is_taken = np.zeros(n, bool)
    is_taken[rows] = True
    share = table.weights(settings.clean) * np.tile(is_taken, table.copies)
    share /= share.sum()
    cumulative = np.cumsum(share)
    heads = Heads(2 * table.mean.shape[1], settings.hidden, settings.dropout, settings.adapts)
    fit_scale(heads, table, share, random)
    past = _Past(table, rows, settings, random)
    weights = [p for name, p in heads.named_parameters() if name not in ("taken", "slow_s")]
    optimiser = torch.optim.AdamW(
        [
            {"params": weights, "weight_decay": settings.decay},
            {"params": [heads.taken, heads.slow_s], "weight_decay": 0.0},
        ],
        settings.rate,
    )
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, settings.rate, total_steps=settings.steps, pct_start=0.1)
    right, mask = torch.from_numpy(table.right), torch.from_numpy(table.mask)
    wanted = torch.from_numpy(table.attributes)
    heads.train()
    for _ in range(settings.steps):
        items = np.minimum(np.searchsorted(cumulative, random.random(settings.batch)), len(cumulative) - 1)
        first, length = crop(table.count[items], random)
        values = table.windows(items, first, length)
        voice_mean = voice_mass = None
        if settings.adapts:
            voice_mean, voice_mass = past.draw(items, values[:, : table.mean.shape[1]], length)
        x = heads.standardised(values, voice_mean, voice_mass)
        clips = items % n
        loss = _loss(heads, x, right[clips], mask[clips], wanted[clips], settings, random)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(heads.parameters(), 5.0)
        optimiser.step()
        schedule.step()
    return heads.eval()


def crop(count: NDArray[np.int64], random: np.random.Generator) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First block and number of blocks of random windows: 1 to 3 s, half of them from the beginning, a third whole."""
    length = np.minimum(random.integers(2, MOST_BLOCKS + 1, len(count)), count)
    length = np.where(random.random(len(count)) < 0.33, np.minimum(count, MOST_BLOCKS), length)
    first = (random.random(len(count)) * (count - length + 1)).astype(np.int64)
    return np.where(random.random(len(count)) < 0.5, 0, first), length


def fit_scale(heads: Heads, table: Table, share: NDArray[np.float64], random: np.random.Generator) -> None:
    """Mean and deviation of whole clips as they are drawn."""
    items = random.choice(len(share), 4096, p=share)
    values = table.windows(items, np.zeros(len(items), np.int64), np.minimum(table.count[items], MOST_BLOCKS))
    heads.mean.copy_(values.mean(0))
    heads.scale.copy_(values.std(0).clamp_min(1e-4))


def _loss(
    heads: Heads,
    x: Tensor,
    right: Tensor,
    mask: Tensor,
    wanted: Tensor,
    settings: Settings,
    random: np.random.Generator,
) -> Tensor:
    share = float(random.beta(settings.mixup, settings.mixup)) if settings.mixup else 1.0
    other = torch.from_numpy(random.permutation(len(x)))
    is_open = (mask == 0).float()
    has_label = right.sum(1) > 0
    soft = (1 - settings.smoothing) * right + settings.smoothing * is_open / is_open.sum(1, keepdim=True)
    soft = soft * has_label[:, None]
    _, logits, arousal, valence = heads.said(share * x + (1 - share) * x[other])
    logp = (logits + torch.maximum(mask, mask[other])).log_softmax(1)
    target = share * soft + (1 - share) * soft[other]
    emotion = -(target * logp).sum(1).sum() / target.sum().clamp_min(1.0)
    got = torch.stack([arousal, valence], 1)
    both = share * wanted + (1 - share) * wanted[other]
    is_known = ~both.isnan()
    error = torch.where(is_known, got - both.nan_to_num(), torch.zeros_like(got)).square()
    return emotion + settings.attributes * error.sum() / is_known.sum().clamp_min(1)


class _Past:
    """Draws what a stream said before a window."""

    def __init__(self, table: Table, rows: NDArray[np.int64], settings: Settings, random: np.random.Generator) -> None:
        self._table = table
        self._settings = settings
        self._random = random
        self._of_session: dict[int, NDArray[np.int64]] = {}
        self._of_mood: dict[tuple[int, int], NDArray[np.int64]] = {}
        for session in set(table.session[rows].tolist()):
            mates = rows[table.session[rows] == session]
            self._of_session[session] = mates
            for label in set(table.label[mates].tolist()):
                self._of_mood[session, label] = mates[table.label[mates] == label]

    def draw(self, items: NDArray[np.int64], own: Tensor, length: NDArray[np.int64]) -> tuple[Tensor, Tensor]:
        """Mean [n, k] and frames [n, 1] of the streams of windows, the windows with them."""
        table, random, n = self._table, self._random, len(self._table.clips)
        index: list[int] = []
        owner: list[int] = []
        for b, item in enumerate(items.tolist()):
            copy, clip = divmod(item, n)
            if random.random() < self._settings.alone:
                continue
            if random.random() < self._settings.same_mood:
                mates = self._of_mood[int(table.session[clip]), int(table.label[clip])]
            else:
                mates = self._of_session[int(table.session[clip])]
            drawn = mates[random.integers(len(mates), size=random.integers(1, 9))]
            index += (drawn + copy * n).tolist()
            owner += [b] * len(drawn)
        mass = torch.from_numpy(length.astype(np.float32) * BLOCK_FRAMES)[:, None]
        total = own * mass
        if index:
            mates_mass = torch.from_numpy(table.count[index].astype(np.float32) * BLOCK_FRAMES)[:, None]
            where = torch.tensor(owner)
            total = total.index_add(0, where, table.clip_mean[index] * mates_mass)
            mass = mass.index_add(0, where, mates_mass)
        return total / mass, mass


def hear(heads: list[Heads], table: Table, seconds: float | None, copy: int = 0) -> dict[str, NDArray[Any]]:
    """What heads, averaged, say of every clip as a stream of its own, after so many seconds or at its end."""
    n = len(table.clips)
    items = np.arange(n) + copy * n
    length = np.minimum(table.count[items], MOST_BLOCKS)
    if seconds is not None:
        length = np.minimum(length, round(2 * seconds))
    said: dict[str, Any] = {"logits": [], "arousal": [], "valence": []}
    for at in range(0, n, 512):
        part = slice(at, at + 512)
        values = table.windows(items[part], np.zeros(len(items[part]), np.int64), length[part])
        mass = torch.from_numpy(length[part].astype(np.float32) * BLOCK_FRAMES)[:, None]
        with torch.no_grad():
            each = [h.hear(values, values[:, : table.mean.shape[1]], mass) for h in heads]
        for place, name in enumerate(("logits", "arousal", "valence"), 1):
            said[name].append(sum(e[place] for e in each).numpy() / len(each))
    return {name: np.concatenate(parts) for name, parts in said.items()}


def uar(truth: NDArray[np.int64], logits: NDArray[np.float32]) -> float:
    """Unweighted average recall over the classes that occur in the truth, no other class being open; NaN of nothing."""
    classes = np.unique(truth)
    said = classes[logits[:, classes].argmax(1)] if len(classes) else truth
    return float(np.mean([np.mean(said[truth == c] == c) for c in classes])) if len(classes) else float("nan")
