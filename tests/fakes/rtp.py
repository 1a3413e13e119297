"""Senders of RTP, and a receiver at ports the system chooses."""

import socket
import struct
import time
from typing import Any

import numpy as np

from rtemo.io.gateways.options import RtpOptions
from rtemo.io.gateways.rtp import RtpSource
from rtemo.io.pcm import encode_pcm
from tests.fakes.gateways import Gate, gate
from tests.fakes.zmq_ends import wait_until

FRAME = 160


class Phone:
    """A sender of RTP at one port of a line."""

    def __init__(
        self,
        made: Gate | None,
        party: int = 0,
        *,
        ssrc: int = 7,
        sequence: int = 65_530,
        stamp: int = 2**32 - 500,
        port: int = 0,
    ):
        if made is not None:
            assert isinstance(made.source, RtpSource)
            port = made.source.ports[0][party]
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect(("127.0.0.1", port))
        self.ssrc, self.sequence, self.stamp = ssrc, sequence, stamp

    def raw(self, number: int, start_sample: int, kind: int, payload: bytes, flags: int = 0x80) -> None:
        sequence, stamp = (self.sequence + number) % 65_536, (self.stamp + start_sample) % 2**32
        self.socket.send(struct.pack(">BBHII", flags, kind, sequence, stamp, self.ssrc) + payload)

    def send(self, samples: np.ndarray, *numbers: int, kind: int = 0, codec: str = "mulaw", frame: int = FRAME) -> None:
        """Send frames of a sound by their numbers."""
        for number in numbers:
            payload = encode_pcm(samples[number * frame : (number + 1) * frame], codec)
            if codec == "s16le":
                payload = np.frombuffer(payload, "<i2").astype(">i2").tobytes()
            self.raw(number, number * frame, kind, payload)
            time.sleep(0.0005)

    def bye(self) -> None:
        report = struct.pack(">BBHIQIII", 0x80, 200, 6, self.ssrc, 0, 0, 0, 0)
        self.socket.send(report + struct.pack(">BBHI", 0x81, 203, 1, self.ssrc))


def rtp(**changes: Any) -> Any:
    defaults = {"address": "127.0.0.1", "first_port": 0, "lines": 1, "endpoint": None, "reorder_s": 0.2}
    given = {**defaults, **changes}
    del given["endpoint"]
    return _Ports(given)


class _Ports:
    """Like `gate`, for a source without a TCP endpoint."""

    def __init__(self, options: dict[str, Any]) -> None:
        def make(_: Any) -> RtpSource:
            return RtpSource(RtpOptions(**{"lost_s": 600.0, **options}))

        make.options_type = lambda **_: None  # type: ignore[attr-defined]
        self._gate = gate(make)

    def __enter__(self) -> Gate:
        return self._gate.__enter__()

    def __exit__(self, *error: Any) -> None:
        self._gate.__exit__(*error)


def ended(made: Gate, channel: str = "0") -> Any:
    """Wait for the only call's stream to be over."""
    assert wait_until(lambda: any(key[1] == channel for key in made.desk.writers)), made.faults
    (key,) = [key for key in made.desk.writers if key[1] == channel]
    return made.ended(*key)
