"""The critics that the vocoder is trained against.

They hear compressed complex spectra at three resolutions (after UnivNet, Jang et al. 2021, and EnCodec, Défossez et al.
2022). What makes the speech, `kit.nets.vocoder` and `kit.nets.converter`, lies in the kit: GEM speaks with it, too.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F  # noqa: N812

from rtemo_models.kit.nets.vocoder import spectrum

RESOLUTIONS = ((512, 128), (1024, 256), (256, 64))
"""(frame, hop) in samples of what critics and losses hear."""


class Critic(nn.Module):
    """Hears one resolution; strides go over frequency alone, so that every moment keeps an opinion."""

    def __init__(self, frame_samples: int, hop_samples: int, width: int) -> None:
        super().__init__()
        self.frame_samples, self.hop_samples = frame_samples, hop_samples
        norm = nn.utils.parametrizations.weight_norm
        self.layers = nn.ModuleList(
            [
                norm(nn.Conv2d(2, width, (9, 3), (4, 1), (4, 1))),
                norm(nn.Conv2d(width, width, (7, 3), (2, 1), (3, 1))),
                norm(nn.Conv2d(width, width, (7, 3), (2, 1), (3, 1))),
                norm(nn.Conv2d(width, width, (5, 3), (2, 1), (2, 1))),
            ]
        )
        self.last = norm(nn.Conv2d(width, 1, (3, 3), 1, (1, 1)))

    def forward(self, samples: Tensor) -> tuple[Tensor, list[Tensor]]:
        """Opinions, higher the more genuine, [batch, 1, places, frames], and what the layers hear on the way."""
        spectra = spectrum(samples, self.frame_samples, self.hop_samples)
        squeezed = spectra * (spectra.abs().square() + 1e-6).pow(-0.35)  # magnitudes to about the power of 0.3
        x = torch.stack([squeezed.real, squeezed.imag], 1)
        heard = []
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.1)
            heard.append(x)
        return self.last(x), heard


def critics_of(width: int) -> nn.ModuleList:
    """One critic per resolution."""
    return nn.ModuleList(Critic(frame, hop, width) for frame, hop in RESOLUTIONS)
