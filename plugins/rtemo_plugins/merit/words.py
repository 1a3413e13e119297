"""Words: what the listener makes of every step, told to plugins that listen on."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtemo.api import Block, Mark, ModelCard, ModelError, StateTable

WORDS = 192
"""Numbers of a step."""

MARKS = (
    Mark(
        "merit.words",
        shape=(WORDS,),
        meaning="what the listener's emotion experts say of the newest step of a turn",
    ),
    Mark("merit.voiced", meaning="share of that step that has voice, 0 to 1"),
    Mark("merit.is_fresh", "uint8", (), 0, "1 at the one hop at which the words are new"),
)

_AT_REST = -1


class Words:
    """Holds the words of each stream: the newest, those that hold now, and those beside late audio.

    Words of a step are new at one hop, when the findings of that step begin to hold, and by as many hops later as the
    audio leaves late. That is fewer hops than a step has, so one set is on its way at a time.

    Args:
        card: Of the network; one without the output `words` leaves the marks unknown.
        late_hops: By how many hops the audio leaves late, and with it the marks.
        capacity: Most streams.

    Raises:
        ModelError: The network's words are of another length.
    """

    def __init__(self, card: ModelCard, late_hops: int, capacity: int) -> None:
        spec = card.outputs.get("words")
        if spec is not None and spec.shape != (WORDS,):
            raise ModelError(
                f"bundle {card.name!r} gives 'words' as {list(spec.shape)}, expected {[WORDS]}",
                "choose another `listen_bundle` for the merit plugin",
            )
        self._is_told = spec is not None
        self._late_hops = late_hops
        self._table = table = StateTable(capacity)
        self._newest = table.add("newest", (WORDS,), np.float32, np.nan)
        self._newest_voiced = table.add("newest_voiced", (), np.float32, np.nan)
        self._is_new = table.add("is_new", (), np.bool_)
        self._holding = table.add("holding", (WORDS,), np.float32, np.nan)
        self._holding_voiced = table.add("holding_voiced", (), np.float32, np.nan)
        self._left_hops = table.add("left_hops", (), np.int64, _AT_REST)
        self._shown = table.add("shown", (WORDS,), np.float32, np.nan)
        self._shown_voiced = table.add("shown_voiced", (), np.float32, np.nan)
        self.admit, self.retire, self.reset = table.admit, table.retire, table.reset

    def settle(
        self,
        rows: NDArray[np.int64],
        outputs: dict[str, NDArray[Any]],
        weight: NDArray[np.float32],
        heard: NDArray[np.bool_],
    ) -> None:
        """Take what the network gave for a step of `rows`; outside a turn (`heard` is false) the last words stay.

        Args:
            rows: int64 [k].
            outputs: Of the network.
            weight: float32 [k, step_hops], tells the hops with voice.
            heard: bool [k].
        """
        if self._is_told:
            self._newest[rows[heard]] = outputs["words"][heard]
            self._newest_voiced[rows] = weight.mean(axis=1)
            self._is_new[rows] = True

    def pass_over(self, rows: NDArray[np.int64]) -> None:
        """Take note of a step of `rows` outside a turn, about which the network was not asked."""
        if self._is_told:
            self._newest_voiced[rows] = 0.0
            self._is_new[rows] = True

    def publish(self, rows: NDArray[np.int64]) -> None:
        """Let the newest words of `rows` hold from this hop on."""
        rows = rows[self._is_new[rows]]  # none before the second step
        self._is_new[rows] = False
        self._holding[rows] = self._newest[rows]
        self._holding_voiced[rows] = self._newest_voiced[rows]
        self._left_hops[rows] = self._late_hops

    def show(self, block: Block) -> None:
        """Write the marks of the hop that leaves."""
        left_hops = self._left_hops[: block.n]
        is_due = left_hops == 0
        rows = np.flatnonzero(is_due)
        if len(rows):
            self._shown[rows] = self._holding[rows]
            self._shown_voiced[rows] = self._holding_voiced[rows]
        left_hops -= left_hops > _AT_REST
        block.marks["merit.words"][:] = self._shown[: block.n]
        block.marks["merit.voiced"][:] = self._shown_voiced[: block.n]
        block.marks["merit.is_fresh"][:] = is_due
