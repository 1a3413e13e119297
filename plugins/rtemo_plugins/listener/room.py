"""Room: how many turns the lane keeps up with, and how often it looks at each, learnt from its load and its losses."""

from rtemo.api import StreamFormat
from rtemo.api.units import seconds_to_hops

_FIRST = 4
"""Turns before anything is known: what a slow processor keeps up with, too."""
_LEFT = 0.8
"""Share of the turns that is left after a step back."""
_LOOK_S = 1.0
_SPARE = 0.35
"""Share of its time for which the lane may work so that twice as many turns are no risk."""
_BUSY = 0.7
"""From here on no turn is added: the rest is for a turn that is harder, and for what else runs on the machine."""
_FULL = 0.9
_MOST_SPARING = 4
"""Strides of half a second: a window of three seconds still meets all of a turn."""
_MOST = 1 << 30


class Room:
    """How many turns may be taken at once, all streams together; looked at once a second.

    As congestion control on a line does it, here with the line's load known besides its losses: while the lane has much
    time to spare the turns are doubled (slow start, Jacobson 1988), then one is added at a time, and a share of them is
    given up when windows were dropped or the lane has next to no time left (Chiu and Jain 1989). Before that, each turn
    is looked at less often between its first estimate and its last: more turns have a better last word then, and what
    that costs is a word in between that comes later. Where the lane is waited for, as in freewheel, there is room for
    every turn, so that a file says the same every time.

    The lane counts, the driver reads; each is a step that the interpreter does not divide.

    Args:
        format: Of all audio: time is counted in hops of the driver.
    """

    def __init__(self, format: StreamFormat) -> None:
        self.dropped = 0
        """Windows that never came to the lane. Lane thread."""
        self.busy_s = 0.0
        """Time that the lane has worked. Lane thread."""
        self.turns = _FIRST
        """Turns that may be taken at once."""
        self.sparing = 1
        """Every how many strides a turn is looked at, once there is an estimate of it. Driver writes, lane reads."""
        self._is_bounded = True
        self._hop_s = format.hop_s
        self._look_hops = seconds_to_hops(_LOOK_S, format.sample_rate_hz, format.hop_samples)
        self._since = self._most_taken = self._dropped_seen = 0
        self._busy_seen_s = 0.0

    def unbind(self) -> None:
        """Have room for every turn: the lane is waited for."""
        self._is_bounded = False
        self.turns = _MOST

    def look(self, taken: int) -> None:
        """Count one hop, with so many turns taken. Driver thread."""
        self._since += 1
        self._most_taken = max(self._most_taken, taken)
        if not self._is_bounded or self._since < self._look_hops:
            return
        dropped, busy_s = self.dropped, self.busy_s
        busy = (busy_s - self._busy_seen_s) / (self._since * self._hop_s)
        is_too_much = dropped > self._dropped_seen or busy > _FULL
        is_wanted = self._most_taken >= self.turns  # else nobody knows yet whether there is room for more
        if (is_too_much or (is_wanted and busy >= _BUSY)) and self.sparing < _MOST_SPARING:
            self.sparing *= 2
        elif is_too_much:
            self.turns = max(1, int(_LEFT * min(self._most_taken, self.turns)))
        elif is_wanted and busy < _BUSY:
            self.turns = 2 * self.turns if busy < _SPARE else self.turns + 1
        elif busy < _SPARE and self.sparing > 1:
            self.sparing //= 2
        self._dropped_seen, self._busy_seen_s = dropped, busy_s
        self._since = self._most_taken = 0
