"""Starter: who brings workers up, wherever they run, and tells when they end."""

import contextlib
import socket
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import msgspec

from rtemo.cluster.link import Link
from rtemo.cluster.messages import Begin, Reached
from rtemo.io.curve import ClientKeys


class Seat(NamedTuple):
    """Which worker is to be started.

    Attributes:
        number: Of the worker; one that takes the place of another has the same.
        life: How often it has been started, with this time.
        place: How many workers stand before it.
        workers: How many there are to be.
    """

    number: int
    life: int
    place: int
    workers: int


class Place(NamedTuple):
    """Where a worker is to listen, as its configuration says it.

    Attributes:
        ingest: Endpoint of its ingest.
        audio_out: Endpoint of its processed audio.
        curve: Keys of both, as `CurveOptions`; empty for none.
    """

    ingest: str
    audio_out: str
    curve: Mapping[str, Any] = {}


class Address(NamedTuple):
    """Where a worker is reached.

    Attributes:
        ingest: Endpoint of its ingest.
        audio_out: Endpoint of its processed audio; empty for none.
        keys: What lets us in; None where the endpoints are private.
    """

    ingest: str
    audio_out: str = ""
    keys: ClientKeys | None = None


class StartedWorker(ABC):
    """A worker that has been started, seen from the front.

    Args:
        end: The front's end of the link to it.

    Attributes:
        link: To it; it ends when the worker does.
        started_s: Monotonic time of its start.
        heard_s: Monotonic time at which anything was heard from it.
        is_ready: Whether it takes calls.
        keys: What lets the front in at its sockets; None where they are private.
        address: Where it is reached; None until it has told.
    """

    keys: ClientKeys | None = None

    def __init__(self, end: socket.socket) -> None:
        self.link = Link(end)
        self.started_s = self.heard_s = time.monotonic()
        self.is_ready = False
        self.address: Address | None = None

    def send(self, message: msgspec.Struct) -> None:
        """Tell it something; that it has died shows when it is listened to."""
        with contextlib.suppress(OSError):
            self.link.send(message)

    def take_address(self, reached: Reached) -> None:
        """Take note of where it says that it is reached."""
        self.address = Address(reached.ingest, reached.audio_out, self.keys)

    @property
    @abstractmethod
    def pid(self) -> int:
        """Number of its process on its machine; 0 until that is known."""

    @property
    def node(self) -> str:
        """Its machine; empty for this one, or where that is not known yet."""
        return ""

    @property
    def name(self) -> str:
        """What it is, for people."""
        return f"process {self.pid}" + (f" on {self.node}" if self.node else "")

    @abstractmethod
    def kill(self) -> None:
        """End it at once, whatever it does; never blocks."""

    @abstractmethod
    def end(self) -> str:
        """Close the link; wait for its end for a moment, or bring it about; tell how it ended."""


class Starter(Protocol):
    """Starts workers: as processes of this machine, or as others do on other machines.

    All methods belong to the thread of the fleet.
    """

    def open(self, folder: Path, workers: int) -> None:
        """Prepare for a number of workers; the folder is nobody else's.

        Raises:
            RtemoError: There is nobody who could start one.
        """

    def processors_each(self, workers: int) -> float:
        """Tell how many processors there are for each of so many workers."""

    def start(self, seat: Seat, begin: Callable[[Place], Begin]) -> StartedWorker:
        """Start a worker; never waits for it.

        Args:
            seat: Which one of how many.
            begin: Makes the first message to it.
        """

    def close(self) -> None:
        """Free everything; may be called twice, and without `open`."""
