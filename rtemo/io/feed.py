"""Feed: the subscribing end of an event socket."""

from collections.abc import Collection, Iterator, Sequence
from typing import Any, NamedTuple

import zmq

from rtemo.io.curve import ClientKeys
from rtemo.io.endpoints import Endpoint
from rtemo.io.sockets import Context, connect, make_socket
from rtemo.io.topics import HEARTBEAT, call_prefix, escape, heartbeat_topic, tenant_prefix
from rtemo.io.wire import Heartbeat, WireError, WireEvent, decode_event, decode_heartbeat

_QUEUE_MESSAGES = 10_000
_SUBSCRIPTION_QUEUE = 100_000  # a SUB socket forgets subscriptions beyond this when it reconnects
_BATCH_MESSAGES = 500


class Message(NamedTuple):
    """One message of the feed: an event or a heartbeat."""

    topic: str
    body: WireEvent[Any] | Heartbeat


class Feed:
    """Subscribes to calls and kinds, and decodes what comes.

    Args:
        context: Made by `open_context`.
        endpoint: The publisher's event endpoint.
        tenant: Tenant of the feed.
        calls: Calls wanted; empty for all.
        kinds: Kinds wanted; empty for all. They are sorted out here, since only prefixes can be subscribed.
        curve: Keys; None for plain text.

    Attributes:
        malformed_messages: Messages that were no event of a version known here.
        prefixes: What is subscribed.
        socket: For pollers; another one after `reconnect`.
    """

    def __init__(
        self,
        context: Context,
        endpoint: Endpoint,
        tenant: str,
        calls: Sequence[str],
        kinds: Collection[str],
        curve: ClientKeys | None,
    ) -> None:
        self.malformed_messages = 0
        # Heartbeats last: subscriptions take effect in order, so one heartbeat shows that all of them have.
        self.prefixes = [*(call_prefix(tenant, call) for call in calls), heartbeat_topic(tenant)]
        if not calls:
            self.prefixes = [tenant_prefix(tenant)]
        self._kinds = frozenset(map(escape, kinds))
        self._context = context
        self._endpoint = endpoint
        self._curve = curve
        self.socket = self._connect()

    def wants(self, topic: str) -> bool:
        """Tell whether a topic is of a kind that is wanted."""
        if not self._kinds:
            return True
        parts = topic.rsplit("/", 2)  # of a publisher's choosing: it may be anything
        return len(parts) == 3 and parts[-2] in self._kinds

    def receive(self) -> Iterator[Message]:
        """Take what is there, in batches of bounded size; never blocks."""
        for _ in range(_BATCH_MESSAGES):
            try:
                frames = self.socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                return
            try:
                message = self._decode(frames)
            except (WireError, UnicodeDecodeError):
                self.malformed_messages += 1
                continue
            if message is not None:
                yield message

    def reconnect(self) -> None:
        """Drop everything that is queued on the way and subscribe anew."""
        self.socket.close(linger=0)
        self.socket = self._connect()

    def close(self) -> None:
        """Close the socket."""
        self.socket.close(linger=0)

    def _decode(self, frames: list[bytes]) -> Message | None:
        if len(frames) != 2:
            raise WireError(f"got {len(frames)} frames, expected topic and event")
        topic = frames[0].decode()
        if topic.endswith(f"/{HEARTBEAT}/"):
            return Message(topic, decode_heartbeat(frames[1]))
        return Message(topic, decode_event(frames[1])) if self.wants(topic) else None

    def _connect(self) -> zmq.Socket[bytes]:
        socket = make_socket(self._context, zmq.SUB)
        socket.rcvhwm = _QUEUE_MESSAGES
        socket.sndhwm = _SUBSCRIPTION_QUEUE
        connect(socket, self._endpoint, self._curve)
        for prefix in self.prefixes:
            socket.subscribe(prefix)
        return socket
