"""Projections: a voice and a description of it, each to a point on one sphere."""

import math

import torch
from torch import Tensor, nn

WIDTH = 128
TEXT_WIDTH = 384
_MOST_SCALE = 100.0


class Projection(nn.Module):
    """e1 = A x; e = LayerNorm(e1 + dropout(B gelu(e1))), of length one; as in ParaCLAP (Jing et al. 2024).

    Args:
        inputs: Width of what comes in.
        width: Of the space.
        dropout: Share of values left out.
    """

    def __init__(self, inputs: int, width: int = WIDTH, dropout: float = 0.5) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(inputs))
        self.register_buffer("scale", torch.ones(inputs))
        self.into = nn.Linear(inputs, width, bias=False)
        self.again = nn.Linear(width, width, bias=False)
        self.dropout = nn.Dropout(dropout)
        self.norm = nn.LayerNorm(width)

    def fit(self, x: Tensor) -> None:
        """Take mean and deviation of what comes in from x [n, inputs]."""
        self.mean.copy_(x.mean(0))
        self.scale.copy_(x.std(0).clamp_min(1e-3))

    def forward(self, x: Tensor) -> Tensor:
        """[n, inputs] → [n, width]."""
        x = self.into((x - self.mean) / self.scale)
        x = self.norm(x + self.dropout(self.again(nn.functional.gelu(x))))
        return nn.functional.normalize(x, dim=1)


class Clap(nn.Module):
    """Both projections, and the temperature.

    Args:
        audio_width: Width of what is known of a voice.
    """

    def __init__(self, audio_width: int) -> None:
        super().__init__()
        self.audio = Projection(audio_width)
        self.text = Projection(TEXT_WIDTH)
        self.log_scale = nn.Parameter(torch.tensor(math.log(1 / 0.07)))

    @property
    def scale(self) -> Tensor:
        """One over the temperature."""
        return self.log_scale.exp().clamp_max(_MOST_SCALE)

    def forward(self, words: Tensor, text: Tensor) -> tuple[Tensor, Tensor]:
        """[n, audio_width] and [n, 384] → two [n, width]."""
        return self.audio(words), self.text(text)
