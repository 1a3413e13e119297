"""The wire format of asking for RTP ports: one request and one reply, each one JSON object in one frame."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from rtemo.io.wire import decoded

PORTS_SCHEMA = "rtemo.ports/1"
MAX_REQUEST_BYTES = 65_536
MOST_LEGS = 8

Code = Literal["bad_request", "rate", "draining", "exhausted", "capacity", "in_use", "policy", "unknown"]
Name = Annotated[str, Meta(max_length=256)]


class LegRequest(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A party that ports are wanted for."""

    channel: Annotated[str, Meta(max_length=256, description="Its channel; its number in the list when empty.")] = ""
    role: Annotated[str, Meta(max_length=64, description="Who speaks; only timed when empty.")] = ""
    payload_types: Annotated[
        list[Annotated[str, Meta(max_length=64)]],
        Meta(max_length=32, description="As '96 L16/16000', beside the static ones; those configured when empty."),
    ] = []


class PortsRequest(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What a client asks for."""

    op: Annotated[
        Literal["ports", "give_back"], Meta(description="`ports` for a call, or `give_back` those of one: it is over.")
    ]
    id: Annotated[int | Name | None, Meta(description="Comes back in the reply.")] = None
    call: Annotated[str, Meta(max_length=256, description="Name of the call; as SIPREC names it when empty.")] = ""
    legs: Annotated[list[LegRequest], Meta(max_length=MOST_LEGS, description="Its parties.")] = []
    siprec: Annotated[
        str | None, Meta(description="In place of `legs`: body of the INVITE of a recording session, multipart/mixed.")
    ] = None
    content_type: Annotated[
        str, Meta(max_length=256, description="Content-Type of that INVITE; the boundary is looked for when empty.")
    ] = ""
    roles: Annotated[
        dict[Name, Annotated[str, Meta(max_length=64)]],
        Meta(max_length=256, description="With `siprec`: label, or address or name of a participant → role."),
    ] = {}
    ticket: Annotated[str, Meta(max_length=64, description="Of the reply to `ports`; for `give_back`.")] = ""


class PortsProblem(msgspec.Struct, kw_only=True):
    """Why nothing was done, and what to do."""

    code: Annotated[
        Code,
        Meta(
            description="`exhausted`: no ports are free; `capacity`: the engine is full; `in_use`: the call is there; "
            "`policy`: a role is refused; `unknown`: no such call, or not with this ticket."
        ),
    ]
    problem: str
    mend: str


class Speaker(msgspec.Struct, kw_only=True):
    """Somebody whose voice a leg carries, as SIPREC says."""

    address: str
    name: str


class LentLeg(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Where the audio of a party is to be sent."""

    channel: Annotated[str, Meta(description="Channel of the call; with SIPREC the label.")]
    role: str
    address: str
    port: Annotated[int, Meta(description="For RTP; RTCP is taken here and one above.")]
    payload_types: Annotated[list[str], Meta(description="What is understood there.")]
    media_line: Annotated[int | None, Meta(description="SIPREC: which m= line of the SDP, counted from 0.")] = None
    speakers: Annotated[list[Speaker] | None, Meta(description="SIPREC: whose voices it carries.")] = None


class PortsReply(msgspec.Struct, kw_only=True, omit_defaults=True):
    """How it went."""

    schema: str
    op: str
    ok: bool
    id: int | str | None = None
    error: PortsProblem | None = None
    call: str = ""
    ticket: Annotated[str, Meta(description="Keep it: the ports are given back with it.")] = ""
    legs: list[LentLeg] | None = None
    unused_s: Annotated[float | None, Meta(description="They are taken back when nothing comes within this.")] = None
    idle_s: Annotated[float | None, Meta(description="The call ends when nothing more comes for this.")] = None
    free_ports: Annotated[int | None, Meta(description="Ports for RTP that are left for others.")] = None


_EXAMPLE = '{"op": "ports", "call": "call 1", "legs": [{"role": "caller"}]}'
_REQUEST = msgspec.json.Decoder(PortsRequest)


def decode_request(message: bytes) -> PortsRequest:
    """Read a request.

    Raises:
        WireError: It is not a request; the text is for whoever wrote the client.
    """
    request: PortsRequest = decoded(_REQUEST, message, "not a request", f"send for example {_EXAMPLE}")
    return request
