"""Roster: who of the streams may be ranked at all."""

import numpy as np
from numpy.typing import NDArray

from rtemo.api import Block, Party, StateTable, is_agent


class Roster:
    """Leaves people at work out, whatever the purpose: neither they nor their moments are ranked.

    Of a line on which a plugin before has told two parties apart nothing is ranked any more: a place in an order is one
    person's, and one of them may be at work.

    Args:
        capacity: Most streams.
    """

    def __init__(self, capacity: int) -> None:
        self._table = table = StateTable(capacity)
        self._is_met = table.add("is_met", (), np.bool_)
        self._is_left_out: NDArray[np.bool_] = table.add("is_left_out", (), np.bool_)  # type: ignore[assignment]
        self.admit, self.retire, self.reset = table.admit, table.retire, table.reset

    def left_out(self, block: Block) -> NDArray[np.bool_]:
        """Tell who of a block is left out, bool [n]; nobody where it is not known who the streams are."""
        n = block.n
        if block.streams:
            for row in np.flatnonzero(~self._is_met[:n]).tolist():  # a role is for life: asked once
                self._is_met[row] = True
                self._is_left_out[row] = is_agent(block.streams[row].role)
        for event in block.events:
            if isinstance(event.data, Party) and event.row is not None and len(event.data.known_s) > 1:
                self._is_left_out[event.row] = True
        return self._is_left_out[:n]
