"""Who holds less than his share has a slot, however fast another takes what is made free."""

import pytest

from bench.fakes.desk import FakeDesk
from rtemo.io.audio_wire import Open, Opened, Refused, Response, encode_control
from rtemo.io.sources.ingest_desk import IngestDesk
from rtemo.io.zmq_options import IngestOptions

pytestmark = pytest.mark.unit


class Ingest:
    """An ingest desk of four slots, on a clock of its own."""

    def __init__(self) -> None:
        self.engine = FakeDesk(is_live=True, capacity=4)
        self.answers: list[tuple[bytes, Response]] = []
        self.now_s = 100.0
        self.desk = IngestDesk(self.engine, IngestOptions(), self._hear)

    def _hear(self, client: bytes, answer: Response) -> None:
        self.answers.append((client, answer))

    def open(self, client: str, call: str) -> None:
        self.desk.take(client.encode(), encode_control(Open(call=call)), self.now_s, 0)

    def turn(self) -> None:
        self.now_s += 0.01
        self.desk.serve(self.now_s, 0)

    def told(self, client: str, kind: type[Response]) -> list[str]:
        return [answer.call for who, answer in self.answers if who == client.encode() and isinstance(answer, kind)]


def test_room_that_was_made_and_taken_by_somebody_else_is_made_again() -> None:
    ingest = Ingest()
    for number in range(4):
        ingest.open("greedy", f"held{number}")
    ingest.open("good", "call")
    for number in range(4, 7):
        ingest.engine.drain()  # the engine lets go of the slot, and the greedy one is there first
        ingest.open("greedy", f"held{number}")
        ingest.turn()
        assert not ingest.told("good", Opened)
    ingest.engine.drain()
    ingest.turn()
    assert ingest.told("good", Opened) == ["call"]
    assert not ingest.told("good", Refused)


def test_room_is_made_once_while_nobody_takes_it() -> None:
    ingest = Ingest()
    for number in range(4):
        ingest.open("greedy", f"held{number}")
    ingest.open("good", "call")
    for _ in range(20):
        ingest.turn()  # the engine has not let go of it yet
    ingest.engine.drain()
    ingest.turn()
    assert ingest.told("good", Opened) == ["call"]
    assert sum(writer.end_reason == "made room" for writer in ingest.engine.writers.values()) == 1
