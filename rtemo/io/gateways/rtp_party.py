"""RtpParty: what comes to one RTP port: who sends it, and how its numbers go on over their wraps."""

from collections import deque
from typing import NamedTuple

from rtemo.io.gateways.leg import Leg
from rtemo.io.gateways.opus import OpusDecoder
from rtemo.io.gateways.rtp_wire import Format, RtpPacket
from rtemo.io.gateways.sender_clock import SenderClock

_MAX_WAITING = 250  # packets held while a stream is being opened
_NEAR = 3  # two packets of one sender this near to each other are no accident (RFC 3550, A.1)
_MAX_CANDIDATES = 8
_REMEMBERED = 32
_FIRST_SEQUENCE = 1 << 20
_FIRST_SAMPLE = 1 << 40  # a late packet before the first one is no negative position


class Placed(NamedTuple):
    """A packet with its place in the stream."""

    number: int
    start_sample: int
    format: Format
    payload: bytes
    is_new_sender: bool


class RtpParty:
    """Follows the sender at one port.

    Who sends is believed at the second packet that fits the first; so is another sender (SSRC) that takes its place.
    Comfort noise and telephone events take part in the sequence and are no audio: packets are numbered without them.

    Attributes:
        leg: Its stream; None while there is none.
        is_opening: Whether a stream is being opened.
        is_refused: Whether its stream was not let in.
        waiting: Packets that came meanwhile.
        clock: The sender's time.
        decoder: Of what the sender codes; None until then.
        heard_s: Monotonic time of the last packet.
    """

    def __init__(self) -> None:
        self.leg: Leg | None = None
        self.is_opening = self.is_refused = False
        self.waiting: deque[Placed] = deque(maxlen=_MAX_WAITING)
        self.clock = SenderClock()
        self.decoder: OpusDecoder | None = None
        self.heard_s = 0.0
        self._ssrc: int | None = None
        self._candidates: dict[int, tuple[RtpPacket, Format]] = {}  # by SSRC, the newest last
        self._format: Format | None = None
        self._sequence = 0
        self._timestamp = 0
        self._silent: deque[int] = deque(maxlen=_REMEMBERED)
        self._count_silent = 0
        self._is_new_sender = False

    def leave(self, ssrc: int) -> bool:
        """Take note of a goodbye; tell whether it was the sender's."""
        return ssrc == self._ssrc

    def place(self, packet: RtpPacket, format: Format, samples: bytes) -> list[Placed]:
        """Give what is to be written now, in the order in which it came.

        Args:
            packet: As it came.
            format: What its payload type stands for.
            samples: Its audio; empty for what is none.
        """
        if packet.ssrc == self._ssrc:
            self._candidates.clear()
            placed = self._follow(packet, format, samples)
            return [] if placed is None else [placed]
        before = self._candidates.pop(packet.ssrc, None)
        self._candidates[packet.ssrc] = now = (packet._replace(payload=samples), format)
        if len(self._candidates) > _MAX_CANDIDATES:
            del self._candidates[next(iter(self._candidates))]
        if before is None or not 0 < abs(_signed(packet.sequence - before[0].sequence, 16)) <= _NEAR:
            return []
        self._begin(*before)
        both = [self._follow(one, its_format, one.payload) for one, its_format in (before, now)]
        return [placed for placed in both if placed is not None]

    def _begin(self, packet: RtpPacket, format: Format) -> None:
        self._ssrc = packet.ssrc
        self._candidates.clear()
        self._sequence, self._timestamp = _FIRST_SEQUENCE + packet.sequence, _FIRST_SAMPLE + packet.timestamp
        self._format = format if format.codec else self._format
        self._silent.clear()
        self._count_silent = 0
        self._is_new_sender = True

    def _follow(self, packet: RtpPacket, format: Format, samples: bytes) -> Placed | None:
        sequence = self._sequence + _signed(packet.sequence - self._sequence, 16)
        timestamp = self._timestamp + _signed(packet.timestamp - self._timestamp, 32)
        if sequence > self._sequence:
            self._sequence, self._timestamp = sequence, timestamp
        if format.codec is None:
            if sequence not in self._silent:
                self._silent.append(sequence)
                self._count_silent += 1
            return None
        if self._format is not None and format.rate_hz != self._format.rate_hz:
            self._is_new_sender = True  # timestamps count at another rate from here on
        self._format = format
        number = sequence - self._count_silent + sum(one > sequence for one in self._silent)
        is_new_sender, self._is_new_sender = self._is_new_sender, False
        return Placed(number, timestamp, format, samples, is_new_sender)


def _signed(difference: int, bits: int) -> int:
    """Give the difference of two numbers that wrap, as the shorter way round.

    >>> _signed(0 - 65_535, 16), _signed(65_535 - 0, 16)
    (1, -1)
    """
    half = 1 << (bits - 1)
    return (difference + half) % (2 * half) - half
