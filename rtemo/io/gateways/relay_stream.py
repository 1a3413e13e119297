"""RelayStream: one party of a gateway's call, on its way through a front to the worker that has the call."""

import asyncio
import random
import time
from collections.abc import Callable

import msgspec

from rtemo.api import AudioInputError, CapacityError, Fault, NameTakenError, Payload, PolicyError, RtemoError
from rtemo.io.audio_wire import (
    PASSING_ENDS,
    PASSING_REFUSALS,
    RATES_HZ,
    Alive,
    AudioPacket,
    Credit,
    End,
    Ended,
    Error,
    Opened,
    Refused,
    Response,
    encode_control,
    encode_packet,
    stream_names,
)
from rtemo.io.credit_book import CreditBook
from rtemo.io.pcm import BYTES_PER_SAMPLE
from rtemo.io.relay_wire import OwnOpen

_OPEN_S = 3.0  # how long a party may wait for a worker; a peer has `hello_s` to have a call
_LOOK_S = 0.01
_RETRY_S, _LONGEST_RETRY_S = 0.25, 1.0
_STARVED_S = 0.3  # without credit for so long it asks whether the stream is still open
_ALIVE_S = 5.0
_END_S, _END_TRIES = 0.5, 8
_ORIGIN = 1 << 40  # positions on the wire are none below 0
_MOST_POSITION = 1 << 62
_WHOLE, _HALF = 1 << 32, 1 << 31
_MOST_HELD = 64


