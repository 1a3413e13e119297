"""Turn: one turn of a speaker with everything that was found out about it."""

from collections.abc import Mapping

import msgspec

from rtemo.api import Emotion, EndOfTurn, Rank, Rationale, Spoof, Transcript
from rtemo.api.format import StreamFormat

_RATE_HZ = StreamFormat().sample_rate_hz  # of every engine


class Course(msgspec.Struct, frozen=True, kw_only=True):
    """Where an attribute has been going, without a break until now."""

    direction: str
    """`rising` or `falling`."""
    duration_s: float
    """For how long that has been found."""


class Turn(msgspec.Struct, frozen=True, kw_only=True):
    """One turn of one stream, told once, when it is over and what belongs to it has come.

    What the chain has no plugin for, or the policy keeps back, is None or empty.
    """

    call: str
    channel: str
    role: str = ""
    """Who speaks, as the stream was opened."""
    start_sample: int
    """First sample of the turn in its stream, at the engine's rate."""
    end_sample: int
    """One past the last."""
    reason: str = "silence"
    """Why it is over: `silence`, `stream_end`, `frames_stopped` or `max_duration`."""
    transcript: Transcript | None = None
    emotion: Emotion | None = None
    """The final one."""
    ranks: Mapping[str, Rank] = {}
    """Attribute → the last rank of the stream by the end of the turn."""
    courses: Mapping[str, Course] = {}
    """Attribute → where it has been going; those that stay are left out."""
    spoof: Spoof | None = None
    """The last by the end of the turn."""
    rationale: Rationale | None = None
    end_of_turn: EndOfTurn | None = None
    """What said that the turn is over, where a plugin for that is in the chain."""
    latency_s: float | None = None
    """Time from the capture of the last sample to when all of this was known; None where no clock was running."""

    @property
    def text(self) -> str:
        """What was said; empty where nobody wrote it down."""
        return "" if self.transcript is None else self.transcript.text

    @property
    def start_s(self) -> float:
        """`start_sample` in seconds of the stream."""
        return self.start_sample / _RATE_HZ

    @property
    def end_s(self) -> float:
        """`end_sample` in seconds of the stream."""
        return self.end_sample / _RATE_HZ

    @property
    def is_backchannel(self) -> bool:
        """Whether it is a sign of listening ("mhm") rather than a turn of its own."""
        return self.end_of_turn is not None and self.end_of_turn.is_backchannel
