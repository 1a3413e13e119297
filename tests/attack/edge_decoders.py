"""What reads the bytes of telephone systems, web clients and other processes, with valid messages to be changed."""

import asyncio
import importlib.util
import json
import struct
from collections.abc import Callable
from typing import Any

from rtemo.api import Event
from rtemo.api.vocabulary import Level
from rtemo.cluster import messages
from rtemo.io import relay_wire
from rtemo.io.audio_wire import End, Hello, encode_control
from rtemo.io.gateways import (
    asterisk_wire,
    audiohook_wire,
    audiosocket_wire,
    freeswitch,
    opus,
    ports_wire,
    rtp_wire,
    siprec_offer,
    twilio_wire,
)
from rtemo.io.siprec import read_metadata
from rtemo.io.wire import encode
from rtemo.io.worker_wire import Compiling, Refused

Decoder = Callable[[bytes], object]


def text(message: bytes) -> str:
    """As a WebSocket hands it over."""
    return message.decode("utf-8", "replace")


def twilio(message: bytes) -> object:
    said = twilio_wire.decode(text(message))
    return twilio_wire.check_start(said.start) if isinstance(said, twilio_wire.Start) else said


def audiohook(message: bytes) -> object:
    said = audiohook_wire.decode(text(message))
    if said.type == "open":
        return audiohook_wire.choose(audiohook_wire.parameters(said, audiohook_wire.OpenParameters).media)
    if said.type in ("discarded", "resumed"):
        skipped = audiohook_wire.parameters(said, audiohook_wire.Skipped)
        return audiohook_wire.duration_samples(skipped.start) + audiohook_wire.duration_samples(skipped.discarded)
    return said


def audiosocket(stream: bytes) -> object:
    """Frame after frame, until one is not whole."""
    at, found = 0, []
    while at + audiosocket_wire.HEADER_BYTES <= len(stream):
        kind, size_bytes = audiosocket_wire.check_header(stream[at : at + audiosocket_wire.HEADER_BYTES])
        at += audiosocket_wire.HEADER_BYTES
        payload, at = stream[at : at + size_bytes], at + size_bytes
        if kind == audiosocket_wire.UUID:
            found.append(audiosocket_wire.call_name(payload))
        elif kind == audiosocket_wire.ERROR:
            found.append(audiosocket_wire.error_text(payload))
    return found


def asterisk(message: bytes) -> object:
    said = asterisk_wire.decode(text(message))
    return asterisk_wire.media_start(said) if said.event == "MEDIA_START" else said


def freeswitch_audio(message: bytes) -> object:
    """An address, a null byte, and audio that comes over it."""
    path, _, audio = message.partition(b"\0")
    return freeswitch._split(audio, freeswitch.read_address(text(path)))


_FORMATS = rtp_wire.formats(["111 opus/48000/2", "96 L16/16000"])


def rtp(datagram: bytes) -> object:
    if rtp_wire.is_rtcp(datagram):
        return rtp_wire.left(datagram)
    packet = rtp_wire.decode(datagram)
    format = _FORMATS.get(packet.payload_type)
    if format is None or format.codec is None:
        return packet
    samples = rtp_wire.samples_of(packet.payload, format)
    return opus.count_samples(samples) if format.is_coded else samples


def ports(message: bytes) -> object:
    """A request for ports, and what its SIPREC body offers."""
    request = ports_wire.decode_request(message)
    if request.siprec is None:
        return [rtp_wire.formats(leg.payload_types, "payload_types") for leg in request.legs]
    return siprec_offer.read_offer(request.siprec, request.content_type)


def invitation(body: bytes) -> object:
    """The body of an INVITE, once as a file says it and once as its first line says where its parts begin."""
    offers = [siprec_offer.read_offer(text(body), kind) for kind in ("", "multipart/mixed;boundary=mark-1")]
    return [stream.role({"96": "caller"}) for offer in offers for stream in offer.streams]


