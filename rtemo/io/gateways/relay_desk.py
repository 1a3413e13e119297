"""RelayDesk: the desk of a gateway whose streams are at the workers of a front."""

import contextlib
import time
from multiprocessing.connection import Connection

import msgspec
import zmq

from rtemo.api import StreamFormat
from rtemo.io.audio_wire import decode_response
from rtemo.io.endpoints import parse_endpoint
from rtemo.io.gateways.gateway import Gateway
from rtemo.io.gateways.process_desk import SessionLine
from rtemo.io.gateways.relay_stream import RelayStream
from rtemo.io.relay_wire import BUNDLE_BYTES, Bundle, OwnOpen, split
from rtemo.io.sockets import connect, make_socket, open_context

_BUNDLES_ON_THE_WAY = 1_000  # some seconds of turns: a front that is held up for longer loses audio, and is missed
_WATCH_S = 0.1
_TELL_S = 0.05
_LINGER_MS = 500


class RelayDesk(SessionLine):
    """Opens streams as a client of the front, each stream a client of its own, and gathers what they say for a turn.

    Faults, counts and the word to drain go by the line to the front's session side, as with a gateway of one engine.

    Args:
        pipe: To the front.
        format: Of the engines.
        endpoint: Where the front takes what its own sources bring.
        name: Of the gateway.
    """

    is_live = True

    def __init__(self, pipe: Connection, format: StreamFormat, endpoint: str, name: str) -> None:
        super().__init__(pipe, format)
        self._context = open_context()
        self._socket = make_socket(self._context, zmq.DEALER)
        self._socket.setsockopt(zmq.ROUTING_ID, name.encode())
        self._socket.sndhwm = _BUNDLES_ON_THE_WAY
        connect(self._socket, parse_endpoint(endpoint), None)
        self._bundle = Bundle()
        self._streams: dict[bytes, RelayStream] = {}
        self._count = time.time_ns()  # no stream of a process before this one had such a number
        self._left_out_packets = 0
        self._watched_s = self._told_s = 0.0

    def open_stream(
        self,
        call: str,
        channel: str,
        *,
        source: str = "",
        role: str = "",
        prefill_s: float = 0.0,
        is_estimate: bool = False,
    ) -> RelayStream:
        """Make a stream, which is then to be opened."""
        self._count += 1
        address = self._count.to_bytes(8, "little")
        request = OwnOpen(
            call=call,
            channel=channel,
            role=role,
            prefill_ms=1000.0 * prefill_s,
            source=source,
            is_estimate=is_estimate,
        )
        stream = RelayStream(lambda message: self._post(address, message), self.report, request)
        self._streams[address] = stream
        return stream

    def hand_over(self, gateway: Gateway) -> None:
        """Send what has been gathered, and take what the front has said; an EOFError when it is gone."""
        now_s = time.monotonic()
        with contextlib.suppress(zmq.Again):
            while True:
                self._hear_front(self._socket.recv(zmq.NOBLOCK), now_s)
        if now_s - self._watched_s > _WATCH_S:
            self._watched_s = now_s
            self._watch(now_s)
        self._flush()
        if self.items or self.state.is_over or now_s - self._told_s > _TELL_S:
            self._told_s = now_s
            left_out = self._left_out_packets + sum(one.left_out_packets for one in self._streams.values())
            self._tell_turn(
                msgspec.structs.replace(gateway.counts, dropped=gateway.counts.dropped + left_out),
                gateway.count_streams,
            )
        self._listen()

    def close(self) -> None:
        """Let what was sent leave, within a bound."""
        self._flush()
        self._context.destroy(linger=_LINGER_MS)

    def _hear_front(self, frame: bytes, now_s: float) -> None:
        for address, message in split(frame):
            stream = self._streams.get(address)
            if stream is not None:
                stream.hear(decode_response(message), now_s)

    def _watch(self, now_s: float) -> None:
        for address, stream in list(self._streams.items()):
            stream.watch(now_s)
            if stream.is_over:
                self._left_out_packets += stream.left_out_packets
                del self._streams[address]

    def _post(self, address: bytes, message: bytes) -> None:
        self._bundle.add(address, message)
        if self._bundle.size_bytes > BUNDLE_BYTES:
            self._flush()

    def _flush(self) -> None:
        if not len(self._bundle):
            return
        frame = self._bundle.take()
        with contextlib.suppress(zmq.Again):  # the front does not read: what was in it is missing at its place
            self._socket.send(frame, zmq.NOBLOCK)
