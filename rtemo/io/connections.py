"""Connections: counts the connections of a socket that is bound, and turns away those beyond a limit."""

import contextlib
import os
import resource
import socket as posix_socket
import struct

import zmq

from rtemo.io.sockets import Socket

_EVENTS = 2_048  # taken in one turn
_EVENT = struct.Struct("=HI")
OWN_FILES = 128
"""What a process needs besides connections: models, logs, sockets between threads, a log or sound file per call."""

_SOCKETS = 5  # events, state, query, ingest, audio out

_MOST_FILES = 65_536


def raise_file_limit() -> int:
    """Raise the limit of open files of this process as far as it may, and give it."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_FILES if hard == resource.RLIM_INFINITY else min(hard, _MOST_FILES)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with contextlib.suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
    return file_limit()


def file_limit() -> int:
    """Tell how many files this process may have open."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return _MOST_FILES if soft == resource.RLIM_INFINITY else soft


def room_for_connections() -> int:
    """Tell how many connections one socket may have, so that all sockets together leave files for the rest."""
    return max(8, (file_limit() - OWN_FILES) // _SOCKETS)


class Connections:
    """Watches a socket and closes connections beyond the limit as soon as they are made.

    A process without free descriptors cannot accept, and libzmq would try again without a pause, or give up
    altogether where it needs one for itself. So the newest connection is turned away before it comes to that; its
    client finds itself disconnected and tries again later.

    Args:
        socket: Made but not bound yet.
        limit: Most connections; 0 for what the open files of this process allow.

    Attributes:
        count: Connections there are.
        refused: Connections turned away so far.
    """

    def __init__(self, socket: Socket, limit: int = 0) -> None:
        room = room_for_connections()
        self.limit = min(limit, room) if limit else room
        self.count = 0
        self.refused = 0
        self._monitor = socket.get_monitor_socket(zmq.EVENT_ACCEPTED | zmq.EVENT_DISCONNECTED | zmq.EVENT_CLOSED)
        self._open: dict[int, None] = {}
        self._rebinds = 0

    def serve(self, rebinds: int = 0) -> None:
        """Take note of who has come and gone, and turn away who is too many; never blocks.

        Args:
            rebinds: How often the socket was bound again (`Door.rebinds`): that ends all connections without a word
                from the monitor, and their descriptors are somebody else's soon.
        """
        if rebinds != self._rebinds:
            self._rebinds = rebinds
            self._forget()
        for _ in range(_EVENTS):
            try:
                frames = self._monitor.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                break
            event, descriptor = _EVENT.unpack_from(frames[0])
            self._open.pop(descriptor, None)
            if event == zmq.EVENT_ACCEPTED:
                self._open[descriptor] = None
        # Only now: of those that came, some have gone, and their descriptors may be somebody else's by now.
        while len(self._open) > self.limit:
            self.refused += 1
            shut(self._open.popitem()[0])
        self.count = len(self._open)

    def _forget(self) -> None:
        with contextlib.suppress(zmq.Again):
            while True:
                self._monitor.recv_multipart(zmq.NOBLOCK)
        self._open.clear()


def shut(descriptor: int) -> None:
    """Shut a connection down by its descriptor; libzmq, which owns it, then closes it."""
    with contextlib.suppress(OSError):
        copy = posix_socket.socket(fileno=os.dup(descriptor))
        try:
            copy.shutdown(posix_socket.SHUT_RDWR)
        finally:
            copy.close()
