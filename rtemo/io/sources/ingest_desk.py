"""IngestDesk: the streams of all clients of an ingest, and what each client may ask for; knows no socket."""

import secrets
import time
from collections.abc import Callable
from typing import NamedTuple

import msgspec

from rtemo.api import (
    CapacityError,
    FullError,
    NameTakenError,
    PolicyError,
    RtemoError,
    StreamDesk,
    canonical_role,
)
from rtemo.io.audio_wire import (
    CODECS,
    INGEST_SCHEMA,
    MAGIC,
    MAX_MESSAGE_BYTES,
    Alive,
    End,
    Error,
    Hello,
    Open,
    Refused,
    Request,
    Response,
    Welcome,
    decode_packet,
    decode_request,
    stream_names,
)
from rtemo.io.relay_wire import OwnOpen
from rtemo.io.sources import refusals
from rtemo.io.sources.client_limits import ClientLimits
from rtemo.io.sources.ingest_stream import IngestStream
from rtemo.io.sources.lanes import Batch, Lanes
from rtemo.io.sources.placement import Placement
from rtemo.io.zmq_options import IngestOptions

_COMPLAINT_S = 1.0
_PENDING_S = 1.0  # how long an opening may wait for the engine to have worked off what stands in its way
_MAX_PENDING = 1024
_OWN_WINDOW_S = 1.0  # of what is ahead by more the engine would drop the oldest anyway

_Key = tuple[bytes, bytes]


class _Waiting(NamedTuple):
    """An opening that waits for the engine.

    Attributes:
        request: What was asked for.
        until_s: Monotonic time at which it is given up.
        streams: How many there were when it came: as many again, and somebody has taken the room that was made for it.
    """

    request: Open
    until_s: float
    streams: int


