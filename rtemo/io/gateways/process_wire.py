"""What a gateway in a process of its own and its session say to each other, over a pair of sockets."""

from typing import Any

import msgspec

from rtemo.api import Fault, SourceState
from rtemo.io.gateways.counts import GatewayCounts


class Opening(msgspec.Struct, frozen=True):
    """First message to the process: which gateway, as `module:class`, and its options.

    Attributes:
        relay: Where a front takes the audio; empty where the session does.
    """

    source: str
    options: dict[str, Any]
    sample_rate_hz: int
    hop_samples: int
    relay: str = ""


class State(msgspec.Struct, frozen=True, tag="state"):
    """Streams that the engine has ended, and whether to take no new calls, or to end."""

    closed: tuple[int, ...] = ()
    is_draining: bool = False
    is_over: bool = False


class Answer(msgspec.Struct, frozen=True, tag="answer"):
    """Whether a stream was opened: the kind of error, if not, and what was wrong."""

    error: str = ""
    problem: str = ""
    mend: str = ""


class Ready(msgspec.Struct, frozen=True, tag="ready"):
    """The gateway is open, or what was wrong."""

    endpoints: dict[str, str] = {}
    error: str = ""
    problem: str = ""
    mend: str = ""


class Open(msgspec.Struct, frozen=True, tag="open"):
    """A stream is to be opened under a number of the gateway's; it waits for the `Answer`."""

    number: int
    call: str
    channel: str
    source: str
    role: str
    prefill_s: float
    is_estimate: bool = False


class Rows(msgspec.Struct, frozen=True, tag="rows"):
    """Audio of several streams: float32 [n, m], of which counts[i] samples of row i count."""

    numbers: tuple[int, ...]
    counts: tuple[int, ...]
    captures_ns: tuple[int, ...]
    audio: bytes


class Gap(msgspec.Struct, frozen=True, tag="gap"):
    """Samples that were lost, where they belong."""

    number: int
    count_samples: int


class Lost(msgspec.Struct, frozen=True, tag="lost"):
    """Samples that were lost somewhere."""

    number: int
    count_samples: int


class Report(msgspec.Struct, frozen=True, tag="report"):
    """What is to be told about a stream, or about the gateway as number 0."""

    number: int
    data: Fault | SourceState


class End(msgspec.Struct, frozen=True, tag="end"):
    """A stream has come to its end."""

    number: int
    reason: str


Item = Rows | Gap | Lost | Report | End


class Turn(msgspec.Struct, frozen=True, tag="turn"):
    """What has happened since the last one, in order, and what has come to the door so far."""

    items: list[Item]
    counts: GatewayCounts
    count_streams: int


_encoder = msgspec.msgpack.Encoder()
encode = _encoder.encode
decode_opening = msgspec.msgpack.Decoder(Opening).decode
decode_for_gateway = msgspec.msgpack.Decoder(State | Answer).decode
decode_for_session = msgspec.msgpack.Decoder(Ready | Open | Turn).decode
