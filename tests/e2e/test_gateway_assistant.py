"""What an assistant says in a call is heard by the caller of that call, over the gateway that brings him."""

import base64
import json
import socket
import threading
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

import rtemo
from rtemo.answering.options import VoiceOptions
from rtemo.answering.source import VoiceSource
from rtemo.api import ConfigError, Counters, Event, StreamEnd, StreamStart
from rtemo.config import Config
from rtemo.dsp.resample import resample
from rtemo.io.gateways.asterisk import AsteriskSource
from rtemo.io.gateways.audiosocket import AudioSocketSource
from rtemo.io.gateways.freeswitch import FreeSwitchSource
from rtemo.io.gateways.options import FreeSwitchOptions, TwilioOptions
from rtemo.io.gateways.twilio import TwilioSource
from rtemo.io.pcm import decode_pcm, encode_pcm
from tests.fakes.gateways import Gate, gate
from tests.fakes.zmq_ends import wait_until

pytest.importorskip("websockets", reason="websockets is not installed: rtemo[telephony]")

from tests.fakes.way_back import Facts, Peer, assert_alike, hand_out, played, start_twilio, tones

pytestmark = pytest.mark.e2e

CALL = Path(__file__).parents[2] / "examples" / "call.flac"
RATE_HZ = 8_000
CALLER = Facts("CA1", "inbound")
ASSISTANT = Facts("CA1", "assistant-1", "assistant", "timing", 2)


def tell(made: Gate, stream: Facts, reason: str) -> None:
    """Be the engine: tell that a stream of the assistant has begun and ended."""
    sink: Any = made.source.sink  # type: ignore[attr-defined]
    end = StreamEnd(reason=reason, duration_s=1.0, counters=Counters())
    start = StreamStart(source="voice", role=stream.role, analysis="timing")
    place: Any = {"call": stream.call, "channel": stream.channel, "plugin": "engine"}
    place |= {"seq": 1, "start_sample": 0, "end_sample": 0, "capture_ns": 0, "emit_ns": 0}
    sink.publisher.publish([Event(data=start, **place), Event(data=end, **place)])


def count(peer: Peer, event: str) -> int:
    return len([text for text in list(peer.texts) if json.loads(text)["event"] == event])


@contextmanager
def twilio(**changes: Any) -> Iterator[tuple[Gate, Peer]]:
    with gate(TwilioSource, unsigned=True, assistant_role="assistant", **changes) as made:
        peer = Peer(made.port)
        start_twilio(peer)
        assert wait_until(lambda: made.source.sink.wants(ASSISTANT))  # type: ignore[attr-defined]
        yield made, peer
        peer.close()


def test_caller_hears_the_assistant_of_his_call_to_the_last_sample_and_nobody_elses() -> None:
    said = tones(0.53)
    with twilio() as (made, peer):
        sink: Any = made.source.sink  # type: ignore[attr-defined]
        assert not sink.wants(CALLER)
        assert not sink.wants(Facts("CA2", "assistant-1", "assistant", "timing"))
        hand_out(made, {CALLER: tones(0.53)[::-1], ASSISTANT: said}, is_last=True)
        assert wait_until(lambda: len(played(peer)) == 27 * 160)  # the last message is filled up with silence
        assert_alike(played(peer)[: round(0.53 * RATE_HZ)], said, RATE_HZ, 30.0)
        tell(made, ASSISTANT, "end")
        hand_out(made, {CALLER: tones(0.2)})
        assert count(peer, "clear") == 0
        assert len(played(peer)) == 27 * 160


