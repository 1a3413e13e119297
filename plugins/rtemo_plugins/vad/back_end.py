"""BackEnd: what judges hops; and the unknown values of the marks."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from rtemo.api import Block

UNKNOWN = 255
"""Value of the marks `vad.speech` and `vad.voice` when nothing is known."""


class BackEnd(Protocol):
    """Judges one hop of n streams at a time; its state lies in rows that move with the streams.

    Attributes:
        lag_samples: int64 [capacity], how far behind the hop's first sample the judged audio begins.
        began: uint8 [capacity], `steadiness.TONE` or `MUSIC` where such a sound has become plain with this hop.
    """

    lag_samples: NDArray[np.int64]
    began: NDArray[np.uint8]

    def judge(
        self, block: Block, probability: NDArray[np.float32], voice: NDArray[np.uint8], toned: NDArray[np.uint32]
    ) -> None:
        """Write the probability of voice (NaN: unknown) and the bare decision (0, 1, `UNKNOWN`) of every row.

        Bit k of `toned`, uint32 [n], says that the hop k hops ago was a tone of the line.
        """

    def admit(self, row: int) -> None:
        """Prepare fresh state at `row`."""

    def retire(self, row: int, last: int) -> None:
        """Forget `row`; the stream at `last` takes its place."""

    def reset(self, row: int) -> None:
        """Make the state at `row` fresh."""
