"""TwilioReturn: the way back on a bidirectional stream of Twilio Media Streams."""

from collections import deque

from rtemo.io.gateways import twilio_wire as wire
from rtemo.io.gateways.return_path import ReturnPath
from rtemo.io.gateways.web import WebConnection

_FRAME_SAMPLES = wire.RATE_HZ // 50
_MARK_SAMPLES = wire.RATE_HZ
_MOST_BEHIND_SAMPLES = 3 * wire.RATE_HZ  # a second of that is the distance of marks
_MOST_MARKS = 64


class TwilioReturn(ReturnPath):
    """Audio as `media` messages, which Twilio plays one after the other however late they are.

    A `mark` each second tells by its coming back how far the playing is. When more than three seconds have not been
    played, because Twilio's clock is slower than the sender's, `clear` throws them away. Stand-ins that send no mark
    back are left to themselves.

    Args:
        connection: The peer.
        channel: The track whose audio it is.
        stream_sid: Name of the stream, as its `start` had it.

    Attributes:
        cleared_samples: Thrown away by `clear`, at 8 kHz; at most, since marks are a second apart.
    """

    def __init__(self, connection: WebConnection, channel: str, stream_sid: str) -> None:
        super().__init__(connection, channel, wire.RATE_HZ, "mulaw", _FRAME_SAMPLES)
        self.cleared_samples = 0
        self._stream_sid = stream_sid
        self._marks: deque[tuple[str, int]] = deque(maxlen=_MOST_MARKS)
        self._played_samples = 0
        self._answers_marks = False

    def hear(self, name: str) -> None:
        """Take note of a mark that has come back."""
        at = next((place for place, (known, _) in enumerate(self._marks) if known == name), -1)
        if at < 0:
            return  # of before a `clear`, or somebody else's
        self._answers_marks = True
        for _ in range(at + 1):
            self._played_samples = self._marks.popleft()[1]

    def send(self, payload: bytes) -> None:
        """See `ReturnPath.send`."""
        self.connection.post(wire.media(self._stream_sid, payload))
        end_samples = self.sent_samples + _FRAME_SAMPLES
        if end_samples // _MARK_SAMPLES == self.sent_samples // _MARK_SAMPLES:
            return
        if self._answers_marks and end_samples - self._played_samples > _MOST_BEHIND_SAMPLES:
            self._clear(end_samples)
            return
        name = f"rtemo-{end_samples}"
        self._marks.append((name, end_samples))
        self.connection.post(wire.mark(self._stream_sid, name))

    def flush(self) -> None:
        """See `ReturnPath.flush`."""
        self._clear(self.sent_samples)

    def _clear(self, end_samples: int) -> None:
        self.connection.post(wire.clear(self._stream_sid))
        self.cleared_samples += end_samples - self._played_samples
        self._marks.clear()
        self._played_samples = end_samples
