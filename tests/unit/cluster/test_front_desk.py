import msgspec
import pytest

from rtemo.api import Counters, Health
from rtemo.cluster.desk import FrontDesk
from rtemo.cluster.room import Room
from rtemo.config.admission import Admission
from rtemo.config.policy import Policy
from rtemo.config.workers import WorkersOptions
from rtemo.io.audio_wire import (
    Credit,
    End,
    Ended,
    Open,
    Opened,
    Refused,
    decode_packet,
    decode_request,
    decode_response,
    encode_control,
    encode_packet,
    stream_names,
)
from rtemo.io.relay_wire import CONNECTED, Bundle, OwnOpen, decode_relayed, own_client, own_prefix, split
from rtemo.io.zmq_options import IngestOptions

pytestmark = pytest.mark.unit

CLIENT = b"\x00abcd"
PACKET = b"\x01\x02" * 160


def health(streams: int, load: float) -> Health:
    return Health(
        streams=streams,
        capacity=1_000,
        ticks=1,
        load=load,
        tick_p50_us=0.0,
        tick_p99_us=0.0,
        late_p99_us=0.0,
        counters=Counters(),
    )


class Rig:
    """A desk with two workers that are dictionaries of what they were sent."""

    def __init__(self, policy: Policy | None = None, capacity: int = 100, workers: int = 2) -> None:
        self.rooms: dict[int, Room] = {}
        self.said: list[tuple[bytes, object]] = []
        self.posted: list[tuple[int, bytes, bytes]] = []
        self.is_blocked = False
        self.now_s = 100.0
        self.desk = FrontDesk(
            IngestOptions(), Admission(policy or Policy()), capacity, self.rooms, self._answer, self._post
        )
        for number in range(1, workers + 1):
            self.join(number)

    def join(self, number: int) -> None:
        room = self.rooms[number] = Room(WorkersOptions())
        room.is_open = True
        self.desk.join(number)

    def lose(self, number: int) -> None:
        self.rooms.pop(number)
        self.desk.leave(number, self.now_s)

    def _answer(self, client: bytes, message: bytes) -> None:
        self.said.append((client, decode_response(message)))

    def _post(self, worker: int, frame: bytes) -> bool:
        if self.is_blocked:
            return False
        self.posted += [(worker, client, message) for client, message in split(frame)]
        return True

    def send(self, message: object, client: bytes = CLIENT) -> None:
        data = message if isinstance(message, bytes) else encode_control(message)  # type: ignore[arg-type]
        self.desk.take(client, data, self.now_s)
        self.desk.serve(self.now_s)

    def hear(self, worker: int, *responses: object, client: bytes = CLIENT) -> None:
        bundle = Bundle()
        for response in responses:
            bundle.add(client, encode_control(response))  # type: ignore[arg-type]
        self.desk.hear(worker, bundle.take(), self.now_s)

    def open(self, call: str, channel: str = "0", limit_bytes: int = 6_400, client: bytes = CLIENT) -> int:
        """Open a stream, and give the worker that was asked to."""
        self.posted.clear()
        self.send(Open(call=call, channel=channel), client)
        ((worker, _, message),) = self.posted
        assert isinstance(decode_request(message), Open)
        self.hear(worker, Opened(call, channel, limit_bytes, f"opening-{worker}"), client=client)
        self.posted.clear()
        return worker


def packet(call: str, number: int, channel: str = "0") -> bytes:
    return encode_packet(stream_names(call, channel), "s16le", 8_000, number, number * 160, 0, PACKET)


def ended(call: str, reason: str, received_samples: int = 0) -> Ended:
    return Ended(
        call=call,
        channel="0",
        reason=reason,
        received_samples=received_samples,
        lost_samples=0,
        late_packets=0,
        duplicate_packets=0,
        over_credit_packets=0,
    )


def test_messages_of_a_stream_go_to_its_worker_byte_for_byte_and_answers_to_its_client() -> None:
    rig = Rig()
    worker = rig.open("a")
    assert rig.said == [(CLIENT, Opened("a", "0", 6_400, f"opening-{worker}"))]
    sent = [packet("a", 0), packet("a", 1)]
    for message in sent:
        rig.send(message)
    assert rig.posted == [(worker, CLIENT, message) for message in sent]
    rig.hear(worker, Credit("a", "0", 12_800, 640))
    assert rig.said[-1] == (CLIENT, Credit("a", "0", 12_800, 640))


def test_channels_of_a_call_meet_at_one_worker_whoever_sends_them() -> None:
    rig = Rig(workers=4)
    for number in range(20):
        first = rig.open(f"call-{number}")
        assert rig.open(f"call-{number}", "1", client=b"other") == first


