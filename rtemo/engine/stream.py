"""Stream: one channel of audio in the engine."""

from rtemo.api import Counters


class Stream:
    """A live stream: its names, its ring slot, and the number of its last event.

    The slot stays the same for the stream's life; its row in the block may change at every retirement, and is None
    before it has one and after it has left; `end_sample` is how far it came and `is_doubted` whether it was, once it
    has left.
    """

    def __init__(
        self, call: str, channel: str, slot: int, source: str, role: str, analysis: str = "person", id: int = 0
    ) -> None:
        self.id = id
        self.row: int | None = None
        self.call = call
        self.channel = channel
        self.slot = slot
        self.source = source
        self.role = role
        self.analysis = analysis
        self.seq = 0
        self.end_sample = 0
        self.is_doubted = False
        self.end_reason = ""
        self.is_closed = False
        self.dropped_events = 0
        self.xruns = 0
        self.final_counters: Counters | None = None
