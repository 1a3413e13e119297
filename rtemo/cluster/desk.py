"""FrontDesk: what clients ask of a front, placed, passed on and answered; knows no socket."""

from collections.abc import Callable

import msgspec

from rtemo.api import CapacityError, PolicyError, RtemoError
from rtemo.cluster.calls import Calls, Key, Moved
from rtemo.cluster.room import Room
from rtemo.cluster.route import Route
from rtemo.config.admission import Admission
from rtemo.io.audio_wire import (
    CODECS,
    HEADER_BYTES,
    INGEST_SCHEMA,
    MAGIC,
    MAX_MESSAGE_BYTES,
    Credit,
    End,
    Ended,
    Error,
    Hello,
    Open,
    Opened,
    Refused,
    Response,
    Welcome,
    decode_packet,
    decode_request,
    decode_response,
    encode_control,
    names_in,
    stream_names,
)
from rtemo.io.relay_wire import BUNDLE_BYTES, Bundle, decode_relayed, is_own, split
from rtemo.io.sources import refusals
from rtemo.io.sources.client_limits import ClientLimits
from rtemo.io.zmq_options import IngestOptions

_PENDING_S = 2.0  # how long an opening may wait for a worker, or for what a stream costs to be known
_MAX_PENDING = 4096
_TRY_S = 0.02
_VAIN_TRIES = 16
_UNANSWERED_S = 6.0
_AGAIN_S = 1.0
_SLACK_BYTES = 65_536  # beyond the credit, of one stream: what is more is not passed on
_TOLD_OVER = 50  # of packets beyond that, one in so many is, so that the worker tells the client


