"""IngestStream: one stream of one client: its credit, its placement and its silence."""

from rtemo.api import SourceState, StreamWriter
from rtemo.io.audio_wire import AudioPacket, Credit, Ended, Opened
from rtemo.io.pcm import BYTES_PER_SAMPLE
from rtemo.io.sources.placement import Placement
from rtemo.io.zmq_options import IngestOptions

_PACKET_S = 0.02  # the usual packet: less credit than this lets nobody send anything
_COUNTED_OUTAGE_S = 3600.0  # a client that says it has lost more than this is not believed


class IngestStream:
    """Keeps the books of a stream between its client and its writer.

    Credit is a limit on the bytes of samples sent since the beginning, like QUIC's stream limits (RFC 9000,
    4.1): a lost or repeated grant does no harm. It is given for what the engine has room for within the
    window, so that a client that sends faster than real time is slowed down instead of losing audio. Gaps count
    as room: no client has sent them, and a live engine passes over them when it is behind.

    Args:
        client: Address of the client's connection.
        writer: Where samples go.
        placement: Puts packets where they belong.
        codec: Sample type announced when the stream was opened.
        options: Window and time-outs.
        now_s: Monotonic time.
        opening: Name of this opening of the stream.
        from_sample: Position up to which an earlier server has all the audio; None for a new call.

    Attributes:
        limit_bytes: Granted so far.
        heard_s: Monotonic time of the last message.
        audio_s: Monotonic time of the last audio; of the opening until there was any.
        complained_s: Monotonic time at which the client was last told what is wrong with its audio.
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
        opening: str = "",
        from_sample: int | None = None,
    ) -> None:
        self.client = client
        self.writer = writer
        self.limit_bytes = 0
        self.heard_s = self.audio_s = now_s
        self.complained_s = -1e9
        self.end_reason = ""
        self._opening = opening
        self._from_sample = from_sample
        self.role = ""
        self._placement = placement
        self._options = options
        self._room_samples = writer.space_samples()
        self._bytes_per_s = BYTES_PER_SAMPLE[codec] * placement.rate_hz
        self._sent_bytes = 0
        self._over_credit_packets = 0
        self._told_steps = 0
        self._is_lost = False
        self._outage_samples = 0
        self.grant()

    @property
    def is_waiting(self) -> bool:
        """Whether something is to be done without another packet."""
        return self._placement.is_waiting

    @property
    def has_audio(self) -> bool:
        """Whether any audio has ever come."""
        return self._sent_bytes > 0

    @property
    def is_hungry(self) -> bool:
        """Whether less than half of the window may still be sent."""
        return self.limit_bytes - self._sent_bytes < self._options.window_s * self._bytes_per_s / 2

    @property
    def opened(self) -> Opened:
        """What the client is told when it asks for the stream."""
        writer = self.writer
        return Opened(writer.call, writer.channel, self.limit_bytes, self._opening)

    @property
    def credit(self) -> Credit:
        """What the client is told when there is room again."""
        writer = self.writer
        return Credit(writer.call, writer.channel, self.limit_bytes, self._sent_bytes)

    def take(self, packet: AudioPacket, now_s: float, now_ns: int) -> bool:
        """Take a packet; False when it exceeds the credit and was dropped.

        The samples of a dropped packet are missing at their place, and counted as lost there.
        """
        self.heard_s = self.audio_s = now_s
        if self._is_lost:
            self._is_lost = False
            self.writer.report(SourceState(state="recovered", detail="audio arrives again"))
        if self._from_sample is not None:
            self._count_outage(packet)
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
        unread_samples = self._room_samples - self.writer.space_samples()
        unread_samples -= self._placement.unread_gap_samples(self.writer.position_samples - unread_samples)
        unread_samples += self._placement.held_samples
        free_s = max(0.0, self._options.window_s - unread_samples / self._placement.to_hz)
        limit_bytes = self._sent_bytes + int(free_s * self._bytes_per_s)
        more_bytes = limit_bytes - self.limit_bytes
        step_bytes = self._options.window_s * self._bytes_per_s / 4
        if self.limit_bytes - self._sent_bytes < step_bytes:  # soon without: every packet counts
            step_bytes = min(step_bytes, _PACKET_S * self._bytes_per_s)
        if more_bytes < step_bytes:
            return False
        self.limit_bytes = limit_bytes
        return True

    def watch(self, now_s: float) -> str:
        """Look at the time since the last audio; returns why the stream is to be ended, or nothing."""
        if self.writer.is_closed:
            return "closed by the engine"
        if now_s - self.heard_s > self._options.idle_s:
            return "idle"
        silent_s = now_s - self.audio_s
        if silent_s > (self._options.mute_s if self.has_audio else self._options.first_audio_s):
            return "no audio"
        if silent_s > self._options.lost_s and not self._is_lost:
            self._is_lost = True
            self.writer.report(SourceState(state="lost", detail=f"no audio for {silent_s:.1f} s"))
        return ""

    def has_stepped_back(self) -> bool:
        """Tell whether positions have stepped back since this was last asked."""
        steps = self._placement.counts.position_steps
        is_news, self._told_steps = steps > self._told_steps, steps
        return is_news

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
            lost_samples=counts.lost_samples + self._outage_samples,
            late_packets=counts.late_packets,
            duplicate_packets=counts.duplicate_packets,
            over_credit_packets=self._over_credit_packets,
            position_steps=counts.position_steps,
        )

    def _count_outage(self, packet: AudioPacket) -> None:
        """Count what was lost between an earlier server and this one; it is nowhere in this stream."""
        from_sample, self._from_sample = self._from_sample or 0, None
        outage_samples = packet.start_sample - from_sample
        if 0 < outage_samples <= _COUNTED_OUTAGE_S * packet.rate_hz:
            self._outage_samples = outage_samples
            self.writer.count_lost(outage_samples * self._placement.to_hz // packet.rate_hz)
