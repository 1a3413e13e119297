"""Whatever one plugin says or does, the others, the audio and the feed go on."""

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import msgspec
import numpy as np
import pytest

import rtemo
from rtemo.api import (
    Block,
    Board,
    BoardEntry,
    Counters,
    Emit,
    Emotion,
    Fault,
    Level,
    Mark,
    PluginError,
    PluginSpec,
    SessionEnd,
    SourceState,
    SpeechStart,
    StreamEnd,
    StreamStart,
)
from rtemo.engine import registry
from rtemo.engine.outlet import checked
from rtemo.io.wire import encode
from tests.engine.plugins import FakePlugin, FakeProcessor, gain, listener, stamper, teller
from tests.engine.rig import HOP, Rig, noise
from tests.fakes.program import ROOT, call

pytestmark = pytest.mark.engine

NAN = float("nan")
LEVEL = Level(rms_dbfs=-20.0, peak_dbfs=-10.0, clipped_ratio=0.0)


class Saboteur(FakeProcessor):
    """Does one thing at its third tick after it was armed, when warming up is over."""

    def __init__(self, act: Callable[[Block, Emit], None]) -> None:
        self._act = act
        self.is_armed = False
        self.ticks = 0

    def process(self, block: Block, emit: Emit) -> None:
        self.ticks += self.is_armed
        if self.ticks == 3:
            self._act(block, emit)


def says(row: Any = 0, data: Any = LEVEL, start: Any = 0, end: Any = HOP) -> Callable[[Block, Emit], None]:
    return lambda block, emit: emit(row, data, start, end)


def raises(error: BaseException) -> Callable[[Block, Emit], None]:
    def act(block: Block, emit: Emit) -> None:
        raise error

    return act


def swallows(block: Block, emit: Emit) -> None:
    try:
        emit(0, "text", 0, HOP)  # type: ignore[arg-type]
    except Exception:
        return


class Unspeakable(Exception):  # noqa: N818
    def __str__(self) -> str:
        raise RuntimeError("no text either")


def replaces(name: str, value: Any) -> Callable[[Block, Emit], None]:
    return lambda block, emit: setattr(block, name, value)


def writes(name: str, value: Any) -> Callable[[Block, Emit], None]:
    def act(block: Block, emit: Emit) -> None:
        getattr(block, name)[...] = value

    return act


def replaces_mark(block: Block, emit: Emit) -> None:
    block.marks["stamp"] = np.zeros((7, 7))  # type: ignore[index]


ATTACKS: dict[str, tuple[Callable[[Block, Emit], None], str]] = {
    "text": (says(data="happy"), "emitted str, expected an event payload"),
    "nothing": (says(data=None), "emitted NoneType"),
    "a dict": (says(data={"kind": "level"}), "emitted dict"),
    "a class": (says(data=Level), "emitted StructMeta"),
    "a wrong field": (says(data=Level(rms_dbfs="loud", peak_dbfs=0.0, clipped_ratio=0.0)), "rms_dbfs"),  # type: ignore[arg-type]
    "an object": (says(data=Level(rms_dbfs=object(), peak_dbfs=0.0, clipped_ratio=0.0)), "cannot be written"),  # type: ignore[arg-type]
    "a field that is not finite": (says(data=Level(rms_dbfs=NAN, peak_dbfs=0.0, clipped_ratio=0.0)), "is nan"),
    "a wrong nested field": (
        says(
            None,
            Board(entries=(BoardEntry(call="a", channel=3, place=1, urgency=0.0, spread=0.0),), ranked=1, unsure=0),
        ),  # type: ignore[arg-type]
        "channel",
    ),
    "endless text": (says(data=SourceState(state="x" * 1_000_000)), "characters"),
    "a forged end of stream": (
        says(data=StreamEnd(reason="x", duration_s=1.0, counters=Counters())),
        "only the engine",
    ),
    "a forged start": (says(data=StreamStart(role="customer")), "only the engine"),
    "a forged end of session": (says(None, SessionEnd(reason="x", counters=Counters())), "only the engine"),
    "NaN as position": (says(end=NAN), "emitted position nan"),
    "a fraction as position": (says(start=0.5), "emitted position 0.5"),
    "text as position": (says(start="0"), "emitted position '0'"),
    "a position beyond the wire": (says(end=1 << 64), "which no stream reaches"),
    "a position beyond the end of the stream": (says(end=4 * HOP), "up to sample 640 of a stream that has come to 480"),
    "an end before the start": (says(start=HOP, end=0), "begins later"),
    "a negative row": (says(-1), "about row -1, expected 0 to 0"),
    "a row that is not there": (says(1), "about row 1, expected 0 to 0"),
    "text as row": (says("a"), "about row 'a'"),
    "caught by the plugin itself": (swallows, "emitted str"),
    "sys.exit": (raises(SystemExit(0)), "SystemExit"),
    "a generator's exit": (raises(GeneratorExit()), "GeneratorExit"),
    "an exception without text": (raises(Unspeakable()), "Unspeakable"),
    "an exception with escapes": (raises(ValueError("a\x1b[2J\nb")), "a�[2J b"),
    "other samples": (replaces("samples", np.zeros((1, HOP), np.float32)), "replaced `block.samples`"),
    "other flags": (replaces("flags", np.zeros(3, np.uint8)), "replaced `block.flags`"),
    "other positions": (replaces("start_sample", [NAN]), "replaced `block.start_sample`"),
    "other marks": (replaces("marks", {}), "replaced `block.marks`"),
    "writing over the audio without saying so": (writes("samples", 0.5), "wrote into `block.samples`"),
    "writing over positions": (writes("start_sample", -1), "wrote into `block.start_sample`"),
    "writing over slots": (writes("rows", 1 << 40), "wrote into `block.rows`"),
    "writing over flags": (writes("flags", 255), "wrote into `block.flags`"),
    "another array as a mark": (replaces_mark, "TypeError"),
}


