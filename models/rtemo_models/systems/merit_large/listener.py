"""The network that ships: encoder, pooling over a window, and heads, as one graph without state."""

import torch
from torch import Tensor, nn

from rtemo_models.systems.merit_large.branch import Branch, pooled
from rtemo_models.systems.merit_large.net import Encoder

OUTPUTS = ("logits", "arousal", "valence", "words")


class Listener(nn.Module):
    """One window of every stream.

    Args:
        encoder: As many layers as are needed.
        layers: Which of them are pooled, counted from 1.
        heads: `Committee` or what says alike, trained on the pooled values: mean and deviation of every layer; it may
            be None where there is a branch.
        branch: What else is heard; what it says and what the heads say is averaged.
    """

    def __init__(
        self, encoder: Encoder, layers: tuple[int, ...], heads: nn.Module | None, branch: Branch | None = None
    ) -> None:
        super().__init__()
        self.encoder = encoder
        self.layers = layers
        self.heads = heads
        self.branch = branch

    def forward(self, mel: Tensor, there: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Say what a window expresses.

        Args:
            mel: [n, 2·t, 80].
            there: [n, t], 1 where the window has audio, 0 in the padding at its end.

        Returns:
            Logits [n, 8], arousal [n], valence [n], hidden units [n, hidden], which are those of the heads.
        """
        outputs = self.encoder(mel, there)
        frames = torch.cat([outputs[layer] for layer in self.layers], 2)
        values = torch.cat(pooled(frames, there), 1)
        said = []
        if self.heads is not None:
            said.append(self.heads.hear(values))
        if self.branch is not None:
            heard, _ = self.branch(values, outputs[-2], outputs[-1], there, self.encoder.frames)
            said.append(self.branch.said(heard))
        hidden, *_ = said[0]
        if len(said) == 1:
            return (*said[0][1:], hidden)
        logits, arousal, valence = ((one + other) / 2 for one, other in zip(said[0][1:], said[1][1:], strict=True))
        return logits, arousal, valence, hidden
