"""Scorer: the network that scores what the listener says, one step at a time."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rtemo.api import BlockEvent, ModelError, ModelHandle, StateTable, check_seam
from rtemo_plugins.ranker.estimates import Estimates

WORDS = 192
STEP_HOPS = 4
_MOOD = "mood"


class Scorer:
    """Scores each stream anew whenever fresh words with voice in them have come.

    A step without voice is not computed: it would leave the network's pooling as it is.

    Args:
        model: The network: `words` and `weight` to `scores` and `spread`.
        capacity: Most streams.
        plugins: Whose estimates of arousal and valence are taken into the scores.

    Attributes:
        attributes: What is scored, in the order of the last axis of the arrays.
        score: float32 [capacity, attributes], NaN before any speech.
        spread: float32 [capacity, attributes], standard deviation of the score's error.
        mood: float32 [capacity, axes], where the voice stands in what changes with its mood; no axes where the network
            does not tell.
        spoken_hops: int64 [capacity], hops with voice so far.

    Raises:
        ModelError: The network takes or gives something else.
    """

    def __init__(self, model: ModelHandle, capacity: int, plugins: Sequence[str] = ()) -> None:
        card = model.card
        self.attributes = tuple(card.labels)
        if not self.attributes:
            raise ModelError(
                f"bundle {card.name!r} names no attributes", "choose another `bundle` for the ranker plugin"
            )
        count = len(self.attributes)
        check_seam(
            card,
            "ranker",
            "bundle",
            hops_per_step=STEP_HOPS,
            inputs={"words": (WORDS,), "weight": ()},
            outputs={"scores": (count,), "spread": (count,)},
        )
        self._model = model
        self._network = model.new_state(capacity)
        self._table = table = StateTable(capacity)
        self.score: NDArray[np.float32] = table.add("score", (count,), np.float32, np.nan)  # type: ignore[assignment]
        self.spread: NDArray[np.float32] = table.add("spread", (count,), np.float32, np.nan)  # type: ignore[assignment]
        self._own = table.add("own", (count,), np.float32, np.nan)  # what the network gave, before it was mixed
        self._own_spread = table.add("own_spread", (count,), np.float32, np.nan)
        axes = card.outputs[_MOOD].shape if _MOOD in card.outputs else (0,)
        self.mood: NDArray[np.float32] = table.add("mood", axes, np.float32, np.nan)  # type: ignore[assignment]
        self.spoken_hops: NDArray[np.int64] = table.add("spoken_hops", (), np.int64)  # type: ignore[assignment]
        self._estimates = Estimates(card, self.attributes, plugins, capacity)
        model.warm(self._network, {1, capacity})

    def hear(
        self, rows: NDArray[np.int64], words: NDArray[np.float32], voiced: NDArray[np.float32], n: int
    ) -> NDArray[np.int64]:
        """Take a step of some of n streams.

        Args:
            rows: int64 [k], where words are fresh.
            words: float32 [n, 192].
            voiced: float32 [n], share of the step that has voice.
            n: Streams.

        Returns:
            The rows whose score is new.
        """
        rows = rows[voiced[rows] > 0]
        given = words[rows]
        is_known = np.isfinite(given.sum(axis=1))
        if not is_known.all():  # what is not a number would stay in the network for good
            rows, given = rows[is_known], given[is_known]
        if not len(rows):
            return rows
        weight = voiced[rows]
        outputs = self._model.run({"words": given, "weight": weight}, self._network, n if len(rows) == n else rows)
        if _MOOD in outputs:
            self.mood[rows] = outputs[_MOOD]
        self.spoken_hops[rows] += np.rint(STEP_HOPS * weight).astype(np.int64)
        self._own[rows] = outputs["scores"]
        self._own_spread[rows] = outputs["spread"]
        self._mix(rows)
        return rows

    def hear_estimates(self, events: Sequence[BlockEvent]) -> None:
        """Take in what others tell of streams: it counts at once, whether or not anybody is speaking."""
        rows = self._estimates.hear(events, self.spoken_hops)
        if len(rows):
            self._mix(rows)

    def _mix(self, rows: NDArray[np.int64]) -> None:
        own = self._own[rows], self._own_spread[rows]
        self.score[rows], self.spread[rows] = self._estimates.mixed(rows, *own, self.spoken_hops[rows])

    def admit(self, row: int) -> None:
        """Prepare fresh state for a new stream."""
        self._table.admit(row)
        self._network.admit(row)
        self._estimates.admit(row)

    reset = admit

    def retire(self, row: int, last: int) -> None:
        """Forget the stream at `row`; the one at `last` takes its place."""
        self._table.retire(row, last)
        self._network.retire(row, last)
        self._estimates.retire(row, last)
