"""AsteriskSource over real WebSockets: channels as chan_websocket of Asterisk brings them, in both its forms."""

import contextlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from rtemo.io.gateways.asterisk import AsteriskSource
from rtemo.io.pcm import encode_pcm
from tests.fakes.gateways import expected, gate, sound
from tests.fakes.zmq_ends import wait_until

ConnectionClosed = pytest.importorskip("websockets.exceptions").ConnectionClosed
client = pytest.importorskip("websockets.sync.client", reason="websockets is not installed: rtemo[telephony]")

pytestmark = pytest.mark.e2e

PLAIN = (  # as _create_event_MEDIA_START of channels/chan_websocket.c writes it
    "MEDIA_START connection_id:media_connection1 channel:WebSocket/media_connection1/0x7f0c4c0b5d10 "
    "channel_id:1764619200.7 format:{} optimal_frame_size:{} ptime:20"
)


@contextmanager
def channel(
    port: int, query: str = "", format: str = "ulaw", size: int = 160, *, is_json: bool = False
) -> Iterator[Any]:
    """Connect as Asterisk does, and say what the channel is."""
    with client.connect(f"ws://127.0.0.1:{port}/{query}", compression=None, subprotocols=["media"]) as peer:
        assert peer.subprotocol == "media"
        peer.send(json_start(format, size) if is_json else PLAIN.format(format, size))
        yield peer


def json_start(format: str, size: int) -> str:
    facts = {"connection_id": "media_connection1", "channel": "WebSocket/m/0x7f", "channel_id": "1764619200.7"}
    variables = {"MEDIA_WEBSOCKET_OPTIMAL_FRAME_SIZE": str(size)}
    start = {**facts, "format": format, "optimal_frame_size": size, "ptime": 20, "channel_variables": variables}
    return json.dumps({"event": "MEDIA_START", **start}, separators=(",", ":"))


@pytest.mark.parametrize("is_json", [False, True])
@pytest.mark.parametrize(
    ("format", "codec", "rate_hz"),
    [("ulaw", "mulaw", 8_000), ("alaw", "alaw", 8_000), ("slin", "s16le", 8_000), ("slin16", "s16le", 16_000)],
)
def test_channel_arrives_to_the_sample_in_every_format(format: str, codec: str, rate_hz: int, is_json: bool) -> None:
    voice = sound(rate_hz=rate_hz)
    data = encode_pcm(voice, codec)
    size = len(data) // 20
    with gate(AsteriskSource) as made:
        with channel(made.port, format=format, size=size, is_json=is_json) as peer:
            for begin in range(0, len(data), size):
                peer.send(data[begin : begin + size])
            end = {"event": "DTMF_END", "channel_id": "1764619200.7", "digit": "5"}
            peer.send(json.dumps(end) if is_json else "DTMF_END digit:5 channel_id:1764619200.7")
        writer = made.ended("1764619200.7", "0")
        np.testing.assert_allclose(writer.samples, expected(voice, codec, rate_hz), atol=1e-6)
        assert (writer.role, writer.end_reason, writer.lost_samples) == ("caller", "end", 0)
        assert not made.faults


def test_two_channels_of_a_call_meet_in_it_in_their_roles() -> None:
    voices = [sound(seed=seed) for seed in (1, 2)]
    with gate(AsteriskSource) as made:
        for party, voice in enumerate(voices):
            with channel(made.port, f"?call=1764619200.1&party={party}") as peer:
                peer.send(encode_pcm(voice, "mulaw"))
        for party, voice in enumerate(voices):
            writer = made.ended("1764619200.1", str(party))
            np.testing.assert_allclose(writer.samples, expected(voice), atol=1e-6)
            assert writer.role == ("caller", "agent")[party]


@pytest.mark.parametrize("queued", ["9" * 400, "9" * 5_000, "-1", "many", "\u0663"])
def test_queue_of_an_absurd_length_costs_no_call(queued: str) -> None:
    with gate(AsteriskSource, enhanced=True) as made, channel(made.port) as peer:
        peer.send(f"STATUS queue_length:{queued}")
        peer.send(bytes(160))
        peer.close()
        assert len(made.ended("1764619200.7", "0").samples) == 320
        assert not made.faults


def test_error_of_asterisk_is_told_and_the_call_goes_on() -> None:
    with gate(AsteriskSource) as made, channel(made.port) as peer:
        peer.send("ERROR channel_id:1764619200.7 error_text:GET_STATUS not supported in passthrough mode")
        assert wait_until(lambda: made.faults)
        assert "GET_STATUS not supported in passthrough mode" in made.faults[0]
        peer.send(bytes(160))
        peer.close()
        assert len(made.ended("1764619200.7", "0").samples) == 320


@pytest.mark.parametrize(
    ("query", "messages", "told"),
    [
        ("?party=2", [PLAIN.format("ulaw", 160)], "party='2'"),
        ("", [bytes(160)], "before MEDIA_START"),
        ("", [PLAIN.format("opus", 0)], "format 'opus'"),
        ("", [PLAIN.format("slin", 0), b"abc"], "whole samples"),
        ("", [PLAIN.format("ulaw", 160), bytes(8_001)], "a second at most"),
        ("", [PLAIN.format("ulaw", 99_999)], "frames of 99999 bytes"),
        ("", [PLAIN.format("ulaw", 160), PLAIN.format("ulaw", 160)], "second MEDIA_START"),
        ("", ["MEDIA_START format:ulaw"], "without the id"),
        ("", ['{"event": "MEDIA_START"'], "no JSON"),
        ("", ["{" * 50_000], "no JSON"),
        ("", ['{"command": 3}'], "without an `event`"),
        ("?call=%00", [PLAIN.format("ulaw", 160)], "as a name"),
    ],
)
def test_what_is_no_channel_is_closed_with_one_line_and_hurts_nobody(
    query: str, messages: list[Any], told: str
) -> None:
    with gate(AsteriskSource) as made, channel(made.port, "?call=good") as good:
        good.send(bytes(160))
        assert wait_until(lambda: made.desk.writers)
        with client.connect(f"ws://127.0.0.1:{made.port}/{query}", compression=None) as bad:
            with contextlib.suppress(ConnectionClosed):
                for message in messages:  # it may be closed before the last
                    bad.send(message)
            assert told in made.broken()
        good.send(bytes(160))
        good.close()
        assert len(made.ended("good", "0").samples) == 640
        assert len(made.faults) == 1


def test_channel_that_says_nothing_is_closed_and_one_that_breaks_is_taken_up_again() -> None:
    voice = sound()
    with gate(AsteriskSource, hello_s=0.4) as made:
        with client.connect(f"ws://127.0.0.1:{made.port}/", compression=None):
            assert "has not begun a call" in made.broken()
        with channel(made.port, "?call=c1") as first:
            first.send(encode_pcm(voice[:1600], "mulaw"))
            assert wait_until(lambda: made.desk.writers and made.desk.only().position_samples > 3_000)
            first.socket.shutdown(2)
        with channel(made.port, "?call=c1") as second:
            second.send(encode_pcm(voice[1600:], "mulaw"))
        writer = made.ended("c1", "0")
    np.testing.assert_allclose(writer.samples[-2_000:], expected(voice)[-2_000:], atol=1e-6)
