"""What a front and its workers tell each other besides audio: MessagePack, without pickle."""

from typing import Any, Literal

import msgspec

from rtemo.io.raw_event import RawEvent
from rtemo.io.wire import WireError
from rtemo.io.worker_wire import Compiling, Crashed, Ready, Refused


class Begin(msgspec.Struct, tag="begin"):
    """First message to a worker: what its engine is to be."""

    config: Any
    has_sink: bool
    """Whether processed audio is sent, over ZeroMQ, to the endpoint of the configuration."""
    audio_epoch: str = ""
    """Life of the feed of processed audio, of all workers alike."""


class Stop(msgspec.Struct, tag="stop"):
    """End the streams that are left, and go."""

    reason: str


QueryOp = Literal["ask", "forget"]


class Ask(msgspec.Struct, tag="ask"):
    """Look for something in words from now on, or no more."""

    op: QueryOp
    text: str
    number: int = 0
    """Comes back in the answer; 0 for what another worker has done already."""


class Asked(msgspec.Struct, tag="asked"):
    """What a worker looks for in words: as it begins, and after each `Ask`."""

    queries: tuple[str, ...]
    number: int = 0
    op: QueryOp = "ask"
    text: str = ""
    """The query as it is told."""
    problem: str = ""
    """Why it was not done; empty when it was."""
    mend: str = ""


class Remark(msgspec.Struct, tag="remark"):
    """A word for whoever started the server."""

    text: str


class Reached(msgspec.Struct, tag="reached"):
    """Where a worker is reached, once its sockets are bound."""

    ingest: str
    audio_out: str = ""
    """Empty where it sends no processed audio."""


class Beat(msgspec.Struct, tag="beat"):
    """A sign of life, ten times a second."""


class Happened(msgspec.Struct, tag="happened"):
    """Events, in order, with what `RawEvent` reads back."""

    events: list[Any]


class _RawHappened(msgspec.Struct, tag="happened"):
    events: list[RawEvent]


ToWorker = Begin | Ask | Stop
FromWorker = Compiling | Ready | Refused | Crashed | Remark | Asked | Reached | Beat | Happened

_UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
_TO_WORKER = msgspec.msgpack.Decoder(ToWorker)
_FROM_WORKER = msgspec.msgpack.Decoder(
    Compiling | Ready | Refused | Crashed | Remark | Asked | Reached | Beat | _RawHappened
)


def to_worker(data: bytes) -> ToWorker:
    """Read a message to a worker.

    Raises:
        WireError: It is none.
    """
    try:
        message: ToWorker = _TO_WORKER.decode(data)
    except _UNREADABLE as error:
        raise _strange("the front", error) from None
    return message


def from_worker(data: bytes) -> FromWorker:
    """Read a message of a worker; its events are whole again.

    Raises:
        WireError: It is none.
    """
    try:
        message: FromWorker | _RawHappened = _FROM_WORKER.decode(data)
        if isinstance(message, _RawHappened):
            return Happened([event.whole() for event in message.events])
    except _UNREADABLE as error:
        raise _strange("a worker", error) from None
    return message


def _strange(sender: str, error: Exception) -> WireError:
    return WireError(f"{sender} said what cannot be read ({error})", "all processes must be of one release")
