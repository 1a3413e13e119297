"""The frozen facts of the audio inside the engine."""

import msgspec


class StreamFormat(msgspec.Struct, frozen=True):
    """The one format of every stream inside the engine: mono float32 in [-1, 1].

    160 samples at 16 kHz are 10 ms: the quantum of WebRTC and a divisor of the 20 ms telephony packet.

    >>> StreamFormat().hop_s
    0.01
    """

    sample_rate_hz: int = 16_000
    hop_samples: int = 160

    @property
    def hop_s(self) -> float:
        """Duration of one hop in seconds."""
        return self.hop_samples / self.sample_rate_hz

    @property
    def hop_ns(self) -> int:
        """Duration of one hop in nanoseconds."""
        return round(1e9 * self.hop_samples / self.sample_rate_hz)
