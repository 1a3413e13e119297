"""Processed audio on its way back over the connections that brought it, at every gateway whose protocol has a way."""

import base64
import json
import socket
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import rtemo
from rtemo.config import Config
from rtemo.io.gateways.asterisk import AsteriskSource
from rtemo.io.gateways.audiosocket import AudioSocketSource
from rtemo.io.gateways.freeswitch import FreeSwitchSource
from rtemo.io.gateways.options import TwilioOptions
from rtemo.io.gateways.twilio import TwilioSource
from rtemo.io.pcm import decode_pcm, encode_pcm
from tests.fakes.gateways import Gate, gate
from tests.fakes.zmq_ends import wait_until

pytest.importorskip("websockets", reason="websockets is not installed: rtemo[telephony]")

from tests.fakes.way_back import Facts, Peer, assert_alike, hand_out, played, start_twilio, tones

pytestmark = pytest.mark.e2e


@contextmanager
def twilio(answer: Callable[[Peer, str], None] | None = None, **changes: Any) -> Iterator[tuple[Gate, Peer]]:
    with gate(TwilioSource, unsigned=True, enhanced=True, **changes) as made:
        peer = Peer(made.port, answer=answer)
        start_twilio(peer)
        assert wait_until(lambda: made.source.sink.wants(Facts("CA1", "inbound")))  # type: ignore[attr-defined]
        yield made, peer
        peer.close()


def test_twilio_plays_the_processed_audio_and_is_asked_each_second_how_far_it_is() -> None:
    said = tones(2.5)
    with twilio() as (made, peer):
        hand_out(made, {Facts("CA1", "inbound"): said})
        assert wait_until(lambda: len(played(peer)) >= 8_000 * 2.46)
        assert_alike(played(peer), said, 8_000, 30.0)
        marks = [json.loads(text) for text in peer.texts if '"mark"' in text]
        assert [mark["mark"]["name"] for mark in marks] == ["rtemo-8000", "rtemo-16000"]
        assert not made.faults


def test_twilio_that_plays_too_slowly_is_cleared_and_one_that_sends_no_marks_is_not() -> None:
    def answer_the_first(peer: Peer, text: str) -> None:
        if "rtemo-8000" in text:
            peer.socket.send(text)

    for answer, cleared in ((answer_the_first, 1), (None, 0)):
        with twilio(answer) as (made, peer):
            hand_out(made, {Facts("CA1", "inbound"): tones(1.2)})
            time.sleep(0.2)  # the mark comes back
            hand_out(made, {Facts("CA1", "inbound"): tones(4.5)})
            assert wait_until(lambda peer=peer: len(played(peer)) >= 8_000 * 5.5)
            assert len([text for text in peer.texts if '"clear"' in text]) == cleared


def test_only_who_may_be_analysed_hears_himself_again() -> None:
    with twilio() as (made, peer):
        sink: Any = made.source.sink  # type: ignore[attr-defined]
        assert not sink.wants(Facts("CA1", "inbound", analysis="timing"))
        assert not sink.wants(Facts("CA2", "inbound"))
        hand_out(made, {Facts("CA1", "inbound", analysis="timing"): tones(0.3), Facts("CA2", "inbound"): tones(0.3)})
        time.sleep(0.2)
        assert not peer.texts


def test_nothing_goes_back_when_nobody_asks_for_it_or_the_stream_has_one_way() -> None:
    with gate(TwilioSource, unsigned=True) as made:
        assert made.source.sink is None  # type: ignore[attr-defined]
    with gate(TwilioSource, unsigned=True, enhanced=True) as made:
        peer = Peer(made.port)
        start_twilio(peer, tracks=("inbound", "outbound"))
        assert wait_until(lambda: made.faults)
        assert "use <Connect><Stream>" in made.faults[0]
        assert not made.source.sink.wants(Facts("CA1", "inbound"))  # type: ignore[attr-defined]
        peer.close()