class FrontDesk:
    """Places the streams of any number of clients on workers, and passes messages both ways.

    Audio is passed on as it came. Credit is the worker's and goes through, so that a client is slowed down by the
    engine that has its stream; what a client sends beyond it ends here, and is missing at its place.

    Args:
        options: Limits per client, as of an ingest.
        admission: The policy. It is kept here too, since a call may come to another worker the next time.
        capacity: Most streams, of all workers together.
        rooms: Worker → what it has room for; written by another thread.
        answer: Takes a message for a client; may drop it.
        post: Takes a bundle for a worker; tells whether there was room for it.

    Attributes:
        calls: Which worker has which call.
        refused_messages: Messages that were no packet of an open stream and no request.
        dropped_packets: Packets that were not passed on: beyond the credit, or for want of room on the way.
        is_draining: Whether no new calls are taken; may be set by any thread.
    """

    def __init__(
        self,
        options: IngestOptions,
        admission: Admission,
        capacity: int,
        rooms: dict[int, Room],
        answer: Callable[[bytes, bytes], None],
        post: Callable[[int, bytes], bool],
    ) -> None:
        self.calls = Calls(capacity, rooms)
        self.refused_messages = 0
        self.dropped_packets = 0
        self.is_draining = False
        self._options = options
        self._admission = admission
        self._answer = answer
        self._post = post
        self._routes: dict[Key, Route] = {}
        self._by_call: dict[tuple[bytes, str, str], Key] = {}
        self._bundles: dict[int, Bundle] = {}
        self._pending: dict[Key, tuple[Open, float]] = {}
        self._tried_s = 0.0
        self._moved = Moved()
        self._clients = ClientLimits(options.opens_per_s, options.open_burst)

    def __len__(self) -> int:
        return len(self._routes)

    @property
    def is_pressed(self) -> bool:
        """Whether somebody waits for room."""
        return bool(self._pending)

    def take(self, client: bytes, message: bytes, now_s: float) -> None:
        """Take one message of a client; `now_s` is monotonic."""
        if message[:4] == MAGIC and len(message) > HEADER_BYTES:
            names = names_in(message)
            route = self._routes.get((client, names))
            if route is not None:
                self._pass_on(route, client, message)
                return
        try:
            if message[:4] == MAGIC:
                self._take_stray(client, message, now_s)
            else:
                self._take_request(client, message, now_s)
        except RtemoError as error:
            self.complain(client, error, now_s)

    def complain(self, client: bytes, error: RtemoError, now_s: float) -> None:
        """Tell a client that its message was none."""
        self._complain(client, Error(code="bad_message", problem=error.problem, mend=error.mend), now_s)

    def hear(self, worker: int, frame: bytes, now_s: float) -> None:
        """Take what a worker answers to clients, and hand it on."""
        for client, message in split(frame):
            response = decode_response(message)
            if isinstance(response, Credit | Opened | Refused | Ended):
                key = self._by_call.get((client, response.call, response.channel))
                route = None if key is None else self._routes[key]
                if key is not None and route is not None and route.worker == worker:
                    found = self._heard(key, route, response, now_s)
                    if found is None:
                        continue
                    if found is not response:
                        message = encode_control(found)
            self._answer(client, message)

    def serve(self, now_s: float) -> None:
        """Send what has been gathered, and open what had to wait."""
        if self._pending and now_s - self._tried_s >= _TRY_S:
            self._tried_s = now_s
            self._try_pending(now_s)
        for worker in self._bundles:
            self._flush(worker)

    def _try_pending(self, now_s: float) -> None:
        in_vain = 0
        for key, (request, until_s) in list(self._pending.items()):
            is_last = now_s > until_s
            if in_vain >= _VAIN_TRIES and not is_last:
                continue  # where so many find no room the others would find none either
            answer = self._try_open(key, request, now_s, is_last)
            if answer is not None:
                self._say(key[0], answer)
            elif key not in self._routes:
                in_vain += 1
                continue
            del self._pending[key]

    def watch(self, now_s: float) -> None:
        """Forget openings that were never answered, and clients that are gone."""
        for key, route in list(self._routes.items()):
            if not route.is_open and now_s - route.since_s > _UNANSWERED_S:
                self._forget(key)
        self._moved.prune(now_s)
        self._clients.prune(now_s)

    def join(self, worker: int) -> None:
        """Take note of a worker that messages can be passed to."""
        self._bundles[worker] = Bundle()

    def leave(self, worker: int, now_s: float) -> None:
        """End the streams of a worker that has gone; their clients open them again, and find another one."""
        self._bundles.pop(worker, None)
        for key, route in list(self._routes.items()):
            if route.worker != worker:
                continue
            self._forget(key)
            if not route.is_open:
                self._hold(key, route.request, now_s)
                continue
            self._moved.note(key[1], now_s, route.end_sample)
            self._say(key[0], refusals.ended(route.request, "source closed"))

    def move(self, call: str, now_s: float) -> None:
        """End the streams of a call where they are, so that they go on elsewhere; may be asked for again."""
        for key in self.calls.begin_move(call, now_s, _AGAIN_S):
            route = self._routes[key]
            route.is_moving = True
            channel = route.request.channel
            self._send(route.worker, key[0], encode_control(End(call=call, channel=channel, reason="moved")))

    def end_all(self, reason: str) -> None:
        """Tell all clients that their streams have ended, whatever the workers say of it."""
        for key, route in list(self._routes.items()):
            self._forget(key)
            self._say(key[0], refusals.ended(route.request, reason))

    def end_source(self, prefix: bytes, reason: str) -> None:
        """End the streams of a source of this server that has gone; their addresses begin with the prefix."""
        self._pending = {key: held for key, held in self._pending.items() if not key[0].startswith(prefix)}
        for key, route in self._routes.items():
            if key[0].startswith(prefix):
                end = End(call=route.request.call, channel=route.request.channel, reason=reason)
                self._send(route.worker, key[0], encode_control(end))

    def _pass_on(self, route: Route, client: bytes, message: bytes) -> None:
        bundle = self._bundles.get(route.worker)
        if bundle is None or route.is_moving:
            return  # what becomes of the stream its client is about to hear
        size_bytes = len(message) - route.head_bytes
        if route.sent_bytes + size_bytes > route.limit_bytes + _SLACK_BYTES:
            route.over_packets += 1
            self.dropped_packets += 1
            if route.over_packets % _TOLD_OVER:
                return
        route.sent_bytes += size_bytes
        route.last = message
        bundle.add(client, message)
        if bundle.size_bytes > BUNDLE_BYTES:
            self._flush(route.worker)

    def _take_stray(self, client: bytes, message: bytes, now_s: float) -> None:
        packet = decode_packet(message)
        if (client, packet.names) in self._pending:
            return  # the answer to its `open` is on the way
        self._complain(client, refusals.audio_of_none(packet.names), now_s)

    def _take_request(self, client: bytes, message: bytes, now_s: float) -> None:
        request = decode_relayed(message) if is_own(client) else decode_request(message)
        if isinstance(request, Hello):
            welcome = Welcome(schema=INGEST_SCHEMA, codecs=list(CODECS), max_message_bytes=MAX_MESSAGE_BYTES)
            self._say(client, welcome)
            return
        key = (client, stream_names(request.call, request.channel))
        route = self._routes.get(key)
        if isinstance(request, Open):
            self._open(key, request, now_s)
        elif route is not None:
            self._send(route.worker, client, message)
        else:
            if key in self._pending and isinstance(request, End):
                del self._pending[key]
            self._complain(client, refusals.request_of_none(request.call, request.channel), now_s)

    def _open(self, key: Key, request: Open, now_s: float) -> None:
        """Place a stream, or say why not; what is open already is asked of the worker that has it."""
        route = self._routes.get(key)
        if route is not None:
            if not route.is_moving:
                self._send(route.worker, key[0], encode_control(request))
            return
        if key in self._pending:
            return
        client = key[0]
        record = self._clients.of(client, now_s)
        if not record.opens.take(now_s):
            if record.answers.take(now_s):
                self._say(client, refusals.too_often(request, record, self._options))
        elif self.is_draining and key[1] not in self._moved:  # which is no new call
            self._say(client, refusals.no_new_calls(request))
        elif record.streams >= self._options.max_streams_per_client:
            self._say(client, refusals.too_many(request, record))
        else:
            answer = self._try_open(key, request, now_s, is_last=len(self._pending) >= _MAX_PENDING)
            if answer is not None:
                self._say(client, answer)
            elif key not in self._routes:
                self._hold(key, request, now_s)

    def _hold(self, key: Key, request: Open, now_s: float) -> None:
        self._pending[key] = (request, now_s + _PENDING_S)

    def _try_open(self, key: Key, request: Open, now_s: float, is_last: bool) -> Response | None:
        """Pass an opening on to a worker; tell why not if this is the last attempt, or trying again is of no use."""
        try:
            self._admission.admit(request.call, request.channel, request.role.strip(), is_local=False)
            worker = self.calls.place(request.call, self._bundles)
        except PolicyError as error:
            return Refused(request.call, request.channel, "policy", error.problem, error.mend)
        except CapacityError as error:
            if not is_last:
                return None
            # A call that has lost its worker is asked to come again: there will be another one in a moment.
            code = "draining" if key[1] in self._moved or not self.calls.is_any_open else "capacity"
            return Refused(request.call, request.channel, code, error.problem, error.mend)
        if request.from_sample is None:
            request.from_sample = self._moved.end_sample(key[1])
        self._enter(key, Route(key[0], key[1], request, worker, now_s))
        return None

    def _heard(
        self, key: Key, route: Route, response: Credit | Opened | Refused | Ended, now_s: float
    ) -> Response | None:
        """Take note of an answer; give what the client is told, None for nothing."""
        if isinstance(response, Credit):
            route.limit_bytes = response.limit_bytes
        elif isinstance(response, Opened):
            if response.opening != route.opening:
                route.opening = response.opening
                route.sent_bytes = route.over_packets = 0
            if not route.is_open:
                route.is_open = True
                self._remember(route.request)
                self._moved.forget(key[1])
            route.limit_bytes = response.limit_bytes
        elif isinstance(response, Ended):
            self._forget(key)
            if route.is_moving:
                self._moved.note(key[1], now_s, route.end_sample)
                return msgspec.structs.replace(response, reason="source closed")
        elif not route.is_open:
            self._forget(key)
            return self._elsewhere(key, route, response)
        return response

    def _elsewhere(self, key: Key, route: Route, refused: Refused) -> Response | None:
        """Ask the next worker when one had no room after all."""
        route.tried.add(route.worker)
        if refused.code != "capacity" or route.request.call in self.calls:
            return refused
        try:
            worker = self.calls.place(route.request.call, self._bundles, route.tried)
        except CapacityError as error:
            return Refused(refused.call, refused.channel, "capacity", error.problem, error.mend)
        route.worker = worker
        self._enter(key, route)
        return None

    def _enter(self, key: Key, route: Route) -> None:
        """Have the worker of a route open its stream."""
        client, request, worker = key[0], route.request, route.worker
        self._routes[key] = route
        self._by_call[client, request.call, request.channel] = key
        self.calls.enter(request.call, key, worker)
        self._clients.of(client, route.since_s).streams += 1
        self._send(worker, client, encode_control(request))

    def _remember(self, request: Open) -> None:
        role = request.role.strip()
        try:
            analysis = self._admission.admit(request.call, request.channel, role, is_local=False)
        except PolicyError:
            return
        self._admission.remember(request.call, request.channel, role, analysis)

    def _forget(self, key: Key) -> None:
        route = self._routes.pop(key)
        request = route.request
        self._by_call.pop((key[0], request.call, request.channel), None)
        self.calls.leave(request.call, key, route.worker)
        self._clients.of(key[0], 0.0).streams -= 1

    def _send(self, worker: int, client: bytes, message: bytes) -> None:
        bundle = self._bundles.get(worker)
        if bundle is not None:
            bundle.add(client, message)

    def _flush(self, worker: int) -> None:
        bundle = self._bundles[worker]
        if not len(bundle):
            return
        frame = bundle.take()
        if self._post(worker, frame):
            return
        for client, message in split(frame):  # its packets are missing at their places, and counted there
            if message[:4] != MAGIC:
                continue
            self.dropped_packets += 1
            route = self._routes.get((client, names_in(message)))
            if route is not None:
                route.sent_bytes -= len(message) - route.head_bytes

    def _say(self, client: bytes, response: Response) -> None:
        self._answer(client, encode_control(response))

    def _complain(self, client: bytes, error: Error, now_s: float) -> None:
        """Tell a client what was wrong with its message, but not one that floods us."""
        self.refused_messages += 1
        if self._clients.may_answer(client, now_s):
            self._say(client, error)