class RelayStream:
    """Hands the packets of one party on as they came, each with its numbers; the worker's ingest does the rest.

    It is to a leg what writer and placement are where the engine is near: holes, pauses, order and rates are told from
    the numbers of the packets there. What comes beyond the credit, or while no worker has the stream, is left out, and
    is missing at its place. When its worker is lost it asks for the stream again, and goes on at another one.

    Args:
        post: Takes a message for the front.
        tell: Takes an event about the gateway.
        request: What is asked for; rate and times are set by `open`.

    Attributes:
        call: Name of the call.
        channel: Channel within the call.
        is_closed: Whether it was ended, here or there.
        is_over: Whether nothing is left to be said about it.
        left_out_packets: Packets that were not sent.
    """

    def __init__(self, post: Callable[[bytes], None], tell: Callable[[Payload], None], request: OwnOpen) -> None:
        self.call, self.channel = request.call, request.channel
        self.is_closed = self.is_over = False
        self.left_out_packets = 0
        self._post = post
        self._tell = tell
        self._request = request
        self._names = stream_names(request.call, request.channel)
        self._book = CreditBook()
        self._refused: Refused | None = None
        self._was_open = self._is_ending = False
        self._end_reason, self._end_tries = "", 0
        self._asked_s = self._said_s = 0.0
        self._retry_s = _RETRY_S
        self._starved_s = 0.0
        self._end_position = -1  # of what has been given; unknown until there was any
        self._bytes_per_sample = 1
        self._held: dict[int, tuple[AudioPacket, float]] = {}  # coded, and ahead of their turn
        self._next_number: int | None = None

    async def open(self, rate_hz: int, reorder_s: float, lost_s: float) -> None:
        """Ask for the stream, and wait until a worker has taken it.

        Args:
            rate_hz: Of its audio.
            reorder_s: How long a packet is held while one before it is missing.
            lost_s: Time without audio after which it is reported as lost.

        Raises:
            PolicyError: The policy does not let the party in.
            NameTakenError: The call has this channel already.
            CapacityError: No worker has room, or none has answered.
            AudioInputError: The rate is none that can be passed on.
        """
        if rate_hz not in RATES_HZ:
            raise AudioInputError(f"got {rate_hz} Hz, expected one of {', '.join(map(str, RATES_HZ))}")
        self._request = msgspec.structs.replace(
            self._request, sample_rate_hz=rate_hz, reorder_s=reorder_s, lost_s=lost_s
        )
        until_s = time.monotonic() + _OPEN_S
        self._ask(time.monotonic())
        try:
            while not self._was_open:
                is_late = time.monotonic() > until_s
                if self._refused is not None and (is_late or self._refused.code not in PASSING_REFUSALS):
                    raise _error_of(self._refused)
                if is_late:
                    raise CapacityError(f"no worker has answered within {_OPEN_S:g} s", "try again later")
                await asyncio.sleep(_LOOK_S)
        except BaseException:
            self.end("not taken")
            raise

    @property
    def is_waiting(self) -> bool:
        """Whether something is to be sent without another packet."""
        return bool(self._held)

    def take(self, packet: AudioPacket, now_s: float, now_ns: int) -> None:
        """Hand one packet on; `now_s` is monotonic, `now_ns` UTC."""
        if packet.decode is None:
            self._release(now_s, must=True)
            self._next_number = None
            self._pass_on(packet, packet.payload, now_s)
            return
        expected = packet.sequence if self._next_number is None else self._next_number
        ahead = (packet.sequence - expected + _HALF) % _WHOLE - _HALF
        self._next_number = expected
        if ahead >= 0:  # one that comes too late for the decoder is missing, at its place
            self._held.setdefault(expected + ahead, (packet, now_s))
            self._release(now_s)

    def settle(self, now_s: float, now_ns: int) -> None:
        """Hand on what was held and has become due."""
        self._release(now_s)

    def finish(self, now_ns: int) -> None:
        """Hand on everything that is still held: no more packets follow."""
        self._release(time.monotonic(), must=True)

    def close(self) -> None:
        """Do nothing: what is to be given back is the worker's."""

    def report(self, data: Payload) -> None:
        """Leave it: that audio stays away, or comes again, the worker sees and tells."""

    def end(self, reason: str) -> None:
        """Say that no more follows."""
        if self._is_ending or self.is_closed:
            return
        self.is_closed = self._is_ending = True
        self._end_reason = reason
        self.is_over = not self._was_open and self._refused is not None
        if not self.is_over:
            self._say_end(time.monotonic())

    def hear(self, response: Response, now_s: float) -> None:
        """Take what the front, or the worker through it, says."""
        if isinstance(response, Opened):
            self._was_open, self._refused = True, None
            self._starved_s, self._retry_s = 0.0, _RETRY_S
            self._book.open(response)
            if self._is_ending:
                self._say_end(now_s)
        elif isinstance(response, Credit):
            if self._book.grant(response):
                self._starved_s = 0.0
        elif isinstance(response, Ended):
            self._book.close()
            if response.received_samples:
                self._book.confirm(response.received_samples * self._bytes_per_sample)
            if self._is_ending or response.reason not in PASSING_ENDS:
                self.is_closed = self.is_over = True
        elif isinstance(response, Refused):
            self._hear_refusal(response)
        elif isinstance(response, Error) and response.code == "not_open":
            self._book.close()
            self.is_over = self.is_over or self._is_ending

    def watch(self, now_s: float) -> None:
        """Say again what was not answered, and that a line without audio is still there."""
        if self.is_over:
            return
        if self._is_ending:
            if now_s - self._said_s > _END_S:
                self._say_end(now_s)
        elif not self._was_open:
            self._ask_again(now_s)
        elif self._book.is_open and now_s - self._said_s > _ALIVE_S:
            self._said_s = now_s
            self._post(encode_control(Alive(call=self.call, channel=self.channel)))

    def _hear_refusal(self, refused: Refused) -> None:
        self._refused = refused
        if self._is_ending:
            self.is_over = True
        elif self._was_open and refused.code in ("policy", "bad_request"):
            self.is_closed = self.is_over = True
            problem = f"call {self.call!r} channel {self.channel!r} does not go on elsewhere: {refused.problem}"
            self._tell(Fault(where=self._request.source, problem=problem, action="left out"))

    def _release(self, now_s: float, must: bool = False) -> None:
        """Decode what is next, or what has waited for long enough for what was before it."""
        while self._held:
            first = min(self._held)
            packet, arrived_s = self._held[first]
            is_due = must or now_s - arrived_s >= self._request.reorder_s or len(self._held) > _MOST_HELD
            if first != self._next_number and not is_due:
                return
            del self._held[first]
            self._next_number = first + 1
            assert packet.decode is not None, "others are not held"
            self._pass_on(packet, packet.decode(packet.payload), now_s)

    def _pass_on(self, packet: AudioPacket, payload: bytes | memoryview, now_s: float) -> None:
        book, size_bytes = self._book, len(payload)
        start = packet.start_sample + _ORIGIN
        if self._end_position < 0:
            book.sure_position = start
        elif start > self._end_position:
            book.pause(self._end_position, start)
        self._end_position = max(self._end_position, start + packet.count_samples)
        if not book.is_open:
            self._ask_again(now_s)
        elif book.credit_bytes < size_bytes:
            self._ask_if_starved(now_s)
        if book.credit_bytes < size_bytes or packet.rate_hz not in RATES_HZ or not 0 <= start < _MOST_POSITION:
            self.left_out_packets += 1
            return
        self._said_s = now_s
        self._bytes_per_sample = BYTES_PER_SAMPLE[packet.codec]
        capture_ns = max(0, packet.capture_ns)
        self._post(
            encode_packet(self._names, packet.codec, packet.rate_hz, packet.sequence, start, capture_ns, payload)
        )
        book.send(size_bytes, start + packet.count_samples)

    def _ask_if_starved(self, now_s: float) -> None:
        if self._starved_s == 0.0:
            self._starved_s = now_s
        elif now_s - self._starved_s > _STARVED_S:
            self._ask_again(now_s)

    def _ask_again(self, now_s: float) -> None:
        """Ask again, less often each time, and not at the same moment as everybody else."""
        if now_s - self._asked_s > self._retry_s:
            self._retry_s = min(_LONGEST_RETRY_S, 2 * self._retry_s) * random.uniform(0.7, 1.0)
            self._ask(now_s)

    def _ask(self, now_s: float) -> None:
        self._asked_s = self._said_s = now_s
        self._book.ask()
        request = self._request
        if self._was_open and self._end_position >= 0:
            request = msgspec.structs.replace(request, from_sample=self._book.sure_position)
        self._post(encode_control(request))

    def _say_end(self, now_s: float) -> None:
        self._said_s = now_s
        self._end_tries += 1
        self.is_over = self._end_tries > _END_TRIES
        self._post(encode_control(End(call=self.call, channel=self.channel, reason=self._end_reason[:64])))


def _error_of(refused: Refused) -> RtemoError:
    """Make the error that the engine would have raised."""
    kind = {"policy": PolicyError, "in_use": NameTakenError, "bad_request": RtemoError}.get(refused.code, CapacityError)
    return kind(refused.problem, refused.mend)
