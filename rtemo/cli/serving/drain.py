"""Drain: a planned stop that lets calls come to their end."""

import math
import time
from collections.abc import Sequence
from typing import Any


class Drain:
    """A planned stop that lets calls come to their end, at the sources that know how to take no new ones."""

    def __init__(self, sources: Sequence[Any], limit_s: float | None) -> None:
        self._sources = [source for source in sources if hasattr(source, "drain")]
        longest_s = max((float(getattr(source, "drain_s", 0.0)) for source in self._sources), default=0.0)
        self._limit_s = longest_s if limit_s is None else limit_s
        self._until_s = 0.0
        self._is_told = False

    @property
    def has_begun(self) -> bool:
        """Whether no new calls are taken."""
        return self._until_s > 0.0

    def begin(self) -> bool:
        """Take no new calls from now on; tell whether there is time for those that run."""
        if not self._limit_s or not self._sources:
            return False
        self._until_s = time.monotonic() + self._limit_s
        for source in self._sources:
            source.drain()
        return True

    def begin_without_limit(self) -> None:
        """Take no new calls from now on, and wait for those that run; a limit that was given at the start holds."""
        self._limit_s = self._limit_s or math.inf
        self.begin()

    @property
    def _count_streams(self) -> int:
        return sum(source.count_streams for source in self._sources)

    @property
    def is_over(self) -> bool:
        """Whether the last call has ended, or the time is up."""
        if not self._until_s:
            return False
        count = self._count_streams
        if not self._is_told:
            self._is_told = True
            at_most = "until they end" if math.isinf(self._limit_s) else f"for {self._limit_s:g} s at most"
            print(f"draining: no new calls; {count} streams go on {at_most}", flush=True)
        return not count or time.monotonic() > self._until_s
