"""AudioOutbox: the bounded hand-over of processed audio from the driver to one sink."""

import queue

from rtemo.api import ProcessedBlock


class AudioOutbox:
    """Holds whole ticks until the sink's thread takes them.

    When it is full the newest tick is dropped and counted, never a live driver made to wait (a freewheeling one lets
    the sink catch up). That a stream has ended is handed over all the same.

    Args:
        capacity_blocks: Ticks it holds.

    Attributes:
        posted_blocks: Ticks ever put in, dropped ones left out.
        dropped_hops: Hops of streams for which there was no room.
        is_closed: Whether the sink has gone; nothing is taken any more.
    """

    def __init__(self, capacity_blocks: int) -> None:
        self._capacity_blocks = capacity_blocks
        self._blocks: queue.SimpleQueue[ProcessedBlock | None] = queue.SimpleQueue()
        self.posted_blocks = 0
        self.dropped_hops = 0
        self.is_closed = False

    def put(self, block: ProcessedBlock) -> None:
        """Hand over one tick. Driver thread."""
        if self.is_closed:
            return
        if self._blocks.qsize() >= self._capacity_blocks:
            self.dropped_hops += block.n
            if not block.is_last.any():
                return
            block = block.ends()
        self.posted_blocks += 1
        self._blocks.put(block)

    @property
    def is_half_full(self) -> bool:
        """Whether the sink is far behind, so that who can wait should."""
        return not self.is_closed and 2 * self._blocks.qsize() > self._capacity_blocks

    def take(self, timeout_s: float) -> ProcessedBlock | None:
        """Take the oldest tick, waiting up to `timeout_s` for it; None when there is none. Sink's thread."""
        try:
            return self._blocks.get(timeout=timeout_s) if timeout_s > 0 else self._blocks.get_nowait()
        except queue.Empty:
            return None

    def wake(self) -> None:
        """Let a waiting `take` return. Any thread."""
        self._blocks.put(None)
