"""Standings: all streams of the engine compared, in one step."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtemo.api import ConfigError, StateTable
from rtemo.dsp.kernel import kernel
from rtemo_plugins.ranker.options import BoardOptions

_SETTLED_SAMPLES = 60.0  # of past after which it counts half as what is usual for the voice
_OWN_SHARE = 0.5  # of the urgency that is measured against the call's own past
_TIE_Z = 0.253  # one above the other with a probability of 60 %


class Known(NamedTuple):
    """What is known of n streams; anything where nothing is."""

    score: NDArray[np.float32]
    """float32 [n, attributes]."""
    spread: NDArray[np.float32]
    """float32 [n, attributes]."""
    past_mean: NDArray[np.float64]
    """float64 [n, attributes]."""
    past_mass: NDArray[np.float64]
    """float64 [n], samples."""


class Standings:
    """Ranks streams by urgency, and keeps the first places from flickering.

    The urgency of a stream is the weighted sum of its scores. From each score half of what is usual for this voice is
    taken: the mean of its own past, shrunk towards that of all voices (0) while there is little of it. So a voice that
    has always been loud does not stand first for that alone. What decides is the urgency less `caution` times its
    spread, the errors of the attributes taken as independent: a stream must be surely urgent.

    A stream leaves the first places, or gives its place to another, only when it falls behind by `hysteresis`. Streams
    of which one is above the other with a probability below 60 % share a place.

    Args:
        options: Of the board.
        attributes: What is scored.
        capacity: Most streams.

    Attributes:
        weights: float64 [attributes].
        place: int64 [capacity], 1 for the first; 0 for who is not on the board.
        urgency: float64 [capacity], as last compared.
        spread: float64 [capacity], standard deviation of its error.

    Raises:
        ConfigError: A weight is of an attribute that is not scored, or there is none.
    """

    def __init__(self, options: BoardOptions, attributes: Sequence[str], capacity: int) -> None:
        self.weights = _weights(options.weights, attributes)
        self._options = options
        self._table = table = StateTable(capacity)
        self.place: NDArray[np.int64] = table.add("place", (), np.int64)  # type: ignore[assignment]
        self._standing = table.add("standing", (), np.int64)  # as place, but without ties
        self.urgency: NDArray[np.float64] = table.add("urgency", (), np.float64)  # type: ignore[assignment]
        self.spread: NDArray[np.float64] = table.add("spread", (), np.float64)  # type: ignore[assignment]
        self.admit, self.retire, self.reset = table.admit, table.retire, table.reset
        _settle(np.zeros(0, np.int64), np.zeros(0), 0.0)
        _share(np.zeros(0), np.zeros(0))

    def rank(self, known: Known, is_known: NDArray[np.bool_], slots: NDArray[np.int64]) -> NDArray[np.int64]:
        """Compare n streams.

        Args:
            known: What is known of them.
            is_known: bool [n], who is compared: of whom there was speech enough, and lately.
            slots: int64 [n], tells apart those that are exactly alike, the same way every time.

        Returns:
            The rows of the first places, in order.
        """
        n = len(slots)
        options, weights = self._options, self.weights
        usual = known.past_mean * (known.past_mass / (known.past_mass + _SETTLED_SAMPLES))[:, None]
        urgency = (known.score - _OWN_SHARE * usual) @ weights
        spread = np.sqrt(np.square(known.spread) @ np.square(weights))
        key = urgency - options.caution * spread
        standing = self._standing[:n]
        sticky = key + options.hysteresis * (standing > 0)
        sticky[~is_known] = -np.inf
        count = min(options.places, int(np.count_nonzero(is_known)))
        rows = np.argpartition(-sticky, count - 1)[:count] if 0 < count < n else np.flatnonzero(is_known)
        # Those who stood there, in their order; then the others, best first.
        before = np.where(standing[rows] > 0, standing[rows], options.places + 1)
        rows = rows[np.lexsort((slots[rows], -key[rows], before))]
        _settle(rows, key, options.hysteresis)
        standing[:] = 0
        standing[rows] = np.arange(1, len(rows) + 1)
        self.place[:n] = 0
        self.place[rows] = _share(key[rows], spread[rows])
        self.urgency[:n] = urgency
        self.spread[:n] = spread
        return rows


def _weights(given: Mapping[str, float], attributes: Sequence[str]) -> NDArray[np.float64]:
    for attribute in given:
        if attribute not in attributes:
            raise ConfigError(
                f"plugins.ranker.board.weights names {attribute!r}, which is not scored",
                f"choose among {', '.join(attributes)}",
            )
    weights = np.array([given.get(attribute, 0.0) for attribute in attributes])
    if not weights.any():
        raise ConfigError("plugins.ranker.board.weights leaves nothing to compare by", "give an attribute a weight")
    return weights


@kernel
def _settle(rows: NDArray[np.int64], key: NDArray[np.float64], hysteresis: float) -> None:
    """Let each row pass those before it that it exceeds by the hysteresis, in place."""
    for i in range(1, rows.shape[0]):
        row, j = rows[i], i
        while j > 0 and key[row] > key[rows[j - 1]] + hysteresis:
            rows[j] = rows[j - 1]
            j -= 1
        rows[j] = row


@kernel
def _share(key: NDArray[np.float64], spread: NDArray[np.float64]) -> NDArray[np.int64]:
    """Give each of the rows in order its place; equal for those that cannot be told from the first of their group."""
    place = np.zeros(key.shape[0], np.int64)
    first = 0
    for i in range(key.shape[0]):
        error = np.sqrt(spread[first] ** 2 + spread[i] ** 2)
        if abs(key[first] - key[i]) > _TIE_Z * error:
            first = i
        place[i] = first + 1
    return place
