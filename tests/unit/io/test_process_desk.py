"""The desk of a gateway in a process of its own: what the session is asked for."""

import multiprocessing

import pytest

from rtemo.api import StreamFormat
from rtemo.io.gateways import process_wire as wire
from rtemo.io.gateways.process_desk import ProcessDesk

pytestmark = pytest.mark.unit


def test_the_session_is_asked_for_a_stream_with_everything_that_is_known_of_it() -> None:
    session, gateway = multiprocessing.Pipe()
    session.send_bytes(wire.encode(wire.Answer()))
    desk = ProcessDesk(gateway, StreamFormat())
    writer = desk.open_stream("call", "0", source="here", role="caller", prefill_s=0.1, is_estimate=True)
    asked = wire.decode_for_session(session.recv_bytes())
    assert asked == wire.Open(writer.number, "call", "0", "here", "caller", 0.1, is_estimate=True)
