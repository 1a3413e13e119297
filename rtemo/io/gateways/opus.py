"""OpusDecoder: Opus packets (RFC 6716) of one sender to samples, by libopus in FFmpeg's libraries (PyAV)."""

from collections import deque

from rtemo.io.gateways.peer import PeerError

RATE_HZ = 48_000
"""What RTP counts Opus in, whatever was encoded (RFC 7587, 4.1), and what it is decoded to."""

_REMEMBERED = 64
_MOST_BYTES = 1_500 * 6  # the longest packet is 120 ms


class OpusDecoder:
    """Decodes one channel; stereo is mixed down.

    What is lost stays a hole, as with every codec here: nothing that was not said is made up to be analysed. A packet
    that was overtaken on the way is decoded all the same; where it joins its neighbours there is a small fault then.

    Raises:
        ImportError: PyAV is not installed.
    """

    def __init__(self) -> None:
        import av

        self._av = av
        self._context = av.CodecContext.create("libopus", "r")
        self._context.sample_rate = RATE_HZ
        self._context.layout = "mono"
        self._decoded: deque[int] = deque(maxlen=_REMEMBERED)

    def decode(self, number: int, packet: bytes) -> bytes:
        """Decode the packet of that number to 16-bit samples; nothing when it was decoded before.

        Raises:
            PeerError: It is no Opus.
        """
        if number in self._decoded:
            return b""
        if len(packet) > _MOST_BYTES:
            raise PeerError(f"sent {len(packet)} bytes of Opus in one packet")
        try:
            frames = self._context.decode(self._av.Packet(packet))
        except self._av.error.FFmpegError:
            raise PeerError(f"sent {len(packet)} bytes that are no Opus packet") from None
        self._decoded.append(number)
        return b"".join(frame.to_ndarray().tobytes() for frame in frames)
