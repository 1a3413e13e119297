"""RelayStream: what one party of a gateway's call asks of a front, and what it makes of the answers."""

import asyncio
import time
from typing import Any

import pytest

from rtemo.api import AudioInputError, CapacityError, Fault, NameTakenError, Payload, PolicyError, RtemoError
from rtemo.io.audio_wire import (
    MAGIC,
    Alive,
    AudioPacket,
    Credit,
    End,
    Ended,
    Error,
    Opened,
    Refused,
    decode_packet,
    decode_request,
)
from rtemo.io.gateways.relay_stream import RelayStream
from rtemo.io.relay_wire import OwnOpen, decode_relayed

pytestmark = pytest.mark.unit

ORIGIN = 1 << 40
WINDOW_BYTES = 6_400


class Rig:
    """A stream whose front is a list."""

    def __init__(self, reorder_s: float = 0.04) -> None:
        self.posted: list[bytes] = []
        self.told: list[Payload] = []
        self.now_s = time.monotonic()
        request = OwnOpen(call="a", channel="0", role="caller", source="twilio", reorder_s=reorder_s)
        self.stream = RelayStream(self.posted.append, self.told.append, request)

    def opening(self) -> OwnOpen:
        request = decode_relayed(self.posted.pop())
        assert isinstance(request, OwnOpen)
        return request

    def hear(self, response: Any) -> None:
        self.stream.hear(response, self.now_s)

    def open(self, answer: Any = None, rate_hz: int = 8_000) -> None:
        async def run() -> None:
            asyncio.get_running_loop().call_soon(self.hear, answer or Opened("a", "0", WINDOW_BYTES, "one"))
            await self.stream.open(rate_hz, 0.04, 1.5)

        asyncio.run(run())
        self.now_s = time.monotonic()

    def take(self, number: int, decode: Any = None, payload: bytes = bytes(160)) -> None:
        packet = AudioPacket(b"", "mulaw", 8_000, number, 160 * number, 0, 160, memoryview(payload), decode)
        self.stream.take(packet, self.now_s, 0)

    @property
    def passed(self) -> list[int]:
        return [decode_packet(message).sequence for message in self.posted if message[:4] == MAGIC]


def ended(reason: str, received_samples: int = 0) -> Ended:
    return Ended(
        call="a",
        channel="0",
        reason=reason,
        received_samples=received_samples,
        lost_samples=0,
        late_packets=0,
        duplicate_packets=0,
        over_credit_packets=0,
    )


def test_what_is_asked_names_source_rate_and_times_and_packets_keep_their_numbers() -> None:
    rig = Rig()
    rig.open()
    request = rig.opening()
    assert (request.source, request.role, request.sample_rate_hz) == ("twilio", "caller", 8_000)
    assert (request.reorder_s, request.lost_s, request.from_sample) == (0.04, 1.5, None)
    rig.take(7)
    packet = decode_packet(rig.posted[-1])
    assert (packet.sequence, packet.start_sample, packet.codec, packet.count_samples) == (
        7,
        ORIGIN + 1_120,
        "mulaw",
        160,
    )


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("policy", PolicyError),
        ("in_use", NameTakenError),
        ("capacity", CapacityError),
        ("bad_request", RtemoError),
    ],
)
def test_refusals_are_those_that_the_engine_would_have_raised_and_nothing_is_left_to_say(code: str, kind: type) -> None:
    rig = Rig()
    with pytest.raises(kind, match="for a reason") as caught:
        rig.open(Refused("a", "0", code, "for a reason", "do this"))
    assert type(caught.value) is kind
    assert rig.stream.is_over
    assert len(rig.posted) == 1


def test_rate_that_no_packet_can_have_is_refused_before_anything_is_asked() -> None:
    rig = Rig()
    with pytest.raises(AudioInputError, match="22000 Hz"):
        rig.open(rate_hz=22_000)
    assert rig.posted == []


