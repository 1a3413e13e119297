"""ReturnPath: takes the processed audio of one party back over the connection that brought it."""

from rtemo.io.gateways.connection import Connection
from rtemo.io.pcm import BYTES_PER_SAMPLE, SampleType

_MOST_WAITING_BYTES = 16_384  # for a peer that reads too slowly; then it misses audio, and its connection stays


class ReturnPath:
    """What a protocol's way back has in common; called on the thread of the gateway alone.

    Args:
        connection: The peer.
        channel: The party whose audio it is.
        rate_hz: Sample rate that the peer takes.
        codec: Sample type that it takes.
        frame_samples: Samples in each message, at that rate.

    Attributes:
        sent_samples: Handed to the network so far, at the peer's rate.
    """

    def __init__(
        self, connection: Connection, channel: str, rate_hz: int, codec: SampleType, frame_samples: int
    ) -> None:
        self.connection = connection
        self.channel = channel
        self.rate_hz = rate_hz
        self.codec = codec
        self.frame_samples = frame_samples
        self.sent_samples = 0

    @property
    def frame_bytes(self) -> int:
        """Bytes of a frame."""
        return self.frame_samples * BYTES_PER_SAMPLE[self.codec]

    @property
    def is_held(self) -> bool:
        """Whether the peer takes nothing just now."""
        return False

    def take(self, payload: bytes) -> bool:
        """Send one frame; False when it was dropped, since the peer does not take as much as it should."""
        connection = self.connection
        leg = connection.legs.get(self.channel)
        if leg is None or leg.owner is not connection:
            return True  # it is over, or another connection brings the party now
        if self.is_held or connection.waiting_bytes > _MOST_WAITING_BYTES:
            return False
        self.send(payload)
        self.sent_samples += len(payload) // BYTES_PER_SAMPLE[self.codec]
        return True

    def break_off(self) -> None:
        """Let the peer play nothing more of what it has, if it brings the party."""
        leg = self.connection.legs.get(self.channel)
        if leg is not None and leg.owner is self.connection:
            self.flush()

    def send(self, payload: bytes) -> None:
        """Write one frame as the protocol has it."""
        self.connection.post(payload)

    def flush(self) -> None:
        """Have the peer throw away what it has not played, where the protocol has a word for that."""