class IngestDesk:
    """Opens, feeds and ends the streams of any number of clients.

    Whatever a client sends, the answer is at most a refusal; what it asks too much of costs only itself.

    Args:
        desk: Where streams are opened.
        options: Window, limits and time-outs.
        send: Takes a message for a client; may drop it.
        decode: Reads a control message.

    Attributes:
        lanes: Converters to the engine's rate.
        refused_messages: Messages that were no packet of an open stream and no request.
        is_draining: Whether no new calls are taken; may be set by any thread.
    """

    def __init__(
        self,
        desk: StreamDesk,
        options: IngestOptions,
        send: Callable[[bytes, Response], None],
        decode: Callable[[bytes], Request] = decode_request,
    ) -> None:
        self.lanes = Lanes(desk.format.sample_rate_hz)
        self.refused_messages = 0
        self.is_draining = False
        self._desk = desk
        self._options = options
        self._send = send
        self._decode = decode
        self._batch = Batch()
        self._streams: dict[_Key, IngestStream] = {}
        self._by_name: dict[bytes, _Key] = {}
        self._waiting: set[_Key] = set()
        self._hungry: set[_Key] = set()
        self._pending: dict[_Key, _Waiting] = {}
        self._clients = ClientLimits(options.opens_per_s, options.open_burst)

    def __len__(self) -> int:
        return len(self._streams)

    @property
    def is_pressed(self) -> bool:
        """Whether somebody waits for the engine to make room."""
        return bool(self._pending)

    def take(self, client: bytes, message: bytes, now_s: float, now_ns: int) -> None:
        """Take one message of a client; `now_s` is monotonic, `now_ns` UTC."""
        try:
            if message[:4] == MAGIC:
                self._take_audio(client, message, now_s, now_ns)
            else:
                self._take_request(client, message, now_s, now_ns)
        except RtemoError as error:
            self.complain(client, error, now_s)

    def complain(self, client: bytes, error: RtemoError, now_s: float) -> None:
        """Tell a client that its message was none."""
        self._complain(client, Error(code="bad_message", problem=error.problem, mend=error.mend), now_s)

    def serve(self, now_s: float, now_ns: int) -> None:
        """Write what has become due, give credit where there is room again, and open what had to wait."""
        self._batch.flush()
        for key in list(self._waiting):
            stream = self._streams[key]
            stream.settle(now_s, now_ns)
            self._batch.flush()
            if not stream.is_waiting:
                self._waiting.discard(key)
                if stream.end_reason:
                    self._finish(key, stream.end_reason, now_ns)
        for key in list(self._hungry):
            stream = self._streams[key]
            if stream.grant():
                self._send(key[0], stream.credit)
            if not stream.is_hungry:
                self._hungry.discard(key)
        for key, waiting in list(self._pending.items()):
            answer = self._try_open(key, waiting.request, now_s, is_last=now_s > waiting.until_s)
            if answer is not None:
                del self._pending[key]
                self._send(key[0], answer)

    def watch(self, now_s: float) -> None:
        """End streams that have been silent for too long, and forget clients that are gone."""
        for key, stream in list(self._streams.items()):
            reason = stream.watch(now_s)
            if reason:
                self._finish(key, reason, time.time_ns())
        self._clients.prune(now_s)

    def end_all(self, reason: str) -> None:
        """End every stream."""
        for key in list(self._streams):
            self._finish(key, reason, time.time_ns())

    def _take_audio(self, client: bytes, message: bytes, now_s: float, now_ns: int) -> None:
        packet = decode_packet(message)
        key = (client, packet.names)
        stream = self._streams.get(key)
        if stream is None or stream.end_reason:
            if key in self._pending:
                return  # the answer to its `open` is on the way
            self._complain(client, refusals.audio_of_none(packet.names), now_s)
            return
        is_taken = stream.take(packet, now_s, now_ns)
        if not is_taken or stream.has_stepped_back():
            self._tell(stream, is_taken, now_s)
        if stream.is_waiting:
            self._waiting.add(key)
        if stream.is_hungry:
            self._hungry.add(key)

    def _tell(self, stream: IngestStream, is_taken: bool, now_s: float) -> None:
        """Tell a client what is wrong with its audio, once a second."""
        if now_s - stream.complained_s < _COMPLAINT_S:
            return
        stream.complained_s = now_s
        if is_taken:
            code, mend = "stepped_back", "let `start sample` count on through the whole stream"
            problem = "got a start sample before the one expected in a packet that is new; its audio was put at the end"
        else:
            code, mend = "over_credit", "wait for `credit`"
            problem = f"got more audio than granted ({stream.limit_bytes} bytes); it was dropped"
        self._send(stream.client, Error(code, problem, mend, stream.writer.call, stream.writer.channel))

    def _take_request(self, client: bytes, message: bytes, now_s: float, now_ns: int) -> None:
        request = self._decode(message)
        if isinstance(request, Hello):
            self._send(client, Welcome(schema=INGEST_SCHEMA, codecs=list(CODECS), max_message_bytes=MAX_MESSAGE_BYTES))
            return
        key = (client, stream_names(request.call, request.channel))
        stream = self._streams.get(key)
        if isinstance(request, Open):
            self._open(key, request, now_s)
        elif stream is None:
            if key in self._pending and isinstance(request, End):
                del self._pending[key]
            self._complain(client, refusals.request_of_none(request.call, request.channel), now_s)
        elif isinstance(request, End):
            stream.end(request.reason, now_ns)
            self._waiting.add(key)
        elif isinstance(request, Alive):
            stream.heard_s = now_s

    def _open(self, key: _Key, request: Open, now_s: float) -> None:
        """Open a stream, or say why not; asking again for one's own open stream is not a mistake."""
        client, names = key
        call, channel = request.call, request.channel
        held = self._by_name.get(names)
        if held == key and not self._streams[key].end_reason:
            stream = self._streams[key]
            if canonical_role(request.role) == stream.role:
                self._send(client, stream.opened)
                if stream.has_audio:
                    self._send(client, stream.credit)  # what was sent before it asked and is not in here is lost
            else:
                problem = f"call {call!r} channel {channel!r} is open under another role"
                self._send(client, Refused(call, channel, "policy", problem, "end it first"))
            return
        if key in self._pending:
            return
        record = self._clients.of(client, now_s)
        if not record.opens.take(now_s):
            if record.answers.take(now_s):
                self._send(client, refusals.too_often(request, record, self._options))
            return
        if held is not None and held != key:
            problem = f"call {call!r} channel {channel!r} is open from another client"
            if now_s - self._streams[held].heard_s > self._options.lost_s:
                self._finish(held, "replaced", time.time_ns())
            self._send(client, Refused(call, channel, "in_use", problem, "try again in a second, or use another name"))
        elif self.is_draining:
            self._send(client, refusals.no_new_calls(request))
        elif record.streams >= self._options.max_streams_per_client:
            self._send(client, refusals.too_many(request, record))
        else:
            streams = len(self._streams)
            answer = self._try_open(key, request, now_s, is_last=len(self._pending) >= _MAX_PENDING)
            if answer is None:
                self._pending[key] = _Waiting(request, now_s + _PENDING_S, streams)
            else:
                self._send(client, answer)

    def _try_open(self, key: _Key, request: Open, now_s: float, is_last: bool) -> Response | None:
        """Open a stream; None when the engine is about to make room, unless this is the last attempt."""
        if key[1] in self._by_name:  # the one before it is still being worked off, or somebody else was faster
            if not is_last:
                return None
            problem = f"call {request.call!r} channel {request.channel!r} is open already"
            return Refused(request.call, request.channel, "in_use", problem, "try again in a second")
        source, options, is_estimate = _terms(request, self._options)
        prefill_s = options.prefill_s if request.prefill_ms is None else request.prefill_ms / 1000.0
        try:
            writer = self._desk.open_stream(
                request.call,
                request.channel,
                source=source,
                role=request.role,
                prefill_s=prefill_s,
                is_estimate=is_estimate,
            )
        except RtemoError as error:
            if isinstance(error, NameTakenError) and not is_last:
                return None
            if isinstance(error, FullError) and not is_last and (self._has_room(key) or self._make_room(key, now_s)):
                return None
            code = "policy" if isinstance(error, PolicyError) else "bad_request"
            if isinstance(error, CapacityError):
                code = "capacity"
            return Refused(request.call, request.channel, code, error.problem, error.mend)
        placement = Placement(
            writer,
            request.sample_rate_hz,
            self.lanes,
            self._batch,
            is_live=self._desk.is_live,
            reorder_s=options.reorder_s,
        )
        stream = IngestStream(
            key[0], writer, placement, request.codec, options, now_s, secrets.token_hex(4), request.from_sample
        )
        stream.role = canonical_role(request.role)
        self._streams[key] = stream
        self._by_name[key[1]] = key
        self._clients.of(key[0], now_s).streams += 1
        return stream.opened

    def _has_room(self, key: _Key) -> bool:
        """Tell whether room was made for an opening that waits, and is still to be had."""
        waiting = self._pending.get(key)
        return waiting is not None and len(self._streams) < waiting.streams

    def _make_room(self, key: _Key, now_s: float) -> bool:
        """End a stream without audio of the client that holds the most, if it holds more than its share.

        A client that holds less than everybody's equal share then has a slot, whoever opened first.
        """
        holders = self._clients.holders
        share = len(self._streams) / (len(holders) + (key[0] not in holders))
        if holders.get(key[0], 0) + 1 > share:
            return False
        greedy = max(holders, key=lambda client: holders[client])
        if holders[greedy] <= share:
            return False
        silent = [
            (stream.has_audio, stream.audio_s, held)
            for held, stream in self._streams.items()
            if held[0] == greedy and (not stream.has_audio or now_s - stream.audio_s > self._options.lost_s)
        ]
        if not silent:
            return False
        self._finish(min(silent)[2], "made room", time.time_ns())
        return True

    def _finish(self, key: _Key, reason: str, now_ns: int) -> None:
        stream = self._streams.pop(key)
        self._by_name.pop(key[1], None)
        self._waiting.discard(key)
        self._hungry.discard(key)
        self._clients.of(key[0], 0.0).streams -= 1
        self._send(key[0], stream.finish(reason, now_ns))

    def _complain(self, client: bytes, error: Error, now_s: float) -> None:
        """Tell a client what was wrong with its message, but not to one that floods us."""
        self.refused_messages += 1
        if self._clients.may_answer(client, now_s):
            self._send(client, error)


def _terms(request: Open, options: IngestOptions) -> tuple[str, IngestOptions, bool]:
    """Tell where a stream comes from, what holds for it, and whether it was told apart from others by its voice.

    The server's own sources know by themselves who is there, and bring what was held up all at once.
    """
    if not isinstance(request, OwnOpen) or not request.source:
        return "ingest", options, False
    own = msgspec.structs.replace(
        options,
        reorder_s=request.reorder_s,
        lost_s=request.lost_s,
        window_s=max(_OWN_WINDOW_S, options.window_s),
        first_audio_s=options.mute_s,
    )
    return request.source, own, request.is_estimate
