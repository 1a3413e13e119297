import io

import pytest

from rtemo.api import RtemoError, SessionStart, SpeechStart
from rtemo.io.publishers.console import ConsolePublisher, line_of
from tests.fakes.wire_samples import PAYLOADS
from tests.fakes.zmq_ends import emotion, event

pytestmark = pytest.mark.unit


def test_every_kind_of_event_is_one_line() -> None:
    stream = io.StringIO()
    publisher = ConsolePublisher(stream)
    publisher.open()
    publisher.publish([event("a", number, data) for number, data in enumerate(PAYLOADS, 1)])
    publisher.close()
    lines = stream.getvalue().splitlines()
    assert len(lines) == len(PAYLOADS)
    assert all(" a/0 " in line for line in lines)


def test_line_tells_position_stream_kind_and_payload() -> None:
    assert line_of(event("a", 200, SpeechStart(confidence=0.5)), 16_000) == "   2.000 a/0 speech_start confidence=0.5"
    assert "label=angry" in line_of(event("a", 1, emotion("angry")), 16_000)


def test_only_wanted_kinds_are_written() -> None:
    stream = io.StringIO()
    publisher = ConsolePublisher(stream, kinds=["emotion"])
    publisher.open()
    publisher.publish([event("a", 1, SpeechStart()), event("a", 2, emotion())])
    assert stream.getvalue().count("\n") == 1


def test_positions_follow_the_rate_of_the_session() -> None:
    stream = io.StringIO()
    publisher = ConsolePublisher(stream)
    publisher.open()
    start = SessionStart(chain=(), latency_samples=0, sample_rate_hz=8_000, hop_samples=80)
    publisher.publish([event("", 1, start), event("a", 200, SpeechStart())])
    assert stream.getvalue().splitlines()[1].startswith("   4.000 a/0")


def test_terminal_obeys_no_name_that_comes_from_outside() -> None:
    line = line_of(event("call\x1b[2J\nx", 1, SpeechStart()), 16_000)
    assert line.isprintable()


def test_closed_stream_is_one_clear_error() -> None:
    stream = io.StringIO()
    publisher = ConsolePublisher(stream)
    publisher.open()
    stream.close()
    with pytest.raises(RtemoError, match="cannot write"):
        publisher.publish([event()])
