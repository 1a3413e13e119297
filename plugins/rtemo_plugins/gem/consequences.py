"""Consequences: what follows from a verdict and from an alarm, besides events and marks."""

import numpy as np
from numpy.typing import NDArray

from rtemo.api import Block, StateTable
from rtemo_plugins.gem.options import Policy
from rtemo_plugins.gem.verdicts import SPOOF


class Consequences:
    """Does what the policy says, hop by hop.

    Args:
        policy: `warn`: nothing. `tag`: doubt the streams whose verdict is `spoof`, so that emotion events about them
            are tagged. `mute`: that, and silence while an alarm stands.
        hop_samples: Over which the audio fades, so that muting does not click.
        capacity: Most streams.
    """

    def __init__(self, policy: Policy, hop_samples: int, capacity: int) -> None:
        self._tags = policy != "warn"
        self._mutes = policy == "mute"
        self._fall = np.linspace(1.0, 0.0, hop_samples, endpoint=False, dtype=np.float32)
        self._table = table = StateTable(capacity)
        self._was_muted: NDArray[np.bool_] = table.add("was_muted", (), np.bool_)  # type: ignore[assignment]
        self.admit, self.retire, self.reset = table.admit, table.retire, table.reset

    def follow(self, verdict: NDArray[np.uint8], is_alarmed: NDArray[np.bool_], block: Block) -> None:
        """Apply the policy to a block.

        Args:
            verdict: uint8 [n].
            is_alarmed: bool [n].
            block: Edited in place.
        """
        if self._tags:
            np.equal(verdict, SPOOF, out=block.is_doubted)
        if not self._mutes:
            return
        was_muted = self._was_muted[: block.n]
        if not (is_alarmed.any() or was_muted.any()):
            return
        block.samples[is_alarmed & was_muted] = 0.0
        block.samples[is_alarmed & ~was_muted] *= self._fall
        block.samples[~is_alarmed & was_muted] *= 1.0 - self._fall
        was_muted[:] = is_alarmed