def test_what_exceeds_the_credit_by_far_is_not_passed_on() -> None:
    rig = Rig()
    rig.open("a", limit_bytes=6_400)
    for number in range(1_000):
        rig.send(packet("a", number))
    passed = [decode_packet(message).sequence for _, _, message in rig.posted]
    within = (6_400 + 65_536) // len(PACKET)
    assert passed[:within] == list(range(within))
    assert len(passed) < within + 30  # a few, so that the worker tells the client
    assert rig.desk.dropped_packets >= 1_000 - within - 30


def test_what_finds_no_room_on_the_way_is_dropped_and_does_not_count_against_the_credit() -> None:
    rig = Rig()
    worker = rig.open("a", limit_bytes=1 << 20)
    rig.is_blocked = True
    for number in range(300):
        rig.send(packet("a", number))
    assert rig.desk.dropped_packets == 300
    rig.is_blocked = False
    for number in range(300, 600):
        rig.send(packet("a", number))
    assert [decode_packet(message).sequence for _, _, message in rig.posted] == list(range(300, 600))
    assert {to for to, _, _ in rig.posted} == {worker}


def test_streams_of_a_worker_that_has_gone_are_ended_so_that_their_clients_open_them_elsewhere() -> None:
    rig = Rig()
    worker = rig.open("a")
    rig.send(packet("a", 0))
    rig.send(packet("a", 1))
    rig.lose(worker)
    assert rig.said[-1] == (CLIENT, ended("a", "source closed"))
    rig.posted.clear()
    rig.send(Open(call="a"))
    ((other, _, message),) = rig.posted
    request = decode_request(message)
    assert isinstance(request, Open)
    assert other != worker
    assert request.from_sample == 320  # what comes after it is counted as lost where it goes on


def test_a_position_that_the_client_tells_itself_is_kept() -> None:
    rig = Rig()
    worker = rig.open("a")
    rig.send(packet("a", 0))
    rig.lose(worker)
    rig.posted.clear()
    rig.send(Open(call="a", from_sample=80))
    request = decode_request(rig.posted[0][2])
    assert isinstance(request, Open)
    assert request.from_sample == 80


def test_an_opening_that_was_on_its_way_to_a_worker_that_has_gone_is_placed_anew() -> None:
    rig = Rig()
    rig.send(Open(call="a"))
    ((worker, _, _),) = rig.posted
    rig.posted.clear()
    rig.lose(worker)
    rig.desk.serve(rig.now_s)
    ((other, _, message),) = rig.posted
    assert other != worker
    assert isinstance(decode_request(message), Open)
    assert rig.said == []


def test_a_call_that_lost_the_last_worker_is_asked_to_come_again_and_a_new_one_waits_too() -> None:
    rig = Rig(workers=1)
    rig.open("a")
    rig.lose(1)
    rig.said.clear()
    rig.send(Open(call="a"))
    rig.send(Open(call="b"))
    assert rig.said == []  # there may be another one in a moment
    rig.now_s += 3.0
    rig.desk.serve(rig.now_s)
    assert [answer.code for _, answer in rig.said] == ["draining", "draining"]  # type: ignore[attr-defined]
    rig.join(1)
    rig.posted.clear()
    rig.send(Open(call="a"))
    assert [worker for worker, _, _ in rig.posted] == [1]


def test_a_crowd_that_waits_is_let_in_as_soon_as_there_is_room_and_refused_in_time() -> None:
    rig = Rig(workers=1, capacity=1_000)
    names = [f"call-{number}" for number in range(200)]
    for name in names:
        rig.send(Open(call=name), name.encode())
    assert len(rig.posted) == len(rig.desk) == 32  # as many as before anything is measured
    rig.now_s += 1.0
    rig.rooms[1].hear(health(streams=32, load=0.1), rig.now_s)
    rig.desk.serve(rig.now_s)
    assert len(rig.desk) == 64
    rig.now_s += 1.5
    rig.desk.serve(rig.now_s)
    refused = [answer for _, answer in rig.said if isinstance(answer, Refused)]
    assert len(refused) == 200 - 64
    assert {answer.code for answer in refused} == {"capacity"}
    assert "of which 32 are measured" in refused[0].problem
    assert not rig.desk.is_pressed


def test_a_worker_that_is_full_after_all_passes_the_call_to_the_next() -> None:
    rig = Rig(workers=3)
    rig.send(Open(call="a"))
    asked = [rig.posted[-1][0]]
    for _ in range(2):
        rig.hear(asked[-1], Refused("a", "0", "capacity", "all 4 streams are in use", "end one"))
        rig.desk.serve(rig.now_s)
        asked.append(rig.posted[-1][0])
    assert sorted(asked) == [1, 2, 3]
    assert rig.said == []
    rig.hear(asked[-1], Refused("a", "0", "capacity", "all 4 streams are in use", "end one"))
    assert [type(answer) for _, answer in rig.said] == [Refused]
    assert len(rig.desk) == 0


