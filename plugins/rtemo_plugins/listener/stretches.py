"""Stretches: when each stream spoke, told by the driver and read by the lane."""

from collections import deque


class Stretches:
    """Stretches of speech by stream, as `vad.speech` shows them; they outlive the row of a stream.

    The driver writes and the lane reads, each in steps that the interpreter does not divide. What the lane reads about
    a window depends only on what was written before the window was cut, so it does not matter how late it reads.
    """

    _KEPT = 256

    def __init__(self) -> None:
        self._of: dict[int, list[Stretch]] = {}
        self.ended: deque[int] = deque(maxlen=1 << 16)
        """Streams that have left, for the lane to forget."""

    def begin(self, stream: int, position: int, is_taken: bool = True) -> None:
        """Speech is on from this sample, and the lane is to listen to it or not. Driver thread."""
        known = self._of.setdefault(stream, [])
        known.append(Stretch(position, is_taken))
        if len(known) > self._KEPT:
            del known[: self._KEPT // 2]

    def end(self, stream: int, position: int) -> None:
        """Speech is off from this sample. Driver thread."""
        known = self._of.get(stream)
        if known and known[-1].end is None:
            known[-1].end = position

    def let_go(self, stream: int) -> None:
        """The lane is not to listen to what is being said any more. Driver thread."""
        known = self._of.get(stream)
        if known:
            known[-1].is_taken = False

    def leave(self, stream: int) -> None:
        """The stream is no more; what is known of it is kept for what the lane still has of it. Driver thread."""
        self.ended.append(stream)

    def forget(self, stream: int) -> None:
        """Drop what is known of a stream. Lane thread."""
        self._of.pop(stream, None)

    def before(self, stream: int, position: int) -> "Stretch | None":
        """The last stretch that began before a sample. Lane thread."""
        return next((stretch for stretch in reversed(list(self._of.get(stream, ()))) if stretch.start < position), None)


class Stretch:
    """A stretch of speech.

    Attributes:
        start: Its first sample.
        end: One past the last; None while it goes on.
        is_taken: Whether the lane listens to it; once it does not, it never does again.
    """

    __slots__ = ("end", "is_taken", "start")

    def __init__(self, start: int, is_taken: bool) -> None:
        self.start = start
        self.end: int | None = None
        self.is_taken = is_taken
