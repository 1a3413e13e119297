"""Allowance: a token bucket."""


class Allowance:
    """So many at once, and so many a second in the long run.

    >>> allowance = Allowance(per_s=10.0, burst=2.0, now_s=0.0)
    >>> [allowance.take(0.0) for _ in range(3)], allowance.take(0.1)
    ([True, True, False], True)

    Args:
        per_s: Tokens that come back each second.
        burst: Tokens it holds.
        now_s: Monotonic time.
    """

    __slots__ = ("_burst", "_per_s", "_since_s", "_tokens")

    def __init__(self, per_s: float, burst: float, now_s: float) -> None:
        self._per_s = per_s
        self._burst = burst
        self._tokens = float(burst)
        self._since_s = now_s

    def take(self, now_s: float, cost: float = 1.0) -> bool:
        """Take tokens if there are enough; tell whether there were."""
        self._fill(now_s)
        if self._tokens < cost:
            return False
        self._tokens -= cost
        return True

    def wait_s(self) -> float:
        """Tell in how many seconds the next token is there."""
        return max(0.0, (1.0 - self._tokens) / self._per_s)

    def is_full(self, now_s: float) -> bool:
        """Tell whether nothing was taken that has not come back."""
        self._fill(now_s)
        return self._tokens >= self._burst

    def _fill(self, now_s: float) -> None:
        self._tokens = min(self._burst, self._tokens + max(0.0, now_s - self._since_s) * self._per_s)
        self._since_s = now_s
