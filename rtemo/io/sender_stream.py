"""SenderStream: the sending end of one stream."""

import random
from typing import Protocol

import msgspec
import numpy as np
from numpy.typing import NDArray

from rtemo.api.errors import AudioInputError, CapacityError, EndpointError, PolicyError
from rtemo.io.audio_wire import (
    PASSING_ENDS,
    PASSING_REFUSALS,
    Alive,
    Credit,
    End,
    Ended,
    Error,
    Open,
    Opened,
    Refused,
    Request,
    Response,
    encode_packet,
    stream_names,
)
from rtemo.io.credit_book import CreditBook
from rtemo.io.pcm import BYTES_PER_SAMPLE, as_float, encode_pcm, is_untyped
from rtemo.io.sender_link import Listener

Pcm = bytes | bytearray | memoryview | NDArray[np.float32] | NDArray[np.int16]
"""Audio as programs have it: whole samples as bytes, float in [-1, 1], or int16."""

_PACKET_S = 0.02
_RETRY_S = 0.25
_RETRY_MAX_S = 1.0
_STARVED_S = 0.3  # without credit for this long a live sender asks whether its stream is still open


class Link(Protocol):
    """What a stream needs of its connection; see `rtemo.io.sender_link.SenderLink`."""

    timeout_s: float
    listeners: dict[tuple[str, str], Listener]

    def now_s(self) -> float:
        """Tell monotonic time."""

    def post(self, request: Request) -> None:
        """Send a control message."""

    def send(self, packet: bytes, wait_s: float) -> bool:
        """Send a packet."""

    def listen(self, wait_s: float = 0.0) -> None:
        """Take what the server says."""

    def unreachable(self) -> EndpointError:
        """Make the error for a server that does not answer."""


