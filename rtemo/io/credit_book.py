"""CreditBook: what the sender of a stream has been granted, what it has sent, and what is known to have arrived."""

from collections import deque

from rtemo.io.audio_wire import Credit, Opened


class CreditBook:
    """The sender's side of an ingest's credit; see docs/wire.md.

    Attributes:
        limit_bytes: Samples, in bytes, that may be sent in all since the stream was opened; -1 while it is not open.
        sent_bytes: Samples, in bytes, sent since then.
        lost_bytes: Samples, in bytes, that were sent and that no server had confirmed when it was lost, or that were
            lost on the way.
        sure_position: Position up to which all audio has arrived.
    """

    def __init__(self) -> None:
        self.limit_bytes = -1
        self.sent_bytes = 0
        self.lost_bytes = 0
        self.sure_position = 0
        self._opening = ""
        self._arrived_bytes = 0
        self._unsure: deque[tuple[int, int]] = deque()  # (bytes sent, position) at the end of each packet since
        self._asked_bytes: int | None = None  # sent when it asked; while no answer has come
        self._due_bytes: int | None = None  # sent before a question that was answered: the next credit tells of them

    @property
    def is_open(self) -> bool:
        """Whether anything has been granted."""
        return self.limit_bytes >= 0

    @property
    def credit_bytes(self) -> int:
        """Samples, in bytes, that may be sent now."""
        return max(0, self.limit_bytes - self.sent_bytes)

    def ask(self) -> None:
        """Take note that `open` is sent, for the first time or again."""
        if self._asked_bytes is None:
            self._asked_bytes = self.sent_bytes

    def open(self, opened: Opened) -> bool:
        """Take the answer to `open`; tell whether the server knows nothing of what was sent before."""
        is_news = not self.is_open or opened.opening != self._opening or opened.limit_bytes < self.limit_bytes
        if is_news:
            self.lost_bytes += self.sent_bytes - self._arrived_bytes
            self._unsure.clear()
            self._opening = opened.opening
            self.sent_bytes = self._arrived_bytes = 0
            self._due_bytes = None
            self.limit_bytes = opened.limit_bytes
        else:
            self._due_bytes = self._asked_bytes
        self._asked_bytes = None
        return is_news

    def grant(self, credit: Credit) -> bool:
        """Take what has arrived into account, and tell whether more may be sent than before."""
        self.confirm(credit.received_bytes)
        if self._due_bytes is not None and credit.received_bytes:
            self._write_off(self._due_bytes - credit.received_bytes)
        if not credit.limit_bytes > self.limit_bytes >= 0:
            return False
        self.limit_bytes = credit.limit_bytes
        return True

    def close(self) -> None:
        """Take note that the server knows nothing of the stream any more: nothing may be sent."""
        self.limit_bytes = -1

    def send(self, size_bytes: int, end_position: int) -> None:
        """Take note of a packet that was sent."""
        self.sent_bytes += size_bytes
        self._unsure.append((self.sent_bytes, end_position))

    def pause(self, begin_position: int, end_position: int) -> None:
        """Take note that between two positions there was nothing to send."""
        if self.sure_position == begin_position:
            self.sure_position = end_position

    def confirm(self, received_bytes: int) -> None:
        """Take note of what has arrived; a server of an earlier version does not tell, and is believed."""
        self._arrived_bytes = min(received_bytes or self.sent_bytes, self.sent_bytes)
        while self._unsure and self._unsure[0][0] <= self._arrived_bytes:
            self.sure_position = self._unsure.popleft()[1]

    def _write_off(self, lost_bytes: int) -> None:
        """Count what was lost on the way, or what is granted for it would be missing for ever."""
        self._due_bytes = None
        if lost_bytes <= 0:
            return
        self.lost_bytes += lost_bytes
        self.sent_bytes -= lost_bytes
        self._unsure = deque((max(0, sent - lost_bytes), position) for sent, position in self._unsure)
        self.confirm(self._arrived_bytes)
