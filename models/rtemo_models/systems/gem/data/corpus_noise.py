"""Noise along the directions in which corpora of genuine speech differ, so that no corpus tells the classes.

Rooms, microphones, languages and manners of speaking move what is measured as much as synthesis does, and a caller
comes with ones that no corpus has. Nuisance attribute projection (Solomonoff, Campbell and Boardman 2005) takes such
directions away; what they hold of synthesis would go too. So they are kept, and made unreliable.
"""

from collections import defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from rtemo_models.systems.gem.data.clips import SpoofClip

FEWEST = 8
"""Clips of a corpus whose mean counts."""


class CorpusNoise:
    """Draws noise from the spread of the means of genuine corpora.

    Args:
        clips: All clips.
        statistics: float16 [views, clips, statistics].
        chosen: Numbers of the clips to train on.
        strength: Deviation of the noise over that of the means; 0 draws none.
    """

    def __init__(
        self, clips: Sequence[SpoofClip], statistics: NDArray[np.float16], chosen: Iterable[int], strength: float
    ) -> None:
        groups: dict[str, list[int]] = defaultdict(list)
        for i in chosen:
            if not clips[i].is_synthetic:
                groups[clips[i].corpus].append(i)
        of_corpus = [
            statistics[:, mine].astype(np.float32).mean((0, 1)) for mine in groups.values() if len(mine) >= FEWEST
        ]
        self.strength = strength if len(of_corpus) > 1 else 0.0
        means = torch.from_numpy(np.stack(of_corpus)) if self.strength else torch.zeros(1, statistics.shape[-1])
        self.directions = (means - means.mean(0)) * (self.strength / len(means) ** 0.5)

    def __call__(self, statistics: Tensor, pairs: int, seed: int) -> Tensor:
        """Add noise, the same for both clips of a pair; statistics float32 [batch, *], pairs first."""
        if not self.strength:
            return statistics
        draws = torch.Generator().manual_seed(seed)
        shares = torch.randn(len(statistics), len(self.directions), generator=draws)
        shares[pairs : 2 * pairs] = shares[:pairs]
        return statistics + shares @ self.directions