class SenderStream:
    """One stream of an `AudioSender`; made by `AudioSender.open`.

    When the server is restarted, stopped as planned, or has given the stream up for silence, the stream is opened
    again by itself and goes on where it was.

    Attributes:
        call: Name of the call.
        channel: Channel within the call.
        dropped_samples: Samples given to `send` that were left out for want of credit.
        reopened: How often the stream had to be opened again because the server had forgotten or ended it.
        account: What the server says it got; None until it has said so.
        accounts: What servers said that ended the stream before it went on at the next.
    """

    def __init__(self, link: Link, request: Open) -> None:
        self.call = request.call
        self.channel = request.channel
        self.dropped_samples = 0
        self.reopened = 0
        self.account: Ended | None = None
        self.accounts: list[Ended] = []
        self._link = link
        self._request = request
        self._names = stream_names(request.call, request.channel)
        self._width = BYTES_PER_SAMPLE[request.codec]
        self._packet_samples = round(request.sample_rate_hz * _PACKET_S)
        self._book = CreditBook()
        self._sequence = 0
        self._position = 0
        self._asked_s = -1e9
        self._patience_s = _RETRY_S
        self._starved_s = 0.0
        self._trouble: Refused | Error | None = None
        link.listeners[request.call, request.channel] = self

    @property
    def is_open(self) -> bool:
        """Whether the server takes audio of this stream."""
        return self._book.is_open and self.account is None

    @property
    def credit_bytes(self) -> int:
        """Samples, in bytes, that may be sent now."""
        return self._book.credit_bytes

    @property
    def lost_samples(self) -> int:
        """Samples sent that the server had not confirmed when it was lost: at most so many were lost on the way."""
        return self._book.lost_bytes // self._width

    def send(self, pcm: Pcm, *, capture_ns: int = 0, wait: bool = True) -> None:
        """Send audio of any length, in packets of 20 ms.

        Args:
            pcm: Whole samples as bytes in the stream's codec, or float [k] in [-1, 1], or int16 [k].
            capture_ns: UTC ns at which the last sample was captured; 0 when unknown.
            wait: Whether to wait for credit, as is right for a recording. A live source passes False: audio
                that may not be sent at once is left out and counted, since late audio is of no use.

        Raises:
            AudioInputError: The audio is not whole samples of one channel.
            CapacityError: The server has ended the stream for good, or refuses to open it again.
            EndpointError: The server stays silent.
        """
        payload = self._encode(pcm)
        self._link.listen()
        step_bytes = self._packet_samples * self._width
        for begin in range(0, len(payload), step_bytes):
            part = payload[begin : begin + step_bytes]
            behind_samples = (len(payload) - begin - len(part)) // self._width
            at_ns = capture_ns - behind_samples * 1_000_000_000 // self._request.sample_rate_hz if capture_ns else 0
            self._send_part(part, at_ns, wait)

    def pause(self, count_samples: int) -> None:
        """Say that this many samples were left out on purpose: silence, and no loss."""
        self._book.pause(self._position, self._position + count_samples)
        self._position += count_samples
        self._link.post(Alive(call=self.call, channel=self.channel))

    def end(self, reason: str = "end") -> Ended:
        """End the stream and wait for the server's account.

        Raises:
            EndpointError: The server does not answer, or has been restarted and knows nothing of the stream.
        """
        if self.account is None:
            self._link.listen()
        if self.account is None and not self._book.is_open and self.accounts:
            self.account = self.accounts[-1]  # ended by the server, and there is nothing that was sent since
        deadline_s = self._link.now_s() + self._link.timeout_s
        self._asked_s = -1e9
        while self.account is None:
            now_s = self._link.now_s()
            is_forgotten = isinstance(self._trouble, Error) and self._trouble.code == "not_open"
            if is_forgotten or now_s > deadline_s:
                self._link.listeners.pop((self.call, self.channel), None)
                if not is_forgotten:
                    raise self._link.unreachable()
                raise EndpointError(
                    f"the server knows nothing of call {self.call!r}: it was restarted, or the connection was lost",
                    "what it heard stands in the `stream_end` event of the call",
                )
            if now_s - self._asked_s > _RETRY_S:
                self._asked_s = now_s
                self._link.post(End(call=self.call, channel=self.channel, reason=reason))
            self._link.listen(_RETRY_S)
            if self.account is None and not self._book.is_open and self.accounts:
                self.account = self.accounts[-1]
        self._link.listeners.pop((self.call, self.channel), None)
        return self.account

    def wait_open(self) -> None:
        """Wait until the server has opened the stream."""
        deadline_s = self._link.now_s() + self._link.timeout_s
        self._asked_s = -1e9
        while not self.is_open:
            now_s = self._link.now_s()
            trouble = self._trouble
            if isinstance(trouble, Refused) and (trouble.code not in PASSING_REFUSALS or now_s > deadline_s):
                refusal = PolicyError if trouble.code == "policy" else CapacityError
                raise refusal(trouble.problem, trouble.mend)
            if now_s > deadline_s:
                raise self._link.unreachable()
            if now_s - self._asked_s > _RETRY_S:
                self._trouble = None
                self._ask(now_s)
            self._link.listen(_RETRY_S)

    def hear(self, response: Response) -> None:
        """Take what the server says about this stream."""
        if isinstance(response, Opened):
            self._trouble = None
            self._starved_s = 0.0
            if self._book.open(response):
                self.reopened += self._sequence > 0
                self._patience_s = _RETRY_S
        elif isinstance(response, Credit):
            if self._book.grant(response):
                self._starved_s = 0.0
        elif isinstance(response, Ended):
            if response.reason in PASSING_ENDS:
                self.accounts.append(response)
                self._book.close()
                if response.received_samples:
                    self._book.confirm(response.received_samples * self._width)
            else:
                self.account = response
        elif isinstance(response, Refused | Error):
            self._trouble = response
            if isinstance(response, Error) and response.code == "not_open":
                self._book.close()

    def doubt(self) -> None:
        """Ask whether the stream is still open: the server has forgotten another one of this connection."""
        if self.is_open:
            self._starved_s = -1e9
            self._patience_s = _RETRY_S

    def _send_part(self, part: bytes, capture_ns: int, wait: bool) -> None:
        if self.account is None and self.credit_bytes < len(part):
            self._link.listen()
        if self.account is not None:
            raise CapacityError(f"the server has ended call {self.call!r}: {self.account.reason}", "open it again")
        if not self._book.is_open:
            self._reopen(wait)
        if self.credit_bytes < len(part):
            if wait:
                self._wait_credit(len(part))
            else:
                self._ask_if_starved()
        elif self._starved_s < 0:
            self._ask_if_starved()
        count_samples = len(part) // self._width
        request = self._request
        packet = encode_packet(
            self._names, request.codec, request.sample_rate_hz, self._sequence, self._position, capture_ns, part
        )
        self._sequence += 1
        self._position += count_samples
        if self.credit_bytes < len(part) or not self._link.send(packet, self._link.timeout_s if wait else 0.0):
            self.dropped_samples += count_samples
            return
        self._book.send(len(part), self._position)

    def _reopen(self, wait: bool) -> None:
        if wait:
            self.wait_open()
            return
        self._ask_again(self._link.now_s())

    def _ask_if_starved(self) -> None:
        """Without credit for a while, or in doubt: ask whether the stream is still open; no harm is done if it is."""
        now_s = self._link.now_s()
        if self._starved_s == 0.0:
            self._starved_s = now_s
        elif now_s - self._starved_s > _STARVED_S:
            self._ask_again(now_s)

    def _ask_again(self, now_s: float) -> None:
        """Ask again, less often each time, and not at the same moment as everybody else."""
        if now_s - self._asked_s > self._patience_s:
            self._patience_s = min(_RETRY_MAX_S, 2 * self._patience_s) * random.uniform(0.7, 1.0)
            self._ask(now_s)

    def _ask(self, now_s: float) -> None:
        self._asked_s = now_s
        self._book.ask()
        request = self._request
        if self._sequence > 0:
            request = msgspec.structs.replace(request, from_sample=self._book.sure_position)
        self._link.post(request)

    def _wait_credit(self, wanted_bytes: int) -> None:
        deadline_s = self._link.now_s() + self._link.timeout_s
        while self.credit_bytes < wanted_bytes:
            if self.account is not None:
                raise CapacityError(f"the server has ended call {self.call!r}: {self.account.reason}", "open it again")
            if not self._book.is_open:
                self._reopen(wait=True)
            if self._link.now_s() > deadline_s:
                raise self._link.unreachable()
            self._link.listen(_RETRY_S)
            self._ask_if_starved()

    def _encode(self, pcm: Pcm) -> bytes:
        codec = self._request.codec
        if is_untyped(pcm):
            if len(pcm) % self._width:
                raise AudioInputError(
                    f"got {len(pcm)} bytes of {codec} audio, expected a multiple of {self._width}",
                    "send whole samples, or correct the codec",
                )
            return bytes(pcm)
        samples = np.asarray(pcm)
        if samples.ndim == 1 and samples.dtype == np.int16 and codec == "s16le":
            return samples.astype("<i2", copy=False).tobytes()
        return encode_pcm(as_float(samples), codec)
