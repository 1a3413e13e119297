"""Trains the heads on cached windows; on trial, of streams of random past."""

from typing import Any, NamedTuple

import msgspec
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rtemo.api import EMOTIONS
from rtemo_models.kit.corpora.clip import Clip
from rtemo_models.kit.loop import descend
from rtemo_models.systems.merit_large.data import NEUTRAL, accepted
from rtemo_models.systems.merit_large.features import WindowCache
from rtemo_models.systems.merit_large.heads import Heads
from rtemo_models.systems.merit_large.voices import Voices

SESSION_CLIPS = 20
"""Clips of one speaker that share device, room and line: what a stream's past is drawn from."""
CLOSED = -1e4
"""Added to the logits of classes that a corpus does not know."""


class Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
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
    copies: int = 2
    """Degraded ones of the training clips."""
    voices: float = 0.0
    """Share of windows that are moved to another speaker's voice; see `Voices`."""
    far: float = 0.5
    """Share of those voices that are drawn from all corpora."""
    seeds: int = 3
    """Heads that are averaged."""


class Part(NamedTuple):
    """Windows of one copy of the clips.

    Attributes:
        cache: What is known of them.
        clips: The clip of every window.
        is_last: bool [windows], whether it is the last one of its clip.
        rows: Which windows are taken.
    """

    cache: WindowCache
    clips: list[Clip]
    is_last: NDArray[np.bool_]
    rows: list[int]


class Table:
    """Windows of several copies as tensors.

    Args:
        parts: The copies; the undegraded one first.
        layers: Which layers to take, counted from 1.
    """

    def __init__(self, parts: list[Part], layers: tuple[int, ...]) -> None:
        self.clips = [part.clips[i] for part in parts for i in part.rows]
        self.is_last = np.concatenate([part.is_last[part.rows] for part in parts])
        self.copy = np.repeat(np.arange(len(parts)), [len(part.rows) for part in parts])
        self.caches = [part.cache for part in parts]
        self.place = np.concatenate([np.asarray(part.rows, np.int64) for part in parts])
        chosen = [layer - 1 for layer in layers]
        values = np.concatenate([np.asarray(part.cache.values)[part.rows][:, chosen] for part in parts])
        self.values = torch.from_numpy(values.transpose(0, 2, 1, 3).reshape(len(values), -1))
        self.frames = np.concatenate([part.cache.frames[part.rows] for part in parts])
        n = len(self.clips)
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
        self.session = sessions(self.clips, self.copy)

    def window(self, items: NDArray[np.int64]) -> Tensor:
        """Means of all layers and then deviations of windows, float32 [n, width]."""
        return self.values[torch.from_numpy(items)].float()

    def mass(self, items: NDArray[np.int64]) -> Tensor:
        """Frames of windows, float32 [n, 1]."""
        return torch.from_numpy(self.frames[items].astype(np.float32))[:, None]

    def weights(self, clean: float) -> NDArray[np.float64]:
        """How often to draw every window: classes of a corpus alike, corpora and speakers by the root of their size."""
        share = np.zeros(len(self.clips))
        keys = np.array([f"{c.label}/{c.level if c.label < 0 else ''}" for c in self.clips])
        speakers = np.array([c.speaker for c in self.clips])
        for corpus in sorted(set(self.corpus.tolist())):
            of = np.flatnonzero(self.corpus == corpus)
            size = np.sqrt(len({self.clips[i].path for i in of}))
            size *= 1.0 if self.known[corpus] else 0.2
            for key in sorted(set(keys[of].tolist())):
                rows = of[keys[of] == key]
                _, inverse, counts = np.unique(speakers[rows], return_inverse=True, return_counts=True)
                weight = counts[inverse] ** -0.5
                share[rows] = size * weight / weight.sum() / len(set(keys[of].tolist()))
        is_clean = self.copy == 0
        if is_clean.all():
            return share / share.sum()
        share[is_clean] *= clean / share[is_clean].sum()
        share[~is_clean] *= (1 - clean) / share[~is_clean].sum()
        return share


