"""WyomingSource: a Wyoming server, whose clients send audio and are told what was found out."""

import asyncio
import contextlib
import time
import uuid
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from rtemo.api import Event, ProcessedBlock, RtemoError, StreamFacts, StreamFormat
from rtemo.integrations.wyoming.options import WyomingOptions
from rtemo.io.endpoints import Endpoint
from rtemo.io.gateways.gateway import need
from rtemo.io.gateways.peer import PeerError
from rtemo.io.gateways.tcp_gateway import TcpGateway

if TYPE_CHECKING:
    from rtemo.integrations.wyoming.talk import Talk

_CHANNEL = "0"
_RATES_HZ = range(4_000, 192_001)


class WyomingSource(TcpGateway):
    """Takes audio of Wyoming clients in, each stretch from `audio-start` to `audio-stop` as a call of its own.

    The client is told `voice-started` and `voice-stopped`, findings as `rtemo-emotion` and so on, after `audio-stop`
    what was said (where it asked to `transcribe`), and, if it is switched on, gets its audio back enhanced. It is two
    ways in one: a source, and the publisher and the sink that go with it.

    Args:
        options: Endpoint, role, what is sent.
    """

    name = "wyoming"
    options_type: ClassVar[type[WyomingOptions]] = WyomingOptions

    def __init__(self, options: WyomingOptions | None = None) -> None:
        self._options = options = options or WyomingOptions()
        super().__init__(options, options.endpoint)
        self.publisher = _Findings(self)
        self.sink = _Enhanced(self) if options.enhanced else None
        self._talks: dict[str, Talk] = {}

    def check(self) -> Endpoint:
        """See `Gateway.check`.

        Raises:
            ConfigError: The package is not installed.
        """
        need("wyoming", "wyoming", "the source 'wyoming'")
        return super().check()

    def has_call(self, call: str) -> bool:
        """Whether a client brings that call. Any thread."""
        return call in self._talks

    def for_client(self, call: str, act: "Callable[[Talk], None]") -> None:
        """Do something for the client of a call, on the thread of the source. Any thread."""
        loop = self._loop
        if loop is None or call not in self._talks:
            return

        def run() -> None:
            talk = self._talks.get(call)
            if talk is not None:
                act(talk)

        with contextlib.suppress(RuntimeError):  # it was closed meanwhile
            loop.call_soon_threadsafe(run)

    def forget(self, call: str) -> None:
        """Let a call go that has ended, and whose client has been told. The thread of the source."""
        self._talks.pop(call, None)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """See `TcpGateway.serve`."""
        from rtemo.integrations.wyoming.talk import Talk

        talk = Talk(writer, self._options)
        problem = self.turned_away()
        if problem:
            self.refuse(talk.peer, problem)
            await talk.hang_up(problem, is_broken=True)
            return
        self.admit(talk)
        talk.has_call = True  # whoever only asks what is offered brings none, and may stay
        try:
            await self._converse(talk, reader)
        except asyncio.IncompleteReadError:
            self.break_off(talk, "closed in the middle of an event")
        except OSError:
            pass  # the client is gone
        except RtemoError as error:
            self.break_off(talk, error.problem)
        finally:
            talk.end_reason = talk.end_reason or "end"  # a call is named by us: nobody can take it up again
            self.release(talk)
            for call in [call for call, other in self._talks.items() if other is talk]:
                self.forget(call)
            if not talk.is_broken:  # else it is told why, and closed, by `break_off`
                writer.close()

    async def _converse(self, talk: "Talk", reader: asyncio.StreamReader) -> None:
        from wyoming.ping import Ping, Pong

        import rtemo
        from rtemo.integrations.wyoming.talk import info_of
        from rtemo.integrations.wyoming.wire import read_event

        while True:
            event = await read_event(reader)
            if event is None:
                return
            talk.heard_s = time.monotonic()
            self.counts.messages += 1
            if event.type == "describe":
                talk.send(info_of(self._options, rtemo.__version__).event(), is_answer=True)
            elif event.type == "ping":
                text = Ping.from_event(event).text
                talk.send(Pong(text=text).event(), is_answer=True)
            elif event.type == "transcribe":
                if self._options.words:
                    talk.ask_for_words()
                else:
                    talk.refuse("this server does not write words down", "not-supported")
            elif event.type == "audio-start":
                await self._begin(talk, event.data)
            elif event.type == "audio-chunk":
                self._take(talk, event.data, event.payload or b"")
            elif event.type == "audio-stop":
                self._stop(talk)

    async def _begin(self, talk: "Talk", data: dict[str, Any]) -> None:
        rate_hz = _rate_of(data)
        if talk.legs:
            raise PeerError("began a second stream before the end of the first")
        call = f"wyoming-{uuid.uuid4().hex[:12]}"
        self._talks[call] = talk
        talk.begin(call, rate_hz)
        await self.open_leg(talk, call, _CHANNEL, self._options.role, rate_hz)
        if talk.legs.get(_CHANNEL) is None:
            talk.legs.clear()
            self.forget(call)
            talk.call = ""
            talk.refuse(
                "the stream is not taken: the server is full, or its policy does not let the role in", "refused"
            )

    def _take(self, talk: "Talk", data: dict[str, Any], payload: bytes) -> None:
        leg = talk.legs.get(_CHANNEL)
        if leg is None:
            return  # refused, or nobody said `audio-start`: what nobody asked for is not worth a connection
        rate_hz = _rate_of(data)
        if rate_hz != talk.rate_hz:
            raise PeerError(f"changed the rate from {talk.rate_hz} to {rate_hz} Hz within a stream")
        if len(payload) % 2:
            raise PeerError("sent a chunk that does not hold whole samples")
        now_s, now_ns = time.monotonic(), time.time_ns()
        most_bytes = 2 * (rate_hz // 2)  # pieces of half a second
        for at in range(0, len(payload), most_bytes):
            piece = payload[at : at + most_bytes]
            behind_ns = (len(payload) - at - len(piece)) // 2 * 1_000_000_000 // rate_hz
            if not leg.take(
                talk.count_chunks, talk.next_sample, "s16le", rate_hz, piece, now_ns - behind_ns, now_s, now_ns
            ):
                self.drop(talk)
            talk.count_chunks += 1
            talk.next_sample += len(piece) // 2

    def _stop(self, talk: "Talk") -> None:
        leg = talk.legs.pop(_CHANNEL, None)
        if leg is not None:
            self.legs.end(leg, "end")


def _rate_of(data: dict[str, Any]) -> int:
    rate_hz, width, channels = (data.get(name) for name in ("rate", "width", "channels"))
    if not isinstance(rate_hz, int) or isinstance(rate_hz, bool) or rate_hz not in _RATES_HZ:
        raise PeerError(f"sent audio of {rate_hz!r:.20} Hz, 4000 to 192000 are taken")
    if (width, channels) != (2, 1):
        raise PeerError(f"sent audio of width {width!r:.20} and {channels!r:.20} channels, 2 and 1 are taken")
    return rate_hz


class _Findings:
    """The end that publishes: tells each client about its own call."""

    name = "wyoming"

    def __init__(self, source: WyomingSource) -> None:
        self._source = source

    def open(self) -> None:
        """Nothing has to be opened."""

    def publish(self, events: Sequence[Event]) -> None:
        """Hand events over to the source's thread."""
        for event in events:
            if event.call and self._source.has_call(event.call):
                self._source.for_client(event.call, lambda talk, event=event: self._tell(talk, event))  # type: ignore[misc]

    def tick(self) -> None:
        """Nothing is periodic."""

    def close(self) -> None:
        """Nothing has to be closed."""

    def _tell(self, talk: "Talk", event: Event) -> None:
        talk.tell(event)
        if event.kind == "stream_end":
            self._source.forget(event.call)


class _Enhanced:
    """The end that takes audio: gives each client its own back."""

    name = "wyoming"
    overrun_samples = underrun_samples = 0

    def __init__(self, source: WyomingSource) -> None:
        self._source = source

    def wants(self, stream: StreamFacts) -> bool:
        """Whether a client brings it."""
        return self._source.has_call(stream.call)

    def open(self, format: StreamFormat) -> None:
        """Nothing has to be opened."""

    def write(self, block: ProcessedBlock) -> None:
        """Hand audio over to the source's thread."""
        for row, stream in enumerate(block.streams):
            if self._source.has_call(stream.call):
                start_sample, samples = block.audio(row)
                if samples.shape[0]:
                    self._source.for_client(
                        stream.call,
                        lambda talk, at=start_sample, part=samples: talk.hear(at, part),  # type: ignore[misc]
                    )

    def tick(self) -> None:
        """Nothing is periodic."""

    def close(self) -> None:
        """Nothing has to be closed."""
