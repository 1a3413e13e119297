"""What a plugin says about all streams together, and how it knows who they are."""

import numpy as np
import pytest

from rtemo.api import Block, Board, BoardEntry, Emit
from tests.engine.plugins import FakeProcessor, listener
from tests.engine.rig import HOP, Rig, noise

pytestmark = pytest.mark.engine


class Caller(FakeProcessor):
    """Lists at every tick who is there, with the sum of what each sends, as one event about the engine."""

    def __init__(self) -> None:
        self.sums = np.zeros(8)
        self.n = 0

    def admit(self, row: int) -> None:
        self.sums[row] = 0.0

    def retire(self, row: int, last: int) -> None:
        self.sums[row] = self.sums[last]

    def process(self, block: Block, emit: Emit) -> None:
        self.sums[: block.n] += np.abs(block.samples).sum(axis=1)
        entries = tuple(
            BoardEntry(call=stream.call, channel=stream.channel, place=row, urgency=float(self.sums[row]), spread=0.0)
            for row, stream in enumerate(block.streams)
        )
        emit(None, Board(entries=entries, ranked=block.n, unsure=0), 0, 0)


def test_an_event_about_the_engine_belongs_to_no_call_and_is_counted_with_the_engines_own():
    rig = Rig(listener("caller", Caller()), live=False)
    writer = rig.open("a")
    writer.write(noise(4 * HOP))
    writer.end("done")
    rig.run_dry()
    boards = rig.all_events("board")
    assert len(boards) >= 4
    assert {(event.call, event.channel, event.plugin, event.capture_ns) for event in boards} == {("", "", "caller", 0)}
    own = [event.seq for event in rig.all_events() if not event.call]
    assert own == list(range(1, len(own) + 1))


def test_nothing_is_said_about_the_engine_while_it_warms_up():
    assert Rig(listener("caller", Caller())).all_events("board") == []


def test_streams_stand_in_the_order_of_rows_though_others_leave_and_come():
    rig = Rig(listener("caller", Caller()), live=False)
    sizes = {"a": 4, "b": 9, "c": 7, "d": 12}
    for name in ("a", "b", "c"):
        writer = rig.open(name)
        writer.write(np.full(sizes[name] * HOP, 0.25, np.float32))
        writer.end("done")
    rig.tick(5)
    writer = rig.open("d")  # takes the place of the one that has left: as many streams as before, but others
    writer.write(np.full(sizes["d"] * HOP, 0.25, np.float32))
    writer.end("done")
    rig.run_dry()
    heard: dict[str, list[float]] = {name: [] for name in sizes}
    for event in rig.all_events("board"):
        for entry in event.data.entries:
            heard[entry.call].append(entry.urgency)
    for name, size in sizes.items():
        expected = [0.25 * HOP * min(k + 1, size) for k in range(len(heard[name]))]
        assert heard[name] == pytest.approx(expected)
        assert len(heard[name]) >= size
