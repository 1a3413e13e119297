"""RelayedIngest: the ingest of a worker, whose clients are those of a front."""

import time
from typing import ClassVar

import zmq

from rtemo.io.audio_wire import MAX_MESSAGE_BYTES, Request, Response, encode_control
from rtemo.io.relay_wire import BUNDLE_BYTES, Bundle, decode_relayed, split
from rtemo.io.sources.ingest import IngestSource
from rtemo.io.zmq_options import IngestOptions

_BUNDLES = 64
_TAKE_S = 0.02


class RelayedIngest(IngestSource):
    """Takes what clients and the front's own sources send through a front, and answers through it.

    To each client it is what an `IngestSource` is: credit, limits and time-outs are those of its connection to the
    front, whose address stands before every message. Answers are gathered until the end of each turn.

    Args:
        options: Endpoint, window and time-outs.
    """

    max_message_bytes: ClassVar[int] = MAX_MESSAGE_BYTES + 2 * BUNDLE_BYTES

    def __init__(self, options: IngestOptions | None = None) -> None:
        super().__init__(options)
        self._front = b""
        self._answers = Bundle()

    def _take(self) -> int:
        """Take bundles until there are none, within bounds of number and time; returns how many messages came."""
        assert self._desk is not None, "open comes first"
        take, now_s, messages = self._desk.take, time.monotonic(), 0
        for _ in range(_BUNDLES):
            try:
                frames = self._socket.recv_multipart(zmq.NOBLOCK)
            except zmq.Again:
                break
            self._front = frames[0]
            now_ns = time.time_ns()
            for client, message in split(frames[-1]):
                take(client, message, now_s, now_ns)
                messages += 1
            if time.monotonic() - now_s > _TAKE_S:
                break
        return messages

    def _decode(self, message: bytes) -> Request:
        return decode_relayed(message)

    def _send(self, client: bytes, message: Response) -> None:
        self._answers.add(client, encode_control(message))
        if self._answers.size_bytes > BUNDLE_BYTES:
            self._flush()

    def _flush(self) -> None:
        if not len(self._answers):
            return
        try:
            self._socket.send_multipart([self._front, self._answers.take()], zmq.NOBLOCK)
        except zmq.ZMQError:
            return  # the front is gone, and we end with it
