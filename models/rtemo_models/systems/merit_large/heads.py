"""Heads: from mean and deviation of the encoder's frames to emotion, arousal and valence."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from rtemo.api import EMOTIONS

HIDDEN = 256


class Heads(nn.Module):
    """Standardise, one hidden layer, three outputs.

    On trial, and not in what ships: to take off what all that a stream has said so far has in common (device, room,
    throat). It is estimated by the stream's mean, and trusted the more of it was heard: `taken · seconds / (seconds +
    slow_s)` of the distance to the mean of training is taken off. The mean of an angry call is angry, too.

    Args:
        width: Values that describe a stretch of speech: means first, then as many deviations.
        hidden: Units of the hidden layer.
        dropout: Share of inputs left out in training, and half as much again of hidden units.
        adapts: Whether anything is taken off.
    """

    def __init__(self, width: int, hidden: int = HIDDEN, dropout: float = 0.3, adapts: bool = False) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(width))
        self.register_buffer("scale", torch.ones(width))
        self.adapts = adapts
        self.taken = nn.Parameter(torch.full((width // 2,), 0.5))
        self.slow_s = nn.Parameter(torch.tensor(4.0))
        self.body = nn.Sequential(
            nn.Dropout(dropout), nn.Linear(width, hidden), nn.GELU(), nn.Dropout(min(0.6, 1.5 * dropout))
        )
        self.emotion = nn.Linear(hidden, len(EMOTIONS))
        self.attributes = nn.Linear(hidden, 2)

    def standardised(
        self, values: Tensor, voice_mean: Tensor | None = None, voice_mass: Tensor | None = None
    ) -> Tensor:
        """Values [n, width] as the body takes them, given the stream's mean [n, width/2] and frames [n, 1]."""
        x = (values - self.mean) / self.scale
        if not self.adapts or voice_mean is None or voice_mass is None:
            return x
        half = self.taken.shape[0]
        offset = (voice_mean - self.mean[:half]) / self.scale[:half]
        seconds = voice_mass / 50.0
        trust = seconds / (seconds + self.slow_s.abs() + 0.1)
        return torch.cat([x[:, :half] - self.taken * trust * offset, x[:, half:]], 1)

    def said(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Standardised values → hidden units [n, hidden], logits [n, 8], arousal [n], valence [n]."""
        hidden = self.body(x)
        arousal, valence = self.attributes(hidden).tanh().split(1, 1)
        return hidden, self.emotion(hidden), arousal.squeeze(1), valence.squeeze(1)

    def hear(
        self, values: Tensor, voice_mean: Tensor | None = None, voice_mass: Tensor | None = None
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Both of the above."""
        return self.said(self.standardised(values, voice_mean, voice_mass))


def restored(state: Mapping[str, Tensor]) -> Heads:
    """Heads of a saved state."""
    heads = Heads(state["mean"].shape[0], state["emotion.weight"].shape[1])
    heads.load_state_dict(state)
    return heads.eval()