@pytest.mark.parametrize("attack", ATTACKS)
def test_plugin_that_breaks_the_contract_is_bypassed_and_the_rest_goes_on(attack) -> None:
    act, problem = ATTACKS[attack]
    saboteur = Saboteur(act)
    rig = Rig(stamper(), listener("bad", saboteur), teller(), live=False)
    saboteur.is_armed = True
    writer = rig.open()
    sound = noise(8 * HOP)
    writer.write(sound)
    writer.end("done")
    rig.run_dry()
    (fault,) = (event.data for event in rig.all_events("fault"))
    assert isinstance(fault, Fault)
    assert (fault.where, fault.action) == ("bad", "bypassed")
    assert problem in fault.problem
    assert fault.problem.isprintable()
    assert saboteur.ticks == 3
    assert len(rig.all_events("level")) == 9  # one per hop and the last: none of the saboteur's
    assert np.array_equal(rig.audio()[: sound.shape[0]], sound)
    for event in rig.events:
        encode(event)


def test_plugin_that_floods_the_feed_in_one_hop_is_stopped_and_what_was_left_out_is_counted() -> None:
    def floods(block: Block, emit: Emit) -> None:
        for _ in range(100_000):
            emit(0, LEVEL, 0, HOP)

    saboteur = Saboteur(floods)
    rig = Rig(listener("bad", saboteur), teller(), live=False)
    saboteur.is_armed = True
    writer = rig.open()
    writer.write(noise(8 * HOP))
    writer.end("done")
    rig.run_dry()
    faults = [event.data for event in rig.all_events("fault")]
    assert [(fault.where, fault.action) for fault in faults] == [("bad", "dropped"), ("bad", "bypassed")]
    assert "more than 2100 events in one hop" in faults[1].problem
    levels = [event.plugin for event in rig.all_events("level")]
    assert levels.count("bad") == 1050
    assert levels.count("teller") == 9
    (end,) = rig.all_events("stream_end")
    assert end.data.counters.dropped_events == rig.engine.health().counters.dropped_events == 1050


def test_plugin_that_says_too_much_for_long_loses_the_surplus_and_goes_on() -> None:
    class Gossip(FakeProcessor):
        said = 0

        def process(self, block: Block, emit: Emit) -> None:
            for _ in range(20 if block.streams else 0):  # none while it is warmed
                emit(0, LEVEL, 0, HOP)
                self.said += 1

    gossip = Gossip()
    rig = Rig(listener("gossip", gossip), teller(), live=False)
    writer = rig.open()
    for _ in range(3):  # in parts: the ring holds two seconds
        writer.write(noise(100 * HOP))
        rig.tick(99)
        rig.take_events()
    writer.end("done")
    rig.run_dry()
    (fault,) = (event.data for event in rig.all_events("fault"))
    assert (fault.where, fault.action) == ("gossip", "dropped")
    told = [event.plugin for event in rig.all_events("level")]
    assert told.count("teller") == 301
    assert 1050 <= told.count("gossip") <= 1050 + 8 * 301
    (end,) = rig.all_events("stream_end")
    assert end.data.counters.dropped_events == gossip.said - told.count("gossip") > 0
    sequence = [event.seq for event in rig.all_events() if event.call]
    assert end.seq == len(sequence) + end.data.counters.dropped_events, "whoever reads sees the gap"


def test_what_a_plugin_sets_for_its_own_arithmetic_stays_with_it() -> None:
    class Strict(FakeProcessor):
        def __init__(self, is_first: bool) -> None:
            self.is_first = is_first
            self.found: list[str] = []

        def process(self, block: Block, emit: Emit) -> None:
            self.found.append(np.geterr()["divide"])
            if self.is_first:
                np.seterr(all="raise")
            else:
                with warnings.catch_warnings(action="ignore"):
                    np.ones(1) / np.zeros(1)

    def opened(context: object, capacity: int) -> Strict:
        np.seterr(all="raise")
        return Strict(True)

    before, other = np.geterr(), Strict(False)
    strict = FakePlugin(PluginSpec(name="strict"), opened)
    rig = Rig(strict, listener("other", other), live=False)
    writer = rig.open()
    writer.write(noise(3 * HOP))
    writer.end("done")
    rig.run_dry()
    assert rig.all_events("fault") == []
    assert set(other.found) == {before["divide"]}
    assert set(strict.processor.found) == {"raise"}, "and it stays, whatever thread and tick"
    assert np.geterr() == before


