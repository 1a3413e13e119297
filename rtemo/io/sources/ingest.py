"""IngestSource: audio of many calls over ZeroMQ."""

import time
from typing import ClassVar

import numpy as np
import zmq

from rtemo.api import StreamDesk
from rtemo.io.audio_wire import MAX_MESSAGE_BYTES, Request, Response, decode_request, encode_control
from rtemo.io.bound_edge import BoundEdge
from rtemo.io.sources.ingest_desk import IngestDesk
from rtemo.io.sources.lanes import Lanes
from rtemo.io.wire import WireError
from rtemo.io.zmq_options import IngestOptions

_DRAIN_MESSAGES = 2_000
_DRAIN_S = 0.02
_POLL_MS = 20
_PRESSED_POLL_MS = 2  # while somebody waits for the engine to make room
_GATHER_S = 0.002  # with many streams, packets are taken in batches: waking up costs more than a packet
_MANY_STREAMS = 8
_WATCH_S = 0.2
_RECEIVE_QUEUE = 4_000
_LINGER_MS = 200


class IngestSource(BoundEdge):
    """Takes audio packets from any number of clients, each with any number of streams.

    A client opens a stream, gets credit, and sends packets; see docs/wire.md. Whatever a client sends, the
    answer is at most a refusal; a client that dies is noticed by its silence.

    Args:
        options: Endpoint, window, time-outs and keys.

    Attributes:
        endpoint: As bound; None until `open`.
        taken_messages: Messages received.
    """

    name = "ingest"
    section, reached_as = "sources.zmq", "audio in"
    options_type: ClassVar[type[IngestOptions]] = IngestOptions
    max_message_bytes: ClassVar[int] = MAX_MESSAGE_BYTES
    """Longest message that a peer may send."""

    def __init__(self, options: IngestOptions | None = None) -> None:
        self.taken_messages = 0
        self._options = options or IngestOptions()
        super().__init__(self._options.endpoint, self._options)
        self._desk: IngestDesk | None = None
        self._watched_s = 0.0
        self._is_draining = False

    @property
    def refused_messages(self) -> int:
        """Messages that were no packet of an open stream and no request."""
        return self._desk.refused_messages if self._desk is not None else 0

    @property
    def count_streams(self) -> int:
        """Streams that clients have open."""
        return len(self._desk) if self._desk is not None else 0

    @property
    def drain_s(self) -> float:
        """How long calls may go on after `drain`."""
        return self._options.drain_s

    def open(self, desk: StreamDesk) -> None:
        """Bind the socket.

        Raises:
            EndpointError: The endpoint is in use, impossible, or open to the network without encryption.
        """
        options = self._options
        endpoint = self.check()
        self._desk = IngestDesk(desk, options, self._send, self._decode)
        self._desk.is_draining = self._is_draining
        _warm(self._desk.lanes)
        try:
            self._make(zmq.ROUTER).rcvhwm = _RECEIVE_QUEUE
            self._bind(endpoint, self.max_message_bytes)
        except BaseException:
            self.close()
            raise

    def pump(self) -> float | None:
        """Take what has come, give credit, and look after silent streams; never ends by itself."""
        desk = self._desk
        assert desk is not None, "open comes first"
        self._let_in()  # first: nothing is opened for whom there is no room
        taken = self._take()
        if not taken:
            self._socket.poll(_PRESSED_POLL_MS if desk.is_pressed else _POLL_MS)
            self._turn_away()
            taken = self._take()
        self.taken_messages += taken
        now_s = time.monotonic()
        desk.serve(now_s, time.time_ns())
        if now_s - self._watched_s > _WATCH_S:
            self._watched_s = now_s
            desk.watch(now_s)
        self._flush()
        return _GATHER_S if len(desk) > _MANY_STREAMS else 0.0

    def drain(self) -> None:
        """Take no new calls from now on; those that are open go on. Any thread."""
        self._is_draining = True
        if self._desk is not None:
            self._desk.is_draining = True

    def close(self) -> None:
        """End all streams and free the socket."""
        if self._context is None:
            return
        if self._desk is not None:
            self._desk.end_all("source closed")
            self._flush()
        self._free(_LINGER_MS)

    def _take(self) -> int:
        """Take messages until there are none, within bounds of number and time; returns how many."""
        assert self._desk is not None, "open comes first"
        receive, take = self._socket.recv_multipart, self._desk.take
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
            if len(frames) == 2:
                take(frames[0], frames[1], now_s, now_ns)
                continue
            error = WireError(f"got {len(frames) - 1} frames, expected 1", "use a DEALER socket, one frame each")
            self._desk.complain(frames[0], error, now_s)
        return _DRAIN_MESSAGES

    def _decode(self, message: bytes) -> Request:
        """Read a control message; raises a WireError if it is none."""
        return decode_request(message)

    def _send(self, client: bytes, message: Response) -> None:
        try:
            self._socket.send_multipart([client, encode_control(message)], zmq.NOBLOCK)
        except zmq.ZMQError:
            return  # the client is gone or does not read; its silence will be noticed

    def _flush(self) -> None:
        """Send what has been gathered; here everything has gone out at once."""


def _warm(lanes: Lanes) -> None:
    """Compile the filter now: the first packet of the first call must not wait a quarter of a second for that."""
    lane = lanes.admit(lanes.to_hz // 2)
    lane.convert(np.zeros(160, np.float32))
    lanes.retire(lane)
