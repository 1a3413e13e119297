"""OnDemand: the enhancer, run only for streams whose audio somebody wants, and as if it had run all along."""

import numpy as np
from numpy.typing import NDArray

from rtemo.api import StateTable
from rtemo_plugins.merit.enhancer import Enhancer
from rtemo_plugins.merit.front_end import FrontEnd, Spectrum
from rtemo_plugins.merit.recall import Recall

HELPED = 8
"""Streams that catch up together."""

_WORK = 256  # hops of streams that are heard again in a tick; a step costs as much as four streams even of none
_OFF, _CATCHING_UP, _ON = range(3)


class OnDemand:
    """Enhances what is wanted; of everything else the audio comes out as it came in, equally late.

    When a stream is wanted, a second enhancer hears its last hops again, as many of them per tick as leave the tick
    short, until it is up to date; then its state is taken over. A stream wanted from its first hop on is enhanced from
    there.

    Args:
        enhancer: For all rows.
        helper: One of the same networks for `HELPED` rows.
        front_end: Its front end, for as many rows.
        recall: The past.
        late_hops: By how many hops the audio leaves late.
        capacity: Most streams.
    """

    def __init__(
        self,
        enhancer: Enhancer,
        helper: Enhancer,
        front_end: FrontEnd,
        recall: Recall,
        late_hops: int,
        capacity: int,
    ) -> None:
        self._enhancer = enhancer
        self._helper = helper
        self._front_end = front_end
        self._recall = recall
        self._late_hops = late_hops
        self._table = StateTable(capacity)
        self._state = self._table.add("state", (), np.uint8)
        self._helped: list[int] = []
        self._left_hops = 0

    def process(self, spectrum: Spectrum, context: NDArray[np.float32], samples: NDArray[np.float32]) -> None:
        """Put the audio that is due in the place of one hop of each stream.

        Args:
            spectrum: Of the newest frame, with its bins where `ask` wanted them; its spectra are overwritten.
            context: float32 [n, …], of the listener.
            samples: float32 [n, hop_samples], overwritten.
        """
        n = len(samples)
        self._recall.append(samples, context)
        is_on = self._state[:n] == _ON
        late = np.flatnonzero(~is_on)
        if len(late):
            plain, _ = self._recall.read(late, self._late_hops)
        if len(late) < n:
            self._enhancer.process(spectrum, context, samples, np.flatnonzero(is_on) if len(late) else None)
        if len(late):
            samples[late] = plain
        self._catch_up(samples)

    def ask(self, is_wanted: NDArray[np.bool_]) -> bool:
        """Note what is wanted of n streams, bool [n], before the hop is processed; tell whether its bins are needed."""
        state = self._state[: len(is_wanted)]
        state[~is_wanted] = _OFF
        is_new = is_wanted & (state == _OFF)
        if is_new.any():
            state[is_new] = np.where(self._recall.hops[: len(state)][is_new] == 0, _ON, _CATCHING_UP)
        return bool((state == _ON).any())

    def _catch_up(self, samples: NDArray[np.float32]) -> None:
        """Hear the past of some streams again; those that are up to date are on, from this hop's audio on."""
        waiting = np.flatnonzero(self._state[: len(samples)] == _CATCHING_UP)
        if not len(waiting):
            self._helped = []
            return
        if not self._helped:
            self._begin(waiting)
        else:
            self._left_hops += 1
        rows = np.array(self._helped)
        hops = self._recall.hops[rows]
        for _ in range(min(self._left_hops, max(1, _WORK // (4 + len(rows))))):
            self._left_hops -= 1
            count = int(np.count_nonzero(hops > self._left_hops))  # those that are too young for it come in later
            part, context = self._recall.read(rows[:count], self._left_hops)
            self._helper.process(self._front_end.process(part), context, part)
        if self._left_hops:
            return
        for place, row in enumerate(self._helped):
            if self._state[row] == _CATCHING_UP:
                self._enhancer.copy(row, self._helper, place)
                self._state[row] = _ON
                samples[row] = part[place]
        self._helped = []

    def _begin(self, waiting: NDArray[np.int64]) -> None:
        """Choose who catches up: the streams with the longest past first, for they are in the leading rows."""
        held = [self._recall.held(row) for row in waiting.tolist()]
        order = np.argsort(held, kind="stable")[::-1][:HELPED]
        self._helped = waiting[order].tolist()
        self._left_hops = held[order[0]]
        for place in range(len(self._helped)):
            self._helper.admit(place)
            self._front_end.admit(place)

    def admit(self, row: int) -> None:
        """Prepare fresh state for a new stream."""
        self._table.admit(row)
        self._recall.admit(row)
        self._enhancer.admit(row)
        self._helped = []

    reset = admit

    def retire(self, row: int, last: int) -> None:
        """Forget the stream at `row`; the one at `last` takes its place. Who was catching up begins again."""
        self._table.retire(row, last)
        self._recall.retire(row, last)
        self._enhancer.retire(row, last)
        self._helped = []
