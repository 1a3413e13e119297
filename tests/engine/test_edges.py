import threading
import time
from collections.abc import Callable

import pytest

import rtemo
from rtemo.api import AudioInputError, EndpointError
from rtemo.engine.options import EngineOptions
from tests.engine.edges import FakePublisher, FakeSource
from tests.engine.plugins import teller
from tests.engine.rig import HOP, ramp
from tests.fakes.sinks import FakeSink

pytestmark = pytest.mark.engine


Make = Callable[..., rtemo.Session]


def test_publisher_that_cannot_open_fails_the_session_with_its_text_and_nothing_stays_open(session_of: Make) -> None:
    good = FakePublisher("good")
    bad = FakePublisher("bad", fails_in="open", error=EndpointError("port 5570 is in use", "choose another"))
    source = FakeSource()
    session = session_of(teller(), publishers=[good, bad], sources=[source])
    with pytest.raises(EndpointError, match="port 5570 is in use; choose another"):
        session.start()
    assert good.closed == bad.closed == 1
    assert source.writers == []


def test_source_that_cannot_open_fails_the_session_with_its_text_and_ends_what_it_opened(session_of: Make) -> None:
    publisher, source = FakePublisher(), FakeSource()
    source.open_error = AudioInputError("there is no file call.wav", "check the path")
    session = session_of(teller(), publishers=[publisher], sources=[source])
    with pytest.raises(AudioInputError, match=r"there is no file call\.wav; check the path"):
        session.start()
    assert source.closed == publisher.closed == 1
    assert publisher.kinds()[-1] == "session_end"
    assert "stream_end" in publisher.kinds()


@pytest.mark.parametrize(
    ("error", "problem"),
    [(AudioInputError("damaged", "get it again"), "damaged; get it again"), (ValueError("odd"), "ValueError: odd")],
)
def test_source_that_fails_on_the_way_ends_its_streams_and_not_the_session(
    session_of: Make, error: Exception, problem: str
) -> None:
    bad, good = (FakeSource(name, calls=(name,), chunks=[ramp(20 * HOP)] * 3) for name in ("bad", "good"))
    bad.chunks, bad.pump_error = bad.chunks[:1], error
    bad.close_error = RuntimeError("not even that")
    with session_of(teller(), sources=[bad, good], mode="freewheel") as session:
        events = list(session.events())
    (fault,) = [event.data for event in events if event.kind == "fault"]
    assert (fault.where, fault.problem, fault.action) == ("bad", problem, "closed")  # type: ignore[union-attr]
    ends = {event.call: event.data for event in events if event.kind == "stream_end"}
    assert ends["bad"].reason == "source failed"  # type: ignore[union-attr]
    assert ends["good"].reason == "source says so"  # type: ignore[union-attr]
    levels = [event.call for event in events if event.kind == "level"]
    assert (levels.count("bad"), levels.count("good")) == (21, 61)


def test_source_that_forgets_to_end_its_streams_does_not_keep_the_session_alive(session_of: Make) -> None:
    source = FakeSource(chunks=[ramp(HOP)])
    source.ends_streams = False
    with session_of(sources=[source], mode="freewheel") as session:
        ends = [event.data.reason for event in session.events() if event.kind == "stream_end"]  # type: ignore[union-attr]
    assert ends == ["source closed"]


@pytest.mark.parametrize("verb", ["publish", "tick"])
def test_publisher_that_raises_is_closed_and_the_others_are_told(session_of: Make, verb: str) -> None:
    good, bad = FakePublisher("good"), FakePublisher("bad", fails_in=verb)
    with session_of(teller(), publishers=[bad, good], mode="freewheel") as session:
        stream = session.stream()
        stream.push(ramp(20 * HOP))
        stream.end()
        events = list(session.events())
    assert bad.closed == good.closed == 1
    (fault,) = [event.data for event in good.events if event.kind == "fault"]
    assert (fault.where, fault.problem, fault.action) == ("bad", "OSError: disk full", "closed")  # type: ignore[union-attr]
    assert [event.kind for event in events] == good.kinds()[: len(events)]
    assert good.kinds().count("level") == 21
    assert good.kinds()[-1] == "session_end"


