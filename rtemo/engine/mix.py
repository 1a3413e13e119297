"""Mix: how much of what a plugin has made of the audio goes on, and how much of what came in, equally late."""

import numpy as np
from numpy.typing import NDArray

from rtemo.engine.delay import AudioDelay

_RETURN_HOPS = 100
"""Hops for which a plugin works again before it is heard: what it knew of the sound is old."""


class Mix:
    """Goes from made to plain audio and back, over one hop each, so that it does not click.

    Attributes:
        is_idle: Whether all that is made goes on, so that there is nothing to do.
        is_plain: Whether nothing of it goes on, so that none need be made.
    """

    def __init__(self, hop_samples: int) -> None:
        self._rise = np.linspace(0.0, 1.0, hop_samples, endpoint=False, dtype=np.float32)
        self._is_leaving = False
        self._left_hops = 0
        self.is_idle = True
        self.is_plain = False

    def leave(self) -> None:
        """Go to plain audio: with the next hop, the last one that is made, or at once where none is heard yet."""
        self._is_leaving, self.is_plain = self._left_hops == 0, self._left_hops > 0
        self._left_hops = 0
        self.is_idle = False

    def come_back(self) -> None:
        """Go back to what is made, from the next hop on, once it has been made for a while."""
        self._left_hops = _RETURN_HOPS if self.is_plain else 0
        self._is_leaving = self.is_plain = False
        self.is_idle = not self._left_hops

    def apply(self, samples: NDArray[np.float32], plain: AudioDelay) -> None:
        """Put the audio that goes on in the place of what was made, float32 [n, hop_samples].

        Args:
            samples: What was made of this hop.
            plain: Holds what came in, this hop included.
        """
        share = self._share()
        if share is None:
            plain.pull(samples)
            return
        made = samples * share
        plain.pull(samples)
        samples *= 1.0 - share
        samples += made

    def _share(self) -> NDArray[np.float32] | None:
        """Move on by a hop; give the share of what was made, float32 [hop_samples], None for nothing of it."""
        if self._is_leaving:
            self._is_leaving, self.is_plain = False, True
            return 1.0 - self._rise
        self._left_hops -= self._left_hops > 0
        self.is_idle = not (self._left_hops or self.is_plain)
        return self._rise if self.is_idle else None