def test_caller_hears_himself_until_the_assistant_speaks_and_then_again() -> None:
    own, said = tones(0.4), tones(0.8)[::-1].copy()
    before = 19 * 160
    with twilio(enhanced=True) as (made, peer):
        hand_out(made, {CALLER: own})
        assert wait_until(lambda: len(played(peer)) == before)  # the filter holds a part of the last
        hand_out(made, {ASSISTANT: said, CALLER: tones(0.8)})
        assert wait_until(lambda: len(played(peer)) >= before + 0.76 * RATE_HZ)
        assert_alike(played(peer)[before:], said, RATE_HZ, 30.0)
        tell(made, ASSISTANT, "interrupted")
        assert wait_until(lambda: (hand_out(made, {CALLER: tones(0.02)}), count(peer, "clear"))[1] == 1)
        after = len(played(peer))
        hand_out(made, {ASSISTANT: said, CALLER: own})
        assert wait_until(lambda: len(played(peer)) >= after + 0.36 * RATE_HZ)
        assert count(peer, "clear") == 1
        at = after + round(0.1 * RATE_HZ)
        heard = played(peer)[at : at + 800]
        mine = np.correlate(resample(own, 16_000, RATE_HZ), heard, "valid").max()
        assert mine > 0.9 * np.sqrt(np.sum(heard**2) * np.sum(heard**2))


def test_of_two_assistants_in_a_call_the_first_is_heard_until_it_ends() -> None:
    other = Facts("CA1", "assistant-2", "assistant", "timing", 3)
    first, second = tones(0.4), tones(0.4)[::-1].copy()
    with twilio() as (made, peer):
        hand_out(made, {ASSISTANT: first, other: second})
        assert wait_until(lambda: len(played(peer)) >= 0.36 * RATE_HZ)
        assert_alike(played(peer), first, RATE_HZ, 30.0)
        hand_out(made, {ASSISTANT: first[:160]}, is_last=True)
        before = len(played(peer))
        hand_out(made, {other: second})
        assert wait_until(lambda: len(played(peer)) >= before + 0.36 * RATE_HZ)


