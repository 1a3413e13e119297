"""AudioMerge: the processed audio of all workers at one endpoint, as it came."""

import contextlib
import queue
import secrets
import threading
import time
from collections.abc import Callable

import zmq

from rtemo.api.trouble import as_error
from rtemo.cluster.starter import Address
from rtemo.io.audio_feed_wire import AUDIO_SCHEMA, AudioBeat, decode_note, encode_note
from rtemo.io.bound_edge import BoundEdge
from rtemo.io.endpoints import parse_endpoint
from rtemo.io.sockets import Socket, connect, make_socket
from rtemo.io.subscriptions import SUBSCRIPTION_BYTES, Subscriptions
from rtemo.io.topics import heartbeat_topic
from rtemo.io.wire import WireError, utc_ms
from rtemo.io.zmq_options import USUAL_AUDIO_ENDPOINT, AudioOutOptions

_POLL_MS = 20
_MESSAGES = 500
_JOIN_S = 0.5  # how long a subscription may take to be in force at a worker
_MOST_SOCKETS = 1_024
_RECEIVE_QUEUE = 10_000


class AudioMerge(BoundEdge):
    """Passes packets and notes of the workers to subscribers, and subscriptions to the workers, on a thread of its own.

    A worker makes audio for those alone who have subscribed to it, and all workers' feeds have one epoch. The heartbeat
    is its own: it says that subscriptions are in force, so after a new one it waits for every worker to have said so.

    Args:
        options: Endpoint, bounds and keys.
        tenant: Second part of every topic.

    Attributes:
        endpoint: As bound; None until `start`.
        epoch: Random name of this life of the feed.
    """

    name = "audio-out"
    section, reached_as = "sinks.zmq", "audio out"

    def __init__(self, options: AudioOutOptions, *, tenant: str = "main") -> None:
        super().__init__(options.endpoint or USUAL_AUDIO_ENDPOINT, options)
        self.epoch = secrets.token_hex(8)
        self._options = options
        self._beat_topic = heartbeat_topic(tenant).encode()
        self._subscriptions: Subscriptions
        self._workers: dict[int, Socket] = {}
        self._streams: dict[int, int] = {}
        self._upstream: set[bytes] = {self._beat_topic}
        self._awaited: set[int] = set()
        self._await_until_s = 0.0
        self._is_beat_wanted = False
        self._beat_s = 0.0
        self._poller = zmq.Poller()
        self._told: queue.SimpleQueue[Callable[[], None]] = queue.SimpleQueue()
        self._opened, self._stop = threading.Event(), threading.Event()
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="rtemo-sink-audio-out", daemon=True)

    def start(self) -> None:
        """Start, and wait until the socket is bound.

        Raises:
            EndpointError: The endpoint is in use, impossible, or open to the network without encryption.
        """
        self._thread.start()
        self._opened.wait()
        if self._error is not None:
            raise as_error(self._error, self.name)

    def stop(self, timeout_s: float = 1.0) -> None:
        """Free everything; may be called twice, and without `start`."""
        self._stop.set()
        if self._thread.ident is not None:
            self._thread.join(timeout_s)

    def join(self, worker: int, address: Address) -> None:
        """Take the audio of a worker from now on, which is reached there. Any thread."""
        self._told.put(lambda: self._join(worker, address))

    def leave(self, worker: int) -> None:
        """Take note that a worker has gone. Any thread."""
        self._told.put(lambda: self._leave(worker))

    def _run(self) -> None:
        try:
            self._open()
        except BaseException as error:
            self._error = error
            self._free(self._options.linger_ms)
            return
        finally:
            self._opened.set()
        while not self._stop.is_set():
            self._turn()
        self._free(self._options.linger_ms)

    def _open(self) -> None:
        options = self._options
        endpoint = self.check()
        self._subscriptions = Subscriptions(self._make(zmq.XPUB, _MOST_SOCKETS))
        self._socket.sndhwm = options.send_queue_messages
        self._socket.setsockopt(zmq.SNDBUF, options.send_buffer_bytes)
        self._bind(endpoint, SUBSCRIPTION_BYTES)
        self._poller.register(self._socket, zmq.POLLIN)

    def _turn(self) -> None:
        self._poller.poll(_POLL_MS)
        self._let_in()
        with contextlib.suppress(queue.Empty):
            while True:
                self._told.get_nowait()()
        self._watch_readers()
        for worker, socket in self._workers.items():
            self._pass_on(worker, socket)
        self._beat()

    def _join(self, worker: int, address: Address) -> None:
        assert self._context is not None, "the thread has opened it"
        socket = make_socket(self._context, zmq.XSUB)
        socket.rcvhwm = _RECEIVE_QUEUE
        connect(socket, parse_endpoint(address.audio_out), address.keys)
        for prefix in self._upstream:
            socket.send(b"\x01" + prefix)
        self._workers[worker] = socket
        self._poller.register(socket, zmq.POLLIN)

    def _leave(self, worker: int) -> None:
        socket = self._workers.pop(worker, None)
        if socket is None:
            return
        self._pass_on(worker, socket)
        self._streams.pop(worker, None)
        self._awaited.discard(worker)
        self._poller.unregister(socket)
        socket.close(linger=0)

    def _watch_readers(self) -> None:
        """Hand on to the workers what is subscribed to now."""
        count = len(self._subscriptions)
        new = self._subscriptions.serve()
        if not new and count == len(self._subscriptions):
            return
        wanted = {*self._subscriptions.prefixes, self._beat_topic}
        for head, prefixes in ((b"\x01", wanted - self._upstream), (b"\x00", self._upstream - wanted)):
            for prefix in prefixes:
                for socket in self._workers.values():
                    socket.send(head + prefix)
        if wanted - self._upstream:
            self._awaited = set(self._workers)
            self._await_until_s = time.monotonic() + _JOIN_S
        self._upstream = wanted
        self._is_beat_wanted = self._is_beat_wanted or bool(new)

    def _pass_on(self, worker: int, socket: Socket) -> None:
        send = self._socket.send
        for _ in range(_MESSAGES):
            try:
                frames = socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            if frames[0] == self._beat_topic:
                self._hear_beat(worker, frames[-1])
                continue
            send(frames[0], zmq.SNDMORE | zmq.NOBLOCK)
            send(frames[-1], zmq.NOBLOCK)

    def _hear_beat(self, worker: int, message: bytes) -> None:
        self._awaited.discard(worker)
        with contextlib.suppress(WireError):
            note = decode_note(message)
            if isinstance(note, AudioBeat):
                self._streams[worker] = note.streams

    def _beat(self) -> None:
        now_s = time.monotonic()
        if self._awaited and now_s < self._await_until_s:
            return
        if not self._is_beat_wanted and now_s - self._beat_s < self._options.heartbeat_s:
            return
        self._beat_s = now_s
        self._is_beat_wanted = False
        beat = AudioBeat(
            schema=AUDIO_SCHEMA,
            epoch=self.epoch,
            t_pub_ms=utc_ms(time.time_ns()),
            interval_ms=self._options.heartbeat_s * 1000.0,
            streams=sum(self._streams.values()),
        )
        self._socket.send_multipart([self._beat_topic, encode_note(beat)], zmq.NOBLOCK)
