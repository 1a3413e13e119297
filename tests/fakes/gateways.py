"""A gateway in front of a fake engine that reads at once, and sound to send to it."""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.fakes.desk import FakeDesk, FakeWriter
from rtemo.api import Fault
from rtemo.dsp.resample import resample
from rtemo.io.gateways.gateway import Gateway
from rtemo.io.pcm import decode_pcm, encode_pcm
from tests.fakes.zmq_ends import ANY_PORT, pumping, wait_until


class Gate:
    """A gateway that is open.

    Attributes:
        desk: What it has opened and reported.
        source: The gateway.
    """

    def __init__(self, source: Gateway, desk: FakeDesk) -> None:
        self.source = source
        self.desk = desk

    @property
    def port(self) -> int:
        assert self.source.endpoint is not None
        return self.source.endpoint.port

    @property
    def faults(self) -> list[str]:
        return [report.problem for report in self.desk.reports if isinstance(report, Fault)]

    def ended(self, call: str, channel: str) -> FakeWriter:
        """Wait for a stream to be over, and give it."""
        key = (call, channel)
        assert wait_until(lambda: key in self.desk.writers and self.desk.writers[key].end_reason), self.faults
        return self.desk.writers[key]

    def broken(self, count: int = 1) -> str:
        """Wait for a peer to be told off; give the line about it."""
        assert wait_until(lambda: self.source.counts.broken + self.source.counts.refused >= count)
        return self.faults[-1]


@contextmanager
def gate(make: Callable[[Any], Gateway], *, desk: FakeDesk | None = None, **changes: Any) -> Iterator[Gate]:
    """Open a gateway at a port the system chooses."""
    options_type: Any = make.options_type  # type: ignore[attr-defined]
    source = make(options_type(**{"endpoint": ANY_PORT, "lost_s": 600.0, **changes}))
    desk = desk or FakeDesk(is_live=True)
    with pumping(source, desk, desk.drain):
        yield Gate(source, desk)


def sound(duration_s: float = 0.4, rate_hz: int = 8_000, seed: int = 0) -> NDArray[np.float32]:
    """Noise, of which no piece is like another."""
    return np.random.default_rng(seed).uniform(-0.5, 0.5, round(duration_s * rate_hz)).astype(np.float32)


def expected(samples: NDArray[np.float32], codec: str = "mulaw", rate_hz: int = 8_000) -> NDArray[np.float32]:
    """What the engine must have of it."""
    return resample(decode_pcm(encode_pcm(samples, codec), codec), rate_hz, 16_000)


def is_closed(peer: socket.socket, timeout_s: float = 3.0) -> bool:
    """Tell whether the other end closes within a time."""
    peer.settimeout(timeout_s)
    try:
        while peer.recv(4096):
            pass
    except TimeoutError:
        return False
    except OSError:
        pass
    return True
