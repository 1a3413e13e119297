"""Options of the ZeroMQ edges, as the configuration file knows them; imports nothing heavy."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

USUAL_AUDIO_ENDPOINT = "tcp://127.0.0.1:5576"


class CurveOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """CURVE encryption of an endpoint and the clients that may connect; off while `key_file` is empty."""

    key_file: Annotated[str, Meta(description="Secret key file of this endpoint; empty means no encryption.")] = ""
    allowed_clients: Annotated[
        tuple[str, ...],
        Meta(description="Who may connect: public keys (40 characters), public key files, or folders of them."),
    ] = ()


class PublishOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of the ZeroMQ publisher: three sockets, what they hold, and who may reach them."""

    events: Annotated[str, Meta(description="Endpoint of the event feed, tcp://ADDRESS:PORT or ipc://PATH.")] = (
        "tcp://127.0.0.1:5570"
    )
    state: Annotated[
        str, Meta(description="Endpoint of the latest state per call; empty is one port above `events`.")
    ] = ""
    query: Annotated[str, Meta(description="Endpoint of snapshot and replay; empty is two ports above `events`.")] = ""
    tenant: Annotated[str, Meta(min_length=1, description="Second part of every topic: who the feed is for.")] = "main"
    encoding: Annotated[Literal["json", "msgpack"], Meta(description="How events are written on the wire.")] = "json"
    insecure_plaintext: Annotated[
        bool, Meta(description="Allow addresses beyond this machine without CURVE: anybody there can listen in.")
    ] = False
    curve: Annotated[CurveOptions, Meta(description="Encryption and the clients that may connect.")] = CurveOptions()
    send_queue_messages: Annotated[
        int, Meta(ge=1, le=1_000_000, description="Events queued for each subscriber; a full queue drops the newest.")
    ] = 1000
    send_buffer_bytes: Annotated[
        int,
        Meta(
            ge=4096,
            le=1 << 30,
            description="Kernel send buffer per subscriber, in bytes; small, so that nobody lags long.",
        ),
    ] = 65_536
    heartbeat_s: Annotated[float, Meta(ge=0.05, le=60, description="Time between two heartbeats, in s.")] = 1.0
    state_interval_s: Annotated[
        float, Meta(ge=0.01, le=10, description="Least time between two states of one call, in s.")
    ] = 0.1
    replay_s: Annotated[float, Meta(ge=0, le=86_400, description="How long events are kept for replay, in s.")] = 600.0
    replay_call_bytes: Annotated[
        int, Meta(ge=0, le=1 << 40, description="Events kept for replay of one call, in bytes; the oldest go first.")
    ] = 1 << 20
    replay_bytes: Annotated[
        int, Meta(ge=0, le=1 << 40, description="Events kept for replay of all calls together, in bytes.")
    ] = 128 << 20
    replay_calls: Annotated[
        int,
        Meta(ge=1, le=1 << 20, description="Calls remembered at once; the one heard longest ago is forgotten first."),
    ] = 4096
    max_clients: Annotated[
        int,
        Meta(ge=0, le=65_536, description="Connections at once to each socket; 0 for what the open files allow."),
    ] = 0
    linger_ms: Annotated[
        int, Meta(ge=0, le=5_000, description="How long closing waits for the last events to leave, in ms.")
    ] = 200


class AudioOutOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of the audio feed: processed audio of every stream to whoever may subscribe; off by default."""

    endpoint: Annotated[
        str, Meta(description="Endpoint of processed audio, tcp://ADDRESS:PORT or ipc://PATH; serve sends it when set.")
    ] = ""
    codec: Annotated[
        Literal["s16le", "f32le"], Meta(description="Samples on the wire: 16-bit integers or 32-bit floats.")
    ] = "s16le"
    packet_s: Annotated[
        float,
        Meta(ge=0.01, le=0.1, description="Audio per packet, in s; larger packets cost less and come later."),
    ] = 0.02
    insecure_plaintext: Annotated[
        bool, Meta(description="Allow addresses beyond this machine without CURVE: anybody there can listen in.")
    ] = False
    curve: Annotated[CurveOptions, Meta(description="Encryption and the clients that may connect.")] = CurveOptions()
    send_queue_messages: Annotated[
        int, Meta(ge=1, le=1_000_000, description="Packets queued for each subscriber; a full queue drops the newest.")
    ] = 4000
    send_buffer_bytes: Annotated[
        int,
        Meta(
            ge=4096,
            le=1 << 30,
            description="Kernel send buffer per subscriber, in bytes; small, so that nobody lags long.",
        ),
    ] = 65_536
    heartbeat_s: Annotated[float, Meta(ge=0.05, le=60, description="Time between two heartbeats, in s.")] = 1.0
    max_clients: Annotated[
        int, Meta(ge=0, le=65_536, description="Connections at once; 0 for what the open files of the process allow.")
    ] = 0
    linger_ms: Annotated[
        int, Meta(ge=0, le=5_000, description="How long closing waits for the last packets to leave, in ms.")
    ] = 200


class IngestOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of the ZeroMQ ingest: where audio of many calls comes in."""

    endpoint: Annotated[str, Meta(description="Endpoint audio is sent to, tcp://ADDRESS:PORT or ipc://PATH.")] = (
        "tcp://127.0.0.1:5575"
    )
    insecure_plaintext: Annotated[
        bool,
        Meta(description="Allow addresses beyond this machine without CURVE: anybody there can send audio."),
    ] = False
    curve: Annotated[CurveOptions, Meta(description="Encryption and the clients that may connect.")] = CurveOptions()
    window_s: Annotated[
        float, Meta(ge=0.1, le=10, description="Audio a client may have on the way or unread in the engine, in s.")
    ] = 0.4
    prefill_s: Annotated[
        float, Meta(ge=0, le=1, description="Audio kept in hand against jitter, in s; delays a stream by as much.")
    ] = 0.04
    reorder_s: Annotated[
        float, Meta(ge=0, le=1, description="How long a packet is held while one before it is missing, in s.")
    ] = 0.04
    lost_s: Annotated[
        float, Meta(gt=0, le=600, description="Time without audio after which a stream is reported as lost, in s.")
    ] = 2.0
    idle_s: Annotated[
        float, Meta(gt=0, le=86_400, description="Time without any message after which a stream is ended, in s.")
    ] = 30.0
    drain_s: Annotated[
        float,
        Meta(ge=0, le=86_400, description="How long calls may go on after SIGTERM before `rtemo serve` stops, in s."),
    ] = 0.0
    first_audio_s: Annotated[
        float,
        Meta(gt=0, le=86_400, description="Time after which a stream that never had audio is ended, in s."),
    ] = 10.0
    mute_s: Annotated[
        float,
        Meta(gt=0, le=86_400, description="Time without audio after which a stream is ended that says `alive`, in s."),
    ] = 3600.0
    max_streams_per_client: Annotated[int, Meta(ge=1, le=4096, description="Streams one connection may hold open.")] = (
        1024
    )
    opens_per_s: Annotated[
        float, Meta(gt=0, le=10_000, description="Streams one connection may open each second in the long run.")
    ] = 50.0
    open_burst: Annotated[
        int, Meta(ge=1, le=16_384, description="Streams one connection may open at once, as after a restart.")
    ] = 1024
    max_clients: Annotated[
        int, Meta(ge=0, le=65_536, description="Connections at once; 0 for what the open files of the process allow.")
    ] = 0
