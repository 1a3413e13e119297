"""Renewal: all workers replaced one after the other while calls go on."""

import contextlib
from collections import deque

from rtemo.api import ConfigError
from rtemo.cluster.fleet import Fleet


class Renewal:
    """Adds a worker; when it takes calls, lets the oldest go; then the next, until none of the old ones is left.

    What runs on afterwards has been started since: with what is installed by then. It belongs to the thread of the
    fleet.

    Args:
        fleet: The workers.
    """

    def __init__(self, fleet: Fleet) -> None:
        self._fleet = fleet
        self._old: deque[int] = deque()
        self._new = 0

    @property
    def left(self) -> int:
        """How many are still to be replaced."""
        return len(self._old)

    def begin(self) -> None:
        """Replace those that there are now.

        Raises:
            ConfigError: That is going on already.
        """
        if self._old:
            raise ConfigError(f"workers are being renewed, {self.left} are left", "wait until they are done")
        self._old.extend(sorted(self._fleet.numbers))

    def turn(self) -> None:
        """Do what is due; never blocks."""
        if not self._old:
            return
        if self._old[0] not in self._fleet.numbers:  # it has gone, as it was to
            self._old.popleft()
            self._new = 0
        elif self._new not in self._fleet.numbers:
            with contextlib.suppress(ConfigError):  # there are too many: tried again at the next turn
                self._new = self._fleet.add()
        elif self._fleet.is_running(self._new) and not self._fleet.is_leaving(self._old[0]):
            self._fleet.remove(self._old[0])