def relayed(frame: bytes) -> object:
    return [
        relay_wire.decode_relayed(message) if relay_wire.is_own(client) else message
        for client, message in relay_wire.split(frame)
    ]


class _Body:
    """The body of a request, in two parts."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    async def stream(self) -> Any:
        yield self._data[:9]
        yield self._data[9:]


_loop = asyncio.new_event_loop()


def web_mark(body: bytes) -> object:
    from rtemo.io.web.marks import read_mark

    return _loop.run_until_complete(read_mark(_Body(body)))  # type: ignore[arg-type]


def web_query() -> Decoder:
    """What stands behind the `?` of every address, and the `Last-Event-ID` beside it."""
    from starlette.requests import Request
    from starlette.routing import Route

    from rtemo.io.web.access import Access, Tokens
    from rtemo.io.web.app import Application
    from rtemo.io.web.hub import Hub
    from rtemo.io.web.metrics import Metrics
    from rtemo.io.web.options import WebOptions

    hub = Hub(WebOptions(), Tokens(""))
    application = Application(hub, Metrics(hub))
    ends = [route.endpoint for route in application.asgi.routes if isinstance(route, Route)]
    asked = [end for end in ends if end.__name__ in ("_calls", "_events", "_stream")]
    assert len(asked) == 3

    def ask(query: bytes) -> object:
        headers = [(b"last-event-id", query[-24:])]
        scope = {"type": "http", "method": "GET", "path": "/", "query_string": query, "headers": headers}
        request = Request({**scope, "state": {"access": Access()}})
        answers = [_loop.run_until_complete(end(request)) for end in asked]
        for answer in answers:
            if hasattr(answer, "_on_end"):  # a stream that nobody reads
                answer._on_end()
        assert all(answer.status_code in (200, 400) for answer in answers)
        return answers

    return ask


def rtp_packet(payload_type: int, payload: bytes, flags: int = 0x80, head: bytes = b"") -> bytes:
    return struct.pack(">BBHII", flags, payload_type, 7, 1_120, 0x1234) + head + payload


def frame(kind: int, payload: bytes = b"") -> bytes:
    return bytes([kind]) + len(payload).to_bytes(2) + payload


def bundle(*said: tuple[bytes, bytes]) -> bytes:
    gathered = relay_wire.Bundle()
    for client, message in said:
        gathered.add(client, message)
    return gathered.take()


def _json(**facts: Any) -> bytes:
    return json.dumps(facts).encode()


_OWN = relay_wire.own_client(b"twilio", b"1")
_HOOK = {"version": "2", "id": "30b0e395", "seq": 1, "serverseq": 0}
_MEDIA = [{"type": "audio", "format": "PCMU", "channels": ["external", "internal"], "rate": 8_000}]
_METADATA = b"""<?xml version='1.0' encoding='UTF-8'?><recording xmlns='urn:ietf:params:xml:ns:recording:1'>
<datamode>complete</datamode><session session_id="h"><sipSessionID>ab;remote=47</sipSessionID></session>
<participant participant_id="p"><nameID aor="sip:bob@x.example"><name xml:lang="it">B&#248;b</name></nameID>
</participant>
<stream stream_id="s" session_id="h"><label>96</label></stream>
<participantstreamassoc participant_id="p"><send>s</send></participantstreamassoc></recording>"""
_INVITATION = (
    b"""--mark-1\r
