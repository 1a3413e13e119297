"""FreeSwitchSource over real WebSockets: calls as mod_audio_fork sends them."""

import json
from typing import Any

import numpy as np
import pytest

from rtemo.io.gateways.freeswitch import FreeSwitchSource
from rtemo.io.pcm import encode_pcm
from tests.fakes.gateways import expected, gate, sound
from tests.fakes.zmq_ends import wait_until

client = pytest.importorskip("websockets.sync.client", reason="websockets is not installed: rtemo[telephony]")

pytestmark = pytest.mark.e2e


def fork(port: int, path: str, **options: Any) -> Any:
    return client.connect(f"ws://127.0.0.1:{port}/{path}", compression=None, **options)


@pytest.mark.parametrize("rate_hz", [8_000, 16_000])
def test_both_legs_arrive_to_the_sample_in_their_roles(rate_hz: int) -> None:
    voices = [sound(rate_hz=rate_hz, seed=seed) for seed in (1, 2)]
    frames = np.stack(voices, axis=1)
    with gate(FreeSwitchSource) as made:
        with fork(made.port, f"a/b1?rate={rate_hz}&channels=2", subprotocols=["audio.drachtio.org"]) as peer:
            assert peer.subprotocol == "audio.drachtio.org"
            peer.send(json.dumps({"anything": 1}))
            for begin in range(0, len(frames), rate_hz // 50):
                peer.send(encode_pcm(frames[begin : begin + rate_hz // 50], "s16le"))
        for channel, voice in enumerate(voices):
            writer = made.ended("b1", str(channel))
            np.testing.assert_allclose(writer.samples, expected(voice, "s16le", rate_hz), atol=1e-6)
            assert (writer.role, writer.end_reason) == (("caller", "agent")[channel], "end")
        assert not made.faults


@pytest.mark.parametrize(
    ("path", "data", "told"),
    [
        ("", b"", "without the name"),
        ("c?rate=7", b"", "rate='7'"),
        ("c?channels=9", b"", "channels='9'"),
        ("c", b"abc", "whole samples"),
        ("c", bytes(16_002), "a second at most"),
        ("%00", b"", "as a name"),
    ],
)
def test_what_is_no_audio_is_closed_with_one_line_and_hurts_nobody(path: str, data: bytes, told: str) -> None:
    with gate(FreeSwitchSource) as made, fork(made.port, "good") as good:
        good.send(bytes(320))
        assert wait_until(lambda: made.desk.writers)
        with fork(made.port, path) as bad:
            if data:
                bad.send(data)
            assert told in made.broken()
        good.send(bytes(320))
        good.close()
        assert len(made.ended("good", "0").samples) == 640
        assert len(made.faults) == 1


def test_call_whose_connection_breaks_is_taken_up_again() -> None:
    voice = sound()
    with gate(FreeSwitchSource) as made:
        with fork(made.port, "b1") as first:
            first.send(encode_pcm(voice[:1600], "s16le"))
            assert wait_until(lambda: made.desk.writers and made.desk.only().position_samples > 3_000)
            first.socket.shutdown(2)
        with fork(made.port, "b1") as second:
            second.send(encode_pcm(voice[1600:], "s16le"))
        writer = made.ended("b1", "0")
    np.testing.assert_allclose(writer.samples[-2_000:], expected(voice, "s16le")[-2_000:], atol=1e-6)
