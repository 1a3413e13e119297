"""Outcome: what became of the calls of a cell."""

from collections import Counter

import msgspec

CAUSES = ("worker", "hang", "node", "front", "update")


class Incident:
    """Something that cut calls off: how many, and when the last of them went on.

    Attributes:
        cause: One of `CAUSES`.
        at_s: When.
        calls: How many it cut off.
        waiting: How many of them have not gone on yet.
        over_s: When none was waiting any more.
    """

    __slots__ = ("at_s", "calls", "cause", "over_s", "waiting")

    def __init__(self, cause: str, at_s: float) -> None:
        self.cause = cause
        self.at_s = at_s
        self.calls = self.waiting = 0
        self.over_s = at_s

    def settle(self, now_s: float) -> None:
        """Take note that one of its calls has gone on, or has been hung up."""
        self.waiting -= 1
        self.over_s = now_s


class Outcome(msgspec.Struct, kw_only=True):
    """Counted over a run. Every call that came has ended, was refused, was lost, or is live at the end."""

    arrivals: int = 0
    ended: int = 0
    refused: int = 0
    refused_in_trouble: int = 0
    """Of these, while a worker that there should be was not there."""
    lost: int = 0
    """Hung up while cut off."""
    live: int = 0
    """At the end, with those that wait for their first answer."""
    call_s: float = 0.0
    """Time of all calls together, without those that were refused."""
    lost_audio_s: Counter[str] = msgspec.field(default_factory=Counter)
    """Cause → audio that nobody heard."""
    cut_off: Counter[str] = msgspec.field(default_factory=Counter)
    """Cause → calls that it cut off."""
    incidents: list[Incident] = msgspec.field(default_factory=list)
    most_live: int = 0

    def refused_share(self, faster: float) -> float:
        """Share of calls that were refused, had things died as often as they are said to."""
        calm = self.refused - self.refused_in_trouble
        return (calm + self.refused_in_trouble / faster) / max(1, self.arrivals)

    def lost_s_per_million_hours(self, faster: float) -> dict[str, float]:
        """Tell how much audio is lost by each cause, in s for 10^6 hours of calls, had things died as often as said."""
        millions = max(1e-9, self.call_s / 3600.0 / 1e6)
        return {cause: self.lost_audio_s[cause] / (1.0 if cause == "update" else faster) / millions for cause in CAUSES}

    def recovery_s(self, causes: tuple[str, ...] = CAUSES[:4]) -> list[float]:
        """List how long each failure lasted that cut a call off and is over, in order of length."""
        return sorted(
            one.over_s - one.at_s for one in self.incidents if one.calls and not one.waiting and one.cause in causes
        )
