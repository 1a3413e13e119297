from collections import Counter

import pytest

from rtemo.api import CapacityError, Counters, Health
from rtemo.cluster.calls import Calls, Moved
from rtemo.cluster.placing import ranked
from rtemo.cluster.room import Room
from rtemo.config.workers import WorkersOptions

pytestmark = pytest.mark.unit


def health(streams: int, load: float, late_p99_us: float = 100.0) -> Health:
    return Health(
        streams=streams,
        capacity=1000,
        ticks=1,
        load=load,
        tick_p50_us=0.0,
        tick_p99_us=0.0,
        late_p99_us=late_p99_us,
        counters=Counters(),
    )


def open_room(**options: float) -> Room:
    room = Room(WorkersOptions(**options))
    room.is_open = True
    return room


def test_calls_spread_evenly_and_a_worker_that_leaves_moves_no_other_call() -> None:
    names = [f"call-{number}" for number in range(4_000)]
    first = {name: ranked(name, [1, 2, 3, 4])[0] for name in names}
    shares = Counter(first.values())
    assert set(shares) == {1, 2, 3, 4}
    assert all(900 < share < 1_100 for share in shares.values())
    without = {name: ranked(name, [1, 2, 4])[0] for name in names}
    assert all(without[name] == worker for name, worker in first.items() if worker != 3)
    assert {without[name] for name, worker in first.items() if worker == 3} == {1, 2, 4}


def test_a_worker_without_measurements_takes_a_few_streams_and_then_waits_for_them() -> None:
    room = open_room(first_streams=3)
    assert [bool(room.refusal(streams)) for streams in range(5)] == [False, False, False, True, True]
    assert room.refusal(3) == "has 3 streams whose cost is not known yet"


def test_room_ends_where_the_measured_load_with_one_more_stream_would_be_too_high() -> None:
    room = open_room(max_load=0.7)
    for second in range(5):
        room.hear(health(streams=50, load=0.5), second)
    assert room.refusal(68) == ""
    assert room.refusal(70) == "has 70 streams at a load of 0.50, of 0.70"


def test_a_moment_in_which_the_machine_had_other_things_to_do_costs_no_room() -> None:
    room = open_room(max_load=0.7)
    for second in range(9):
        room.hear(health(50, 0.9 if second == 4 else 0.35, 40_000.0 if second == 4 else 100.0), second)
    assert room.refusal(90) == ""


def test_ticks_that_stay_late_close_a_worker_that_has_streams() -> None:
    room = open_room(max_late_ms=10.0)
    for second in range(5):
        room.hear(health(40, 0.4, 15_000.0), second)
    assert room.refusal(40) == "is late by 15 ms"
    assert room.refusal(0) == ""


def test_more_streams_than_twice_those_that_were_measured_wait_for_the_next_report() -> None:
    room = open_room(first_streams=8)
    room.hear(health(10, 0.01), 1.0)
    assert room.refusal(19) == ""
    assert room.refusal(20) == "has 20 streams, of which 10 are measured"
    room.hear(health(20, 0.02), 2.0)
    assert room.refusal(20) == ""


def test_where_workers_are_more_than_processors_each_has_its_part_of_one() -> None:
    room = Room(WorkersOptions(max_load=0.7), share=0.5)
    room.is_open = True
    room.hear(health(50, 0.25), 1.0)
    assert room.refusal(68) == ""
    assert "of 0.35" in room.refusal(70)


def test_all_channels_of_a_call_go_to_one_worker_even_when_it_takes_no_new_calls() -> None:
    rooms = {number: open_room() for number in (1, 2, 3)}
    calls = Calls(100, rooms)
    worker = calls.place("a", rooms)
    calls.enter("a", (b"x", b"0"), worker)
    rooms[worker].is_open = False
    assert calls.place("a", rooms) == worker
    calls.leave("a", (b"x", b"0"), worker)
    assert calls.place("a", rooms) != worker


def test_a_call_without_room_is_refused_with_the_reason_of_every_worker() -> None:
    rooms = {1: open_room(first_streams=1), 2: open_room(first_streams=1)}
    rooms[2].is_open = False
    calls = Calls(100, rooms)
    calls.enter("a", (b"x", b"0"), calls.place("a", rooms))
    with pytest.raises(CapacityError) as refused:
        calls.place("b", rooms)
    text = str(refused.value)
    assert "worker 1 has 1 streams whose cost is not known yet, worker 2 is not running" in text
    assert "add a worker" in text


def test_the_capacity_is_that_of_all_workers_together() -> None:
    rooms = {1: open_room(), 2: open_room()}
    calls = Calls(3, rooms)
    for number in range(3):
        calls.enter(f"{number}", (b"x", bytes([number])), calls.place(f"{number}", rooms))
    with pytest.raises(CapacityError, match="all 3 streams are in use"):
        calls.place("one-more", rooms)


def test_a_call_on_its_way_is_placed_when_its_last_stream_has_left() -> None:
    rooms = {1: open_room(), 2: open_room()}
    calls = Calls(10, rooms)
    worker = calls.place("a", rooms)
    keys = [(b"x", b"0"), (b"x", b"1")]
    for key in keys:
        calls.enter("a", key, worker)
    assert sorted(calls.begin_move("a", 5.0, 1.0)) == keys
    assert calls.begin_move("a", 5.5, 1.0) == []
    calls.leave("a", keys[0], worker)
    with pytest.raises(CapacityError, match="on its way"):
        calls.place("a", rooms)
    calls.leave("a", keys[1], worker)
    assert calls.place("a", rooms) in rooms


def test_a_stream_that_lost_its_worker_is_known_for_a_minute() -> None:
    moved = Moved()
    moved.note(b"a", 10.0, 480)
    moved.prune(69.0)
    assert b"a" in moved
    assert moved.end_sample(b"a") == 480
    moved.prune(71.0)
    assert b"a" not in moved
    assert moved.end_sample(b"a") is None
