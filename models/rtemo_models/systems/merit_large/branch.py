"""What is heard beside the frozen encoder: its last layer tuned, experts on its frames, and heads on both."""

import torch
from torch import Tensor, nn

from rtemo.api import EMOTIONS
from rtemo_models.systems.merit_large.experts import Experts, Kind
from rtemo_models.systems.merit_large.heads import Heads
from rtemo_models.systems.merit_large.low_rank import low_rank
from rtemo_models.systems.merit_large.net import WIDTH, Layer

KEPT = (2, 3)
"""After which layers frames are taken; the last one is the layer that is tuned."""


class Branch(nn.Module):
    """Heads on mean and deviation of all layers, the last one tuned or not, and perhaps on experts.

    Args:
        heads: Trained on the frozen layers; they go on learning.
        layer: The last layer; it stays as it is, a copy is tuned.
        rank: Of what is added to its matrices; 0 tunes nothing.
        kind: Of experts; see `Experts`.
    """

    def __init__(self, heads: Heads, layer: Layer, rank: int, kind: Kind) -> None:
        super().__init__()
        self.heads = heads
        self.half = len(heads.mean) // 2
        self.rank, self.kind = rank, kind
        self.tuned = low_rank(layer, rank) if rank else None
        self.experts = Experts(kind) if kind != "none" else None
        if self.experts is not None:
            width = self.experts.width
            self.emotion = nn.Sequential(nn.Dropout(0.3), nn.Linear(width, len(EMOTIONS)))
            self.attributes = nn.Sequential(nn.Dropout(0.3), nn.Linear(width, 2))
            for last in (self.emotion[1], self.attributes[1]):
                nn.init.normal_(last.weight, std=0.01)
                nn.init.zeros_(last.bias)

    def values(self, values: Tensor, below: Tensor, there: Tensor, frames: int | None) -> tuple[Tensor, Tensor | None]:
        """Statistics of all layers with those of the tuned one in their place, and its frames.

        Args:
            values: [n, 2 · layers · 512], means and then deviations of the frozen layers.
            below: [n, t, 512], frames after the last layer but one.
            there: float [n, t].
            frames: t, if that is settled; an exported graph is plainer then.
        """
        if self.tuned is None:
            return values, None
        tuned = self.tuned(below, frames or below.shape[1], ((there - 1) * 1e4)[:, None, None])
        mean, deviation = pooled(tuned, there)
        parts = [values[:, : self.half - WIDTH], mean, values[:, self.half : 2 * self.half - WIDTH], deviation]
        return torch.cat(parts, 1), tuned

    def forward(
        self, values: Tensor, below: Tensor, top: Tensor, there: Tensor, frames: int | None = None
    ) -> tuple[Tensor, Tensor]:
        """What `said` takes of windows [n, ...], and the routers' loss; `top`: frames after the frozen last layer."""
        values, tuned = self.values(values, below, there, frames)
        x = self.heads.standardised(values)
        if self.experts is None:
            return x, x.new_zeros(())
        heard, loss = self.experts([below, top if tuned is None else tuned], there)
        return torch.cat([x, *heard], 1), loss

    def said(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """As `Heads.said`."""
        if self.experts is None:
            return self.heads.said(x)
        own, emotion, attributes = x.split([2 * self.half, self.experts.width, self.experts.width], 1)
        hidden = self.heads.body(own)
        logits = self.heads.emotion(hidden) + self.emotion(emotion)
        both = (self.heads.attributes(hidden) + self.attributes(attributes)).tanh()
        arousal, valence = both.split(1, 1)
        return hidden, logits, arousal.squeeze(1), valence.squeeze(1)


def pooled(frames: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
    """Mean and deviation over the time that is there, each [n, width], of frames [n, t, width]."""
    share = (there / there.sum(1, keepdim=True).clamp_min(1.0))[..., None]
    mean = (frames * share).sum(1)
    return mean, ((frames - mean[:, None]).square() * share).sum(1).clamp_min(1e-6).sqrt()
