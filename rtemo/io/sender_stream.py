"""SenderStream: the sending end of one stream."""

import time

import numpy as np
from numpy.typing import NDArray

from rtemo.api.errors import AudioInputError, CapacityError, PolicyError
from rtemo.io.audio_wire import (
    Alive,
    Credit,
    End,
    Ended,
    Error,
    Open,
    Opened,
    Refused,
    Response,
    encode_packet,
    stream_names,
)
from rtemo.io.pcm import BYTES_PER_SAMPLE, encode_pcm
from rtemo.io.sender_link import SenderLink

Pcm = bytes | bytearray | memoryview | NDArray[np.float32] | NDArray[np.int16]
"""Audio as programs have it: whole samples as bytes, float in [-1, 1], or int16."""

_PACKET_S = 0.02
_RETRY_S = 0.25


class SenderStream:
    """One stream of an `AudioSender`; made by `AudioSender.open`.

    Attributes:
        call: Name of the call.
        channel: Channel within the call.
        dropped_samples: Samples given to `send` that were left out for want of credit.
        reopened: How often the stream had to be opened again because the server had forgotten it.
        account: What the server says it got; None until it has said so.
    """

    def __init__(self, link: SenderLink, request: Open) -> None:
        self.call = request.call
        self.channel = request.channel
        self.dropped_samples = 0
        self.reopened = 0
        self.account: Ended | None = None
        self._link = link
        self._request = request
        self._names = stream_names(request.call, request.channel)
        self._width = BYTES_PER_SAMPLE[request.codec]
        self._packet_samples = round(request.sample_rate_hz * _PACKET_S)
        self._limit_bytes = -1
        self._sent_bytes = 0
        self._sequence = 0
        self._position = 0
        self._asked_s = 0.0
        self._trouble: Refused | Error | None = None
        link.listeners[request.call, request.channel] = self

    @property
    def is_open(self) -> bool:
        """Whether the server takes audio of this stream."""
        return self._limit_bytes >= 0 and self.account is None

    @property
    def credit_bytes(self) -> int:
        """Samples, in bytes, that may be sent now."""
        return max(0, self._limit_bytes - self._sent_bytes)

    def send(self, pcm: Pcm, *, capture_ns: int = 0, wait: bool = True) -> None:
        """Send audio of any length, in packets of 20 ms.

        Args:
            pcm: Whole samples as bytes in the stream's codec, or float [k] in [-1, 1], or int16 [k].
            capture_ns: UTC ns at which the last sample was captured; 0 when unknown.
            wait: Whether to wait for credit, as is right for a recording. A live source passes False: audio
                that may not be sent at once is left out and counted, since late audio is of no use.

        Raises:
            AudioInputError: The audio is not whole samples of one channel.
            CapacityError: The server has ended the stream, or refuses to open it again.
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
        self._position += count_samples
        self._link.post(Alive(call=self.call, channel=self.channel))

    def end(self, reason: str = "end") -> Ended:
        """End the stream and wait for the server's account.

        Raises:
            EndpointError: The server does not answer.
        """
        if self.account is None:
            self._link.listen()
        deadline_s = time.monotonic() + self._link.timeout_s
        self._asked_s = 0.0
        while self.account is None:
            now_s = time.monotonic()
            if now_s > deadline_s or (isinstance(self._trouble, Error) and self._trouble.code == "not_open"):
                self._link.listeners.pop((self.call, self.channel), None)
                raise self._link.unreachable()
            if now_s - self._asked_s > _RETRY_S:
                self._asked_s = now_s
                self._link.post(End(call=self.call, channel=self.channel, reason=reason))
            self._link.listen(_RETRY_S)
        self._link.listeners.pop((self.call, self.channel), None)
        return self.account

    def wait_open(self) -> None:
        """Wait until the server has opened the stream."""
        deadline_s = time.monotonic() + self._link.timeout_s
        self._asked_s = 0.0
        while not self.is_open:
            now_s = time.monotonic()
            trouble = self._trouble
            if isinstance(trouble, Refused) and (trouble.code != "in_use" or now_s > deadline_s):
                refusal = PolicyError if trouble.code == "policy" else CapacityError
                raise refusal(trouble.problem, trouble.mend)
            if now_s > deadline_s:
                raise self._link.unreachable()
            if now_s - self._asked_s > _RETRY_S:
                self._asked_s = now_s
                self._trouble = None
                self._link.post(self._request)
            self._link.listen(_RETRY_S)

    def hear(self, response: Response) -> None:
        """Take what the server says about this stream."""
        if isinstance(response, Opened):
            self._trouble = None
            if self._limit_bytes < 0:
                self.reopened += self._sequence > 0
                self._sent_bytes = 0
                self._limit_bytes = response.limit_bytes
        elif isinstance(response, Credit):
            self._limit_bytes = max(self._limit_bytes, response.limit_bytes)
        elif isinstance(response, Ended):
            self.account = response
        elif isinstance(response, Refused | Error):
            self._trouble = response
            if isinstance(response, Error) and response.code == "not_open":
                self._limit_bytes = -1

    def _send_part(self, part: bytes, capture_ns: int, wait: bool) -> None:
        if self.account is None and self.credit_bytes < len(part):
            self._link.listen()
        if self.account is not None:
            raise CapacityError(f"the server has ended call {self.call!r}: {self.account.reason}", "open it again")
        if self._limit_bytes < 0:
            self._reopen(wait)
        if self.credit_bytes < len(part) and wait:
            self._wait_credit(len(part))
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
        self._sent_bytes += len(part)

    def _reopen(self, wait: bool) -> None:
        if wait:
            self.wait_open()
            return
        now_s = time.monotonic()
        if now_s - self._asked_s > _RETRY_S:
            self._asked_s = now_s
            self._link.post(self._request)

    def _wait_credit(self, wanted_bytes: int) -> None:
        deadline_s = time.monotonic() + self._link.timeout_s
        while self.credit_bytes < wanted_bytes:
            if self.account is not None:
                raise CapacityError(f"the server has ended call {self.call!r}: {self.account.reason}", "open it again")
            if self._limit_bytes < 0:
                self._reopen(wait=True)
            if time.monotonic() > deadline_s:
                raise self._link.unreachable()
            self._link.listen(_RETRY_S)

    def _encode(self, pcm: Pcm) -> bytes:
        codec = self._request.codec
        if isinstance(pcm, bytes | bytearray | memoryview):
            if len(pcm) % self._width:
                raise AudioInputError(
                    f"got {len(pcm)} bytes of {codec} audio, expected a multiple of {self._width}",
                    "send whole samples, or correct the codec",
                )
            return bytes(pcm)
        samples = np.asarray(pcm)
        if samples.ndim != 1 or (samples.dtype.kind != "f" and samples.dtype != np.int16):
            raise AudioInputError(
                f"got {samples.dtype} audio of shape {samples.shape}", "send float or int16 samples of one channel"
            )
        if samples.dtype == np.int16:
            if codec == "s16le":
                return samples.astype("<i2", copy=False).tobytes()
            samples = np.divide(samples, np.float32(32_768.0))
        return encode_pcm(samples.astype(np.float32, copy=False), codec)