def test_publishers_that_cannot_be_closed_do_not_keep_the_others_open(session_of: Make) -> None:
    publishers = [FakePublisher("first", fails_in="close"), FakePublisher("second")]
    with session_of(publishers=publishers):
        pass
    assert [publisher.closed for publisher in publishers] == [1, 1]


def test_publisher_that_blocks_for_seconds_holds_up_neither_driver_nor_stop(session_of: Make) -> None:
    publisher = FakePublisher()
    heard: list[float] = []
    session = session_of(
        teller(), publishers=[publisher], on_audio=lambda call, channel, start, hop: heard.append(time.monotonic())
    )
    session.start()
    publisher.blocks.clear()
    stream = session.stream()
    start_s = time.monotonic()
    for chunk in range(50):
        stream.push(ramp(2 * HOP, start=chunk * 2 * HOP))
        time.sleep(max(0.0, start_s + 0.02 * (chunk + 1) - time.monotonic()))
    while session.health().ticks < 100 and time.monotonic() < start_s + 3.0:
        time.sleep(0.01)
    assert session.health().ticks >= 100
    assert session.health().counters.dropped_events == 0
    assert len(heard) >= 100
    stop_s = time.monotonic()
    session.stop()
    assert time.monotonic() - stop_s < 1.2
    publisher.blocks.set()


def test_publishers_are_served_by_one_thread_also_when_nothing_happens(session_of: Make) -> None:
    publisher = FakePublisher()
    with session_of(publishers=[publisher], engine=EngineOptions(capacity=1, health_interval_s=60.0)):
        time.sleep(0.3)
        ticks = publisher.ticks
    assert ticks >= 6  # every 50 ms at least, as promised
    assert len(publisher.threads) == 1
    assert threading.get_ident() not in publisher.threads


def test_session_is_not_finished_before_its_publishers_have_every_event(session_of: Make) -> None:
    publisher = FakePublisher()
    with session_of(teller(), publishers=[publisher], mode="freewheel") as session:
        publisher.blocks.clear()
        stream = session.stream()
        stream.push(ramp(20 * HOP))
        stream.end()
        while not session.engine.floor.is_empty:
            time.sleep(0.002)
        assert not session.wait(0.2)
        publisher.blocks.set()
        assert session.wait(5.0)
        assert publisher.kinds().count("level") == 21
        assert publisher.kinds()[-1] == "stream_end"


def test_source_whose_connection_goes_both_ways_brings_its_other_ends_with_it(session_of: Make) -> None:
    gateway = FakeSource(chunks=[ramp(4 * HOP)])
    gateway.sink, gateway.publisher = FakeSink(), FakePublisher("gateway")  # type: ignore[attr-defined]
    with session_of(teller(), sources=[gateway], mode="freewheel") as session:
        assert session.wait(10.0)
    assert session.edges == (gateway, gateway.publisher, gateway.sink)  # type: ignore[attr-defined]
    assert gateway.sink.closed == gateway.publisher.closed == 1  # type: ignore[attr-defined]
    assert "level" in gateway.publisher.kinds()  # type: ignore[attr-defined]
    assert gateway.sink.blocks  # type: ignore[attr-defined]


def test_edge_that_knows_beforehand_that_it_cannot_open_is_asked_before_the_warm_up(session_of: Make) -> None:
    source = FakeSource()

    def check() -> None:
        raise EndpointError("would carry plain text", "set a key")

    source.check = check  # type: ignore[attr-defined]
    plugin = teller()
    session = session_of(plugin, sources=[source])
    with pytest.raises(EndpointError, match="would carry plain text"):
        session.start()
    assert plugin.processor is None, "no plugin was opened"
    session.stop()
