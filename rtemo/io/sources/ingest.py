"""IngestSource: audio of many calls over ZeroMQ."""

import time

import numpy as np
import zmq

from rtemo.api import CapacityError, PolicyError, RtemoError, StreamDesk, canonical_role
from rtemo.io.audio_wire import (
    CODECS,
    INGEST_SCHEMA,
    MAGIC,
    MAX_MESSAGE_BYTES,
    Alive,
    Credit,
    End,
    Error,
    Hello,
    Open,
    Opened,
    Refused,
    Response,
    Welcome,
    decode_packet,
    decode_request,
    encode_control,
    split_names,
    stream_names,
)
from rtemo.io.curve import Door
from rtemo.io.endpoints import Endpoint, parse_endpoint
from rtemo.io.sockets import Context, Socket, bind, check_exposure, make_socket, open_context
from rtemo.io.sources.ingest_stream import IngestStream
from rtemo.io.sources.lanes import Batch, Lanes
from rtemo.io.sources.placement import Placement
from rtemo.io.wire import WireError
from rtemo.io.zmq_options import IngestOptions

_DRAIN_MESSAGES = 2_000
_DRAIN_S = 0.02
_POLL_MS = 20
_GATHER_S = 0.002  # with many streams, packets are taken in batches: waking up costs more than a packet
_MANY_STREAMS = 8
_WATCH_S = 0.2
_COMPLAINTS_PER_S = 100
_RECEIVE_QUEUE = 4_000
_LINGER_MS = 200


