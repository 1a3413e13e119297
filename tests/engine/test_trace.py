"""A run's trace: what was at work when, in a form that others show."""

import gc
import json
from pathlib import Path
from typing import Any

import pytest

import rtemo
from rtemo.config import Config
from rtemo.engine.stats import Histogram
from rtemo.engine.trace import Trace
from tests.fakes.program import call
from tests.fakes.sounds import write_sound
from tests.fakes.voice import RATE_HZ, voice

pytestmark = pytest.mark.engine


def test_every_tick_is_written_down_with_its_plugins_inside() -> None:
    trace = Trace()
    with rtemo.Session(Config(chain=("level", "vad")), mode="freewheel") as session:
        trace.attach(session.engine)
        stream = session.stream("call")
        stream.push(voice(1.0, seed=1))
        stream.end()
        list(session.events())
        gc.collect()
    trace.detach()
    spans = list(trace.spans)
    ticks = [span for span in spans if span.kind == "tick"]
    assert 100 <= len(ticks) <= 102  # the end of the stream may want one more
    assert all(tick.facts.keys() == {"page_faults", "disk_faults", "preempted"} for tick in ticks)
    for name in ("level", "vad"):
        inside = [span for span in spans if span.name == name]
        assert len(inside) == len(ticks)
        for tick, span in zip(ticks, inside, strict=True):
            assert tick.start_ns - 200_000 <= span.start_ns  # both ends are taken a moment after they happen
            assert span.duration_ns <= tick.duration_ns
            assert span.thread == tick.thread
    assert any(span.kind == "gc" for span in spans)
    slowest = trace.slowest(len(ticks))
    assert slowest[0][0].duration_ns == max(tick.duration_ns for tick in ticks)
    whole = [tick for tick, during in slowest if {"level", "vad"} <= {span.name for span in during}]
    assert len(whole) > 0.9 * len(ticks)  # but for one after which another thread had the processor at once
    assert not any(callback.__self__ is trace for callback in gc.callbacks if hasattr(callback, "__self__"))


def test_a_run_that_is_not_traced_keeps_the_engines_own_histograms() -> None:
    with rtemo.Session(Config(chain=("level",)), mode="freewheel") as session:
        assert type(session.engine.driver.tick_time) is Histogram
        assert all(type(stage.busy) is Histogram for stage in session.engine.chain.stages)


def test_only_the_newest_spans_are_kept() -> None:
    trace = Trace(most_spans=3)
    for number in range(5):
        trace.add(f"span {number}", "plugin", number, 1)
    assert [span.name for span in trace.spans] == ["span 2", "span 3", "span 4"]


def test_the_command_writes_a_chrome_trace_of_two_calls(capsys: Any, tmp_path: Path) -> None:
    (tmp_path / "calls").mkdir()
    for number in range(2):
        write_sound(tmp_path / "calls" / f"{number}.wav", voice(1.0, seed=number), RATE_HZ)
    out = tmp_path / "trace.json"
    words = ("--freewheel", "--chain", "level,vad", "--events", tmp_path / "events.jsonl")
    done = call(capsys, "trace", tmp_path / "calls", "--out", out, *words)
    assert done.code == 0, done.err
    assert 80 <= int(done.out.split()[0]) <= 202  # they may overlap or not
    found = json.loads(out.read_text())
    events = found["traceEvents"]
    assert {event["cat"] for event in events if event["ph"] == "X"} >= {"tick", "plugin", "publisher", "source"}
    named = {event["tid"]: event["args"]["name"] for event in events if event["ph"] == "M"}
    assert {event["tid"] for event in events if event["ph"] == "X"} == set(named)
    assert any(name.startswith("rtemo-driver") for name in named.values())
    assert all(event["dur"] >= 0 and event["ts"] >= 0 for event in events if event["ph"] == "X")


def test_a_trace_of_a_live_run_stops_after_the_time_asked_for(capsys: Any, tmp_path: Path) -> None:
    sound = write_sound(tmp_path / "long.wav", voice(20.0, seed=1), RATE_HZ)
    done = call(capsys, "trace", sound, "--out", tmp_path / "trace.json", "--seconds", 1, "--chain", "level")
    assert done.code == 0, done.err
    assert 20 < int(done.out.split()[0]) < 500


def test_a_place_that_cannot_be_written_is_refused_before_the_run(capsys: Any, tmp_path: Path) -> None:
    sound = write_sound(tmp_path / "a.wav", voice(1.0, seed=1), RATE_HZ)
    done = call(capsys, "trace", sound, "--out", tmp_path / "none" / "trace.json")
    assert done.code == 2
    assert "cannot be written" in done.complaint
