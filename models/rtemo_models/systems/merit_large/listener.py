"""The network that ships: encoder, pooling over a window, and heads, as one graph without state."""

import torch
from torch import Tensor, nn

from rtemo_models.systems.merit_large.net import Encoder

OUTPUTS = ("logits", "arousal", "valence", "words")


class Listener(nn.Module):
    """One window of every stream.

    Args:
        encoder: As many layers as are needed.
        layers: Which of them are pooled, counted from 1.
        heads: `Committee` or what says alike, trained on the pooled values: mean and deviation of every layer.
    """

    def __init__(self, encoder: Encoder, layers: tuple[int, ...], heads: nn.Module) -> None:
        super().__init__()
        self.encoder = encoder
        self.layers = layers
        self.heads = heads

    def forward(self, mel: Tensor, there: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Say what a window expresses.

        Args:
            mel: [n, 2·t, 80].
            there: [n, t], 1 where the window has audio, 0 in the padding at its end.

        Returns:
            Logits [n, 8], arousal [n], valence [n], hidden units [n, hidden].
        """
        outputs = self.encoder(mel, there)
        frames = torch.cat([outputs[layer] for layer in self.layers], 2)
        share = (there / there.sum(1, keepdim=True).clamp_min(1.0))[..., None]
        mean = (frames * share).sum(1)
        deviation = ((frames - mean[:, None]).square() * share).sum(1).clamp_min(1e-6).sqrt()
        hidden, logits, arousal, valence = self.heads.hear(torch.cat([mean, deviation], 1))
        return logits, arousal, valence, hidden
