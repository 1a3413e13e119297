"""Moment: a turn that was found, and how near it is to what was looked for."""

from pathlib import Path
from typing import NamedTuple


class Moment(NamedTuple):
    """A turn, at the score it had at its end.

    Attributes:
        score: How near it is.
        call: Name of the call.
        channel: Channel within it.
        start_s: Where it begins, in s of the stream.
        end_s: Where it ends.
        path: File of events that it was found in; None where audio was heard.
    """

    score: float
    call: str
    channel: str
    start_s: float
    end_s: float
    path: Path | None = None
