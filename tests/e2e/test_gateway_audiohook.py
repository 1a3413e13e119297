"""AudioHookSource over real WebSockets: calls as Genesys sends them, and peers that send something else.

The official test client runs against it too, by hand; see docs/telephony.md.
"""

import base64
import hashlib
import hmac
import json
import time
import uuid
from typing import Any

import numpy as np
import pytest

from rtemo.api import ConfigError, EndpointError
from rtemo.io.gateways.audiohook import AudioHookSource
from rtemo.io.gateways.audiohook_wire import PROBE
from rtemo.io.gateways.options import AudioHookOptions
from rtemo.io.pcm import encode_pcm
from tests.fakes.gateways import expected, gate, sound
from tests.fakes.zmq_ends import wait_until

client = pytest.importorskip("websockets.sync.client", reason="websockets is not installed: rtemo[telephony]")

pytestmark = pytest.mark.e2e

CALL = "6f1b3d8e-0000-4000-8000-000000000001"
BOTH = ["external", "internal"]
OFFERS = [
    {"type": "audio", "format": form, "channels": channels, "rate": 8000}
    for form in ("L16", "PCMU")
    for channels in (["internal"], BOTH)
]


class Genesys:
    """A client of AudioHook."""

    def __init__(self, port: int, call: str = CALL, participant: str = "p1", **headers: str) -> None:
        self.socket = client.connect(f"ws://127.0.0.1:{port}/hook", additional_headers=headers, compression=None)
        self.socket.__enter__()
        self.id = str(uuid.uuid4())
        self.seq = self.server_seq = 0
        self.call, self.participant = call, participant

    def say(self, kind: str, **parameters: Any) -> None:
        self.seq += 1
        message = {"version": "2", "id": self.id, "type": kind, "seq": self.seq, "serverseq": self.server_seq}
        self.socket.send(json.dumps({**message, "position": "PT0S", "parameters": parameters}))

    def hear(self) -> dict[str, Any]:
        message = json.loads(self.socket.recv(timeout=3.0))
        self.server_seq += 1
        assert (message["version"], message["id"]) == ("2", self.id)
        assert message["seq"] == self.server_seq
        return dict(message)

    def ask(self, kind: str, **parameters: Any) -> dict[str, Any]:
        self.say(kind, **parameters)
        answer = self.hear()
        assert answer["clientseq"] == self.seq
        return answer

    def open(self, offers: list[dict[str, Any]] = OFFERS) -> dict[str, Any]:
        who = {"id": self.participant, "ani": "", "aniName": "", "dnis": ""}
        return self.ask("open", organizationId="o", conversationId=self.call, participant=who, media=offers)

    def audio(self, voices: list[np.ndarray], codec: str = "mulaw", frame: int = 1600) -> None:
        for begin in range(0, len(voices[0]), frame):
            frames = np.stack([voice[begin : begin + frame] for voice in voices], axis=1)
            self.socket.send(encode_pcm(frames, codec))

    def close(self) -> None:
        assert self.ask("close", reason="end")["type"] == "closed"
        self.socket.close()


def hook(**changes: Any) -> Any:
    return gate(AudioHookSource, **{"unsigned": True, **changes})


@pytest.mark.parametrize(("form", "codec"), [("PCMU", "mulaw"), ("L16", "s16le")])
def test_customer_and_agent_arrive_to_the_sample_in_their_roles(form: str, codec: str) -> None:
    voices = [sound(1.0, seed=1), sound(1.0, seed=2)]
    with hook() as made:
        peer = Genesys(made.port)
        opened = peer.open([offer for offer in OFFERS if offer["format"] == form])
        assert opened["type"] == "opened"
        assert opened["parameters"]["media"] == [{"type": "audio", "format": form, "channels": BOTH, "rate": 8000}]
        peer.audio([voice[:4000] for voice in voices], codec)
        assert peer.ask("ping", rtt="PT0.1S")["type"] == "pong"
        assert peer.ask("update", language="en-US")["type"] == "updated"
        peer.audio([voice[4000:] for voice in voices], codec)
        peer.close()
        for channel, voice in zip(BOTH, voices, strict=True):
            writer = made.ended(CALL, channel)
            np.testing.assert_allclose(writer.samples, expected(voice, codec), atol=1e-6)
            assert (writer.end_reason, writer.lost_samples) == ("end", 0)
        roles = {channel: writer.role for (_, channel), writer in made.desk.writers.items()}
        assert roles == {"external": "customer", "internal": "agent"}
        assert not made.faults


def test_discarded_audio_is_a_hole_of_its_length_and_a_pause_is_none() -> None:
    voice = sound(0.8)
    with hook() as made:
        peer = Genesys(made.port)
        peer.open([OFFERS[2]])
        peer.audio([voice[:1600]])
        peer.say("discarded", start="PT0.2S", discarded="PT0.25S")
        peer.audio([voice[1600:3200]])
        peer.say("paused")
        peer.say("resumed", start="PT0.65S", discarded="PT3.5S")
        peer.audio([voice[3200:]])
        peer.close()
        writer = made.ended(CALL, "internal")
    assert writer.lost_samples == 4_000
    assert [length for _, length in writer.gaps] == [4_000]
    whole = expected(voice)
    assert len(writer.samples) == len(whole) + 4_000
    np.testing.assert_allclose(writer.samples[7_400:], whole[3_400:], atol=1e-6)


def test_probe_is_answered_and_opens_nothing() -> None:
    with hook() as made:
        peer = Genesys(made.port, PROBE, PROBE)
        assert peer.open()["type"] == "opened"
        peer.close()
        assert not made.desk.writers
        assert not made.faults


