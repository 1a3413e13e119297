"""FrontIngest: the sockets of a front: clients on one side, workers on the other, audio through it as it came."""

import contextlib
import queue
import time
from collections.abc import Callable
from typing import ClassVar

import zmq

from rtemo.api import SourceCounts, StreamDesk
from rtemo.cluster.desk import FrontDesk
from rtemo.cluster.room import Room
from rtemo.cluster.source_line import SourceLine
from rtemo.cluster.starter import Address
from rtemo.config.admission import Admission
from rtemo.io.audio_wire import MAX_MESSAGE_BYTES
from rtemo.io.bound_edge import BoundEdge
from rtemo.io.endpoints import parse_endpoint
from rtemo.io.relay_wire import CONNECTED, is_own, own_prefix
from rtemo.io.sockets import Socket, connect, make_socket, open_context
from rtemo.io.wire import WireError
from rtemo.io.zmq_options import IngestOptions

_TAKE_MESSAGES = 4_000
_TAKE_S = 0.01
_ANSWER_BUNDLES = 256
_POLL_MS = 20
_PRESSED_POLL_MS = 5
_GATHER_S = 0.002  # with many streams, packets are passed on in bundles: a bundle costs as much as some packets
_MANY_STREAMS = 8
_WATCH_S = 0.2
_RECEIVE_QUEUE = 4_000
_BUNDLES_ON_THE_WAY = 256  # to each worker; half a second of them
_LINGER_MS = 200
_MOST_SOCKETS = 1_024