@pytest.mark.parametrize("kind", [0x10, 0x12])
def test_asterisk_plays_the_assistant_over_audiosocket(kind: int) -> None:
    call, said = uuid.uuid4(), tones(0.4)
    rate_hz = {0x10: 8_000, 0x12: 16_000}[kind]
    with gate(AudioSocketSource, assistant_role="assistant") as made:
        peer = socket.create_connection(("127.0.0.1", made.port))
        peer.sendall(b"\x01\x00\x10" + call.bytes + bytes([kind]) + (rate_hz // 25).to_bytes(2) + bytes(rate_hz // 25))
        voice = Facts(str(call), "assistant-1", "assistant", "timing")
        assert wait_until(lambda: made.source.sink.wants(voice))  # type: ignore[attr-defined]
        hand_out(made, {voice: said}, is_last=True)
        with peer.makefile("rb") as file:
            frames = [file.read(3 + rate_hz // 25)[3:] for _ in range(20)]
        peer.close()
    assert_alike(decode_pcm(b"".join(frames), "s16le"), said, rate_hz, 40.0)


def test_freeswitch_and_asterisk_hear_it_and_only_asterisk_can_be_told_to_forget_it() -> None:
    said = tones(0.4)
    voice = Facts("b1", "assistant-1", "assistant", "timing")
    with gate(FreeSwitchSource, assistant_role="assistant") as made:
        peer = Peer(made.port, "b1?rate=16000&channels=2")
        assert wait_until(lambda: made.source.sink.wants(voice))  # type: ignore[attr-defined]
        hand_out(made, {voice: said, Facts("b1", "1", "agent", "timing"): tones(0.4)})
        assert wait_until(lambda: len(peer.audio) >= 2 * 16_000 * 0.38)
        assert_alike(decode_pcm(bytes(peer.audio), "s16le"), said, 16_000, 40.0)
        peer.close()
    with gate(AsteriskSource, assistant_role="assistant") as made:
        both = [Peer(made.port, f"?call=b1&party={party}") for party in (1, 0)]
        for number, peer in enumerate(both):
            peer.socket.send(f"MEDIA_START channel_id:{number} format:slin16 optimal_frame_size:640")
            peer.socket.send(bytes(640))
        agent, peer = both
        assert wait_until(lambda: made.source.sink.wants(voice))  # type: ignore[attr-defined]
        hand_out(made, {voice: said})
        assert wait_until(lambda: len(peer.audio) >= 2 * 16_000 * 0.38)
        assert_alike(decode_pcm(bytes(peer.audio), "s16le"), said, 16_000, 40.0)
        tell(made, voice, "interrupted")
        hand_out(made, {voice: said})
        assert wait_until(lambda: peer.texts == ["FLUSH_MEDIA"])
        assert len(peer.audio) == 2 * 16_000 * 0.4
        assert not agent.audio
        assert not agent.texts
        for one in both:
            one.close()


def test_role_of_a_party_is_not_that_of_the_assistant() -> None:
    with pytest.raises(ConfigError, match="also the role of a party that it brings"):
        FreeSwitchSource(FreeSwitchOptions(assistant_role="Agent"))
    assert TwilioSource(TwilioOptions(unsigned=True)).sink is None


class Line:
    """A caller on a line of Twilio, in real time: speech when told so, silence otherwise."""

    def __init__(self, peer: Peer) -> None:
        self._peer = peer
        self._speech: NDArray[np.float32] = np.zeros(0, np.float32)
        self._is_over = False
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def speak(self, begin_s: float, end_s: float) -> None:
        audio, rate_hz = soundfile.read(CALL, dtype="float32", always_2d=True)
        part = audio[round(begin_s * rate_hz) : round(end_s * rate_hz), 0]
        self._speech = resample(np.ascontiguousarray(part), rate_hz, RATE_HZ)

    def _run(self) -> None:
        due_s = time.monotonic()
        number = 0
        while not self._is_over:
            part, self._speech = self._speech[:160], self._speech[160:]
            part = np.pad(part, (0, 160 - len(part)))
            number += 1
            payload = base64.b64encode(encode_pcm(part, "mulaw")).decode()
            media = {"track": "inbound", "chunk": number + 1, "timestamp": 20 * number, "payload": payload}
            self._peer.socket.send(json.dumps({"event": "media", "media": media}))
            due_s += 0.02
            time.sleep(max(0.0, due_s - time.monotonic()))

    def hang_up(self) -> None:
        self._is_over = True
        self._thread.join()


def talking(duration_s: float) -> Callable[[str, str], Iterator[NDArray[np.float32]]]:
    """A voice that makes tones of every text, a fifth of a second at a time."""
    sound = tones(duration_s)
    return lambda text, emotion: iter(np.split(sound, range(3_200, len(sound), 3_200)))


def test_voice_answers_a_caller_of_twilio_who_hears_it_and_stops_it_by_speaking() -> None:
    gateway = TwilioSource(TwilioOptions(endpoint="tcp://127.0.0.1:0", unsigned=True, assistant_role="assistant"))
    voice = VoiceSource(VoiceOptions(answers={"*": "I see."}), talking(8.0))
    config = Config(chain=("level", "vad", "merit"))
    with rtemo.Session(config, sources=[gateway, voice]) as session:
        assert gateway.endpoint is not None
        peer = Peer(gateway.endpoint.port)
        start_twilio(peer)
        line = Line(peer)
        line.speak(5.0, 9.0)
        assert wait_until(lambda: count(peer, "media") > 50, 20.0), session.health()
        assert count(peer, "clear") == 0
        line.speak(12.0, 16.0)
        assert wait_until(lambda: count(peer, "clear") == 1, 10.0)
        heard = played(peer)
        time.sleep(0.3)
        assert len(played(peer)) == len(heard)
        kinds = [json.loads(text)["event"] for text in peer.texts]
        assert kinds[-1] == "clear"
        line.hang_up()
        peer.close()
    assert RATE_HZ < len(heard) < 7.5 * RATE_HZ
    said = resample(tones(8.0), 16_000, RATE_HZ)
    error = heard[:RATE_HZ] - said[:RATE_HZ]
    assert 10 * np.log10(np.sum(said[:RATE_HZ] ** 2) / np.sum(error**2)) > 25.0
