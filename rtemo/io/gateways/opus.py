"""OpusDecoder: Opus packets (RFC 6716) of one sender to samples, by libopus in FFmpeg's libraries (PyAV)."""

from rtemo.io.gateways.peer import PeerError

RATE_HZ = 48_000
"""What RTP counts Opus in, whatever was encoded (RFC 7587, 4.1), and what it is decoded to."""

_PER_MS = RATE_HZ // 1000
_SILK, _HYBRID, _CELT = (10, 20, 40, 60), (10, 20), (2.5, 5, 10, 20)
_MOST_SAMPLES = 120 * _PER_MS


def count_samples(packet: bytes) -> int:
    """Tell by its first bytes how many samples a packet holds (RFC 6716, 3.1), at `RATE_HZ`.

    >>> count_samples(bytes([0x78])), count_samples(bytes([0x7B, 3]))
    (960, 2880)

    Raises:
        PeerError: It is no Opus packet.
    """
    if packet:
        config, code = packet[0] >> 3, packet[0] & 3
        frame_ms = _SILK[config & 3] if config < 12 else _HYBRID[config & 1] if config < 16 else _CELT[config & 3]
        count = 1 if code == 0 else 2 if code < 3 else packet[1] & 63 if len(packet) > 1 else 0
        samples = int(count * frame_ms * _PER_MS)
        if 0 < samples <= _MOST_SAMPLES:
            return samples
    raise PeerError(f"sent {len(packet)} bytes that are no Opus packet")


class OpusDecoder:
    """Decodes one channel; stereo is mixed down. Packets must come in order, and each once.

    What is lost stays a hole, as with every codec here: nothing that was not said is made up to be analysed.

    Raises:
        ImportError: PyAV is not installed.
    """

    def __init__(self) -> None:
        import av

        self._av = av
        self._context = av.CodecContext.create("libopus", "r")
        self._context.sample_rate = RATE_HZ
        self._context.layout = "mono"

    def decode(self, packet: bytes) -> bytes:
        """Decode a packet to as many 16-bit samples as `count_samples` says.

        Raises:
            PeerError: It is no Opus.
        """
        try:
            frames = self._context.decode(self._av.Packet(packet))
        except self._av.error.FFmpegError:
            raise PeerError(f"sent {len(packet)} bytes that are no Opus packet") from None
        samples = b"".join(frame.to_ndarray().tobytes() for frame in frames)
        count_bytes = 2 * count_samples(packet)
        return samples[:count_bytes].ljust(count_bytes, b"\0")
