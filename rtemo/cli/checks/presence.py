"""Presence: whether it is rtemo that holds an endpoint; another program there says nothing in its language."""

import zmq

from rtemo.api import EndpointError
from rtemo.io.audio_wire import Hello, Welcome, decode_response, encode_control
from rtemo.io.endpoints import Endpoint
from rtemo.io.sockets import connect, make_socket, open_context
from rtemo.io.topics import VERSION
from rtemo.io.wire import WireError

_EVERYWHERE = {"0.0.0.0": "127.0.0.1", "[::]": "[::1]"}


def publishes(endpoint: Endpoint, timeout_s: float) -> bool:
    """Tell whether events or audio of rtemo come from an endpoint, heartbeats at least, which come by themselves.

    Args:
        endpoint: Without encryption.
        timeout_s: Longer than the time between two heartbeats.
    """
    topic = f"{VERSION}/".encode()
    return any(message.startswith(topic) for message in _heard(endpoint, zmq.SUB, topic, timeout_s))


def takes_audio(endpoint: Endpoint, timeout_s: float) -> bool:
    """Tell whether audio can be sent to rtemo at an endpoint: it welcomes who says hello.

    Args:
        endpoint: Without encryption.
        timeout_s: How long to wait.
    """
    for message in _heard(endpoint, zmq.DEALER, encode_control(Hello()), timeout_s):
        try:
            return isinstance(decode_response(message), Welcome)
        except WireError:
            return False
    return False


def _heard(endpoint: Endpoint, kind: int, word: bytes, timeout_s: float) -> list[bytes]:
    """Say a word, or subscribe to it, and give the frames of the first message that comes; none when none comes."""
    context = open_context()
    try:
        with make_socket(context, kind) as socket:
            if kind == zmq.SUB:
                socket.subscribe(word)
            connect(socket, endpoint._replace(host=_EVERYWHERE.get(endpoint.host, endpoint.host)), None)
            if kind == zmq.DEALER:
                socket.send(word, zmq.NOBLOCK)
            return socket.recv_multipart() if socket.poll(round(timeout_s * 1000)) else []
    except (EndpointError, zmq.ZMQError):
        return []
    finally:
        context.destroy(linger=0)