def test_session_that_breaks_off_goes_on_as_the_same_call_and_another_participant_is_another() -> None:
    voice = sound(0.4)
    with hook() as made:
        first = Genesys(made.port)
        first.open([OFFERS[2]])
        first.audio([voice[:1600]])
        other = Genesys(made.port, participant="p2")
        other.open([OFFERS[2]])
        assert wait_until(lambda: made.desk.writers[CALL, "internal"].position_samples > 3_000)
        first.socket.socket.shutdown(2)
        second = Genesys(made.port)
        second.open([OFFERS[2]])
        second.audio([voice[1600:]])
        second.close()
        writer = made.ended(CALL, "internal")
        assert set(made.desk.writers) == {(CALL, "internal"), (f"{CALL}.p2", "internal")}
    np.testing.assert_allclose(writer.samples[-2_000:], expected(voice)[-2_000:], atol=1e-6)


@pytest.mark.parametrize(
    ("messages", "told"),
    [
        (["hello"], "no JSON"),
        ([{"version": "2", "type": "open"}], "none of AudioHook"),
        ([{"version": "1", "type": "open", "id": "a", "seq": 1}], "version '1'"),
        ([{"version": "2", "type": "ping", "id": "a", "seq": 7}], "sent seq 7"),
        ([{"version": "2", "type": "ping", "id": "a", "seq": 1}], "'ping' before `open`"),
        ([b"\xff" * 320], "before `opened`"),
        ([{"version": "2", "type": "open", "id": "a", "seq": 1, "parameters": {}}], "'open' that cannot be read"),
    ],
)
def test_what_is_no_audiohook_is_closed_with_one_line_and_hurts_nobody(messages: list[Any], told: str) -> None:
    voice = sound()
    with hook() as made:
        good = Genesys(made.port)
        good.open([OFFERS[2]])
        with client.connect(f"ws://127.0.0.1:{made.port}/") as bad:
            for message in messages:
                bad.send(json.dumps(message) if isinstance(message, dict) else message)
            assert told in made.broken()
        assert len(made.faults) == 1
        good.audio([voice])
        good.close()
        np.testing.assert_allclose(made.ended(CALL, "internal").samples, expected(voice), atol=1e-6)


def test_offers_that_cannot_be_taken_are_answered_by_disconnect() -> None:
    with hook() as made:
        peer = Genesys(made.port)
        answer = peer.open([{"type": "audio", "format": "OPUS", "channels": BOTH, "rate": 48000}])
        assert (answer["type"], answer["parameters"]["reason"]) == ("disconnect", "error")
        assert "OPUS/48000" in answer["parameters"]["info"]
        assert "OPUS/48000" in made.broken()


def signed(port: int, secret: bytes, key: str = "key", nonce: str | None = None, age_s: int = 0) -> dict[str, str]:
    """Sign a handshake as the reference implementation does."""
    headers = {
        "Audiohook-Organization-Id": "o",
        "Audiohook-Session-Id": "s",
        "Audiohook-Correlation-Id": "c",
        "X-API-KEY": key,
    }
    parts = {"@request-target": "/hook", "@authority": f"127.0.0.1:{port}"}
    parts.update({name.lower(): value for name, value in headers.items()})
    nonce = nonce or base64.b64encode(uuid.uuid4().bytes + b"ab").decode()
    created = int(time.time()) - age_s
    names = " ".join(f'"{name}"' for name in parts)
    facts = f'({names});keyid="{key}";nonce="{nonce}";alg="hmac-sha256";created={created};expires={created + 30}'
    lines = [*(f'"{name}": {value}' for name, value in parts.items()), f'"@signature-params": {facts}']
    mac = base64.b64encode(hmac.digest(secret, "\n".join(lines).encode(), hashlib.sha256)).decode()
    return {**headers, "Signature-Input": f"sig1={facts}", "Signature": f"sig1=:{mac}:"}


def test_api_key_and_signature_are_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("http_message_signatures", reason="not installed: rtemo[audiohook]")
    secret = b"a secret of Genesys"
    monkeypatch.setenv("AUDIOHOOK_API_KEY", "key")
    monkeypatch.setenv("AUDIOHOOK_CLIENT_SECRET", base64.b64encode(secret).decode())
    with hook(unsigned=False) as made:
        refused = {
            "without the API key": {},
            "another API key": signed(made.port, secret, "other"),
            "does not hold": signed(made.port, b"another secret"),
            "signature that does": signed(made.port, secret, age_s=60),
            "that does not hold": {"X-API-KEY": "key"},
            "nonce is too short": signed(made.port, secret, nonce="short"),
        }
        for count, (told, headers) in enumerate(refused.items(), 1):
            with pytest.raises(Exception, match="403"):
                Genesys(made.port, **headers)
            assert told in made.broken(count)
        headers = signed(made.port, secret)
        peer = Genesys(made.port, **headers)
        assert peer.open()["type"] == "opened"
        with pytest.raises(Exception, match="403"):
            Genesys(made.port, **headers)
        assert "used before" in made.broken(len(refused) + 1)


def test_calls_without_a_key_are_taken_at_a_loopback_address_only(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AUDIOHOOK_API_KEY", raising=False)
    with pytest.raises(ConfigError, match="no API key"):
        AudioHookSource(AudioHookOptions(endpoint="tcp://127.0.0.1:0")).check()
    with pytest.raises(EndpointError, match="anybody's calls"):
        AudioHookSource(AudioHookOptions(endpoint="tcp://0.0.0.0:0", unsigned=True, insecure_plaintext=True)).check()
