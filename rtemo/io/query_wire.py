"""The wire format of the query socket: one request, one reply header, and events as they were sent.

A request is one JSON object. A reply is a JSON header followed by one frame per event; these are the very
bytes that were published, so nothing is encoded twice.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from rtemo.io.wire import decoded

REPLY_SCHEMA = "rtemo.reply/1"
MAX_REQUEST_BYTES = 65_536

Op = Literal["list", "snapshot", "replay", "health", "beat", "queries", "ask", "forget"]


class QueryRequest(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What a client asks for."""

    op: Annotated[
        Op,
        Meta(
            description="`list` of calls, `snapshot` of last values, `replay` of events, `health` of the publisher, "
            "`beat`: a heartbeat at once; `queries` that voices are scored by, `ask` for one more, or `forget` one."
        ),
    ]
    id: Annotated[int | str | None, Meta(description="Comes back in the reply.")] = None
    call: Annotated[
        str | None, Meta(description="Call that is meant; absent for all calls that are going on, '' is the engine.")
    ] = None
    after_pub_seq: Annotated[int, Meta(ge=0, description="Replay what came after this number.")] = 0
    text: Annotated[str | None, Meta(description="Query to ask for or to forget, as 'a caller losing patience'.")] = (
        None
    )
    limit: Annotated[int, Meta(ge=1, le=10_000, description="Most events in one reply to `replay`.")] = 1_000


class QueryProblem(msgspec.Struct, kw_only=True):
    """Why a request was not answered, and what to do."""

    problem: str
    mend: str


class CallSummary(msgspec.Struct, kw_only=True):
    """One line of `list`."""

    call: str
    channels: list[str]
    is_open: bool
    pub_seq: Annotated[int, Meta(description="Number of its last event.")]
    replay_after_pub_seq: Annotated[int, Meta(description="Replay is complete from after this number on.")]


class PublisherHealth(msgspec.Struct, kw_only=True):
    """How the publisher is."""

    uptime_s: float
    published_events: int
    published_bytes: int
    calls: int
    open_calls: int
    replay_bytes: int
    refused_clients: Annotated[int, Meta(description="Connections turned away for their CURVE key.")]


class QueryReply(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Header of a reply; the events follow, one frame each, oldest first."""

    schema: str
    op: str
    ok: bool
    id: int | str | None = None
    epoch: Annotated[str, Meta(description="Random name of the publisher's life.")]
    pub_seq: Annotated[int, Meta(description="Number of the last event published before this reply.")]
    t_pub_ms: Annotated[float, Meta(description="UTC in ms of the reply.")]
    error: QueryProblem | None = None
    calls: Annotated[list[CallSummary] | None, Meta(description="Answer to `list`; empty when there are none.")] = None
    seqs: Annotated[dict[str, int] | None, Meta(description="Snapshot: topic → seq of its last event.")] = None
    more: Annotated[bool | None, Meta(description="Replay: ask again after the pub_seq of the last event.")] = None
    is_complete: Annotated[bool | None, Meta(description="Replay: nothing after `after_pub_seq` had been dropped.")] = (
        None
    )
    queries: Annotated[
        list[str] | None, Meta(description="What voices are scored by; after `ask` and `forget`, too.")
    ] = None
    health: Annotated[PublisherHealth | None, Meta(description="Answer to `health`.")] = None


_REQUEST = msgspec.json.Decoder(QueryRequest)
_REPLY = msgspec.json.Decoder(QueryReply)


def decode_request(message: bytes) -> QueryRequest:
    """Read a request.

    Raises:
        WireError: It is not a request; the text is for whoever wrote the client.
    """
    request: QueryRequest = decoded(_REQUEST, message, "not a request", 'send for example {"op": "list"}')
    return request


def decode_reply(message: bytes) -> QueryReply:
    """Read the header of a reply.

    Raises:
        WireError: It is not a reply.
    """
    reply: QueryReply = decoded(_REPLY, message, "not a reply")
    return reply
