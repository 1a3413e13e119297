"""The table of faults in docs/reliability.md, compared with what happens."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import zmq

from rtemo.api import SourceState
from rtemo.io.audio_wire import Alive, Ended, Error, decode_packet, encode_packet
from rtemo.io.publishers.zmq import ZmqPublisher
from rtemo.io.wire import decode_event
from tests.attack.fault_table import Promise, count_lines, promises
from tests.attack.house import Caller, House, S
from tests.fakes.zmq_ends import Publishing, event, options

pytestmark = [pytest.mark.e2e, pytest.mark.timed]

PAGE = "reliability.md"
MORE_DELAY_MS = 100.0


class Scene:
    """Three calls on virtual time, one of which is struck.

    Attributes:
        struck: The call that the fault is about.
        fault_ns: When the fault began.
    """

    def __init__(self) -> None:
        self.house = House(seed=7)
        self.struck, *self.others = self.house.join(3)
        self.house.run(2.0)
        self.usual_ms = max(caller.delay_ms(1 * S, 2 * S) for caller in self.house.callers.values())
        self.fault_ns = self.house.clock.now_ns()

    def whole_after(self, whole_s: float) -> None:
        """See that every call has all its audio on time from so long after now."""
        begin_ns = self.house.clock.now_ns() + round(whole_s * S)
        self.house.run(whole_s + 2.5)
        end_ns = self.house.clock.now_ns() - S // 2
        for caller in self.house.callers.values():
            if caller.is_over:
                continue
            assert caller.lost(begin_ns, end_ns) == 0, caller.call
            assert caller.delay_ms(begin_ns, end_ns) <= self.usual_ms + MORE_DELAY_MS

    def account(self, caller: Caller | None = None) -> Ended:
        """End the struck call and give the server's account."""
        caller = caller or self.struck
        caller.is_over = True
        caller.link.post_end(caller.call)
        self.house.run(0.2)
        caller.link.listen()
        assert caller.stream.account is not None
        return caller.stream.account

    def sources(self) -> list[tuple[str, float]]:
        """What was said about the struck source, and how many seconds after the fault."""
        found = self.house.all_events("source", self.struck.call)
        return [
            (item.data.state, (item.emit_ns - self.fault_ns) / S)
            for item in found
            if isinstance(item.data, SourceState)
        ]


def mangled(message: bytes, **changes: int) -> bytes:
    packet = decode_packet(message)
    fields: dict[str, Any] = {
        "sequence": packet.sequence, "start_sample": packet.start_sample, "capture_ns": packet.capture_ns, **changes
    }  # fmt: skip
    return encode_packet(packet.names, packet.codec, packet.rate_hz, payload=bytes(packet.payload), **fields)


@contextmanager
def on_the_way(scene: Scene, change: Callable[[int, bytes], list[bytes]]) -> Iterator[None]:
    """Change what the struck call sends: `change` gets the number of the packet and gives what arrives instead."""
    count = 0

    def act(message: bytes) -> list[bytes]:
        nonlocal count
        count += 1
        return change(count, message)

    scene.struck.link.change = act
    yield
    scene.struck.link.change = None


def packet_lost(promise: Promise) -> None:
    scene = Scene()
    with on_the_way(scene, lambda number, message: [] if number == 5 else [message]):
        scene.house.run(promise.told_s + 0.1)
    scene.whole_after(promise.whole_s)
    assert scene.account().lost_samples == 320
    scene.house.run(0.5)
    assert scene.house.final_counters(scene.struck.call).source_lost_samples == 320


def burst_lost(promise: Promise) -> None:
    scene = Scene()
    with on_the_way(scene, lambda number, message: [] if 5 <= number < 30 else [message]):
        scene.house.run(0.1 + 0.5)
    scene.whole_after(promise.whole_s)
    lost_samples = scene.account().lost_samples
    stream = scene.struck.stream
    assert lost_samples == stream.dropped_samples + stream.lost_samples, "no more credit, and what was on the way"
    assert 25 * 320 <= lost_samples <= 45 * 320
    scene.house.run(0.5)
    assert scene.house.final_counters(scene.struck.call).source_lost_samples == lost_samples


