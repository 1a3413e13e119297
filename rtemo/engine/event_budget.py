"""EventBudget: how much a plugin may say, so that one that says too much takes no room from the others."""

from rtemo.api import PluginError

BURST_EVENTS, BURST_EVENTS_PER_ROW = 1_000, 50
"""Most events at once: what a plugin says about a long call when it ends, or about all calls on one tick."""
EVENTS_PER_HOP, EVENTS_PER_HOP_AND_ROW = 4, 4
"""Most events in the long run; 800 a second for a single stream. Ours say a few a second."""


class EventBudget:
    """A bucket that every hop fills a little; it counts hops and no time, so that a file gives the same every time.

    Attributes:
        is_overdrawn: Whether something has been refused since it was last full.
    """

    __slots__ = ("_left", "_most", "_refused", "is_overdrawn")

    def __init__(self) -> None:
        self._most = self._left = BURST_EVENTS
        self._refused = 0
        self.is_overdrawn = False

    def refill(self, n: int) -> None:
        """Begin a hop of n streams."""
        self._most = BURST_EVENTS + BURST_EVENTS_PER_ROW * n
        self._left = min(self._left + EVENTS_PER_HOP + EVENTS_PER_HOP_AND_ROW * n, self._most)
        self._refused = 0
        if self._left == self._most:
            self.is_overdrawn = False

    def take(self) -> bool:
        """Take room for one event; tell whether there was any.

        Raises:
            PluginError: As much again has been refused in this one hop: it is not going to stop by itself.
        """
        if self._left:
            self._left -= 1
            return True
        self._refused += 1
        if self._refused > self._most:
            raise PluginError(f"it emitted more than {2 * self._most} events in one hop")
        return False
