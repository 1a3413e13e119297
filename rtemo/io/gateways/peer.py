"""PeerError: what a peer does that its protocol does not allow."""

from rtemo.api import RtemoError


class PeerError(RtemoError):
    """A peer misbehaves: its connection is closed with one line, and nobody else's."""

    def __init__(self, problem: str, mend: str = "") -> None:
        super().__init__(problem, mend)