Content-Type: application/sdp\r
\r
v=0\r
m=audio 20106 RTP/AVP 0 111 101\r
a=rtpmap:111 opus/48000/2\r
a=rtpmap:101 telephone-event/8000\r
a=label:96\r
--mark-1\r
Content-Type: application/rs-metadata+xml\r
Content-Disposition: recording-session\r
\r
%b\r
--mark-1--\r
"""
    % _METADATA
)
_EVENT = Event(
    call="a",
    channel="0",
    plugin="level",
    seq=1,
    start_sample=0,
    end_sample=160,
    capture_ns=1,
    emit_ns=2,
    data=Level(rms_dbfs=-20.0, peak_dbfs=-3.0, clipped_ratio=0.0),
)


EDGES: dict[str, tuple[Decoder, list[bytes]]] = {
    "twilio": (
        twilio,
        [
            _json(event="start", start={"callSid": "CA1", "streamSid": "MZ", "tracks": ["inbound", "outbound"]}),
            _json(event="media", media={"track": "inbound", "chunk": "2", "timestamp": "20", "payload": "//8="}),
            _json(event="mark", mark={"name": "1"}),
            _json(event="dtmf", dtmf={"digit": "1"}),
        ],
    ),
    "audiohook": (
        audiohook,
        [
            _json(**_HOOK, type="open", parameters={"conversationId": "c", "media": _MEDIA}),
            _json(**_HOOK, type="discarded", parameters={"start": "PT1.5S", "discarded": "PT0.25S"}),
            _json(**_HOOK, type="ping", parameters={"rtt": "PT0.1S"}),
        ],
    ),
    "audiosocket": (
        audiosocket,
        [frame(0x01, bytes(range(16))) + frame(0x10, bytes(320)) + frame(0xFF, b"\x02") + frame(0x00)],
    ),
    "asterisk": (
        asterisk,
        [
            b"MEDIA_START connection_id:a channel:WebSocket/a/0x1 channel_id:7 format:ulaw optimal_frame_size:160",
            _json(event="MEDIA_START", channel_id="7", format="slin16", optimal_frame_size=640),
            b"ERROR error_text:no such command",
        ],
    ),
    "freeswitch": (freeswitch_audio, [b"/calls/b1f0%20a?rate=16000&channels=2\0" + bytes(80)]),
    "rtp": (
        rtp,
        [
            rtp_packet(0, bytes(160)),
            rtp_packet(96, bytes(64), 0xB2, struct.pack(">IIHH", 1, 2, 0xBEDE, 1) + bytes(4)) + b"\0\0\0\x04",
            rtp_packet(111, bytes([0x7B, 3]) + bytes(40)),
            struct.pack(">BBHIIIIII", 0x80, 200, 6, 1, 2, 3, 4, 5, 6) + struct.pack(">BBHI", 0x81, 203, 1, 0x1234),
        ],
    ),
    "siprec": (read_metadata, [_METADATA]),
    "siprec invitation": (invitation, [_INVITATION]),
    "ports": (
        ports,
        [
            _json(op="ports", id=1, call="a", legs=[{"role": "caller", "payload_types": ["96 L16/16000"]}, {}]),
            _json(op="ports", siprec=_INVITATION.decode(), roles={"96": "caller"}),
            _json(op="give_back", id="b", call="a", ticket="x"),
        ],
    ),
    "relay": (
        relayed,
        [
            bundle(
                (_OWN, encode_control(relay_wire.OwnOpen(call="a", source="twilio", reorder_s=0.1))),
                (_OWN, encode_control(End(call="a"))),
                (relay_wire.CONNECTED + b"1", encode_control(Hello())),
            )
        ],
    ),
    "to worker": (
        messages.to_worker,
        [
            encode(messages.Ask("ask", "tense | relaxed", 3), "msgpack"),
            encode(messages.Begin({"a": [1]}, True), "msgpack"),
        ],
    ),
    "from worker": (
        messages.from_worker,
        [
            encode(messages.Happened([_EVENT]), "msgpack"),
            encode(Compiling(1, 2, False), "msgpack"),
            encode(Refused("no room", "wait"), "msgpack"),
            encode(messages.Asked(("tense",), 1), "msgpack"),
        ],
    ),
}

if importlib.util.find_spec("starlette"):  # rtemo[web]
    EDGES["web mark"] = (web_mark, [b'{"call": "a", "mark": "snoozed"}'])
    EDGES["web query"] = (
        web_query(),
        [b"after_seq=17&limit=10&kind=level,emotion&call=a%20b", b"prefix=a&view=calls&after=0123456789abcdef-17"],
    )
