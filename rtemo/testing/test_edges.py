"""Sources, publishers and sinks keep the contract that the session relies on; see `rtemo.testing`."""

import os
import time
from typing import Any

import msgspec
import numpy as np
import pytest

import rtemo
from rtemo import extensions
from rtemo.api import Event, Fault, Level, ProcessedBlock, SessionStart, SpeechEnd, StreamEnd, StreamFormat, StreamStart
from rtemo.api.events import Counters
from rtemo.config import Config
from rtemo.testing.chosen import VARIABLE, Chosen, chosen
from rtemo.testing.rig import FORMAT, HOP, Facts

SOURCES, PUBLISHERS, SINKS = (chosen(group) for group in (extensions.SOURCES, extensions.PUBLISHERS, extensions.SINKS))
_PUMP_S = 1.0
"""Longest a turn may take here; the contract asks for 50 ms, on a machine that is not busy."""


def make(case: Chosen) -> Any:
    """Make a configured edge as `rtemo serve` does."""
    return extensions.make(case.group, case.name, case.options, purpose="testing", tenant="main")


def test_there_is_something_to_prove() -> None:
    names = [name.strip() for name in os.environ.get(VARIABLE, "").split(",") if name.strip()]
    if not names:
        pytest.skip(f"{VARIABLE} names nothing: set it to the name of an installed extension")
    for name in names:
        groups = [group for group in extensions.GROUPS if name in extensions.installed(group)]
        assert groups, f"nothing is installed under the name {name!r}"


@pytest.mark.parametrize("case", [*SOURCES, *PUBLISHERS, *SINKS], ids=lambda case: f"{case.group}-{case.name}")
def test_options_have_defaults_and_no_unknown_keys_and_the_class_says_what_it_is(case: Chosen) -> None:
    cls = extensions.load(case.group, case.name)
    cls.options_type()
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert({"no_such_option": 1}, cls.options_type)
    assert (cls.__doc__ or "").strip(), "rtemo plugins shows the first line of it"
    assert make(case).name


class Desk:
    """A desk whose streams are always full: nobody reads them."""

    format = FORMAT
    is_live = False

    def __init__(self, problem: Exception | None = None) -> None:
        self.problem = problem

    def open_stream(self, call: str, channel: str, **facts: Any) -> Any:
        """Refuse."""
        raise self.problem or rtemo.api.FullError("all 0 streams are in use", "this is a test")

    def report(self, data: Any) -> None:
        """Take a report."""


@pytest.mark.parametrize("case", SOURCES, ids=str)
def test_source_runs_in_a_session_and_stops_in_time_without_a_fault(case: Chosen) -> None:
    source = make(case)
    session = rtemo.Session(Config(chain=()), sources=[source])
    with session:
        session.wait(2.0)
        start_s = time.monotonic()
        session.stop()
        assert time.monotonic() - start_s < 1.5, "a session must be able to stop within about a second"
    faults = [event.data for event in session.events(0.0) if isinstance(event.data, Fault)]
    assert faults == []
    source.close()  # a second time


@pytest.mark.parametrize("case", SOURCES, ids=str)
def test_source_that_is_refused_says_so_or_goes_on_and_can_be_closed(case: Chosen) -> None:
    source = make(case)
    try:
        source.open(Desk())
        start_s = time.monotonic()
        wait_s = source.pump()
        assert time.monotonic() - start_s < _PUMP_S
        assert wait_s is None or wait_s >= 0
    except rtemo.api.RtemoError:
        pass
    finally:
        source.close()
        source.close()


def events() -> list[Event]:
    """One stream from its start to its end, with an event of a kind that nobody knows."""

    class Strange(msgspec.Struct, frozen=True, tag_field="kind", tag="strange_and_new"):
        value: float = 1.0

    payloads = [
        SessionStart(chain=("x",), latency_samples=0, sample_rate_hz=16_000, hop_samples=160),
        StreamStart(role="customer"),
        Level(rms_dbfs=-20.0, peak_dbfs=-10.0, clipped_ratio=0.0),
        SpeechEnd(speech_s=1.0),
        Strange(),
        StreamEnd(reason="end", duration_s=1.0, counters=Counters()),
    ]
    return [
        Event(
            call="" if index == 0 else "caf\u00e9 \u2028 call",
            channel="" if index == 0 else "0",
            plugin="testing",
            seq=index + 1,
            start_sample=0,
            end_sample=16_000,
            capture_ns=time.time_ns() if index % 2 else 0,
            emit_ns=time.time_ns(),
            data=data,
        )
        for index, data in enumerate(payloads)
    ]


@pytest.mark.parametrize("case", PUBLISHERS, ids=str)
def test_publisher_takes_every_kind_and_name_and_is_closed_in_time(case: Chosen) -> None:
    publisher = make(case)
    try:
        publisher.open()
        publisher.publish([])
        for _ in range(20):
            publisher.publish(events())
            publisher.tick()
    finally:
        start_s = time.monotonic()
        publisher.close()
        publisher.close()
        assert time.monotonic() - start_s < 1.0


def blocks() -> list[ProcessedBlock]:
    """Two streams, one of which begins before its sample 0, jumps, and ends before the other."""
    random = np.random.default_rng(0)
    streams = Facts(1, "a"), Facts(2, "b", "left")
    made = []
    for tick in range(100):
        count = 2 if tick < 60 else 1
        start = np.array([tick * HOP, tick * HOP - 80 + (HOP if tick > 30 else 0)])[:count]
        made.append(
            ProcessedBlock(
                streams[:count],
                random.uniform(-1, 1, (count, HOP)).astype(np.float32),
                start,
                start + HOP,
                np.full(count, time.time_ns()),
                np.array([tick == 99, tick == 59])[:count],
            )
        )
    return made


@pytest.mark.parametrize("case", SINKS, ids=str)
def test_sink_takes_streams_that_jump_and_end_and_is_closed_in_time(case: Chosen) -> None:
    sink = make(case)
    try:
        try:
            sink.open(StreamFormat())
        except rtemo.api.DeviceError as error:
            pytest.skip(str(error))
        for block in blocks():
            samples = block.samples.copy()
            sink.write(block)
            sink.tick()
            np.testing.assert_array_equal(block.samples, samples, "a block is shared by all sinks")
        assert sink.overrun_samples >= 0
        assert sink.underrun_samples >= 0
    finally:
        start_s = time.monotonic()
        sink.close()
        sink.close()
        assert time.monotonic() - start_s < 1.5
