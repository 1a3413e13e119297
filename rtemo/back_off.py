"""BackOff: how long to wait before what has ended by itself is started again."""

_FIRST_S, _LONGEST_S = 0.25, 30.0
_STEADY_S = 60.0


class BackOff:
    """Doubles the wait each time, up to 30 s; what has lived for a minute begins anew at a quarter of a second."""

    def __init__(self) -> None:
        self._wait_s = _FIRST_S

    def wait_s(self, lived_s: float) -> float:
        """Tell how long to wait.

        Args:
            lived_s: How long it has lived, in s; 0 where it could not be started at all.

        Examples:
            >>> back_off = BackOff()
            >>> [back_off.wait_s(lived_s) for lived_s in (1.0, 0.0, 1.0, 61.0, 0.0)]
            [0.25, 0.5, 1.0, 0.25, 0.5]
        """
        wait_s = _FIRST_S if lived_s > _STEADY_S else self._wait_s
        self._wait_s = min(_LONGEST_S, 2 * wait_s)
        return wait_s
