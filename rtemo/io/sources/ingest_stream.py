"""IngestStream: one stream of one client: its credit, its placement and its silence."""

from rtemo.api import SourceState, StreamWriter
from rtemo.io.audio_wire import AudioPacket, Ended
from rtemo.io.pcm import BYTES_PER_SAMPLE
from rtemo.io.sources.placement import Placement
from rtemo.io.zmq_options import IngestOptions


class IngestStream:
    """Keeps the books of a stream between its client and its writer.

    Credit is a limit on the bytes of samples sent since the beginning, like QUIC's stream limits (RFC 9000,
    4.1): a lost or repeated grant does no harm. It is given for what the engine has room for within the
    window, so that a client that sends faster than real time is slowed down instead of losing audio.

    Args:
        client: Address of the client's connection.
        writer: Where samples go.
        placement: Puts packets where they belong.
        codec: Sample type announced when the stream was opened.
        options: Window and time-outs.
        now_s: Monotonic time.

    Attributes:
        limit_bytes: Granted so far.
        heard_s: Monotonic time of the last message.
        complained_s: Monotonic time at which the client was last told that it exceeds its credit.
        end_reason: Why the client ended the stream; empty while it has not.
        role: Role under which it was opened, in its canonical form.
    """

    def __init__(
        self,
        client: bytes,
        writer: StreamWriter,
        placement: Placement,
        codec: str,
        options: IngestOptions,
        now_s: float,
    ) -> None:
        self.client = client
        self.writer = writer
        self.limit_bytes = 0
        self.heard_s = now_s
        self.complained_s = 0.0
        self.end_reason = ""
        self.role = ""
        self._placement = placement
        self._options = options
        self._room_samples = writer.space_samples()
        self._bytes_per_s = BYTES_PER_SAMPLE[codec] * placement.rate_hz
        self._sent_bytes = 0
        self._over_credit_packets = 0
        self._audio_s = now_s
        self._is_lost = False
        self.grant()

    @property
    def is_waiting(self) -> bool:
        """Whether something is to be done without another packet."""
        return self._placement.is_waiting

    @property
    def is_hungry(self) -> bool:
        """Whether less than half of the window may still be sent."""
        return self.limit_bytes - self._sent_bytes < self._options.window_s * self._bytes_per_s / 2

    def take(self, packet: AudioPacket, now_s: float, now_ns: int) -> bool:
        """Take a packet; False when it exceeds the credit and was dropped.

        The samples of a dropped packet are missing at their place, and counted as lost there.
        """
        self.heard_s = self._audio_s = now_s
        if self._is_lost:
            self._is_lost = False
            self.writer.report(SourceState(state="recovered", detail="audio arrives again"))
        self._sent_bytes += len(packet.payload)
        if self._sent_bytes > self.limit_bytes:
            self._over_credit_packets += 1
            return False
        self._bytes_per_s = packet.rate_hz * BYTES_PER_SAMPLE[packet.codec]
        self._placement.take(packet, now_s, now_ns)
        return True

    def settle(self, now_s: float, now_ns: int) -> None:
        """Write what was held and has become due."""
        self._placement.settle(now_s, now_ns)

    def grant(self) -> bool:
        """Raise the limit as far as there is room; tell whether it is worth telling the client."""
        unread_samples = self._room_samples - self.writer.space_samples() + self._placement.held_samples
        free_s = max(0.0, self._options.window_s - unread_samples / self._placement.to_hz)
        limit_bytes = self._sent_bytes + int(free_s * self._bytes_per_s)
        if limit_bytes - self.limit_bytes < self._options.window_s * self._bytes_per_s / 4:
            return False
        self.limit_bytes = limit_bytes
        return True

    def watch(self, now_s: float) -> str:
        """Look at the time since the last audio; returns why the stream is to be ended, or nothing."""
        if self.writer.is_closed:
            return "closed by the engine"
        if now_s - self.heard_s > self._options.idle_s:
            return "idle"
        silent_s = now_s - self._audio_s
        if silent_s > self._options.lost_s and not self._is_lost:
            self._is_lost = True
            self.writer.report(SourceState(state="lost", detail=f"no audio for {silent_s:.1f} s"))
        return ""

    def end(self, reason: str, now_ns: int) -> None:
        """Take note that no more packets follow; what is left to write may still need room."""
        self.end_reason = reason or "end"
        self._placement.finish(now_ns)

    def finish(self, reason: str, now_ns: int) -> Ended:
        """Write what is left, end the stream and give its account."""
        self._placement.finish(now_ns)
        self._placement.close()
        self.writer.end(reason)
        counts = self._placement.counts
        return Ended(
            call=self.writer.call,
            channel=self.writer.channel,
            reason=reason,
            received_samples=counts.received_samples,
            lost_samples=counts.lost_samples,
            late_packets=counts.late_packets,
            duplicate_packets=counts.duplicate_packets,
            over_credit_packets=self._over_credit_packets,
        )
