"""Options of the gateways, as the configuration file knows them; imports nothing heavy."""

from typing import Annotated

import msgspec
from msgspec import Meta

from rtemo.io.zmq_options import CurveOptions

Role = Annotated[str, Meta(max_length=64)]
Enhanced = Annotated[
    bool, Meta(description="Send the audio of a party back with its noise taken off; only of one that may be analysed.")
]
AssistantRole = Annotated[
    Role,
    Meta(
        description="Send the caller what streams of this role say in his call, as 'assistant' (the source `voice`); "
        "while one is open, instead of his own audio. Nobody when empty."
    ),
]


class GatewayOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every gateway lets one set."""

    insecure_plaintext: Annotated[
        bool, Meta(description="Allow addresses beyond this machine without encryption: anybody there can listen in.")
    ] = False
    prefill_s: Annotated[
        float, Meta(ge=0, le=1, description="Audio kept in hand against jitter, in s; delays a stream by as much.")
    ] = 0.04
    hello_s: Annotated[
        float, Meta(gt=0, le=60, description="How long a peer may take to say which call it brings, in s.")
    ] = 5.0
    lost_s: Annotated[
        float, Meta(gt=0, le=600, description="Time without audio after which a stream is reported as lost, in s.")
    ] = 2.0
    idle_s: Annotated[
        float, Meta(gt=0, le=86_400, description="Time without any message after which a connection is closed, in s.")
    ] = 60.0
    resume_s: Annotated[
        float,
        Meta(ge=0, le=3600, description="How long a call whose connection broke waits to be taken up again, in s."),
    ] = 10.0
    drain_s: Annotated[
        float,
        Meta(ge=0, le=86_400, description="How long calls may go on after SIGTERM before `rtemo serve` stops, in s."),
    ] = 0.0
    max_connections: Annotated[int, Meta(ge=1, le=65_536, description="Connections at once.")] = 1024
    own_process: Annotated[
        bool,
        Meta(
            description="`rtemo serve` runs it in a process of its own, which holds the engine up less; one that sends "
            "audio back stays in the engine's."
        ),
    ] = True


class WebOptions(GatewayOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What every gateway that is a WebSocket server lets one set."""

    certificate_file: Annotated[
        str, Meta(description="TLS certificate with its chain (PEM); empty where a proxy in front ends TLS.")
    ] = ""
    certificate_key_file: Annotated[str, Meta(description="Key of the TLS certificate (PEM).")] = ""