def test_peer_that_goes_leaves_no_way_back_and_the_next_one_has_its_own() -> None:
    with gate(TwilioSource, unsigned=True, enhanced=True, resume_s=5.0) as made:
        sink: Any = made.source.sink  # type: ignore[attr-defined]
        first = Peer(made.port)
        start_twilio(first)
        assert wait_until(lambda: sink.wants(Facts("CA1", "inbound")))
        first.socket.socket.shutdown(socket.SHUT_RDWR)
        assert wait_until(lambda: not sink.wants(Facts("CA1", "inbound")))
        second = Peer(made.port)
        start_twilio(second)
        assert wait_until(lambda: sink.wants(Facts("CA1", "inbound")))
        hand_out(made, {Facts("CA1", "inbound"): tones(0.5)})
        assert wait_until(lambda: len(played(second)) >= 8_000 * 0.46)
        assert not first.texts
        second.close()


def test_peer_that_does_not_read_misses_audio_and_keeps_its_call() -> None:
    with gate(AudioSocketSource, enhanced=True) as made:
        call = uuid.uuid4()
        with socket.socket() as peer:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
            peer.connect(("127.0.0.1", made.port))
            peer.sendall(b"\x01\x00\x10" + call.bytes + b"\x17\x0f\x00" + bytes(3_840))
            facts = Facts(str(call), "caller")
            sink: Any = made.source.sink  # type: ignore[attr-defined]
            assert wait_until(lambda: sink.wants(facts))
            for _ in range(20):
                hand_out(made, {facts: tones(2.0)})
                if sink.overrun_samples:
                    break
            assert sink.overrun_samples > 0
            peer.sendall(b"\x17\x0f\x00" + bytes(3_840) + b"\x00\x00\x00")
            assert made.ended(str(call), "caller").end_reason == "end"
            assert not made.faults


