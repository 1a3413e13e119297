import asyncio
import doctest
import gc
import threading
import time
import weakref
from collections.abc import Callable, Sequence

import numpy as np
import pytest

import rtemo
import rtemo.session
from rtemo.api import CapacityError, Event, PolicyError, RtemoError
from rtemo.config import Config, Policy
from rtemo.engine.options import EngineOptions
from tests.engine.edges import EndlessSource, FakePublisher, FakeSource
from tests.engine.plugins import FakeProcessor, delay, hanging, listener, teller
from tests.engine.rig import HOP, RATE_HZ, noise, ramp

pytestmark = pytest.mark.engine


Make = Callable[..., rtemo.Session]


class Napping(FakeProcessor):
    """Takes its time on the real clock."""

    def __init__(self, nap_s: float) -> None:
        self.nap_s = nap_s

    def process(self, block: object, emit: object) -> None:
        time.sleep(self.nap_s)


def test_embedding_takes_less_than_ten_lines() -> None:
    samples = np.zeros(RATE_HZ, np.float32)
    with rtemo.Session(Config(chain=()), mode="freewheel") as session:
        stream = session.stream("call-1")
        stream.push(samples)
        stream.end()
        kinds = [event.kind for event in session.events()]
    assert kinds == ["session_start", "stream_start", "stream_end"]