class TwilioOptions(WebOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of the Twilio Media Streams server."""

    endpoint: Annotated[str, Meta(description="Where Twilio's WebSockets arrive, tcp://ADDRESS:PORT.")] = (
        "tcp://127.0.0.1:5580"
    )
    public_url: Annotated[
        str,
        Meta(description="Address in the TwiML's <Stream url=…>, wss://HOST/PATH: what Twilio's signature is made of."),
    ] = ""
    auth_token_file: Annotated[
        str,
        Meta(description="File with the account's auth token; the environment's TWILIO_AUTH_TOKEN when empty."),
    ] = ""
    unsigned: Annotated[
        bool, Meta(description="Take streams without Twilio's signature; only at a loopback address, for trying out.")
    ] = False
    reorder_s: Annotated[
        float, Meta(ge=0, le=1, description="How long a packet is held while one before it is missing, in s.")
    ] = 0.04
    inbound_role: Annotated[Role, Meta(description="Who speaks on the inbound track.")] = "caller"
    outbound_role: Annotated[Role, Meta(description="Who speaks on the outbound track.")] = "agent"
    enhanced: Enhanced = False
    assistant_role: AssistantRole = ""


class AudioSocketOptions(GatewayOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of the Asterisk AudioSocket server."""

    endpoint: Annotated[str, Meta(description="Where Asterisk connects to, tcp://ADDRESS:PORT.")] = (
        "tcp://127.0.0.1:5581"
    )
    channel: Annotated[str, Meta(min_length=1, max_length=64, description="Name of the stream within the call.")] = (
        "caller"
    )
    role: Annotated[Role, Meta(description="Who speaks on the line that Asterisk connects.")] = "caller"
    enhanced: Enhanced = False
    assistant_role: AssistantRole = ""


class PortsOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """RTP ports that are handed out to who asks for them, a pair for each party; off while `range` is empty."""

    range: Annotated[
        str,
        Meta(
            max_length=32,
            description="Ports to hand out, as '20000-20199': an even one for RTP and the odd one above it for RTCP.",
        ),
    ] = ""
    endpoint: Annotated[str, Meta(description="Where they are asked for, tcp://ADDRESS:PORT or ipc://PATH.")] = (
        "tcp://127.0.0.1:5585"
    )
    told_address: Annotated[
        str, Meta(max_length=255, description="Address that is told with the ports; sources.rtp.address when empty.")
    ] = ""
    unused_s: Annotated[
        float, Meta(gt=0, le=3600, description="Time after which ports are taken back that nothing has come to, in s.")
    ] = 30.0
    client_share: Annotated[
        float,
        Meta(gt=0, le=1, description="Share of the range that one client may hold (a CURVE key, or a connection)."),
    ] = 0.75
    asks_per_s: Annotated[
        float, Meta(gt=0, le=10_000, description="Requests that one client may make each second in the long run.")
    ] = 50.0
    ask_burst: Annotated[int, Meta(ge=1, le=16_384, description="Requests that one client may make at once.")] = 256
    insecure_plaintext: Annotated[
        bool, Meta(description="Allow an endpoint beyond this machine without CURVE: anybody there can ask.")
    ] = False
    curve: Annotated[CurveOptions, Meta(description="Encryption and the clients that may connect.")] = CurveOptions()
    max_clients: Annotated[
        int, Meta(ge=0, le=65_536, description="Connections at once; 0 for what the open files of the process allow.")
    ] = 0


class RtpOptions(GatewayOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of the RTP receiver: a fixed row of UDP ports, two for each line, and others that are asked for."""

    address: Annotated[str, Meta(description="Address to receive at.")] = "127.0.0.1"
    first_port: Annotated[
        int,
        Meta(ge=0, le=65_534, description="Port of the first party on the first line; 0 lets the system choose all."),
    ] = 5600
    lines: Annotated[
        int,
        Meta(
            ge=1,
            le=4096,
            description="Calls at once. Line n (from 0) has first_port + 4n for one party and 2 above for the other; "
            "the odd ports take RTCP.",
        ),
    ] = 8
    reorder_s: Annotated[
        float,
        Meta(ge=0, le=1, description="Jitter buffer: how long a packet is held while one before it is missing, in s."),
    ] = 0.04
    first_role: Annotated[Role, Meta(description="Who speaks on the first port of a line.")] = "caller"
    second_role: Annotated[Role, Meta(description="Who speaks on the second port of a line.")] = "agent"
    payload_types: Annotated[
        tuple[str, ...],
        Meta(
            description="Dynamic payload types, each as 'NUMBER NAME/RATE': PCMU, PCMA, L16, opus, CN, "
            "telephone-event. PCMU (0), PCMA (8), L16/44100 (11) and CN (13) are known anyway."
        ),
    ] = ("101 telephone-event/8000",)
    ports: Annotated[PortsOptions, Meta(description="Ports that are handed out for a call.")] = PortsOptions()


class AudioHookOptions(WebOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of the Genesys AudioHook server."""

    endpoint: Annotated[str, Meta(description="Where Genesys' WebSockets arrive, tcp://ADDRESS:PORT.")] = (
        "tcp://127.0.0.1:5582"
    )
    api_key_file: Annotated[
        str,
        Meta(description="File with the API key of the integration; AUDIOHOOK_API_KEY of the environment when empty."),
    ] = ""
    client_secret_file: Annotated[
        str,
        Meta(
            description="File with the client secret (base64) that requests are signed with; AUDIOHOOK_CLIENT_SECRET "
            "of the environment when empty. With neither, the API key alone lets in."
        ),
    ] = ""
    unsigned: Annotated[
        bool, Meta(description="Take calls without an API key; only at a loopback address, for trying out.")
    ] = False
    external_role: Annotated[Role, Meta(description="Who speaks on the external channel.")] = "customer"
    internal_role: Annotated[Role, Meta(description="Who speaks on the internal channel.")] = "agent"


class FreeSwitchOptions(WebOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of the server for FreeSWITCH's mod_audio_fork and mod_audio_stream."""

    endpoint: Annotated[str, Meta(description="Where FreeSWITCH's WebSockets arrive, tcp://ADDRESS:PORT.")] = (
        "tcp://127.0.0.1:5583"
    )
    first_role: Annotated[Role, Meta(description="Who speaks on the leg that the module runs on.")] = "caller"
    second_role: Annotated[Role, Meta(description="Who speaks on the other leg; sent with `stereo`.")] = "agent"
    enhanced: Enhanced = False
    assistant_role: AssistantRole = ""


class AsteriskOptions(WebOptions, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of the server for Asterisk's channel driver chan_websocket."""

    endpoint: Annotated[str, Meta(description="Where Asterisk's WebSockets arrive, tcp://ADDRESS:PORT.")] = (
        "tcp://127.0.0.1:5584"
    )
    first_role: Annotated[Role, Meta(description="Who speaks on a channel that says party=0, or nothing.")] = "caller"
    second_role: Annotated[Role, Meta(description="Who speaks on a channel that says party=1.")] = "agent"
    enhanced: Enhanced = False
    assistant_role: AssistantRole = ""
