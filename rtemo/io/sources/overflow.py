"""OverflowReport: tells of audio that a device lost, often enough to be seen and seldom enough to be read."""

from rtemo.api import SourceState, StreamWriter


class OverflowReport:
    """Gathers overflows and reports them at most once per `interval_s`, the first at once.

    Args:
        interval_s: Shortest time between two reports.
    """

    def __init__(self, interval_s: float = 5.0) -> None:
        self._interval_ns = round(interval_s * 1e9)
        self._count = 0
        self._lost_s = 0.0
        self._next_ns: int | None = None

    def add(self, lost_s: float) -> None:
        """Count one overflow that cost `lost_s` of audio, as far as is known."""
        self._count += 1
        self._lost_s += lost_s

    def tell(self, writer: StreamWriter, now_ns: int) -> None:
        """Report what has gathered, if it is time to."""
        if not self._count or (self._next_ns is not None and now_ns < self._next_ns):
            return
        times = "once" if self._count == 1 else f"{self._count} times"
        detail = (
            f"the device dropped audio {times}, about {1000 * self._lost_s:.0f} ms: this computer did not read it "
            "in time; raise sources.microphone.latency_s or lower the load"
        )
        writer.report(SourceState(state="overflow", detail=detail))
        self._next_ns = now_ns + self._interval_ns
        self._count = 0
        self._lost_s = 0.0
