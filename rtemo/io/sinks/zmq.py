"""ZmqAudioSink: processed audio of every stream over ZeroMQ."""

import secrets
import threading
import time
from typing import ClassVar

import zmq

from rtemo.api import ProcessedBlock, StreamFacts, StreamFormat
from rtemo.io.audio_feed_wire import (
    AUDIO_SCHEMA,
    AudioBeat,
    AudioEnd,
    AudioStart,
    Note,
    audio_topic,
    encode_note,
)
from rtemo.io.audio_wire import encode_packet, stream_names
from rtemo.io.bound_edge import BoundEdge
from rtemo.io.pcm import as_int16
from rtemo.io.subscriptions import SUBSCRIPTION_BYTES, Subscriptions
from rtemo.io.topics import heartbeat_topic
from rtemo.io.wire import WireError, utc_ms
from rtemo.io.zmq_options import USUAL_AUDIO_ENDPOINT, AudioOutOptions

_LEAST_BEAT_S = 0.05


class ZmqAudioSink(BoundEdge):
    """Publishes the audio of every stream under a topic of its own; never waits for anybody.

    A subscriber that does not read loses the newest packets once its queue is full, and sees that from the numbers;
    the others are not touched. Audio that nobody has subscribed to is not even converted. The socket, and the door
    that checks keys, belong to the thread that calls `open`.

    Args:
        options: Endpoint, packets, bounds and keys.
        tenant: Second part of every topic.
        epoch: Name of this life of the feed; a random one when empty.

    Attributes:
        endpoint: As bound; None until `open`.
        sent_packets: Packets given to the socket.
        refused_clients: Clients that were not let in.
    """

    name = "audio-out"
    section, reached_as = "sinks.zmq", "audio out"
    options_type: ClassVar[type[AudioOutOptions]] = AudioOutOptions
    overrun_samples = underrun_samples = 0  # a full queue is the subscriber's, who counts what it misses

    def __init__(self, options: AudioOutOptions, *, tenant: str = "main", epoch: str = "") -> None:
        super().__init__(options.endpoint or USUAL_AUDIO_ENDPOINT, options)
        self.sent_packets = 0
        self.refused_clients = 0
        self._options = options
        self._tenant = tenant
        self._epoch = epoch or secrets.token_hex(8)
        self._format = StreamFormat()
        self._packet_samples = 1
        self._owner = 0
        self._lanes: dict[StreamFacts, _Lane] = {}
        self._subscriptions: Subscriptions
        self._beat_s = 0.0
        self._is_beat_wanted = False

    def open(self, format: StreamFormat) -> None:
        """Bind the socket.

        Raises:
            EndpointError: The endpoint is in use, impossible, or open to the network without encryption.
        """
        options = self._options
        endpoint = self.check()
        self._format = format
        self._packet_samples = round(options.packet_s * format.sample_rate_hz)
        self._owner = threading.get_ident()
        try:
            self._subscriptions = Subscriptions(self._make(zmq.XPUB))
            self._socket.sndhwm = options.send_queue_messages
            self._socket.setsockopt(zmq.SNDBUF, options.send_buffer_bytes)
            self._bind(endpoint, SUBSCRIPTION_BYTES)
        except BaseException:
            self.close()
            raise

    def wants(self, stream: StreamFacts) -> bool:
        """Tell whether somebody has subscribed to the audio of a stream. Any thread."""
        if self.endpoint is None:
            return False
        lane = self._lanes.get(stream)
        topic = audio_topic(self._tenant, stream.call, stream.channel).encode() if lane is None else lane.topic
        return self._is_wanted(topic)

    def write(self, block: ProcessedBlock) -> None:
        """Take one hop of every stream; send what makes a packet."""
        assert self._owner == threading.get_ident(), "sockets belong to the thread that opened them"
        lanes = [self._lanes.get(stream) or self._begin(stream) for stream in block.streams]
        wanted = [row for row, lane in enumerate(lanes) if lane.is_wanted]
        if wanted:
            samples = block.samples if len(wanted) == block.n else block.samples[wanted]
            pcm = as_int16(samples) if self._options.codec == "s16le" else samples.astype("<f4", copy=False)
            for index, row in enumerate(wanted):
                start_sample, first, last = block.span(row)
                if last > first:
                    capture_ns = int(block.capture_ns[row])
                    if capture_ns and last < samples.shape[1]:
                        capture_ns -= (samples.shape[1] - last) * 1_000_000_000 // self._format.sample_rate_hz
                    self._append(lanes[row], start_sample, pcm[index, first:last].tobytes(), last - first, capture_ns)
        if block.is_last.any():
            for row, lane in enumerate(lanes):
                if block.is_last[row]:
                    self._end(block.streams[row], lane, int(block.end_sample[row]))

    def tick(self) -> None:
        """Let clients in, see who has subscribed to what, and send the heartbeat when it is due."""
        assert self._owner == threading.get_ident(), "sockets belong to the thread that opened them"
        self._let_in()
        if self._door is not None:
            self.refused_clients = self._door.refused_clients
        self._watch_readers()
        since_s = time.monotonic() - self._beat_s
        if since_s >= self._options.heartbeat_s or (self._is_beat_wanted and since_s >= _LEAST_BEAT_S):
            self._beat_s = time.monotonic()
            self._is_beat_wanted = False
            beat = AudioBeat(
                schema=AUDIO_SCHEMA,
                epoch=self._epoch,
                t_pub_ms=utc_ms(time.time_ns()),
                interval_ms=self._options.heartbeat_s * 1000.0,
                streams=len(self._lanes),
            )
            self._send(heartbeat_topic(self._tenant).encode(), encode_note(beat))

    def close(self) -> None:
        """End what is still open, give the last packets a moment to leave, then free everything."""
        if self._context is None:
            return
        if self.endpoint is not None:
            for stream, lane in list(self._lanes.items()):
                self._end(stream, lane, lane.position)
        self._free(self._options.linger_ms)

    def _begin(self, stream: StreamFacts) -> "_Lane":
        lane = _Lane(audio_topic(self._tenant, stream.call, stream.channel).encode(), _names(stream))
        lane.is_wanted = lane.is_named and self._is_wanted(lane.topic)
        self._lanes[stream] = lane
        start = AudioStart(
            schema=AUDIO_SCHEMA,
            epoch=self._epoch,
            call=stream.call,
            channel=stream.channel,
            role=stream.role,
            codec=self._options.codec,
            sample_rate_hz=self._format.sample_rate_hz,
        )
        self._note(lane, start)
        return lane

    def _end(self, stream: StreamFacts, lane: "_Lane", end_sample: int) -> None:
        self._flush(lane)
        self._skip(lane, max(end_sample, lane.position))
        end = AudioEnd(
            schema=AUDIO_SCHEMA,
            epoch=self._epoch,
            call=stream.call,
            channel=stream.channel,
            sequence=lane.sequence,
            end_sample=lane.position,
        )
        self._note(lane, end)
        del self._lanes[stream]

    def _append(self, lane: "_Lane", start_sample: int, payload: bytes, count_samples: int, capture_ns: int) -> None:
        if start_sample != lane.position:
            self._flush(lane)
            self._skip(lane, start_sample)
        lane.pending.append(payload)
        lane.pending_samples += count_samples
        lane.position += count_samples
        lane.capture_ns = capture_ns
        if lane.pending_samples >= self._packet_samples:
            self._flush(lane)

    def _skip(self, lane: "_Lane", start_sample: int) -> None:
        """Pass over audio that does not come, with the numbers of the packets that it would have filled."""
        hole = max(0, start_sample - lane.position)
        lane.sequence += -(-hole // self._packet_samples)
        lane.position = start_sample

    def _flush(self, lane: "_Lane") -> None:
        if not lane.pending:
            return
        packet = encode_packet(
            lane.names,
            self._options.codec,
            self._format.sample_rate_hz,
            lane.sequence,
            lane.position - lane.pending_samples,
            lane.capture_ns,
            b"".join(lane.pending),
        )
        lane.pending.clear()
        lane.pending_samples = 0
        lane.sequence += 1
        self.sent_packets += 1
        self._send(lane.topic, packet)

    def _note(self, lane: "_Lane", note: Note) -> None:
        if lane.is_wanted:
            self._send(lane.topic, encode_note(note))

    def _send(self, topic: bytes, message: bytes) -> None:
        self._socket.send(topic, zmq.SNDMORE | zmq.NOBLOCK)
        self._socket.send(message, zmq.NOBLOCK)

    def _watch_readers(self) -> None:
        """Learn which prefixes are subscribed to, so that nothing is made for nobody."""
        count = len(self._subscriptions)
        if self._subscriptions.serve():
            self._is_beat_wanted = True  # whoever has come learns at once that we are here
        elif count == len(self._subscriptions):
            return
        for lane in self._lanes.values():
            is_wanted = lane.is_named and self._is_wanted(lane.topic)
            if lane.is_wanted and not is_wanted:
                self._flush(lane)
            lane.is_wanted = is_wanted

    def _is_wanted(self, topic: bytes) -> bool:
        return self._subscriptions.wants(topic)


class _Lane:
    """One stream on its way out."""

    __slots__ = ("capture_ns", "is_wanted", "names", "pending", "pending_samples", "position", "sequence", "topic")

    def __init__(self, topic: bytes, names: bytes) -> None:
        self.topic = topic
        self.names = names
        self.sequence = 0
        self.position = 0
        self.pending: list[bytes] = []
        self.pending_samples = 0
        self.capture_ns = 0
        self.is_wanted = False

    @property
    def is_named(self) -> bool:
        """Whether a packet can carry its name."""
        return bool(self.names)


def _names(stream: StreamFacts) -> bytes:
    """Encode the name of a stream; empty when it is one that a packet cannot carry (longer than 255 bytes)."""
    try:
        return stream_names(stream.call, stream.channel)
    except WireError:
        return b""
