"""Trains the projections on cached features, in seconds."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rtemo_models.kit.corpora.clip import Clip
from rtemo_models.systems.emotion_rank_clap.captions import Place
from rtemo_models.systems.emotion_rank_clap.loss import symmetric
from rtemo_models.systems.emotion_rank_clap.net import Clap


@dataclass(frozen=True, slots=True)
class Settings:
    """What an arm may vary."""

    order_weight: float = 127.0
    """Of all other items together against the one of its own: the batch less one is the mean over all pairs, as it
    was published; 0 is CLIP."""
    labels: str = "va"
    """`va`, `v` or `a`: what the order is by."""
    steps: int = 300
    batch: int = 128
    rate: float = 1e-3
    decay: float = 0.02
    noise: float = 0.3
    """Deviation of the noise that is added to standardised audio values."""


def places_of(clips: Sequence[Clip], cues: NDArray[np.float32]) -> list[Place]:
    """What captions are to say of clips: label, place, and where the cues stand among those of the speaker."""
    speakers = [f"{clip.corpus}/{clip.speaker}" for clip in clips]
    values = np.where(np.isfinite(cues), cues, np.nan)
    values[:, 1] = np.log2(np.maximum(values[:, 1], 1.0))
    relative = np.zeros(values.shape, int)
    for speaker in set(speakers):
        rows = np.flatnonzero([one == speaker for one in speakers])
        if len(rows) < 4:
            continue
        centre, spread = np.nanmedian(values[rows], 0), np.nanstd(values[rows], 0) + 1e-6
        z = np.nan_to_num((values[rows] - centre) / spread)
        relative[rows] = np.sign(z) * (np.abs(z) > 0.8)
    return [
        Place(clip.emotion, *map(float, clip.valence_arousal), (int(row[0]), int(row[1]), int(row[2])))
        for clip, row in zip(clips, relative, strict=True)
    ]


def distances(valence_arousal: Tensor, labels: str) -> Tensor:
    """L2 distance of labels, [n, 2] → [n, n]; rounded, so that equal labels are equally far."""
    columns = {"va": [0, 1], "v": [0], "a": [1]}[labels]
    chosen = valence_arousal[:, columns]
    square = (chosen[:, None] - chosen[None]).square().sum(-1)
    return square.sqrt().mul(1e4).round().div(1e4)


def train(
    audio: NDArray[np.float32],
    texts: NDArray[np.float32],
    valence_arousal: NDArray[np.float32],
    groups: Sequence[str],
    settings: Settings,
    seed: int,
) -> Clap:
    """Train on clips that come with several captions each.

    Args:
        audio: [n, width].
        texts: [n, captions, 384].
        valence_arousal: [n, 2].
        groups: Of each clip; all are drawn alike, as corpus and emotion.
        settings: Of the arm.
        seed: Of everything that is drawn.
    """
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    model = Clap(audio.shape[1])
    heard, said, labels = torch.from_numpy(audio), torch.from_numpy(texts), torch.from_numpy(valence_arousal)
    model.audio.fit(heard)
    model.text.fit(said.reshape(-1, said.shape[-1]))
    _, inverse, counts = np.unique(list(groups), return_inverse=True, return_counts=True)
    share = 1.0 / counts[inverse]
    share /= share.sum()
    optimiser = torch.optim.AdamW(model.parameters(), settings.rate, weight_decay=settings.decay)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, settings.rate, total_steps=settings.steps, pct_start=0.1)
    model.train()
    for _ in range(settings.steps):
        rows = torch.from_numpy(random.choice(len(heard), settings.batch, p=share))
        which = torch.from_numpy(random.integers(said.shape[1], size=settings.batch))
        x = heard[rows]
        x = x + settings.noise * model.audio.scale * torch.randn_like(x)
        u, t = model(x, said[rows, which])
        loss = symmetric(u, t, model.scale, distances(labels[rows], settings.labels), 1.0, settings.order_weight)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    return model.eval()
