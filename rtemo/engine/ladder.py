"""Ladder: when a driver that cannot carry its load gives one thing more up, and when it takes one back."""

_WINDOW_NS = 250_000_000
_FIRST_WINDOWS = 4
"""Windows above the threshold, one after the other, before the first thing goes: no single hold fills so many."""
_NEXT_WINDOWS = 2
_BACK = 0.85
"""Part of the threshold below which the load is to stay with what comes back."""
_PATIENCE_NS = 2_000_000_000
"""How long it must be calm before the last thing comes back; twice as long each time that this was too early."""
_LONGEST_PATIENCE_NS = 60_000_000_000
_HELD_NS = 30_000_000_000
"""What comes back and need not go again for so long did not come back too early."""
_LEAST_KEPT = 0.5
"""As if nothing saved more than half of the load: what is measured in a moment of trouble must not bar the way back."""


class Ladder:
    """Follows the load of a live driver in windows of a quarter of a second, and says when to go a step down or up.

    The load is the time that the driver works, waiting left out, per time of audio that it works off. Above 1 audio
    backs up, whoever takes the time while it works: plugins, other threads, other programs. While a burst is worked off
    it is as low as the work on a hop is, and while there is less audio than time it is the share of the time in which
    the driver works. How late it wakes is none of it: to do less would not help.

    A step down asks for a load above one threshold in several windows; a step up for one that would stay below a lower
    threshold, 85 % of it, with what comes back (by what its going has saved), throughout a time that doubles
    whenever the step up was too early. So nothing comes and goes at the threshold.

    Args:
        hop_ns: Duration of a hop.
        above: Load from which on something is given up.

    Attributes:
        due_ns: When the present window is over.
        load: That of the last window.
    """

    def __init__(self, hop_ns: int, above: float) -> None:
        self._hop_ns = hop_ns
        self._above = above
        self._below = _BACK * above
        self._kept: list[float] = []  # for each step down, the share of the load that was left
        self._is_fresh = False
        self._load_before = 0.0
        self._over = 0
        self._calm_ns = 0
        self._patience_ns = _PATIENCE_NS
        self._taken_back_ns = -_HELD_NS
        self.load = 0.0
        self.start(0)

    def start(self, now_ns: int) -> None:
        """Begin with a driver that starts to work now."""
        self._seen_ns = now_ns
        self._begin(now_ns)

    def work(self, now_ns: int, ticks: int = 0) -> None:
        """Count the time since the last call as work, by which so many ticks were done."""
        self._busy_ns += now_ns - self._seen_ns
        self._seen_ns = now_ns
        self._ticks += ticks

    def rest(self, now_ns: int) -> None:
        """Leave the time since the last call out: the driver has waited."""
        self._seen_ns = now_ns

    def look(self, now_ns: int, is_more: bool) -> int:
        """End a window; tell which way to go.

        Args:
            now_ns: Monotonic time.
            is_more: Whether there is anything left to give up.

        Returns:
            1 to give one thing more up, -1 to take the last one back, else 0.
        """
        self.work(now_ns)
        load = self.load = self._measure(now_ns)
        self._begin(now_ns)
        if self._is_fresh:
            self._is_fresh = False
            self._kept[-1] = min(1.0, max(_LEAST_KEPT, load / self._load_before))
        if load > self._above:
            self._over += 1
            self._calm_ns = now_ns
            return self._down(now_ns) if is_more and self._over >= self._enough else 0
        self._over = 0
        if not self._kept or load / self._kept[-1] > self._below:
            self._calm_ns = now_ns
        return self._up(now_ns) if self._kept and now_ns - self._calm_ns >= self._patience_ns else 0

    def _begin(self, now_ns: int) -> None:
        self._since_ns = now_ns
        self._busy_ns = self._ticks = 0
        self.due_ns = now_ns + _WINDOW_NS

    @property
    def _enough(self) -> int:
        return _NEXT_WINDOWS if self._kept else _FIRST_WINDOWS

    def _measure(self, now_ns: int) -> float:
        busy_ns, passed_ns = self._busy_ns, max(now_ns - self._since_ns, 1)
        load = busy_ns / (self._ticks * self._hop_ns) if self._ticks else 0.0
        return load if busy_ns > self._above * passed_ns else min(load, busy_ns / passed_ns)

    def _down(self, now_ns: int) -> int:
        was_early = now_ns - self._taken_back_ns < _HELD_NS
        self._patience_ns = min(2 * self._patience_ns, _LONGEST_PATIENCE_NS) if was_early else _PATIENCE_NS
        self._load_before, self._is_fresh = self.load, True
        self._kept.append(1.0)
        self._over = 0
        return 1

    def _up(self, now_ns: int) -> int:
        self._kept.pop()
        self._is_fresh = False
        self._calm_ns = self._taken_back_ns = now_ns
        return -1
