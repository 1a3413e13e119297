"""How many turns the listener takes at once: what its room learns from its lane."""

import pytest

from rtemo.api import StreamFormat
from rtemo_plugins.listener.room import Room

pytestmark = pytest.mark.engine

LOOK_HOPS = 100


def pass_second(room: Room, taken: int, busy_s: float = 0.0, dropped: int = 0) -> int:
    """One second in which the lane works and drops so much; gives the turns there is room for then."""
    room.busy_s += busy_s
    room.dropped += dropped
    for _ in range(LOOK_HOPS):
        room.look(taken)
    return room.turns


def thinned(room: Room) -> None:
    """Have it look at turns as rarely as it ever does."""
    turns = room.turns
    assert [(pass_second(room, turns, dropped=1), room.sparing) for _ in range(2)] == [(turns, 2), (turns, 4)]


def test_turns_are_looked_at_less_often_before_any_is_given_up_and_as_often_again_when_there_is_time() -> None:
    room = Room(StreamFormat())
    first = room.turns
    assert (pass_second(room, first, busy_s=0.8), room.sparing) == (first, 2), "one more turn is wanted"
    assert (pass_second(room, first, busy_s=0.6), room.sparing) == (first + 1, 2)
    assert (pass_second(room, first, busy_s=0.8), room.sparing) == (first + 1, 2), "nobody wants another"
    assert (pass_second(room, first, busy_s=0.95), room.sparing) == (first + 1, 4)
    assert pass_second(room, first, busy_s=0.95) < first
    assert (pass_second(room, 1, busy_s=0.3), room.sparing) == (first - 1, 2)
    assert (pass_second(room, 1, busy_s=0.3), room.sparing) == (first - 1, 1)
    assert (pass_second(room, 1, busy_s=0.1), room.sparing) == (first - 1, 1)


def test_room_doubles_while_the_lane_has_much_time_to_spare_and_then_grows_by_one() -> None:
    room = Room(StreamFormat())
    first = room.turns
    assert 1 <= first <= 8, "nothing is known yet of a slow processor"
    assert pass_second(room, first, busy_s=0.1) == 2 * first
    assert pass_second(room, 2 * first, busy_s=0.3) == 4 * first
    assert pass_second(room, 4 * first, busy_s=0.6) == 4 * first + 1
    assert pass_second(room, 4 * first + 1, busy_s=0.75) == 4 * first + 1, "the rest of its time is a reserve"


def test_room_that_nobody_needs_does_not_grow() -> None:
    room = Room(StreamFormat())
    first = room.turns
    for _ in range(20):
        pass_second(room, first - 1, busy_s=0.01)
    assert room.turns == first


def test_room_shrinks_when_windows_are_dropped_or_the_lane_has_no_time_left() -> None:
    room = Room(StreamFormat())
    while room.turns < 40:
        pass_second(room, room.turns, busy_s=0.1)
    at_most = room.turns
    thinned(room)
    assert pass_second(room, 40, busy_s=0.5, dropped=1) == 32, "of what was taken, not of what might have been"
    assert pass_second(room, 32, busy_s=0.95) == 25
    assert at_most >= 40
    for _ in range(40):
        pass_second(room, room.turns, dropped=1)
    assert room.turns == 1, "one turn is always listened to, else nothing would show that it is better"


def test_room_comes_back_after_a_hold_up() -> None:
    room = Room(StreamFormat())
    for _ in range(12):
        pass_second(room, room.turns, dropped=1)
    assert (room.turns, room.sparing) == (1, 4)
    for _ in range(4):
        pass_second(room, room.turns, busy_s=0.05)
    assert (room.turns, room.sparing) == (16, 4)
    for _ in range(2):
        pass_second(room, room.turns - 1, busy_s=0.05)
    assert room.sparing == 1


def test_room_is_unbounded_where_the_lane_is_waited_for() -> None:
    room = Room(StreamFormat())
    room.unbind()
    assert pass_second(room, 1000, busy_s=5.0, dropped=7) >= 10_000
