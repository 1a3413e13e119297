"""Lines: the lines of all streams, made by the driver, worked on by the lane, and wiped by whoever is last."""

import threading
from collections.abc import Callable

from rtemo_plugins.parties.line import Line


class Held:
    """A line and who still needs it.

    Attributes:
        line: What is known of the stream.
        lock: Held while the lane works on it.
        ended: Turns whose end was heard. Driver thread.
        closed: Turns that the lane has told of. Lane thread.
        is_over: Whether the stream has left.
        left_s: When it left.
    """

    __slots__ = ("closed", "ended", "is_over", "left_s", "line", "lock")

    def __init__(self, line: Line) -> None:
        self.line = line
        self.lock = threading.Lock()
        self.ended = self.closed = 0
        self.is_over = False
        self.left_s = 0.0


class Lines:
    """What is known of every stream, by its number; nothing of a stream outlives what is still to be told of it.

    Args:
        make: Makes a line.
    """

    def __init__(self, make: Callable[[], Line]) -> None:
        self._make = make
        self._of: dict[int, Held] = {}

    def __len__(self) -> int:
        return len(self._of)

    def of(self, stream: int) -> Held | None:
        """What is held of a stream. Any thread."""
        return self._of.get(stream)

    def end_turn(self, stream: int) -> None:
        """Note that the lane will be given the end of a turn. Driver thread."""
        self._held(stream).ended += 1

    def begin(self, stream: int) -> None:
        """Make a line for a stream unless there is one. Driver thread."""
        self._held(stream)

    def renew(self, stream: int) -> None:
        """Begin anew with a stream. Driver thread."""
        held = self._of.pop(stream, None)
        if held is not None:
            with held.lock:
                held.line.wipe()

    def leave(self, stream: int, now_s: float) -> None:
        """Note that a stream has left, and wipe what is known of it unless the lane still has a turn to tell of.

        Driver thread; it does not wait for the lane, which looks again when it has done.
        """
        held = self._of.get(stream)
        if held is not None:
            held.left_s = now_s
            held.is_over = True
            self.wipe_if_done(stream, held)

    def wipe_if_done(self, stream: int, held: Held, in_any_case: bool = False) -> None:
        """Wipe what is known of a stream that has left and of which nothing is to be told any more. Any thread."""
        is_done = held.is_over and held.closed >= held.ended
        if (is_done or in_any_case) and held.lock.acquire(blocking=False):
            try:
                held.line.wipe()
                self._of.pop(stream, None)
            finally:
                held.lock.release()

    def sweep(self, before_s: float) -> None:
        """Wipe what is known of streams that left before, whatever the lane owes: it was dropped. Driver thread."""
        for stream, held in list(self._of.items()):
            if held.is_over and held.left_s < before_s:
                self.wipe_if_done(stream, held, in_any_case=True)

    def wipe_all(self) -> None:
        """Wipe everything: the engine closes."""
        for stream in list(self._of):
            self.renew(stream)

    def _held(self, stream: int) -> Held:
        held = self._of.get(stream)
        if held is None:
            held = self._of[stream] = Held(self._make())
        return held