def test_other_refusals_reach_the_client_as_they_are() -> None:
    rig = Rig()
    rig.send(Open(call="a"))
    refused = Refused("a", "0", "in_use", "call 'a' is open from another client", "try again")
    rig.hear(rig.posted[-1][0], refused)
    assert rig.said == [(CLIENT, refused)]


def test_a_call_that_is_to_move_is_ended_at_its_worker_and_its_client_told_to_open_it_again() -> None:
    rig = Rig()
    worker = rig.open("a")
    rig.send(packet("a", 0))
    rig.posted.clear()
    rig.rooms[worker].is_open = False
    rig.desk.move("a", rig.now_s)
    rig.send(packet("a", 1))  # not passed on: the worker has been told that none follows
    ((to, _, message),) = rig.posted
    assert (to, decode_request(message)) == (worker, End(call="a", reason="moved"))
    rig.hear(worker, ended("a", "moved", received_samples=160))
    assert rig.said[-1] == (CLIENT, ended("a", "source closed", received_samples=160))
    rig.posted.clear()
    rig.send(Open(call="a"))
    assert rig.posted[0][0] != worker


def test_the_policy_holds_across_workers() -> None:
    rig = Rig()
    rig.send(Open(call="a", role="agent"))
    worker = rig.posted[-1][0]
    rig.hear(worker, Opened("a", "0", 6_400, "one"), ended("a", "end"))
    rig.lose(worker)
    rig.send(Open(call="a", role="customer"))
    refused = rig.said[-1][1]
    assert isinstance(refused, Refused)
    assert refused.code == "policy"
    assert "was announced as 'agent'" in refused.problem


def test_audio_of_a_stream_that_is_not_open_is_told_and_garbage_is_refused() -> None:
    rig = Rig()
    rig.send(packet("a", 0))
    rig.send(b'{"op": "dance"}')
    rig.send(b"RTMA")
    rig.send(End(call="a"))
    assert [msgspec.to_builtins(answer)["code"] for _, answer in rig.said] == [
        "not_open",
        "bad_message",
        "bad_message",
        "not_open",
    ]
    assert rig.posted == []


def test_while_draining_no_call_is_taken_and_those_that_run_go_on() -> None:
    rig = Rig()
    worker = rig.open("a")
    rig.desk.is_draining = True
    rig.send(Open(call="b"))
    refused = rig.said[-1][1]
    assert isinstance(refused, Refused)
    assert refused.code == "draining"
    rig.send(packet("a", 0))
    assert [to for to, _, _ in rig.posted] == [worker]


def test_while_draining_a_call_that_has_lost_its_worker_goes_on_at_another_one() -> None:
    rig = Rig()
    worker = rig.open("a")
    rig.desk.is_draining = True
    rig.lose(worker)
    rig.posted.clear()
    rig.send(Open(call="a"))
    ((to, _, _),) = rig.posted
    assert to != worker


def test_own_sources_say_where_a_stream_comes_from_and_clients_that_claim_to_be_one_are_not_heard() -> None:
    rig = Rig()
    claimed = OwnOpen(call="a", source="twilio", is_estimate=True, reorder_s=0.2, lost_s=9.0)
    for client in (own_client(b"twilio", b"1"), CONNECTED + CLIENT):
        rig.send(claimed, client)
    own, other = (decode_relayed(message) for _, _, message in rig.posted)
    assert own == claimed
    assert other == OwnOpen(call="a")


def test_streams_of_an_own_source_that_has_gone_are_ended_where_they_are_and_none_of_another() -> None:
    rig = Rig(workers=1, capacity=2)
    clients = [own_client(source, b"1") for source in (b"twilio", b"rtp")]
    for client, name in zip(clients, "ab", strict=True):
        rig.open(name, client=client)
    waiting = own_client(b"twilio", b"2")
    rig.send(Open(call="c"), waiting)
    rig.desk.end_source(own_prefix(b"twilio"), "source failed")
    rig.desk.serve(rig.now_s)
    assert rig.posted == [(1, clients[0], encode_control(End(call="a", reason="source failed")))]
    rig.hear(1, ended("a", "source failed"), client=clients[0])
    rig.posted.clear()
    rig.now_s += 1.0
    rig.desk.serve(rig.now_s)
    assert rig.posted == []  # the one that waited for room has gone with its source
    assert len(rig.desk) == 1
