"""Sockets with guard rails: what every socket of ours has in common, and errors that name the mend."""

import errno
import os
import socket as posix_socket
import stat

import zmq

from rtemo.api.errors import EndpointError
from rtemo.io.curve import ClientKeys, Door
from rtemo.io.endpoints import Endpoint, parse_endpoint
from rtemo.io.zmq_options import CurveOptions

Context = zmq.Context[zmq.Socket[bytes]]
Socket = zmq.Socket[bytes]

LEAST_LIBZMQ = (4, 3, 5)
"""Older versions can be crashed by strangers, with CURVE too (CVE-2019-13132, CVE-2019-6250)."""

UNREACHABLE_MEND = (
    "check that rtemo runs there, that the port is right, and that both ends use CURVE keys or neither does"
)
"""What to try when nobody answers."""

_MAX_SOCKETS = 64  # per context; connections of clients do not count
_HEARTBEAT_MS = 5_000
_HEARTBEAT_TIMEOUT_MS = 15_000
_HANDSHAKE_MS = 5_000


def open_context() -> Context:
    """Make a context of our own, so that closing it cannot wait for anybody else's sockets.

    Raises:
        EndpointError: The installed libzmq is too old to be exposed to a network.
    """
    if zmq.zmq_version_info() < LEAST_LIBZMQ:
        raise EndpointError(
            f"libzmq {zmq.zmq_version()} has security holes, expected {'.'.join(map(str, LEAST_LIBZMQ))} at least",
            "run: pip install --upgrade pyzmq",
        )
    context: Context = zmq.Context()
    context.set(zmq.MAX_SOCKETS, _MAX_SOCKETS)
    return context


def make_socket(context: Context, kind: int) -> Socket:
    """Make a socket that finds dead peers within seconds and never holds up closing."""
    socket = context.socket(kind)
    socket.linger = 0
    socket.setsockopt(zmq.HEARTBEAT_IVL, _HEARTBEAT_MS)
    socket.setsockopt(zmq.HEARTBEAT_TIMEOUT, _HEARTBEAT_TIMEOUT_MS)
    socket.setsockopt(zmq.HEARTBEAT_TTL, _HEARTBEAT_TIMEOUT_MS)
    socket.setsockopt(zmq.HANDSHAKE_IVL, _HANDSHAKE_MS)
    socket.setsockopt(zmq.TCP_KEEPALIVE, 1)
    socket.setsockopt(zmq.TCP_KEEPALIVE_IDLE, 30)
    socket.setsockopt(zmq.TCP_KEEPALIVE_INTVL, 10)
    socket.setsockopt(zmq.TCP_KEEPALIVE_CNT, 3)
    return socket


def check_exposure(endpoint: Endpoint, curve: CurveOptions, insecure_plaintext: bool, section: str) -> None:
    """Refuse to listen beyond this machine without encryption, unless that was asked for in so many words.

    Args:
        endpoint: What is to be bound.
        curve: Encryption settings.
        insecure_plaintext: Whether plain text was asked for.
        section: Table of the configuration, for the error text.

    Raises:
        EndpointError: Anybody in the network could listen in.
    """
    if endpoint.is_local or curve.key_file or insecure_plaintext:
        return
    raise EndpointError(
        f"{endpoint} can be reached from other machines and would carry plain text",
        f"set {section}.curve.key_file and {section}.curve.allowed_clients, bind 127.0.0.1, "
        f"or set {section}.insecure_plaintext = true",
    )


def check_free(endpoint: Endpoint, key: str) -> None:
    """Refuse an endpoint that another program has or that this machine lacks, before the seconds of warming up.

    Nothing listens there meanwhile, so nobody who waits for it is let in and turned out again. What cannot be told
    without ZeroMQ (the name of an interface, say) is left to `bind`.

    Raises:
        EndpointError: It is in use, not of this machine, or not allowed.
    """
    if endpoint.transport == "ipc" and _is_served(endpoint.host):
        raise _in_use(endpoint, key)
    if endpoint.transport != "tcp" or not endpoint.port:
        return
    family = posix_socket.AF_INET6 if endpoint.is_ipv6 else posix_socket.AF_INET
    try:
        with posix_socket.socket(family) as probe:
            if os.name == "posix":  # as libzmq does, so that a port is free at once when its program has ended
                probe.setsockopt(posix_socket.SOL_SOCKET, posix_socket.SO_REUSEADDR, 1)
            probe.bind((endpoint.host.strip("[]"), endpoint.port))
    except posix_socket.gaierror:
        return
    except OSError as error:
        if error.errno in (errno.EADDRINUSE, errno.EADDRNOTAVAIL, errno.EACCES):
            raise _explain(error.errno, str(error), endpoint, key) from None