@pytest.mark.parametrize(("factor", "problem"), [(3e38, "reaches"), (-3e38, "reaches"), (NAN, "not finite")])
def test_audio_that_no_later_plugin_could_compute_with_is_not_handed_on(factor, problem) -> None:
    rig = Rig(gain("loud", factor), teller(), live=False)
    sound = noise(4 * HOP)
    writer = rig.open()
    writer.write(sound)
    writer.end("done")
    rig.run_dry()
    (fault,) = (event.data for event in rig.all_events("fault"))
    assert fault.where == "loud"
    assert problem in fault.problem
    assert np.array_equal(rig.audio()[: sound.shape[0]], sound)


@pytest.mark.parametrize("verb", ["open", "admit", "retire", "close"])
def test_sys_exit_anywhere_in_a_plugin_is_its_own_affair(verb) -> None:
    def leave(*_: object) -> None:
        raise SystemExit(3)

    processor = FakeProcessor()
    plugin = listener("leaver", processor)
    if verb == "open":
        with pytest.raises(PluginError, match=r"plugin 'leaver' cannot be opened \(SystemExit: 3\)"):
            Rig(FakePlugin(PluginSpec(name="leaver"), leave))
        return
    setattr(processor, verb, leave)
    rig = Rig(plugin, teller(), live=False)  # warming up admits and retires: one that leaves there is out from then on
    writer = rig.open()
    writer.write(noise(3 * HOP))
    writer.end("done")
    rig.run_dry()
    assert len(rig.all_events("level")) == 4
    rig.engine.stop("done")
    assert rig.all_events("session_end")


def test_numbers_of_numpy_leave_as_plain_numbers() -> None:
    level = checked(Level(rms_dbfs=np.float32(-20.5), peak_dbfs=np.float64(-10.0), clipped_ratio=np.int64(0)))  # type: ignore[arg-type]
    assert [type(value) for value in msgspec.structs.astuple(level)[:3]] == [float, float, float]
    emotion = Emotion(
        label=np.str_("happy"),
        probabilities={"happy": np.float32(1.0)},  # type: ignore[dict-item]
        arousal=np.float32(0.0),  # type: ignore[arg-type]
        valence=0,
        confidence=1,
        speech_s=np.float64(1),
        trigger="first",
        is_final=np.bool_(True),  # type: ignore[arg-type]
    )
    assert checked(emotion) == Emotion(
        label="happy",
        probabilities={"happy": 1.0},
        arousal=0.0,
        valence=0.0,
        confidence=1.0,
        speech_s=1.0,
        trigger="first",
        is_final=True,
    )
    assert type(checked(SpeechStart(confidence=np.float32(0.5))).confidence) is float  # type: ignore[union-attr, arg-type]


def test_plugin_that_calls_itself_interrupted_on_the_driver_thread_does_not_end_it(monkeypatch) -> None:
    class Plugin(FakePlugin):
        def __init__(self, options: object = None) -> None:
            super().__init__(
                PluginSpec(name="bad", provides=(Mark("bad.mark"),)),
                lambda context, capacity: Saboteur(raises(KeyboardInterrupt())),
            )

    monkeypatch.setattr(registry, "load", lambda name: Plugin)
    with rtemo.Session(rtemo.Config(chain=("bad",)), mode="freewheel") as session:
        stream = session.stream()
        session.engine.chain.stages[0].processor.is_armed = True
        stream.push(noise(20 * HOP))
        stream.end()
        events = list(session.events())
    assert [event.data.problem for event in events if event.kind == "fault"] == ["KeyboardInterrupt:"]
    assert [event.data.reason for event in events if event.kind == "stream_end"] == ["end"]


def test_file_is_reported_and_the_plugin_named_when_one_breaks_the_contract(capsys, monkeypatch, tmp_path) -> None:
    def armed(context: object, capacity: int) -> Saboteur:
        saboteur = Saboteur(says(data="text"))
        saboteur.is_armed = True
        return saboteur

    class Plugin(FakePlugin):
        def __init__(self, options: object = None) -> None:
            super().__init__(PluginSpec(name="bad"), armed)

    class Point(NamedTuple):
        name: str

        def load(self) -> type[Plugin]:
            return Plugin

    installed = {**registry.installed(), "bad": Point("bad")}
    monkeypatch.setattr(registry, "installed", lambda: installed)
    out = tmp_path / "out.jsonl"
    done = call(capsys, "analyze", ROOT / "examples/call.flac", "--chain", "bad,vad", "--out", out, "--quiet")
    assert done.code == 1
    assert done.complaint.startswith("rtemo: ! bad bypassed: it emitted str, expected an event payload")
    assert len(out.read_text().splitlines()) == 3, "a line for each channel"
