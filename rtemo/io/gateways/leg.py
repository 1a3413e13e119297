"""Leg: one party of a call, from a protocol's packets to a stream of the engine."""

from collections.abc import Callable
from typing import Protocol

from rtemo.api import Payload, SourceState
from rtemo.io.allowance import Allowance
from rtemo.io.audio_wire import MAX_PACKET_S, AudioPacket
from rtemo.io.pcm import BYTES_PER_SAMPLE, SampleType

_PACE = 2.5
"""How much faster than real time a peer may send in the long run; some stand-ins for Twilio send at twice the speed."""

_BURST_S = 20.0  # after a stall, all that was held up may come at once
_WHOLE = 1 << 32


class LegWriter(Protocol):
    """What a leg needs of the stream that it brings; see `rtemo.api.StreamWriter`."""

    @property
    def call(self) -> str:
        """Call the stream belongs to."""

    @property
    def channel(self) -> str:
        """Channel within the call."""

    @property
    def is_closed(self) -> bool:
        """Whether the engine has ended the stream itself."""

    def report(self, data: Payload) -> None:
        """Emit an event about the stream."""

    def end(self, reason: str) -> None:
        """Say that no more audio follows."""


class Placer(Protocol):
    """Where the packets of a leg go; see `rtemo.io.sources.placement.Placement`."""

    @property
    def is_waiting(self) -> bool:
        """Whether something is to be done without another packet."""

    def take(self, packet: AudioPacket, now_s: float, now_ns: int) -> None:
        """Take one packet."""

    def settle(self, now_s: float, now_ns: int) -> None:
        """Do what has become due."""

    def finish(self, now_ns: int) -> None:
        """Give what is still held back: no more packets follow."""

    def close(self) -> None:
        """Free what it holds."""


class Leg:
    """Numbers the packets of one stream through, over every connection that brings them.

    A connection that broke and is made again begins a new numbering; the time between the two is a hole, from which
    audio is missing.

    Args:
        writer: Where samples go.
        placer: Puts packets where they belong.
        role: Who speaks, as opened.
        now_s: Monotonic time.

    Attributes:
        owner: The connection that brings it now; None while none does.
        lost_since_s: Monotonic time at which the last connection broke.
        surplus_packets: Packets dropped because they came far faster than real time.
    """

    def __init__(self, writer: LegWriter, placer: Placer, role: str, now_s: float) -> None:
        self.writer = writer
        self.role = role
        self.owner: object | None = None
        self.lost_since_s = now_s
        self.surplus_packets = 0
        self._placer = placer
        self._audio_s = now_s
        self._has_audio = False
        self._is_new_numbering = False
        self._is_lost = False
        self._is_over = False
        self._sequence = 0  # of the packet furthest on, as placed
        self._end_sample = 0
        self._sequence_shift = 0
        self._sample_shift = 0
        self._allowance = Allowance(_PACE, _BURST_S, now_s)

    @property
    def is_waiting(self) -> bool:
        """Whether something is to be written without another packet."""
        return self._placer.is_waiting

    def restart(self) -> None:
        """Take note that another connection goes on with it, with numbers of its own."""
        self._is_new_numbering = self._has_audio

    def take(
        self,
        sequence: int,
        start_sample: int,
        codec: SampleType,
        rate_hz: int,
        payload: bytes | memoryview,
        capture_ns: int,
        now_s: float,
        now_ns: int,
        coded: tuple[int, Callable[[memoryview], bytes]] | None = None,
    ) -> bool:
        """Take one packet; False when it was dropped as surplus.

        Args:
            sequence: Counts the packets of this stream on this connection.
            start_sample: Position of its first sample on this connection.
            codec: Sample type.
            rate_hz: Sample rate.
            payload: Whole samples, no more than a second of them; or what they are made of.
            capture_ns: UTC in ns of its last sample; 0 when unknown.
            now_s: Monotonic time.
            now_ns: UTC.
            coded: How many samples a coded payload holds, and what decodes it when its turn has come.
        """
        if self._is_over:
            return True  # ended by the engine, or taken to its end by another connection
        count_samples, decode = (len(payload) // BYTES_PER_SAMPLE[codec], None) if coded is None else coded
        if not 0 < count_samples <= rate_hz * MAX_PACKET_S:
            return True
        if not self._allowance.take(now_s, count_samples / rate_hz):
            self.surplus_packets += 1
            return False
        if self._is_lost:
            self._is_lost = False
            self.writer.report(SourceState(state="recovered", detail="audio arrives again"))
        if self._is_new_numbering:
            self._go_on(sequence, start_sample, count_samples, rate_hz, now_s)
        sequence += self._sequence_shift
        start_sample += self._sample_shift
        if not self._has_audio or sequence > self._sequence:
            self._sequence, self._end_sample = sequence, start_sample + count_samples
        self._audio_s, self._has_audio = now_s, True
        view = memoryview(payload)
        self._placer.take(
            AudioPacket(b"", codec, rate_hz, sequence % _WHOLE, start_sample, capture_ns, count_samples, view, decode),
            now_s,
            now_ns,
        )
        return True

    def settle(self, now_s: float, now_ns: int) -> None:
        """Write what was held and has become due."""
        self._placer.settle(now_s, now_ns)

    def watch(self, now_s: float, lost_s: float) -> None:
        """Report a stream whose audio stays away."""
        silent_s = now_s - self._audio_s
        if silent_s > lost_s and self._has_audio and not self._is_lost and not self.writer.is_closed:
            self._is_lost = True
            self.writer.report(SourceState(state="lost", detail=f"no audio for {silent_s:.1f} s"))

    def end(self, reason: str, now_ns: int) -> None:
        """Write what is left and end the stream."""
        self._is_over = True
        self._placer.finish(now_ns)
        self._placer.close()
        self.writer.end(reason)

    def _go_on(self, sequence: int, start_sample: int, count_samples: int, rate_hz: int, now_s: float) -> None:
        """Let a new numbering follow on the old one, behind a hole as long as nobody brought audio."""
        self._is_new_numbering = False
        missing_samples = max(0, round((now_s - self._audio_s) * rate_hz) - count_samples)
        if missing_samples < count_samples:
            missing_samples = 0  # within what a network takes anyway
        self._sequence_shift = self._sequence + (2 if missing_samples else 1) - sequence
        self._sample_shift = self._end_sample + missing_samples - start_sample