def test_what_exceeds_the_credit_is_left_out_and_counted_and_more_goes_on_when_it_comes() -> None:
    rig = Rig()
    rig.open()
    for number in range(60):
        rig.take(number)
    assert rig.passed == list(range(40))
    assert rig.stream.left_out_packets == 20
    rig.hear(Credit("a", "0", 2 * WINDOW_BYTES, WINDOW_BYTES))
    rig.take(60)
    assert rig.passed[-1] == 60


def test_stream_whose_worker_is_lost_is_asked_for_again_from_where_all_had_arrived() -> None:
    rig = Rig()
    rig.open()
    for number in range(10):
        rig.take(number)
    rig.hear(Credit("a", "0", 2 * WINDOW_BYTES, 6 * 160))
    rig.hear(ended("source closed"))
    rig.posted.clear()
    rig.now_s += 1.0
    rig.take(10)
    assert rig.opening().from_sample == ORIGIN + 960
    assert rig.passed == []
    rig.hear(Refused("a", "0", "draining", "no worker", "come again"))
    rig.take(11)
    assert not rig.posted, "it does not ask at every packet"
    rig.now_s += 1.0
    rig.take(12)
    assert rig.opening().from_sample == ORIGIN + 960
    rig.hear(Opened("a", "0", WINDOW_BYTES, "two"))
    rig.take(13)
    assert rig.passed == [13]
    assert not rig.stream.is_closed


def test_pause_before_a_worker_was_lost_is_no_loss() -> None:
    rig = Rig()
    rig.open()
    rig.take(0)
    rig.hear(Credit("a", "0", 2 * WINDOW_BYTES, 160))
    rig.hear(ended("source closed"))
    rig.posted.clear()
    rig.now_s += 60.0
    rig.take(3_000)
    assert rig.opening().from_sample == ORIGIN + 480_000


def test_stream_that_the_policy_does_not_let_go_on_is_closed_and_told() -> None:
    rig = Rig()
    rig.open()
    rig.hear(ended("source closed"))
    rig.hear(Refused("a", "0", "policy", "not as this role", ""))
    assert rig.stream.is_closed
    (fault,) = rig.told
    assert isinstance(fault, Fault)
    assert fault.problem == "call 'a' channel '0' does not go on elsewhere: not as this role"


def test_end_is_said_until_it_is_heard_and_what_the_worker_ends_is_closed() -> None:
    rig = Rig()
    rig.open()
    rig.stream.end("hung up")
    for _ in range(2):
        assert decode_request(rig.posted.pop()) == End(call="a", channel="0", reason="hung up")
        rig.now_s = rig.stream._said_s + 1.0
        rig.stream.watch(rig.now_s)
    rig.hear(ended("hung up"))
    assert rig.stream.is_over
    other = Rig()
    other.open()
    other.hear(ended("closed by the engine"))
    assert other.stream.is_closed
    assert other.stream.is_over
    other.posted.clear()
    other.stream.end("end")
    assert other.posted == []


def test_line_without_audio_says_that_it_is_there_and_one_that_is_forgotten_is_asked_for_again() -> None:
    rig = Rig()
    rig.open()
    rig.now_s = rig.stream._said_s + 6.0
    rig.stream.watch(rig.now_s)
    assert decode_request(rig.posted.pop()) == Alive(call="a", channel="0")
    rig.hear(Error("not_open", "it is not open", "open it", "a", "0"))
    rig.now_s += 1.0
    rig.take(0)
    assert rig.opening().call == "a"


def test_coded_packets_are_decoded_in_their_order_and_one_that_is_missing_is_waited_for() -> None:
    rig = Rig()
    rig.open()
    rig.posted.clear()
    decoded: list[int] = []

    def decode(payload: memoryview) -> bytes:
        decoded.append(payload[0])
        return bytes(160)

    for number in (0, 2, 1, 4):
        rig.take(number, decode, bytes([number]))
    assert decoded == rig.passed == [0, 1, 2]
    assert rig.stream.is_waiting
    rig.now_s += 0.05
    rig.stream.settle(rig.now_s, 0)
    rig.take(3, decode, bytes([3]))  # too late for the decoder
    rig.take(6, decode, bytes([6]))
    rig.stream.finish(0)
    assert decoded == rig.passed == [0, 1, 2, 4, 6]
