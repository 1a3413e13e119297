"""The tutor: the Moonshine encoder trained on for emotion; it teaches the small network and is not shipped."""

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from rtemo.api import EMOTIONS
from rtemo_models.systems.merit.net.moonshine import LAYERS, WIDTH, Moonshine


class Tutor(nn.Module):
    """Encoder, learned mean of its layers, attentive statistics and heads for emotions, arousal and valence."""

    def __init__(self, encoder: Moonshine, hidden: int = 256, heads: int = 4, dropout: float = 0.4) -> None:
        super().__init__()
        self.encoder = encoder
        self.layer_weights = nn.Parameter(torch.tensor([0.0] * (LAYERS - 1) + [1.0]))
        self.embed = nn.Linear(WIDTH, hidden)
        self.score = nn.Sequential(nn.Linear(WIDTH, 64), nn.Tanh(), nn.Linear(64, heads))
        self.hidden = nn.Linear(2 * hidden, hidden)
        self.out = nn.Linear(hidden, len(EMOTIONS) + 2)
        self.dropout = nn.Dropout(dropout)
        self.heads = heads

    def frames(self, samples: Tensor, mask_share: float = 0.0) -> Tensor:
        """Weighted mean of the normalised layers, float32 [batch, samples] → [batch, frames, 288].

        Args:
            samples: float32 [batch, samples].
            mask_share: Share of the convolutions' frames that are blanked, in stretches of 8, in training.
        """
        x = self.encoder.front(samples)
        if mask_share:
            starts = torch.rand(x.shape[0], 1, x.shape[1]) < mask_share / 8
            x = x * (1 - F.max_pool1d(starts.to(x.dtype), 17, 1, 8)[:, 0, :, None])
        layers = [F.layer_norm(h, (WIDTH,)) for h in self.encoder.contexts(x)]
        weights = self.layer_weights.softmax(0)
        return torch.stack([h * w for h, w in zip(layers, weights, strict=True)]).sum(0)

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits [batch, 8], arousal [batch] and valence [batch] of a clip's frames."""
        share = self.score(frames).softmax(1)
        x = F.relu(self.embed(self.dropout(frames))).unflatten(2, (self.heads, -1))
        mean = torch.einsum("bth,bthc->bhc", share, x)
        square = torch.einsum("bth,bthc->bhc", share, x * x)
        deviation = (square - mean * mean).clamp_min(1e-5).sqrt()
        pooled = self.dropout(torch.cat([mean, deviation], 2).flatten(1))
        values = self.out(self.dropout(F.relu(self.hidden(pooled))))
        return values[:, :-2], torch.tanh(values[:, -2]), torch.tanh(values[:, -1])


def load_tutor(path: Path) -> Tutor:
    """Load the averaged weights that training wrote."""
    net = Tutor(Moonshine())
    net.load_state_dict(torch.load(path, weights_only=True, map_location="cpu"))
    return net.eval()
