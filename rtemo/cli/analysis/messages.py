"""What a crew and its workers tell each other: MessagePack over a pipe, without pickle."""

import threading
from multiprocessing.connection import Connection
from typing import Any, TypeVar

import msgspec

from rtemo.api import Counters
from rtemo.io.raw_event import RawEvent
from rtemo.io.wire import encode
from rtemo.io.worker_wire import Compiling, Crashed, Ready, Refused


class Begin(msgspec.Struct, tag="begin"):
    """First message to a worker: what its engine is to be."""

    config: Any
    jobs: int
    channel_names: tuple[str, ...]
    roles: tuple[str, ...]
    has_audio: bool
    """Whether processed audio is written."""
    has_events: bool
    """Whether events are wanted, besides faults."""


class Play(msgspec.Struct, tag="play"):
    """Work on a file; paths are bytes, as the system has them."""

    path: bytes
    call: str
    channels: int
    duration_s: float
    target: bytes = b""


class Finish(msgspec.Struct, tag="finish"):
    """No more files come."""


class Stop(msgspec.Struct, tag="stop"):
    """Leave what is begun, and end."""


class Happened(msgspec.Struct, tag="happened"):
    """Events, in order, with what `RawEvent` reads back."""

    events: list[Any]


class Done(msgspec.Struct, tag="done"):
    """A file is done: the lines of all its channels, and what was lost on the way."""

    call: str
    lines: bytes
    lost: Counters


class Failed(msgspec.Struct, tag="failed"):
    """A file could not be played; or only in part, then `Done` follows."""

    call: str
    problem: str
    mend: str
    is_partial: bool


class Unwritten(msgspec.Struct, tag="unwritten"):
    """The processed audio of one file could not be written; or of none from now on."""

    problem: str
    is_all: bool


class Remark(msgspec.Struct, tag="remark"):
    """A word about a file that is read although something about it is odd."""

    text: str


class Progress(msgspec.Struct, tag="progress"):
    """Seconds of files that were played since the worker began."""

    done_s: float


ToWorker = Begin | Play | Finish | Stop
FromWorker = Compiling | Ready | Refused | Crashed | Happened | Done | Failed | Unwritten | Remark | Progress


class _RawHappened(msgspec.Struct, tag="happened"):
    events: list[RawEvent]


_TO_WORKER = msgspec.msgpack.Decoder(ToWorker)
_FROM_WORKER = msgspec.msgpack.Decoder(
    Compiling | Ready | Refused | Crashed | _RawHappened | Done | Failed | Unwritten | Remark | Progress
)

Message = TypeVar("Message", bound=msgspec.Struct)


class Pipe:
    """One end of the pipe; any thread may send, one receives.

    Args:
        connection: Its end.
    """

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._lock = threading.Lock()

    def send(self, message: msgspec.Struct) -> None:
        """Send; waits while the other side does not take it.

        Raises:
            OSError: Nobody is there any more.
        """
        data = encode(message, "msgpack")
        with self._lock:
            self.connection.send_bytes(data)

    def from_crew(self) -> ToWorker:
        """Wait for the next message to a worker.

        Raises:
            EOFError, OSError: The crew has gone.
        """
        message: ToWorker = _TO_WORKER.decode(self.connection.recv_bytes())
        return message

    def from_worker(self) -> FromWorker:
        """Wait for the next message of a worker; its events are whole again.

        Raises:
            EOFError, OSError: The worker has gone.
        """
        message: FromWorker | _RawHappened = _FROM_WORKER.decode(self.connection.recv_bytes())
        if isinstance(message, _RawHappened):
            return Happened([event.whole() for event in message.events])
        return message

    def close(self) -> None:
        """Close this end."""
        self.connection.close()