class FrontIngest(BoundEdge):
    """Takes audio packets of clients and of the server's own sources, and passes them to the workers that have them.

    To its clients it is what `rtemo.io.sources.ingest.IngestSource` is. It is run by a `SourceThread`; what others have
    to say to it goes through `tell`.

    Args:
        options: Endpoint, limits per client, keys.
        admission: The policy.
        capacity: Most streams, of all workers together.
        rooms: Worker → what it has room for.
        own: Where the server's own sources bring theirs.
        is_public: Whether clients may connect at all.

    Attributes:
        desk: Who has which stream.
        endpoint: As bound; None until `open`.
        taken_messages: Messages received.
    """

    name = "ingest"
    section, reached_as = "sources.zmq", "audio in"
    options_type: ClassVar[type[IngestOptions]] = IngestOptions

    def __init__(
        self,
        options: IngestOptions,
        admission: Admission,
        capacity: int,
        rooms: dict[int, Room],
        *,
        own: SourceLine | None = None,
        is_public: bool = True,
    ) -> None:
        super().__init__(options.endpoint, options)
        self.taken_messages = 0
        self.desk = FrontDesk(options, admission, capacity, rooms, self._answer, self._post)
        self._options = options
        self._own = own
        self._own_socket: Socket | None = None
        self._is_public = is_public
        self._is_open = False
        self._workers: dict[int, Socket] = {}
        self._numbers: dict[Socket, int] = {}
        self._poller = zmq.Poller()
        self._told: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._watched_s = 0.0

    @property
    def count_streams(self) -> int:
        """Streams that clients have open."""
        return len(self.desk)

    @property
    def drain_s(self) -> float:
        """How long calls may go on after `drain`."""
        return self._options.drain_s

    def source_counts(self) -> SourceCounts:
        """Tell what has come from clients. Any thread."""
        connections = self._connections if self.endpoint is not None else None
        return SourceCounts(
            name="front",
            connections=0 if connections is None else connections.count,
            refused=0 if connections is None else connections.refused,
            messages=self.taken_messages,
            dropped=self.desk.dropped_packets,
        )

    def open(self, desk: StreamDesk) -> None:
        """Bind the sockets.

        Raises:
            EndpointError: The endpoint is in use, impossible, or open to the network without encryption.
        """
        try:
            if self._is_public:
                endpoint = self.check()
                self._make(zmq.ROUTER, _MOST_SOCKETS).rcvhwm = _RECEIVE_QUEUE
                self._bind(endpoint, MAX_MESSAGE_BYTES)
                self._poller.register(self._socket, zmq.POLLIN)
            else:
                self._context = open_context()
                self._context.set(zmq.MAX_SOCKETS, _MOST_SOCKETS)
            if self._own is not None:
                assert self._context is not None, "just made"
                self._own_socket = self._own.open(self._context)
                self._poller.register(self._own_socket, zmq.POLLIN)
            self._is_open = True
        except BaseException:
            self.close()
            raise

    def join(self, worker: int, address: Address) -> None:
        """Pass messages to a worker from now on. Any thread."""
        self._told.put(lambda: self._join(worker, address))

    def leave(self, worker: int) -> None:
        """End the streams of a worker that has gone, so that they go on elsewhere. Any thread."""
        self._told.put(lambda: self._leave(worker))

    def move(self, call: str) -> None:
        """Have a call leave its worker. Any thread."""
        self._told.put(lambda: self.desk.move(call, time.monotonic()))

    def end_source(self, name: str, reason: str) -> None:
        """End the streams of one of the server's own sources, which has gone. Any thread."""
        self._told.put(lambda: self.desk.end_source(own_prefix(name.encode()), reason))

    def drain(self) -> None:
        """Take no new calls from now on; those that are open go on. Any thread."""
        self.desk.is_draining = True

    def pump(self) -> float | None:
        """Pass on what has come, both ways; never ends by itself."""
        if self._is_public:
            self._let_in()
        self._heed()
        ready = self._poller.poll(0)
        if not ready:
            ready = self._poller.poll(_PRESSED_POLL_MS if self.desk.is_pressed else _POLL_MS)
            if self._is_public:
                self._turn_away()
        now_s = time.monotonic()
        for socket, _ in ready:
            worker = self._numbers.get(socket)
            if worker is not None:
                self._hear(worker, socket, now_s)
            elif self._own is not None and socket is self._own_socket:
                self.taken_messages += self._own.take(self.desk.take, now_s)
            else:
                self.taken_messages += self._take(now_s)
        now_s = time.monotonic()
        self.desk.serve(now_s)
        if self._own is not None:
            self._own.flush()
        if now_s - self._watched_s > _WATCH_S:
            self._watched_s = now_s
            self.desk.watch(now_s)
        return _GATHER_S if len(self.desk) > _MANY_STREAMS else 0.0

    def close(self) -> None:
        """End all streams and free the sockets."""
        if self._context is None:
            return
        if self._is_open:
            for worker, socket in self._workers.items():
                self._hear(worker, socket, time.monotonic())  # the accounts of those that have stopped
            self.desk.end_all("source closed")
            if self._own is not None:
                self._own.flush()
        self._free(_LINGER_MS)

    def _heed(self) -> None:
        with contextlib.suppress(queue.Empty):
            while True:
                self._told.get_nowait()()

    def _join(self, worker: int, address: Address) -> None:
        assert self._context is not None, "open comes first"
        socket = make_socket(self._context, zmq.DEALER)
        socket.sndhwm = _BUNDLES_ON_THE_WAY
        connect(socket, parse_endpoint(address.ingest), address.keys)
        self._workers[worker] = socket
        self._numbers[socket] = worker
        self._poller.register(socket, zmq.POLLIN)
        self.desk.join(worker)

    def _leave(self, worker: int) -> None:
        socket = self._workers.pop(worker, None)
        if socket is None:
            return
        del self._numbers[socket]
        self._hear(worker, socket, time.monotonic())  # what it still had to say
        self._poller.unregister(socket)
        socket.close(linger=0)
        self.desk.leave(worker, time.monotonic())

    def _take(self, now_s: float) -> int:
        """Take messages of clients until there are none, within bounds of number and time; returns how many."""
        socket, receive, take = self._socket, self._socket.recv, self.desk.take
        for count in range(_TAKE_MESSAGES):
            if count % 64 == 63 and time.monotonic() - now_s > _TAKE_S:
                return count
            try:
                client = receive(zmq.NOBLOCK)
            except zmq.Again:
                return count
            message = receive(zmq.NOBLOCK)
            if not socket.getsockopt(zmq.RCVMORE):
                take(CONNECTED + client, message, now_s)
                continue
            frames = 1 + len(socket.recv_multipart(zmq.NOBLOCK))
            error = WireError(f"got {frames} frames, expected 1", "use a DEALER socket, one frame each")
            self.desk.complain(CONNECTED + client, error, now_s)
        return _TAKE_MESSAGES

    def _hear(self, worker: int, socket: Socket, now_s: float) -> None:
        for _ in range(_ANSWER_BUNDLES):
            try:
                frame = socket.recv(zmq.NOBLOCK)
            except zmq.Again:
                return
            self.desk.hear(worker, frame, now_s)

    def _answer(self, client: bytes, message: bytes) -> None:
        if is_own(client):
            if self._own is not None:
                self._own.answer(client, message)
            return
        try:
            self._socket.send_multipart([client[1:], message], zmq.NOBLOCK)
        except zmq.ZMQError:
            return  # the client is gone or does not read; its silence will be noticed

    def _post(self, worker: int, frame: bytes) -> bool:
        try:
            self._workers[worker].send(frame, zmq.NOBLOCK)
        except zmq.ZMQError:
            return False
        return True
