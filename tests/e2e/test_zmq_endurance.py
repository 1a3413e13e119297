"""Streams and calls come and go by the thousand: nothing may be left of them."""

import gc
import os
from pathlib import Path

import pytest

from bench.fakes.desk import FakeDesk
from rtemo.api import Counters, StreamEnd, StreamStart
from rtemo.client import AudioSender
from rtemo.io.publishers.zmq import ZmqPublisher
from rtemo.io.sources.ingest import IngestSource
from rtemo.io.zmq_options import IngestOptions
from tests.fakes.zmq_ends import ANY_PORT, event, options, pumping

pytestmark = [
    pytest.mark.timed,
    pytest.mark.e2e,
    pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="memory is read from /proc"),
]


def resident_bytes() -> int:
    gc.collect()
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGESIZE")


def test_two_thousand_streams_leave_no_memory_behind() -> None:
    desk = FakeDesk(is_live=True)
    source = IngestSource(IngestOptions(endpoint=ANY_PORT, opens_per_s=10_000))
    with pumping(source, desk, desk.writers.clear), AudioSender(str(source.endpoint)) as sender:

        def call(number: int) -> None:
            stream = sender.open(f"call {number}", sample_rate_hz=8_000, codec="mulaw")
            stream.send(bytes(800))
            stream.end()

        for number in range(500):
            call(number)
        before = resident_bytes()
        for number in range(500, 2_500):
            call(number)
        grown = resident_bytes() - before
        assert source.count_streams == 0
    assert grown < 4 << 20, f"{grown / 2000:.0f} bytes per stream"


def test_calls_that_were_published_and_ended_are_forgotten() -> None:
    publisher = ZmqPublisher(options(replay_s=0.0, heartbeat_s=0.05))
    publisher.open()

    def calls(first: int) -> None:
        for number in range(first, first + 2_000):
            name = f"call {number}"
            end = StreamEnd(reason="end", duration_s=1.0, counters=Counters())
            publisher.publish([event(name, 1, StreamStart(role="customer")), event(name, 2), event(name, 3, end)])
        for name, channel in publisher._history.prune(1e9):
            publisher._numbering.forget(name, channel)

    calls(0)
    before = resident_bytes()
    calls(2_000)
    grown = resident_bytes() - before
    assert publisher._history.calls == {}
    assert publisher._history.kept_bytes == 0
    assert publisher._numbering._topics == publisher._numbering._roles == {}
    assert grown < 4 << 20, f"{grown / 2000:.0f} bytes per call"
    publisher.close()
