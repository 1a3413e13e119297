"""Room: how many turns at once the lane keeps up with, learnt from the windows it had to drop."""

from rtemo.api import StreamFormat
from rtemo.api.units import seconds_to_hops

_LEFT = 0.8
"""Share of the turns that is left after a step back."""
_CALM_S = 2.0
_MOST = 1 << 30


class Room:
    """Additive increase, multiplicative decrease on dropped windows, as of congestion on a line (Chiu and Jain 1989).

    The lane counts, the driver reads; each is a step that the interpreter does not divide. In freewheel nothing is ever
    dropped, so there is room for every turn and a file says the same every time.

    Args:
        format: Of all audio: time is counted in hops of the driver.
    """

    def __init__(self, format: StreamFormat) -> None:
        self.dropped = 0
        """Windows that never came to the lane. Lane thread."""
        self.turns = _MOST
        """Turns that may be taken at once, all streams together."""
        self._calm_hops = seconds_to_hops(_CALM_S, format.sample_rate_hz, format.hop_samples)
        self._seen = self._since = 0

    def look(self, taken: int) -> None:
        """Count one hop, with so many turns taken: 2 s after a step, take one back or add one. Driver thread."""
        self._since += 1
        if self.turns == _MOST and self.dropped == self._seen:
            return
        if self.turns != _MOST and self._since < self._calm_hops:
            return
        is_late = self.dropped != self._seen
        self.turns = max(1, int(_LEFT * min(taken, self.turns))) if is_late else self.turns + 1
        self._seen, self._since = self.dropped, 0
