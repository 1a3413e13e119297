"""What heads on the frozen teacher think of every training clip: soft emotion targets, also where no label exists.

A small network on the mean, deviation and maximum over time of the teacher's frames recognises emotions better than a
small network that hears log-mels. Its opinions, each from a head that never heard the speaker, are softer and less
certain than labels, and they reach the clips without labels (words of BAVED, neutral speech), so the student hears
emotions from more voices than the labelled corpora hold.
"""

import zlib
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from rtemo.api import EMOTIONS
from rtemo_models.kit.progress import progress
from rtemo_models.systems.merit.data.batches import Sampler, Targets
from rtemo_models.systems.merit.data.taught import Taught
from rtemo_models.systems.merit.data.teacher import TeacherCache
from rtemo_models.systems.merit.train.losses import accepted_cross_entropy, masked_cross_entropy
from rtemo_models.systems.merit.train.pretrain_recipe import EmotionRecipe

FOLDS = 4
BATCH = 128


def statistics(teacher: TeacherCache, count: int) -> NDArray[np.float32]:
    """Mean, deviation and maximum over time of each clip, float32 [clips, 864]."""
    rows = []
    for i in range(count):
        frames = teacher.frames(i).astype(np.float32)
        rows.append(np.concatenate([frames.mean(0), frames.std(0), frames.max(0)]))
    return np.stack(rows)


def fold_of(speaker: str) -> int:
    """The fold a speaker is left out of; the same on every machine."""
    return zlib.crc32(speaker.encode()) % FOLDS


def train_head(caches: Taught, rows: list[int], x: dict[str, Tensor], recipe: EmotionRecipe, seed: int) -> nn.Module:
    """Train one head on the statistics `x` (by playback speed) of the clips in `rows`."""
    torch.manual_seed(seed)
    random = np.random.default_rng((recipe.seed, seed))
    width = next(iter(x.values())).shape[1]
    head = nn.Sequential(
        nn.Dropout(0.2), nn.Linear(width, 256), nn.ReLU(), nn.Dropout(0.5), nn.Linear(256, len(EMOTIONS))
    )
    optimiser = torch.optim.AdamW(head.parameters(), 1e-3, weight_decay=0.05)
    rate = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, recipe.opinion_steps, 1e-5)
    sampler = Sampler(caches.clips, rows, recipe.shares)
    targets, speeds = Targets(caches.clips), list(x)
    for _ in progress(range(recipe.opinion_steps), f"head {seed}"):
        drawn = sampler.draw(BATCH, random)
        logits = head(x[speeds[random.integers(len(speeds))]][drawn])[:, None]
        label, allowed = torch.from_numpy(targets.label[drawn]), torch.from_numpy(targets.allowed[drawn])
        loss = masked_cross_entropy(logits, label, allowed, recipe.smoothing)
        loss = loss + recipe.accepted_weight * accepted_cross_entropy(logits, torch.from_numpy(targets.accepted[drawn]))
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        rate.step()
    return head.eval()


def open_opinions(path: Path, caches: Taught, recipe: EmotionRecipe) -> NDArray[np.float32]:
    """Logits of the heads, float32 [clips, 8], made first when `path` is absent; NaN for clips that are not trained on.

    A clip's opinion comes from the head that was trained without the clip's speaker.
    """
    if not path.exists():
        count = len(caches.clips)
        rows = [i for i, c in enumerate(caches.clips) if c.split == "train" and c.corpus not in recipe.hold_out]
        plain = {speed: statistics(teacher, count) for speed, teacher in caches.teachers.items()}
        mean, deviation = plain["normal"][rows].mean(0), plain["normal"][rows].std(0) + 1e-3
        x = {speed: torch.from_numpy((values - mean) / deviation) for speed, values in plain.items()}
        opinions = np.full((count, len(EMOTIONS)), np.nan, np.float32)
        for fold in range(FOLDS):
            inside = [i for i in rows if fold_of(caches.clips[i].speaker) != fold]
            outside = [i for i in rows if fold_of(caches.clips[i].speaker) == fold]
            head = train_head(caches, inside, x, recipe, fold)
            with torch.no_grad():
                opinions[outside] = head(x["normal"][outside]).numpy()
        np.save(path, opinions)
    return np.asarray(np.load(path))