class IngestSource:
    """Takes audio packets from any number of clients, each with any number of streams.

    A client opens a stream, gets credit, and sends packets; see docs/wire.md. Whatever a client sends, the
    answer is at most a refusal; a client that dies is noticed by its silence.

    Args:
        options: Endpoint, window, time-outs and keys.

    Attributes:
        endpoint: As bound; None until `open`.
        taken_messages: Messages received.
        refused_messages: Of these, messages that were no packet of an open stream and no request.
    """

    name = "ingest"

    def __init__(self, options: IngestOptions | None = None) -> None:
        self.endpoint: Endpoint | None = None
        self.taken_messages = 0
        self.refused_messages = 0
        self._options = options or IngestOptions()
        self._desk: StreamDesk
        self._context: Context | None = None
        self._door: Door | None = None
        self._socket: Socket
        self._lanes: Lanes
        self._batch = Batch()
        self._streams: dict[tuple[bytes, bytes], IngestStream] = {}
        self._by_name: dict[bytes, tuple[bytes, bytes]] = {}
        self._waiting: set[tuple[bytes, bytes]] = set()
        self._hungry: set[tuple[bytes, bytes]] = set()
        self._watched_s = 0.0
        self._complaints = 0

    def open(self, desk: StreamDesk) -> None:
        """Bind the socket.

        Raises:
            EndpointError: The endpoint is in use, impossible, or open to the network without encryption.
        """
        options = self._options
        endpoint = parse_endpoint(options.endpoint)
        check_exposure(endpoint, options.curve, options.insecure_plaintext, "ingest")
        self._desk = desk
        self._lanes = Lanes(desk.format.sample_rate_hz)
        _warm(self._lanes)
        self._context = open_context()
        try:
            if options.curve.key_file:
                self._door = Door(self._context, options.curve)
            self._socket = make_socket(self._context, zmq.ROUTER)
            self._socket.rcvhwm = _RECEIVE_QUEUE
            self.endpoint = bind(self._socket, endpoint, MAX_MESSAGE_BYTES, self._door, "ingest.endpoint")
        except BaseException:
            self.close()
            raise

    def pump(self) -> float | None:
        """Take what has come, give credit, and look after silent streams; never ends by itself."""
        if self._door is not None:
            self._door.serve()
        taken = self._drain()
        if not taken:
            self._socket.poll(_POLL_MS)
            taken = self._drain()
        self.taken_messages += taken
        self._batch.flush()
        now_s = time.monotonic()
        self._serve_streams(now_s)
        if now_s - self._watched_s > _WATCH_S:
            self._watched_s = now_s
            self._complaints = 0
            self._watch(now_s)
        return _GATHER_S if len(self._streams) > _MANY_STREAMS else 0.0

    def close(self) -> None:
        """End all streams and free the socket."""
        if self._context is None:
            return
        for key in list(self._streams):
            self._finish(key, "source closed")
        self._context.destroy(linger=_LINGER_MS)
        self._context = None
        self._door = None

    def _drain(self) -> int:
        """Take messages until there are none, within bounds of number and time; returns how many."""
        receive = self._socket.recv_multipart
        now_s = time.monotonic()
        now_ns = time.time_ns()
        for count in range(_DRAIN_MESSAGES):
            if count % 64 == 63:
                if time.monotonic() - now_s > _DRAIN_S:
                    return count
                now_ns = time.time_ns()
            try:
                frames = receive(zmq.NOBLOCK)
            except zmq.Again:
                return count
            try:
                if len(frames) != 2:
                    raise WireError(f"got {len(frames) - 1} frames, expected 1", "use a DEALER socket, one frame each")
                client, message = frames
                if message[:4] == MAGIC:
                    self._take_audio(client, message, now_s, now_ns)
                else:
                    self._take_request(client, message, now_s)
            except RtemoError as error:
                self._complain(frames[0], Error(code="bad_message", problem=error.problem, mend=error.mend))
        return _DRAIN_MESSAGES

    def _take_audio(self, client: bytes, message: bytes, now_s: float, now_ns: int) -> None:
        packet = decode_packet(message)
        key = (client, packet.names)
        stream = self._streams.get(key)
        if stream is None or stream.end_reason:
            call, channel = split_names(packet.names)
            problem = f"got audio of call {call!r} channel {channel!r}, which is not open"
            self._complain(client, Error("not_open", problem, "send `open` first, or again", call, channel))
            return
        if not stream.take(packet, now_s, now_ns) and now_s - stream.complained_s > 1.0:
            stream.complained_s = now_s
            writer = stream.writer
            problem = f"got more audio than granted ({stream.limit_bytes} bytes); it was dropped"
            mend = "wait for `credit`"
            self._send(client, Error("over_credit", problem, mend, writer.call, writer.channel))
        if stream.is_waiting:
            self._waiting.add(key)
        if stream.is_hungry:
            self._hungry.add(key)

    def _take_request(self, client: bytes, message: bytes, now_s: float) -> None:
        request = decode_request(message)
        if isinstance(request, Hello):
            self._send(client, Welcome(schema=INGEST_SCHEMA, codecs=list(CODECS), max_message_bytes=MAX_MESSAGE_BYTES))
            return
        key = (client, stream_names(request.call, request.channel))
        if isinstance(request, Open):
            self._send(client, self._open_stream(key, request, now_s))
        elif key not in self._streams:
            problem = f"call {request.call!r} channel {request.channel!r} is not open"
            self._complain(client, Error("not_open", problem, "send `open` first", request.call, request.channel))
        elif isinstance(request, End):
            self._streams[key].end(request.reason, time.time_ns())
            self._waiting.add(key)
        elif isinstance(request, Alive):
            self._streams[key].heard_s = now_s

    def _open_stream(self, key: tuple[bytes, bytes], request: Open, now_s: float) -> Response:
        """Open a stream, or say why not; asking again for one's own open stream is not a mistake."""
        client, names = key
        call, channel = request.call, request.channel
        held = self._by_name.get(names)
        if held == key:
            if canonical_role(request.role) != self._streams[key].role:
                problem = f"call {call!r} channel {channel!r} is open under another role"
                return Refused(call, channel, "policy", problem, "end it first")
            return Opened(call=call, channel=channel, limit_bytes=self._streams[key].limit_bytes)
        if held is not None:
            problem = f"call {call!r} channel {channel!r} is open from another client"
            if now_s - self._streams[held].heard_s > self._options.lost_s:
                self._finish(held, "replaced")
            return Refused(call, channel, "in_use", problem, "try again in a second, or use another name")
        if sum(owner == client for owner, _ in self._streams) >= self._options.max_streams_per_client:
            limit = self._options.max_streams_per_client
            return Refused(call, channel, "capacity", f"this client has {limit} streams open", "end one of them")
        prefill_s = self._options.prefill_s if request.prefill_ms is None else request.prefill_ms / 1000.0
        try:
            writer = self._desk.open_stream(call, channel, source="ingest", role=request.role, prefill_s=prefill_s)
        except RtemoError as error:
            code = "policy" if isinstance(error, PolicyError) else "bad_request"
            if isinstance(error, CapacityError):
                code = "capacity"
            return Refused(call, channel, code, error.problem, error.mend)
        placement = Placement(
            writer,
            request.sample_rate_hz,
            self._lanes,
            self._batch,
            is_live=self._desk.is_live,
            reorder_s=self._options.reorder_s,
        )
        stream = IngestStream(client, writer, placement, request.codec, self._options, now_s)
        stream.role = canonical_role(request.role)
        self._streams[key] = stream
        self._by_name[names] = key
        return Opened(call=call, channel=channel, limit_bytes=stream.limit_bytes)

    def _serve_streams(self, now_s: float) -> None:
        """Write what has become due, and give credit where there is room again."""
        if self._waiting:
            now_ns = time.time_ns()
            for key in list(self._waiting):
                stream = self._streams[key]
                stream.settle(now_s, now_ns)
                self._batch.flush()
                if not stream.is_waiting:
                    self._waiting.discard(key)
                    if stream.end_reason:
                        self._finish(key, stream.end_reason)
        for key in list(self._hungry):
            stream = self._streams[key]
            if stream.grant():
                writer = stream.writer
                self._send(key[0], Credit(writer.call, writer.channel, stream.limit_bytes))
            if not stream.is_hungry:
                self._hungry.discard(key)

    def _watch(self, now_s: float) -> None:
        for key, stream in list(self._streams.items()):
            reason = stream.watch(now_s)
            if reason:
                self._finish(key, reason)

    def _finish(self, key: tuple[bytes, bytes], reason: str) -> None:
        stream = self._streams.pop(key)
        self._by_name.pop(key[1], None)
        self._waiting.discard(key)
        self._hungry.discard(key)
        self._send(key[0], stream.finish(reason, time.time_ns()))

    def _complain(self, client: bytes, error: Error) -> None:
        """Tell a client what was wrong with its message, but not to everybody who floods us."""
        self.refused_messages += 1
        self._complaints += 1
        if self._complaints <= _COMPLAINTS_PER_S * _WATCH_S:
            self._send(client, error)

    def _send(self, client: bytes, message: Response) -> None:
        try:
            self._socket.send_multipart([client, encode_control(message)], zmq.NOBLOCK)
        except zmq.ZMQError:
            return  # the client is gone or does not read; its silence will be noticed


def _warm(lanes: Lanes) -> None:
    """Compile the filter now: the first packet of the first call must not wait a quarter of a second for that."""
    lane = lanes.admit(lanes.to_hz // 2)
    lane.convert(np.zeros(160, np.float32))
    lanes.retire(lane)