@pytest.mark.parametrize("name", ["publish", "watchdog", "driver", "source"])
def test_an_interrupt_that_strikes_while_a_thread_is_started_is_told_as_that(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    start = threading.Thread.start

    def interrupted(self: threading.Thread) -> None:
        if self.name.startswith(f"rtemo-{name}"):
            raise KeyboardInterrupt
        start(self)

    monkeypatch.setattr(threading.Thread, "start", interrupted)
    session = rtemo.Session(Config(chain=()), sources=[EndlessSource()], publishers=[FakePublisher()])
    with pytest.raises(KeyboardInterrupt):
        session.start()
    session.stop()


def test_example_in_the_docstring_is_true() -> None:
    failed, tried = doctest.testmod(rtemo.session)
    assert (failed, tried) == (0, 4)


def test_several_streams_of_one_session_say_what_they_say_alone(session_of: Make) -> None:
    sounds = {f"c{index}": noise(RATE_HZ - 777 * index, seed=index) for index in range(5)}

    def levels(calls: Sequence[str]) -> dict[str, list[tuple[int, float]]]:
        with session_of(teller(every_hops=5), mode="freewheel") as session:
            streams = {call: session.stream(call) for call in calls}
            for call, stream in streams.items():
                stream.push(sounds[call])
                stream.end()
            found: dict[str, list[tuple[int, float]]] = {call: [] for call in calls}
            for event in session.events():
                if event.kind == "level":
                    found[event.call].append((event.end_sample, event.data.rms_dbfs))  # type: ignore[union-attr]
        return found

    together = levels(list(sounds))
    for call in sounds:
        assert together[call] == levels([call])[call]
        assert len(together[call]) >= 16


def test_iterator_ends_with_the_session_and_gives_everything_before(session_of: Make) -> None:
    session = session_of(teller(), mode="freewheel")
    session.start()
    stream = session.stream()
    stream.push(ramp(50 * HOP))
    stream.end()
    assert session.wait(5.0)
    session.stop()
    kinds = [event.kind for event in session.events()]
    assert kinds == ["session_start", "stream_start"] + ["level"] * 51 + ["stream_end", "session_end"]


def test_iterator_gives_up_after_its_time_without_events(session_of: Make) -> None:
    with session_of(engine=EngineOptions(capacity=2, health_interval_s=60.0)) as session:
        start_s = time.monotonic()
        assert [event.kind for event in session.events(timeout_s=0.2)] == ["session_start"]
        assert 0.15 < time.monotonic() - start_s < 2.0


def test_events_of_a_stream_end_with_it_while_the_session_runs_on(session_of: Make) -> None:
    with session_of(teller(), engine=EngineOptions(capacity=4, health_interval_s=0.05)) as session:
        other = session.stream("other")
        for name in ("call", "call"):  # the second of the same name is another one
            stream = session.stream(name)
            stream.push(ramp(5 * HOP))
            stream.end()
            events = list(stream.events())
            assert [event.kind for event in events] == ["stream_start"] + ["level"] * 6 + ["stream_end"]
            assert [event.seq for event in events] == list(range(1, 9))
            assert (events[3].start_s, events[3].end_s) == (
                events[3].start_sample / 16_000,
                events[3].end_sample / 16_000,
            )
            assert list(stream.events()) == events  # what is kept is given to everybody who asks
        assert next(other.events(timeout_s=0.1)).kind == "stream_start"
        other.end()


def test_events_of_a_call_end_with_its_last_stream_and_take_nothing_from_others(session_of: Make) -> None:
    with session_of(teller(), engine=EngineOptions(capacity=4, health_interval_s=60.0)) as session:
        left, right, other = (session.stream(*name) for name in (("a", "l"), ("a", "r"), ("b", "l")))
        of_call, of_stream = session.events(call="a"), left.events()
        left.push(ramp(5 * HOP))
        left.end()
        assert {(event.call, event.channel) for event in of_stream} == {("a", "l")}
        assert next(of_call).kind == "stream_start"  # a loop may be left and gone on with
        right.push(ramp(5 * HOP))
        right.end()
        rest = list(of_call)
        assert [event.channel for event in rest if event.kind == "stream_end"] == ["l", "r"]
        assert len(rest) == 2 * 8 - 1
        assert list(session.events(0.1, call="nobody")) == []
        other.end()
        assert [event.call for event in session.events(0.3) if event.kind == "stream_end"] == ["a", "a", "b"]


def test_events_of_a_call_that_is_over_end_though_they_were_taken_by_others(session_of: Make) -> None:
    with session_of(teller(), engine=EngineOptions(capacity=2, health_interval_s=60.0)) as session:
        other = session.stream("b")
        stream = session.stream("a")
        stream.end()
        assert [event.call for event in session.events(0.3)][-1] == "a"
        assert list(session.events(call="a")) == []
        again = session.stream("a")
        events = session.events(call="a")  # its start may not have been published yet
        again.push(ramp(2 * HOP))
        again.end()
        assert [event.kind for event in events] == ["stream_start", *["level"] * 3, "stream_end"]
        other.end()


def test_events_of_a_call_end_though_its_end_was_dropped(session_of: Make) -> None:
    with session_of(delay("late", 0), engine=EngineOptions(capacity=1, health_interval_s=0.1)) as session:
        stream = session.stream("a")
        events = session.events(call="a")
        assert next(events).kind == "stream_start"
        session._hub._listeners.clear()  # as if the outbox had been full when the stream ended
        stream.end()
        assert list(events) == []


def test_events_of_a_stream_end_though_its_end_was_dropped(session_of: Make) -> None:
    with session_of(delay("late", 0), engine=EngineOptions(capacity=1, health_interval_s=0.1)) as session:
        stream = session.stream()
        events = stream.events()
        assert next(events).kind == "stream_start"
        session._hub._listeners.clear()  # as if the outbox had been full when the stream ended
        stream.end()
        assert list(events) == []


def test_events_of_streams_come_in_an_event_loop_side_by_side(session_of: Make) -> None:
    async def speak(session: rtemo.Session, call: str) -> list[str]:
        stream = session.stream(call)
        stream.push(ramp(3 * HOP))
        stream.end()
        return [event.kind async for event in stream.events()]

    async def everybody(session: rtemo.Session) -> list[list[str]]:
        return await asyncio.gather(*(speak(session, f"c{number}") for number in range(4)))

    with session_of(teller(), engine=EngineOptions(capacity=4)) as session:
        said = asyncio.run(everybody(session))
    assert said == [["stream_start", *["level"] * 4, "stream_end"]] * 4


def test_an_iterator_that_nobody_holds_any_more_is_let_go(session_of: Make) -> None:
    with session_of(teller(), engine=EngineOptions(capacity=1)) as session:
        stream = session.stream()
        held = weakref.ref(stream.events()._feed)
        gc.collect()
        assert held() is None
        stream.push(ramp(5 * HOP))
        stream.end()
        assert session.wait(5.0)
        assert session._hub._listeners == {}


def test_events_nobody_asked_for_in_time_are_counted(session_of: Make) -> None:
    with session_of(teller(), mode="freewheel", engine=EngineOptions(capacity=1, outbox_events=20)) as session:
        stream = session.stream()
        stream.push(ramp(50 * HOP))
        stream.end()
        assert session.wait(5.0)
        events = list(session.events())
    assert len(events) == 20
    assert session.forgotten_events == 1 + 1 + 51 + 1 - 20
    assert session.health().counters.dropped_events == 0


def test_async_iterator_gives_the_same_events_and_leaves_the_loop_free(session_of: Make) -> None:
    async def listen() -> tuple[list[Event], int]:
        turns = 0

        async def count() -> None:
            nonlocal turns
            while True:
                await asyncio.sleep(0.005)
                turns += 1

        counting = asyncio.create_task(count())
        with session_of(teller()) as session:
            stream = session.stream()

            async def talk() -> None:
                for chunk in ramp(60 * HOP).reshape(12, -1):
                    stream.push(chunk)
                    await asyncio.sleep(0.02)
                stream.end()

            talking = asyncio.create_task(talk())
            events = [event async for event in session]
            await talking
        counting.cancel()
        return events, turns

    events, turns = asyncio.run(listen())
    kinds = [event.kind for event in events if event.kind != "health"]
    assert kinds == ["session_start", "stream_start"] + ["level"] * 61 + ["stream_end"]
    assert turns > 10


@pytest.mark.parametrize("mode", ["live", "freewheel"])
def test_stop_takes_less_than_a_second_under_load(session_of: Make, mode: str) -> None:
    chunk = np.tile(ramp(HOP), 20)
    sources = [EndlessSource(f"s{index}", calls=(f"c{index}",), chunks=[chunk]) for index in range(4)]
    for source in sources:
        source.wait_s = 0.02
    session = session_of(
        teller(),
        listener("nap", Napping(0.004)),
        teller("more"),
        sources=sources,
        mode=mode,
        publishers=[FakePublisher()],
    )
    session.start()
    time.sleep(0.3)
    start_s = time.monotonic()
    session.stop()
    assert time.monotonic() - start_s < 1.0
    assert all(source.closed for source in sources)


def test_stop_takes_a_second_at_most_with_a_stuck_source_publisher_and_plugin(session_of: Make) -> None:
    source, publisher, bad = FakeSource(chunks=[ramp(HOP)] * 5), FakePublisher(), hanging("bad")
    session = session_of(bad, sources=[source], publishers=[publisher])
    source.hangs.clear()  # no audio before the plugin knows at which tick to hang
    session.start()
    bad.processor.hang_at_tick = 2
    source.hangs.set()
    assert bad.processor.is_hanging.wait(5.0)
    publisher.blocks.clear()
    source.hangs.clear()
    time.sleep(0.1)
    start_s = time.monotonic()
    session.stop()
    assert time.monotonic() - start_s < 1.3
    for event in (source.hangs, publisher.blocks, bad.processor.release):
        event.set()


def test_stop_twice_is_once(session_of: Make) -> None:
    session = session_of(teller(), mode="freewheel")
    session.start()
    first = session.stop("done")
    assert session.stop("again") is first
    ends = [event for event in session.events() if event.kind == "session_end"]
    assert [event.data.reason for event in ends] == ["done"]  # type: ignore[union-attr]


def test_session_that_was_never_started_can_be_stopped_and_asked(session_of: Make) -> None:
    session = session_of(delay("late", 50))
    assert session.latency_samples == 50
    assert session.health().streams == 0
    with pytest.raises(CapacityError, match="has not been started"):
        session.stream()
    assert session.stop().ticks == 0


def test_session_runs_once(session_of: Make) -> None:
    session = session_of()
    session.start()
    session.stop()
    with pytest.raises(RtemoError, match="make a new one"):
        session.start()
    with pytest.raises(CapacityError, match="the engine has stopped"):
        session.stream()


def test_error_of_the_embedding_program_is_passed_on_and_ends_the_session(session_of: Make) -> None:
    publisher = FakePublisher()
    with pytest.raises(KeyError), session_of(publishers=[publisher]):
        raise KeyError("mine")
    assert publisher.events[-1].kind == "session_end"
    assert publisher.events[-1].data.reason == "failed"  # type: ignore[union-attr]


def test_stopped_session_is_freed_with_its_rings(session_of: Make) -> None:
    # An engine that froze the heap would keep them for good.
    session = session_of(teller(), mode="freewheel")
    with session:
        stream = session.stream()
        stream.push(ramp(10 * HOP))
        stream.end()
        assert list(session.events())
    ring = weakref.ref(session.engine._ring)
    del session, stream
    gc.collect()
    assert ring() is None


def test_role_that_the_policy_excludes_is_refused(session_of: Make) -> None:
    with session_of(policy=Policy(others="refuse")) as session:
        with pytest.raises(PolicyError, match=r"role 'agent' is not analysed .*\[policy\]"):
            session.stream(role="agent")
        session.stream("another", role="customer")