def bind(socket: Socket, endpoint: Endpoint, max_message_bytes: int, door: Door | None, key: str) -> Endpoint:
    """Bind a socket and give the endpoint it really has.

    Args:
        socket: Made by `make_socket`.
        endpoint: Where to.
        max_message_bytes: Longest message a peer may send; one that sends more is disconnected.
        door: Asks every client for its key; None for plain text.
        key: Configuration key that holds the endpoint, for the error text.

    Raises:
        EndpointError: It is in use, not of this machine, or not allowed.
    """
    socket.setsockopt(zmq.MAXMSGSIZE, max_message_bytes)
    if endpoint.is_ipv6:
        socket.setsockopt(zmq.IPV6, 1)
    if door is not None:
        door.guard(socket)
    if endpoint.transport == "ipc" and _is_served(endpoint.host):
        # libzmq would remove the file and silently take the other program's clients.
        raise _in_use(endpoint, key)
    try:
        socket.bind(str(endpoint))
    except zmq.ZMQError as error:
        raise _explain(error.errno, str(error), endpoint, key) from None
    return parse_endpoint(socket.getsockopt_string(zmq.LAST_ENDPOINT))


def connect(socket: Socket, endpoint: Endpoint, curve: ClientKeys | None) -> None:
    """Connect a client socket; it reconnects by itself.

    Args:
        socket: Made by `make_socket`.
        endpoint: Where to.
        curve: Keys; None for plain text.

    Raises:
        EndpointError: A key is missing or damaged, or the endpoint is none to connect to.
    """
    socket.setsockopt(zmq.RECONNECT_IVL, 100)
    socket.setsockopt(zmq.RECONNECT_IVL_MAX, 1000)
    socket.setsockopt(zmq.CONNECT_TIMEOUT, 3000)
    if endpoint.is_ipv6:
        socket.setsockopt(zmq.IPV6, 1)
    if curve is not None:
        curve.use(socket)
    try:
        socket.connect(str(endpoint))
    except zmq.ZMQError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise EndpointError(f"cannot connect to {endpoint}: {reason}", "check address and port") from None


def _is_served(path: str) -> bool:
    """Tell whether a program listens at the socket file."""
    try:
        if not stat.S_ISSOCK(os.stat(path).st_mode):
            return False
        with posix_socket.socket(posix_socket.AF_UNIX) as probe:
            probe.settimeout(0.5)
            probe.connect(path)
    except OSError:
        return False
    return True


def _in_use(endpoint: Endpoint, key: str) -> EndpointError:
    return EndpointError(f"{endpoint} is already in use", f"stop the other program, or choose another {key}")


def _explain(number: int | None, text: str, endpoint: Endpoint, key: str) -> EndpointError:
    if number == errno.EADDRINUSE:
        return EndpointError(
            f"port {endpoint.port} on {endpoint.host} is already in use",
            f"stop the other program (`ss -ltnp 'sport = :{endpoint.port}'` names it), or choose another {key}",
        )
    if number in (errno.EADDRNOTAVAIL, errno.ENODEV):
        return EndpointError(f"this machine has no address {endpoint.host}", f"set {key} to an address that it has")
    if number == errno.EACCES:
        return EndpointError(f"not allowed to open {endpoint}", "choose a port of 1024 or above, or a writable folder")
    if number == errno.ENOENT:
        return EndpointError(f"there is no folder for {endpoint}", "make it, or choose another path")
    reason = os.strerror(number) if number else text
    return EndpointError(f"cannot listen at {endpoint}: {reason}", f"choose another {key}")
