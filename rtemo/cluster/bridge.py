"""Bridge: a link that goes on over the network."""

import contextlib
import socket
import threading
import time

import zmq

from rtemo.io.curve import Door
from rtemo.io.sockets import Socket

_CHUNK_BYTES = 1 << 18
MAX_MESSAGE_BYTES = _CHUNK_BYTES + 256
"""Longest message between two bridges, with what CURVE adds."""

_QUEUE = 16  # chunks, each way: what finds no room waits in the link, and holds up who writes there
_CHUNKS = 32  # in a turn, each way
_POLL_MS = 20  # a handshake waits for as long
_LAST_MS = 500
_SIGN_S = 1.0
_SILENT_S = 10.0
_ENDED = zmq.EVENT_DISCONNECTED | zmq.EVENT_CLOSED | zmq.EVENT_MONITOR_STOPPED


def limit_queues(end: Socket) -> None:
    """Bound what may wait at a socket of a bridge, before it is bound or connected."""
    end.sndhwm = end.rcvhwm = _QUEUE


class Bridge:
    """Carries the bytes of a link over a ZeroMQ socket that has one peer, another bridge, both ways and in order.

    What a link carries makes no sense with a gap. So the first connection is the only one: when it ends, so does the
    bridge, as a link between two processes of one machine would. It belongs to the thread that calls `run`.

    Args:
        far: DEALER, bound or connected; its queues were limited before.
        near: One end of a `link_pair`.
        door: Lets the peer in, on the side that is bound.
        is_sharp: Whether the end of the connection is seen at once, which the side that has connected can tell; the
            other one, at which strangers may knock, goes by silence.
    """

    def __init__(self, far: Socket, near: socket.socket, door: Door | None = None, *, is_sharp: bool = False) -> None:
        self._far = far
        self._near = near
        self._door = door
        self._monitor = far.get_monitor_socket(_ENDED) if is_sharp else None
        self._to_far = self._to_near = b""
        self._stop = threading.Event()
        self._heard_s = self._sent_s = time.monotonic()

    def stop(self) -> None:
        """Have it end soon. Any thread."""
        self._stop.set()

    def run(self) -> str:
        """Carry bytes until one side is gone; tells which one, or that it was stopped."""
        self._heard_s = time.monotonic()
        self._near.setblocking(False)
        while not self._stop.is_set():
            self._wait()
            if self._door is not None:
                self._door.serve()
            try:
                self._from_far()
                self._from_near()
            except (EOFError, OSError):  # the latter where its other end has died with something unread
                self._say_last()
                return "near"
            if self._is_cut():
                self._hear_last()
                return "far"
            if time.monotonic() - self._sent_s > _SIGN_S:
                self._send(b"")
        return "stopped"

    def _wait(self) -> None:
        """Wait until there is something to do, for a bounded time."""
        poller = zmq.Poller()
        poller.register(self._far, (0 if self._to_near else zmq.POLLIN) | (zmq.POLLOUT if self._to_far else 0))
        poller.register(self._near, (0 if self._to_far else zmq.POLLIN) | (zmq.POLLOUT if self._to_near else 0))
        if self._monitor is not None:
            poller.register(self._monitor, zmq.POLLIN)
        poller.poll(_POLL_MS)

    def _from_far(self) -> None:
        """Hand on what has come from the other bridge, as far as the link takes it.

        Raises:
            OSError: Its other end is gone.
        """
        for _ in range(_CHUNKS):
            try:
                while self._to_near:
                    self._to_near = self._to_near[self._near.send(self._to_near) :]
                self._to_near = self._far.recv(zmq.NOBLOCK)
            except (BlockingIOError, zmq.Again):
                return
            self._heard_s = time.monotonic()

    def _from_near(self) -> None:
        """Send what has come through the link, as far as there is room.

        Raises:
            EOFError, OSError: Its other end is gone, and everything was taken.
        """
        for _ in range(_CHUNKS):
            if self._to_far and not self._send(self._to_far):
                return
            self._to_far = b""
            try:
                self._to_far = self._near.recv(_CHUNK_BYTES)
            except BlockingIOError:
                return
            if not self._to_far:
                raise EOFError

    def _send(self, chunk: bytes) -> bool:
        try:
            self._far.send(chunk, zmq.NOBLOCK)
        except zmq.Again:
            return False
        self._sent_s = time.monotonic()
        return True

    def _is_cut(self) -> bool:
        if self._monitor is not None and self._monitor.poll(0):
            return True
        return time.monotonic() - self._heard_s > _SILENT_S

    def _say_last(self) -> None:
        """Send what is left when the link has ended, for a bounded time."""
        if self._to_far and self._far.poll(_LAST_MS, zmq.POLLOUT):
            self._send(self._to_far)

    def _hear_last(self) -> None:
        """Hand on what is left when the connection has ended, for a bounded time."""
        self._near.settimeout(_LAST_MS / 1000)
        with contextlib.suppress(zmq.Again, OSError):
            while True:
                self._near.sendall(self._to_near)
                self._to_near = self._far.recv(zmq.NOBLOCK)