def sessions(clips: list[Clip], copy: NDArray[np.int64]) -> NDArray[np.int64]:
    """A number for every window, the same for up to `SESSION_CLIPS` of a speaker and copy, drawn so that moods mix."""
    of: dict[str, list[int]] = {}
    for i, clip in enumerate(clips):
        of.setdefault(f"{copy[i]}/{clip.corpus}/{clip.speaker}", []).append(i)
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
    is_taken = np.zeros(len(table.clips), bool)
    is_taken[rows] = True
    share = table.weights(settings.clean) * is_taken
    share /= share.sum()
    cumulative = np.cumsum(share)
    heads = Heads(table.values.shape[1], settings.hidden, settings.dropout, settings.adapts)
    fit_scale(heads, table, share, random)
    voices = Voices(table, rows, heads, settings.far) if settings.voices else None
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
        values = table.window(items)
        voice_mean = voice_mass = None
        if settings.adapts:
            voice_mean, voice_mass = past.draw(items, values[:, : values.shape[1] // 2])
        x = heads.standardised(values, voice_mean, voice_mass)
        if voices is not None:
            x = x + voices.offsets(items, settings.voices, random)
        loss = loss_of(heads, x, right[items], mask[items], wanted[items], settings, random)
        descend(loss, optimiser, [heads.parameters()], 5.0)
        schedule.step()
    return heads.eval()


def fit_scale(heads: Heads, table: Table, share: NDArray[np.float64], random: np.random.Generator) -> None:
    """Mean and deviation of windows as they are drawn."""
    values = table.window(random.choice(len(share), 4096, p=share))
    heads.mean.copy_(values.mean(0))
    heads.scale.copy_(values.std(0).clamp_min(1e-4))


def loss_of(
    heads: Heads,
    x: Tensor,
    right: Tensor,
    mask: Tensor,
    wanted: Tensor,
    settings: Settings,
    random: np.random.Generator,
) -> Tensor:
    """Cross-entropy of the emotion and squared error of arousal and valence, pairs of windows mixed.

    Args:
        heads: Whatever has a `said` as `Heads` has.
        x: What they take, [n, ...].
        right: float32 [n, 8], see `accepted`.
        mask: float32 [n, 8], `CLOSED` for classes that the window's corpus does not know, else 0.
        wanted: float32 [n, 2], arousal and valence, NaN where nothing is known.
        settings: Smoothing, share of mixing, weight of arousal and valence.
        random: Draws who is mixed with whom.
    """
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

    def draw(self, items: NDArray[np.int64], own: Tensor) -> tuple[Tensor, Tensor]:
        """Mean [n, k] and frames [n, 1] of the streams of windows, the windows with them."""
        table, random = self._table, self._random
        index: list[int] = []
        owner: list[int] = []
        for b, item in enumerate(items.tolist()):
            if random.random() < self._settings.alone:
                continue
            if random.random() < self._settings.same_mood:
                mates = self._of_mood[int(table.session[item]), int(table.label[item])]
            else:
                mates = self._of_session[int(table.session[item])]
            drawn = mates[random.integers(len(mates), size=random.integers(1, 9))]
            index += drawn.tolist()
            owner += [b] * len(drawn)
        mass = table.mass(items)
        total = own * mass
        if index:
            mates = np.array(index)
            where = torch.tensor(owner)
            total = total.index_add(0, where, table.window(mates)[:, : own.shape[1]] * table.mass(mates))
            mass = mass.index_add(0, where, table.mass(mates))
        return total / mass, mass


def hear(heads: list[Heads], table: Table) -> dict[str, NDArray[Any]]:
    """What heads, averaged, say of every window as a stream of its own."""
    said: dict[str, Any] = {"logits": [], "arousal": [], "valence": []}
    for items in np.array_split(np.arange(len(table.clips)), max(1, len(table.clips) // 512)):
        values = table.window(items)
        with torch.no_grad():
            each = [h.hear(values, values[:, : values.shape[1] // 2], table.mass(items)) for h in heads]
        for place, name in enumerate(("logits", "arousal", "valence"), 1):
            said[name].append(sum(e[place] for e in each).numpy() / len(each))
    return {name: np.concatenate(parts) for name, parts in said.items()}


def uar(truth: NDArray[np.int64], logits: NDArray[np.float32]) -> float:
    """Unweighted average recall over the classes that occur in the truth, no other class being open; NaN of nothing."""
    classes = np.unique(truth)
    said = classes[logits[:, classes].argmax(1)] if len(classes) else truth
    return float(np.mean([np.mean(said[truth == c] == c) for c in classes])) if len(classes) else float("nan")