@pytest.mark.parametrize(("kind", "rate_hz"), [(0x10, 8_000), (0x12, 16_000), (0x16, 48_000)])
def test_asterisk_hears_it_in_frames_of_the_kind_that_it_sends(kind: int, rate_hz: int) -> None:
    said, call = tones(0.5), uuid.uuid4()
    with gate(AudioSocketSource, enhanced=True) as made:
        peer = socket.create_connection(("127.0.0.1", made.port))
        frame = bytes([kind]) + (rate_hz // 25).to_bytes(2) + bytes(rate_hz // 25)
        peer.sendall(b"\x01\x00\x10" + call.bytes + frame)
        facts = Facts(str(call), "caller")
        assert wait_until(lambda: made.source.sink.wants(facts))  # type: ignore[attr-defined]
        hand_out(made, {facts: said})
        heard = b""
        with peer.makefile("rb") as file:
            while len(heard) < 2 * rate_hz * 0.46:
                got, length = file.read(1)[0], int.from_bytes(file.read(2))
                assert (got, length) == (kind, rate_hz // 25)
                heard += file.read(length)
        peer.close()
    assert_alike(decode_pcm(heard, "s16le"), said, rate_hz, 40.0)


@pytest.mark.parametrize("rate_hz", [8_000, 16_000])
def test_freeswitch_hears_the_first_party_as_binary_messages(rate_hz: int) -> None:
    said = tones(0.5)
    with gate(FreeSwitchSource, enhanced=True) as made:
        peer = Peer(made.port, f"b1?rate={rate_hz}&channels=2")
        assert wait_until(lambda: made.source.sink.wants(Facts("b1", "0")))  # type: ignore[attr-defined]
        hand_out(made, {Facts("b1", "0"): said, Facts("b1", "1", "agent", "timing"): tones(0.5)})
        assert wait_until(lambda: len(peer.audio) >= 2 * rate_hz * 0.46)
        assert_alike(decode_pcm(bytes(peer.audio), "s16le"), said, rate_hz, 40.0)
        assert not peer.texts
        peer.close()


@pytest.mark.parametrize("is_json", [False, True])
def test_asterisk_is_not_sent_more_than_it_can_queue(is_json: bool) -> None:
    channel = Asterisk(is_json)
    with gate(AsteriskSource, enhanced=True) as made:
        peer = Peer(made.port, "?call=c1", channel.answer)
        channel.start(peer)
        facts = Facts("c1", "0")
        sink: Any = made.source.sink  # type: ignore[attr-defined]
        assert wait_until(lambda: sink.wants(facts))
        hand_out(made, {facts: tones(1.2)})
        assert wait_until(lambda: len(peer.audio) == 640 * 60)  # 20 ms each; at 16 kHz no filter holds any back
        assert_alike(decode_pcm(bytes(peer.audio), "s16le"), tones(1.2), 16_000, 40.0)
        assert wait_until(lambda: channel.commands == ["GET_STATUS"])
        channel.queue_length = 70
        hand_out(made, {facts: tones(1.0)})
        assert wait_until(lambda: channel.commands == ["GET_STATUS", "GET_STATUS", "FLUSH_MEDIA"])
        assert wait_until(lambda: len(peer.audio) == 640 * 110)
        channel.say(peer, "MEDIA_XOFF")  # behind the start, a frame and two answers
        assert wait_until(lambda: made.source.counts.messages == 5)
        size = len(peer.audio)
        hand_out(made, {facts: tones(0.5)})
        assert wait_until(lambda: sink.overrun_samples >= 7_000)
        assert len(peer.audio) == size
        channel.say(peer, "MEDIA_XON")
        assert wait_until(lambda: made.source.counts.messages == 6)
        hand_out(made, {facts: tones(0.1)})
        assert wait_until(lambda: len(peer.audio) > size)
        peer.close()


class Asterisk:
    """The channel driver's side of the control messages."""

    def __init__(self, is_json: bool) -> None:
        self.is_json = is_json
        self.queue_length = 3
        self.commands: list[str] = []

    def start(self, peer: Peer) -> None:
        self.say(peer, "MEDIA_START", connection_id="media", format="slin16", optimal_frame_size=640)
        peer.socket.send(bytes(640))

    def say(self, peer: Peer, event: str, **facts: Any) -> None:
        facts = {"channel_id": "1764619200.7", **facts}
        if self.is_json:
            peer.socket.send(json.dumps({"event": event, **facts}))
        else:
            peer.socket.send(" ".join([event, *(f"{key}:{value}" for key, value in facts.items())]))

    def answer(self, peer: Peer, text: str) -> None:
        command = json.loads(text)["command"] if self.is_json else text
        self.commands.append(command)
        if command == "GET_STATUS":
            self.say(peer, "STATUS", queue_length=self.queue_length, xoff_level=900)


def test_caller_hears_himself_through_the_engine_and_the_agent_nobody() -> None:
    source = TwilioSource(TwilioOptions(endpoint="tcp://127.0.0.1:0", unsigned=True, enhanced=True))
    said = tones(1.5, 8_000)
    with rtemo.Session(Config(chain=("level",)), sources=[source]):
        assert source.endpoint is not None
        peer = Peer(source.endpoint.port)
        start_twilio(peer)
        until_s = time.monotonic()
        for number, begin in enumerate(range(0, len(said), 160), 1):
            payload = base64.b64encode(encode_pcm(said[begin : begin + 160], "mulaw")).decode()
            media = {"track": "inbound", "chunk": number + 1, "timestamp": 20 * number, "payload": payload}
            peer.socket.send(json.dumps({"event": "media", "media": media}))
            until_s += 0.02
            time.sleep(max(0.0, until_s - time.monotonic()))
        assert wait_until(lambda: len(played(peer)) >= 8_000)
        heard = played(peer)
        peer.close()
    said = decode_pcm(encode_pcm(said, "mulaw"), "mulaw")
    lag = (
        int(np.argmax(np.correlate(heard, said[4_000:6_000], "valid"))) - 4_000
    )  # the ring's first samples, the filter
    assert 0 <= lag < 800
    part = heard[lag + 4_000 : lag + 6_000]
    assert 10 * np.log10(np.sum(said[4_000:6_000] ** 2) / np.sum((part - said[4_000:6_000]) ** 2)) > 25.0
