"""A client that asks a gateway for RTP ports, as a script beside a PBX would."""

import contextlib
import json
import random
import socket
from typing import Any

import zmq

from rtemo.io.curve import ClientKeys
from tests.fakes.zmq_ends import own_ports

SDP = """v=0
o=- 20076 595552 IN IP4 192.0.2.140
s=-
c=IN IP4 192.0.2.140
t=0 0
m=audio 20106 RTP/AVP 0 101
a=rtpmap:0 PCMU/8000
a=rtpmap:101 telephone-event/8000
a=label:10
a=sendonly
m=audio 20110 RTP/AVP 18 8
a=rtpmap:18 G729/8000
a=rtpmap:8 PCMA/8000
a=label:20
a=sendonly
"""
METADATA = """<?xml version="1.0" encoding="UTF-8"?>
<recording xmlns="urn:ietf:params:xml:ns:recording:1">
<datamode>complete</datamode>
<session session_id="S="><sipSessionID>ab30317f;remote=47755a9d</sipSessionID></session>
<participant participant_id="A="><nameID aor="sip:bob@pbx.example"><name>Bob</name></nameID></participant>
<participant participant_id="B="><nameID aor="sip:desk@pbx.example"/></participant>
<stream stream_id="X=" session_id="S="><label>10</label></stream>
<stream stream_id="Y=" session_id="S="><label>20</label></stream>
<participantstreamassoc participant_id="A="><send>X=</send></participantstreamassoc>
<participantstreamassoc participant_id="B="><send>Y=</send></participantstreamassoc>
</recording>
"""


def invitation(sdp: str = SDP, metadata: str = METADATA, mark: str = "mark-1") -> str:
    """Body of the INVITE of a recording session, as RFC 7866 has it."""
    parts = (("application/sdp", sdp), ("application/rs-metadata+xml", metadata))
    text = "".join(f"--{mark}\nContent-Type: {kind}\n\n{content}\n" for kind, content in parts)
    return f"{text}--{mark}--\n".replace("\n", "\r\n")


class Asker:
    """Asks at an endpoint and waits for each answer."""

    def __init__(self, endpoint: object, keys: ClientKeys | None = None) -> None:
        self.endpoint = str(endpoint)
        self._context = zmq.Context()
        self.socket = self._context.socket(zmq.REQ)
        if keys is not None:
            keys.use(self.socket)
        self.socket.connect(self.endpoint)

    def send(self, message: bytes, timeout_s: float = 10.0) -> dict[str, Any]:
        self.socket.send(message)
        if not self.socket.poll(round(1000 * timeout_s)):
            raise TimeoutError("nobody has answered")
        reply = json.loads(self.socket.recv())
        assert reply["schema"] == "rtemo.ports/1"
        return reply

    def ports(self, call: str = "", *roles: str, **more: Any) -> dict[str, Any]:
        request = {"op": "ports", "id": 7, "call": call, **more}
        if roles:
            request["legs"] = [{"role": role} for role in roles]
        return self.send(json.dumps(request).encode())

    def refused(self, call: str = "", *roles: str, **more: Any) -> str:
        """Ask for what is not to be had; give the code."""
        reply = self.ports(call, *roles, **more)
        assert not reply["ok"], reply
        assert "legs" not in reply
        assert reply["error"]["problem"]
        assert reply["error"]["mend"]
        return reply["error"]["code"]

    def give_back(self, call: str, ticket: str) -> dict[str, Any]:
        return self.send(json.dumps({"op": "give_back", "call": call, "ticket": ticket}).encode())

    def close(self) -> None:
        self._context.destroy(linger=0)

    def __enter__(self) -> "Asker":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def free_udp_range(pairs: int = 4) -> str:
    """Find UDP ports that nobody has, an even one first."""
    for _ in range(1_000):
        first = random.choice(own_ports()[: -2 * pairs : 2])
        with contextlib.ExitStack() as stack, contextlib.suppress(OSError):
            for port in range(first, first + 2 * pairs):
                held = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                held.bind(("127.0.0.1", port))
            return f"{first}-{first + 2 * pairs - 1}"
    raise AssertionError("no free ports")
