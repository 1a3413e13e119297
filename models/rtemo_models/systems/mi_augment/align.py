"""Stage 1: voice and words are brought into one space in which both tell the emotion (after Ahn et al. 2025)."""

import torch
from torch import Tensor, nn

from rtemo.api import EMOTIONS
from rtemo_models.kit.loop import descend
from rtemo_models.systems.mi_augment.data import Table
from rtemo_models.systems.mi_augment.mi import Gaussian
from rtemo_models.systems.mi_augment.settings import Align

_TEMPERATURE = 0.1
_SAME = 0.9999
"""Cosine above which two sentences are one."""


class Aligned(nn.Module):
    """Two projections and a classifier that both share.

    Args:
        audio: Values of a voice.
        text: Values of a sentence.
        settings: Of the stage.
    """

    def __init__(self, audio: int, text: int, settings: Align) -> None:
        super().__init__()
        w = settings.width
        self.audio = nn.Sequential(nn.Dropout(settings.dropout), nn.Linear(audio, w), nn.GELU(), nn.LayerNorm(w))
        self.text = nn.Sequential(nn.Dropout(settings.dropout), nn.Linear(text, w), nn.GELU(), nn.LayerNorm(w))
        self.classify = nn.Sequential(nn.Dropout(settings.dropout), nn.Linear(w, len(EMOTIONS)))
        self.law = Gaussian(w, w, hidden=w)


def align(table: Table, rows: Tensor, settings: Align, seed: int) -> Aligned:
    """Train on some clips.

    The contrast takes clips of one sentence for one another, as they would be told apart by who speaks alone.

    Args:
        table: Standardised over `rows`.
        rows: int64, clips to train on.
        settings: Of the stage.
        seed: Of everything that is drawn.
    """
    torch.manual_seed(seed)
    net = Aligned(table.audio.shape[1], table.text.shape[1], settings)
    optimiser = torch.optim.AdamW(net.parameters(), settings.rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, settings.rate, total_steps=settings.steps, pct_start=0.1)
    weights = table.draw_weights(rows.numpy())
    for _ in range(settings.steps):
        drawn = rows[torch.multinomial(weights, settings.batch, replacement=True)]
        h = net.audio(table.audio[drawn])
        loss = nn.functional.cross_entropy(net.classify(h) + table.mask[drawn], table.label[drawn], label_smoothing=0.1)
        worded = drawn[table.has_text[drawn]]
        if len(worded) > 1:
            t = net.text(table.text[worded])
            of = h[table.has_text[drawn]]
            loss = loss + nn.functional.cross_entropy(net.classify(t) + table.mask[worded], table.label[worded])
            loss = loss + settings.contrast * contrast(of, t, table.text[worded])
            loss = loss - settings.bound * net.law.log_of(of, t.detach()).mean() / t.shape[1]
        descend(loss, optimiser, [net.parameters()], 5.0)
        schedule.step()
    return net.eval()


def contrast(h: Tensor, t: Tensor, sentence: Tensor) -> Tensor:
    """Symmetric InfoNCE; pairs with the same sentence are all right for each other.

    Args:
        h: Voices [n, k].
        t: Words [n, k].
        sentence: Vectors of the sentences [n, m], of length one, equal where they are the same.
    """
    scores = nn.functional.normalize(h, dim=1) @ nn.functional.normalize(t, dim=1).T / _TEMPERATURE
    same = (sentence @ sentence.T > _SAME).float()
    right = same / same.sum(1, keepdim=True)
    return -0.5 * ((right * scores.log_softmax(1)).sum(1) + (right * scores.T.log_softmax(1)).sum(1)).mean()
