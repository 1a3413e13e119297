"""AudioSender: sends audio of calls to an ingest, no faster than it grants."""

from types import TracebackType
from typing import Self

from rtemo.api.errors import AudioInputError, CapacityError
from rtemo.io.audio_wire import RATES_HZ, End, Open
from rtemo.io.curve import ClientKeys
from rtemo.io.endpoints import parse_endpoint
from rtemo.io.pcm import BYTES_PER_SAMPLE, SampleType, whole_rate
from rtemo.io.sender_link import SenderLink
from rtemo.io.sender_stream import SenderStream


class AudioSender:
    """A connection to an ingest that carries any number of streams.

    >>> with AudioSender("tcp://127.0.0.1:5575") as sender:  # doctest: +SKIP
    ...     stream = sender.open("call-1", sample_rate_hz=8_000)
    ...     stream.send(pcm)
    ...     stream.end()

    It belongs to one thread. If the server is restarted, streams are opened again and go on.

    Args:
        endpoint: The server's ingest endpoint.
        timeout_s: How long to wait for an answer or for credit.
        server_key: Public CURVE key of the server, or its file; empty for plain text.
        key_file: Secret CURVE key file of this client.

    Raises:
        EndpointError: The endpoint or a key cannot be used.
    """

    def __init__(
        self,
        endpoint: str = "tcp://127.0.0.1:5575",
        *,
        timeout_s: float = 5.0,
        server_key: str = "",
        key_file: str = "",
    ) -> None:
        curve = ClientKeys(server_key, key_file) if server_key or key_file else None
        self._link = SenderLink(parse_endpoint(endpoint), timeout_s, curve)
        self._streams: list[SenderStream] = []

    def open(
        self,
        call: str,
        channel: str = "0",
        *,
        sample_rate_hz: int = 16_000,
        codec: SampleType = "s16le",
        role: str = "",
        prefill_ms: float | None = None,
    ) -> "SenderStream":
        """Open a stream and wait until the server has taken it.

        Args:
            call: Name of the call.
            channel: Channel within the call.
            sample_rate_hz: Rate of the audio that will be sent.
            codec: How samples are written: `s16le`, `f32le`, `mulaw` or `alaw`.
            role: Who speaks (`customer`, `agent`, ...), if known.
            prefill_ms: Audio the server keeps in hand against jitter; None for its default.

        Raises:
            AudioInputError: The rate or codec is none of those that can be sent.
            CapacityError: The server is full, or does not take this stream; the text says why.
            PolicyError: The server does not let this role in.
            EndpointError: Nobody answers.
        """
        sample_rate_hz = whole_rate(sample_rate_hz)
        if sample_rate_hz not in RATES_HZ:
            rates = ", ".join(map(str, RATES_HZ))
            raise AudioInputError(f"got {sample_rate_hz} Hz, expected one of {rates}", "convert the audio first")
        if codec not in BYTES_PER_SAMPLE:
            raise AudioInputError(f"got codec {codec!r}, expected one of {', '.join(BYTES_PER_SAMPLE)}", "choose one")
        request = Open(
            call=call, channel=channel, codec=codec, sample_rate_hz=sample_rate_hz, role=role, prefill_ms=prefill_ms
        )
        if any(held.is_open and (held.call, held.channel) == (call, channel) for held in self._streams):
            raise CapacityError(
                f"call {call!r} channel {channel!r} is open already", "end it first, or use another name"
            )
        stream = SenderStream(self._link, request)
        try:
            stream.wait_open()
        except BaseException:
            del self._link.listeners[call, channel]
            raise
        self._streams = [held for held in self._streams if held.is_open]
        self._streams.append(stream)
        return stream

    def close(self) -> None:
        """End what is still open and close; may be called twice."""
        for stream in self._streams:
            if stream.is_open:
                self._link.post(End(call=stream.call, channel=stream.channel))
        self._streams.clear()
        self._link.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