def packets_out_of_order(promise: Promise) -> None:
    scene = Scene()
    kept: list[bytes] = []

    def swap(number: int, message: bytes) -> list[bytes]:
        if number % 5 == 0:
            kept.append(message)
            return []
        return [message, kept.pop()] if kept else [message]

    with on_the_way(scene, swap):
        scene.house.run(0.93)
    scene.whole_after(promise.whole_s)
    account = scene.account()
    assert (account.lost_samples, account.late_packets, account.duplicate_packets) == (0, 0, 0)


def packet_repeated(promise: Promise) -> None:
    scene = Scene()
    with on_the_way(scene, lambda number, message: [message] * (1 + (number in (5, 9)))):
        scene.house.run(0.5)
    scene.whole_after(promise.whole_s)
    account = scene.account()
    assert (account.duplicate_packets, account.lost_samples, account.late_packets) == (2, 0, 0)


def positions_step_back(promise: Promise) -> None:
    scene = Scene()
    stepped = lambda number, message: [mangled(message, start_sample=decode_packet(message).start_sample - 16_000)]  # noqa: E731
    scene.struck.link.change = lambda message: stepped(0, message)
    begin_ns = scene.house.clock.now_ns()
    scene.house.run(promise.told_s)
    told = [answer for _, answer in scene.struck.link.heard if isinstance(answer, Error)]
    assert [error.code for error in told] == ["stepped_back"]
    scene.whole_after(promise.whole_s)
    assert scene.struck.lost(begin_ns, scene.house.clock.now_ns() - S // 2) == 0
    account = scene.account()
    assert (account.position_steps, account.lost_samples, account.duplicate_packets) == (1, 0, 0)


def client_clock_wrong(promise: Promise) -> None:
    scene = Scene()
    scene.struck.link.change = lambda message: [mangled(message, capture_ns=3_600 * S + scene.house.clock.now_ns())]
    scene.whole_after(promise.whole_s)
    capture_ns = scene.house.engine._ring.capture_ns[:3].max(axis=1)
    assert np.abs(capture_ns - scene.house.clock.now_ns()).max() < S
    assert scene.account().lost_samples == 0


def client_held(promise: Promise) -> None:
    scene = Scene()
    scene.struck.is_held = True
    scene.house.run(3.0)
    scene.struck.is_held = False
    scene.whole_after(promise.whole_s)
    (lost, lost_s), (recovered, _) = scene.sources()
    assert (lost, recovered) == ("lost", "recovered")
    assert lost_s <= promise.told_s


def client_muted(promise: Promise) -> None:
    scene = Scene()
    scene.struck.is_over = True
    scene.house.run(3.0)
    ((lost, lost_s),) = scene.sources()
    assert lost == "lost"
    assert lost_s <= promise.told_s


def client_muted_in_company(promise: Promise) -> None:
    """One says nothing more while its connection lives; a hold of the server costs the others what it costs alone."""
    scene = Scene()
    scene.struck.is_over = True
    alive = Alive(call=scene.struck.call)
    scene.house.clock.every(S, lambda: scene.struck.link.post(alive), scene.fault_ns + S // 2, scene.fault_ns + 60 * S)
    scene.house.run(5.0)
    scene.house.hold(1.0)
    begin_ns = scene.house.clock.now_ns()
    scene.house.run(promise.whole_s)
    skipped = sum(scene.house.engine._intake.skipped)
    scene.whole_after(0.0)
    assert sum(scene.house.engine._intake.skipped) == skipped == 0
    assert all(caller.lost(begin_ns, begin_ns + S) == 0 for caller in scene.others)
    assert [state for state, _ in scene.sources()] == ["lost"]


def client_dead(promise: Promise) -> None:
    scene = Scene()
    scene.struck.is_over = True
    scene.house.run(promise.told_s + 1.0)
    (end,) = scene.house.all_events("stream_end", scene.struck.call)
    assert end.data.reason == "idle"  # type: ignore[union-attr]
    assert (end.emit_ns - scene.fault_ns) / S <= promise.told_s
    assert [state for state, _ in scene.sources()] == ["lost"]


def network_held(promise: Promise) -> None:
    scene = Scene()
    scene.house.hold_network(3.0)
    scene.whole_after(promise.whole_s)
    assert [state for state, _ in scene.sources()] == ["lost", "recovered"]
    assert scene.sources()[0][1] <= promise.told_s


def server_held(promise: Promise) -> None:
    scene = Scene()
    scene.house.hold(3.0)
    scene.whole_after(promise.whole_s)
    account = scene.account()
    assert account.lost_samples == scene.struck.stream.dropped_samples > 0


def subscriber_slow(promise: Promise) -> None:
    with Publishing(ZmqPublisher(options(send_queue_messages=50))) as publishing, zmq.Context() as context:
        slow = context.socket(zmq.SUB)
        slow.linger = 0
        slow.rcvhwm = 50
        slow.rcvbuf = 4096
        slow.connect(publishing.events)
        slow.subscribe("v1/main/")
        assert slow.poll(3000)
        for number in range(1, 5_001):
            publishing.send(event("call", number))
        publishing.flush()
        begin_s = time.monotonic()
        numbers, told = [], 0
        while time.monotonic() - begin_s < promise.told_s:
            if not slow.poll(50):
                continue
            topic, message = slow.recv_multipart()
            if topic == b"v1/main/call/_hb/":
                told = max(told, *decode_beat(message).values())
            elif topic.startswith(b"v1/main/call/"):
                numbers.append(decode_event(message).seq)
        slow.close(linger=0)
    assert numbers == sorted(set(numbers)), "in order, none twice"
    assert len(numbers) < 5_000, "the queue was full"
    assert told == 5_000, "the heartbeat tells what is missing"


def decode_beat(message: bytes) -> dict[str, int]:
    seqs = json.loads(message)["seqs"]
    assert isinstance(seqs, dict)
    return {"": 0, **seqs}


def subscriber_dead(promise: Promise) -> None:
    with Publishing(ZmqPublisher(options())) as publishing, zmq.Context() as context:
        dead, good = context.socket(zmq.SUB), context.socket(zmq.SUB)
        for reader in (dead, good):
            reader.linger = 0
            reader.connect(publishing.events)
            reader.subscribe("v1/main/")
            assert reader.poll(3000)
        dead.close(linger=0)
        receive(publishing, [good])
        good.close(linger=0)


def many_subscribers(promise: Promise) -> None:
    with Publishing(ZmqPublisher(options())) as publishing:
        contexts = [zmq.Context() for _ in range(4)]
        readers = [context.socket(zmq.SUB) for context in contexts for _ in range(250)]
        begin_s = time.monotonic()
        for reader in readers:
            reader.linger = 0
            reader.connect(publishing.events)
            reader.subscribe("v1/main/")
        for reader in readers:
            assert reader.poll(10_000)
        receive(publishing, readers)
        assert publishing.busy_s < 1.0
        assert time.monotonic() - begin_s < 60.0
        for context in contexts:
            context.destroy(linger=0)


def receive(publishing: Publishing, readers: "list[zmq.Socket[bytes]]", count: int = 20) -> None:
    """Publish events; see that every reader gets each of them."""
    for number in range(1, count + 1):
        publishing.send(event("call", number))
    publishing.flush()
    for reader in readers:
        numbers: list[int] = []
        while len(numbers) < count and reader.poll(5000):
            topic, message = reader.recv_multipart()
            if topic.endswith(b"/emotion/"):
                numbers.append(decode_event(message).seq)
        assert numbers == list(range(1, count + 1))


FAULTS: dict[str, Callable[[Promise], None]] = {
    "packet lost": packet_lost,
    "burst of half a second lost": burst_lost,
    "packets out of order": packets_out_of_order,
    "packet repeated": packet_repeated,
    "positions step back": positions_step_back,
    "clock of a client wrong by an hour": client_clock_wrong,
    "client held for 3 s": client_held,
    "client muted": client_muted,
    "client muted in company, then the server held for 1 s": client_muted_in_company,
    "client dead": client_dead,
    "network held for 3 s": network_held,
    "server held for 3 s": server_held,
    "subscriber too slow": subscriber_slow,
    "subscriber dead": subscriber_dead,
    "1,000 subscribers": many_subscribers,
}
ELSEWHERE = {"server killed and started again", "server stopped as planned and started again"}
"""In test_recovery_restart.py, with real processes."""


def test_every_line_of_the_table_is_tried_and_every_fault_tried_stands_there() -> None:
    assert set(promises(PAGE)) == set(FAULTS) | ELSEWHERE
    assert count_lines(PAGE) == len(promises(PAGE)), "a line of the table cannot be read"


@pytest.mark.parametrize("fault", FAULTS)
def test_fault_is_told_and_mended_as_the_table_says(fault: str) -> None:
    FAULTS[fault](promises(PAGE)[fault])
