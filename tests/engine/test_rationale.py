"""The rationale plugin through the engine: made-up speech of known pitch, level and pauses, words that come late."""

import http.server
import json
import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

from rtemo.api import (
    EMOTIONS,
    Block,
    ConfigError,
    Emit,
    Emotion,
    Event,
    Finding,
    LaneSpec,
    PluginContext,
    PluginSpec,
    Rationale,
    Transcript,
    Window,
    Word,
)
from rtemo.engine.engine import Engine
from rtemo.engine.options import EngineOptions
from rtemo.runtime import ModelStore
from rtemo_plugins.level.options import LevelOptions
from rtemo_plugins.level.plugin import LevelPlugin
from rtemo_plugins.prosody.options import ProsodyOptions
from rtemo_plugins.prosody.plugin import ProsodyPlugin
from rtemo_plugins.rationale.options import RationaleOptions
from rtemo_plugins.rationale.plugin import RationalePlugin
from rtemo_plugins.vad.options import VadOptions
from rtemo_plugins.vad.plugin import VadPlugin
from tests.engine.plugins import FakePlugin, FakeProcessor
from tests.engine.rig import RATE_HZ, Timetable
from tests.fakes import freewheel
from tests.fakes.turns import turn

pytestmark = pytest.mark.engine


def emotion(label: str, is_final: bool = True) -> Emotion:
    probabilities = dict.fromkeys(EMOTIONS, 0.04) | {label: 0.72}
    return Emotion(
        label=label,
        probabilities=probabilities,
        arousal=0.0,
        valence=0.0,
        confidence=0.72,
        speech_s=1.0,
        trigger="turn_end" if is_final else "refresh",
        is_final=is_final,
    )


class Feels(FakeProcessor):
    """Says at the end of every turn what it was told to; and something else in the middle, if it was told that too."""

    def __init__(self, labels: Sequence[str], in_between: str = "") -> None:
        self.labels = labels
        self.in_between = in_between
        self.turns: dict[int, int] = {}

    def process(self, block: Block, emit: Emit) -> None:
        for event in block.events:
            if event.row is None or event.stream is None:
                continue  # the engine warms up
            number = self.turns.get(event.stream.id, 0)
            if event.kind == "prosody" and self.in_between and number:
                emit(event.row, emotion(self.in_between, is_final=False), event.start_sample, event.end_sample)
            elif event.kind == "speech_end":
                label = self.labels[number % len(self.labels)]
                self.turns[event.stream.id] = number + 1
                emit(event.row, emotion(label), event.start_sample, event.end_sample)


class Writes(FakeProcessor):
    """A recogniser in a lane that hears the same words in every turn."""

    def __init__(self, text: str) -> None:
        self.text = text

    def work(self, windows: Sequence[Window]) -> list[str]:
        return [self.text for _ in windows]

    def tell(self, finding: Finding, emit: Emit) -> None:
        start, end = finding.start_sample, finding.end_sample
        said = finding.result.split()
        step = (end - start) // len(said)
        words = tuple(
            Word(text=word, start_sample=start + k * step, end_sample=start + (k + 1) * step)
            for k, word in enumerate(said)
        )
        emit(finding.stream, Transcript(text=finding.result, is_final=True, language="en", words=words), start, end)


def feels(labels: Sequence[str], in_between: str = "") -> FakePlugin:
    spec = PluginSpec(name="feels", emits=(Emotion,), hears=("speech_end", "prosody"))
    return FakePlugin(spec, lambda context, capacity: Feels(labels, in_between))


def writes(text: str) -> FakePlugin:
    def make(context: PluginContext, capacity: int) -> Writes:
        writes = Writes(text)
        spec = LaneSpec(name="words", window_s=10.0, on=("speech_end",), least_s=0.1)
        context.lane(spec, lambda lent, given: writes.work, writes.tell)
        return writes

    return FakePlugin(PluginSpec(name="writes", emits=(Transcript,)), make)


def play(sounds: dict[str, np.ndarray], *others: FakePlugin, analysis: str = "person", **options: Any) -> list[Event]:
    """Run streams that begin together through the chain; all that is said of rationales."""
    plugins = [
        LevelPlugin(LevelOptions()),
        VadPlugin(VadOptions()),
        ProsodyPlugin(ProsodyOptions()),
        *others,
        RationalePlugin(RationaleOptions(**options)),
    ]
    engine = Engine(
        plugins, EngineOptions(capacity=4, ring_s=40.0), is_live=False, clock=Timetable(), open_store=ModelStore
    )
    events = freewheel.play(engine, sounds, analysis)
    for event in events:
        if isinstance(event.data, Rationale):
            assert event.data.verified_share == 1.0, event.data.text
            for item in (*event.data.cues, *event.data.claims):
                assert event.start_sample - RATE_HZ <= item.start_sample < item.end_sample
                assert item.end_sample <= event.end_sample + RATE_HZ
    return [e for e in events if e.kind in ("rationale", "stream_end")]


def rationales(events: list[Event], call: str = "a") -> list[Event]:
    return [e for e in events if e.call == call and isinstance(e.data, Rationale)]


def cues_of(event: Event) -> dict[str, Any]:
    return {cue.name: cue for cue in event.data.cues}


@pytest.fixture(scope="module")
def call() -> np.ndarray:
    """Three turns alike, one of a higher pitch and louder, one with a pause."""
    return np.concatenate([turn(), turn(), turn(), turn(pitch_hz=210.0, gain=2.0), turn(pause_s=0.35)])


def test_what_is_measured_is_what_the_sound_was_made_with(call: np.ndarray) -> None:
    turns = rationales(play({"a": call}, feels(["neutral", "neutral", "neutral", "angry", "neutral"])))
    assert [e.data.trigger for e in turns] == ["turn_end"] * 5
    usual, high, paused = (cues_of(turns[k]) for k in (2, 3, 4))
    assert usual["pitch"].value == pytest.approx(140.0 * 0.985, rel=0.03)
    assert high["pitch"].value == pytest.approx(210.0 * 0.985, rel=0.03)
    assert high["level"].value - usual["level"].value == pytest.approx(6.0, abs=0.5)
    assert high["pitch"].change == pytest.approx(12 * np.log2(1.5), abs=1.5)
    assert high["level"].change == pytest.approx(6.0, abs=0.7)
    assert {high[name].reference for name in ("pitch", "level")} == {"self"}
    assert (high["pitch"].z > 1, high["level"].z > 1, abs(usual["level"].z) < 0.5) == (True, True, True)
    assert usual["pauses"].value < 0.05
    assert paused["pauses"].value == pytest.approx(
        0.35 / ((turns[4].end_sample - turns[4].start_sample) / RATE_HZ), abs=0.08
    )
    pause = paused["pauses"]
    assert pause.end_sample - pause.start_sample == pytest.approx(0.35 * RATE_HZ, abs=0.15 * RATE_HZ)


def test_the_text_says_what_was_measured_and_in_the_language_that_was_asked_for(call: np.ndarray) -> None:
    labels = ["neutral", "neutral", "neutral", "angry", "neutral"]
    english = rationales(play({"a": call}, feels(labels)))[3].data
    german = rationales(play({"a": call}, feels(labels), language="de"))[3].data
    assert english.text.startswith("Sounds angry (72 %) – ")
    assert "pitch" in english.text
    assert "louder (+" in english.text
    assert german.text.startswith("Klingt wütend (72 %) – ")
    assert "lauter (+" in german.text
    assert {(c.about, c.says) for c in english.claims} == {(c.about, c.says) for c in german.claims}


def test_words_that_come_after_the_stream_is_over_are_still_told(call: np.ndarray) -> None:
    cut_off = call[: 2 * len(turn()) - round(1.3 * RATE_HZ)]  # in the midst of the second turn's last word
    events = play({"a": cut_off}, feels(["angry"]), writes("that is just great"))
    told = rationales(events)
    assert [e.data.trigger for e in told] == ["turn_end", "words", "stream_end", "words"]
    _, first, early, late = told
    assert early.data.text_label == ""
    assert (early.start_sample, early.end_sample) == (late.start_sample, late.end_sample)
    for event in (first, late):
        assert event.data.is_disagreeing
        assert event.data.text_label == "happy"
        assert "“great”" in event.data.text
        (quote,) = [c for c in event.data.claims if c.about == "word"]
        assert quote.end_sample - quote.start_sample < (event.end_sample - event.start_sample) / 2
    assert events[-1].kind == "stream_end", "it is told before the stream is"
    again = play({"a": cut_off}, feels(["angry"]), writes("that is just great"))
    assert [e.data for e in rationales(again)] == [e.data for e in rationales(events)]


def test_words_are_not_looked_at_where_nobody_wants_them(call: np.ndarray) -> None:
    events = play({"a": call[: len(turn())]}, feels(["angry"]), writes("that is just great"), cite_words=False)
    (only,) = rationales(events)
    assert only.data.text_label == ""
    assert "great" not in only.data.text


def test_within_a_turn_it_is_told_when_it_begins_to_sound_otherwise() -> None:
    sound = np.concatenate([turn(syllables=16), turn(syllables=30, seed=2)])
    told = rationales(play({"a": sound}, feels(["calm", "angry"], in_between="angry")))
    assert [(e.data.label, e.data.trigger, e.data.is_final) for e in told] == [
        ("calm", "turn_end", True),
        ("angry", "change", False),
        ("angry", "turn_end", True),
    ]
    assert told[1].end_sample < told[2].end_sample
    silent = rationales(play({"a": sound}, feels(["calm", "angry"], in_between="angry"), on_change=False))
    assert [e.data.is_final for e in silent] == [True, True]


def test_without_an_emotion_the_cues_alone_are_told(call: np.ndarray) -> None:
    told = rationales(play({"a": call[: len(turn())]}))
    assert [e.data.label for e in told] == [""]
    assert told[0].data.text.startswith("The voice – ")


def test_a_turn_of_a_third_of_a_second_is_worth_no_word() -> None:
    assert not rationales(play({"a": turn(syllables=1)}, feels(["angry"])))


def test_of_a_stream_that_is_only_timed_nothing_is_told(call: np.ndarray) -> None:
    assert not rationales(play({"a": call[: len(turn())]}, feels(["angry"]), analysis="timing"))


class Teacher(http.server.BaseHTTPRequestHandler):
    """An endpoint that answers what the test wants of the text that it was sent."""

    answer: Callable[[str], bytes]
    asked: list[dict[str, Any]]

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.asked.append(body)
        told = type(self).answer(body["messages"][1]["content"])
        self.send_response(200)
        self.end_headers()
        self.wfile.write(told)

    def log_message(self, *given: object) -> None: ...


def says(text: str) -> bytes:
    return json.dumps({"choices": [{"message": {"role": "assistant", "content": text}}]}).encode()


@contextmanager
def teaching(answer: Callable[[str], bytes]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    handler = type("Handler", (Teacher,), {"answer": staticmethod(answer), "asked": []})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/v1", handler.asked
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def test_what_a_teacher_rewrites_truly_takes_the_place_of_the_template() -> None:
    with teaching(lambda text: says(text.replace("Sounds angry", "This voice is angry"))) as (url, asked):
        told = rationales(play({"a": turn()}, feels(["angry"]), teacher_url=url, teacher_model="tiny"))
    assert [(e.data.writer, e.data.trigger) for e in told] == [("template", "turn_end"), ("teacher", "rewritten")]
    assert told[1].data.text == told[0].data.text.replace("Sounds angry", "This voice is angry")
    assert (told[0].start_sample, told[0].end_sample) == (told[1].start_sample, told[1].end_sample)
    (body,) = asked
    assert body["model"] == "tiny"
    assert body["messages"][1]["content"] == told[0].data.text, "the text is all that is sent"


@pytest.mark.parametrize(
    ("answer", "is_logged"),
    [
        (lambda text: says("Sounds sad: much quieter, in tears."), False),
        (lambda text: says("I cannot help with that."), False),
        (lambda text: says(""), True),
        (lambda text: says("word " * 5000), True),
        (lambda text: b"<html>502 Bad Gateway</html>", True),
        (lambda text: b"[1, 2, 3]", True),
        (lambda text: b'{"choices": [{"message": {"content": 7}}]}', True),
    ],
)
def test_what_a_teacher_gets_wrong_is_left_out_and_the_template_stays(
    answer: Callable[[str], bytes], is_logged: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with teaching(answer) as (url, asked):
        told = rationales(play({"a": np.concatenate([turn(), turn()])}, feels(["angry"]), teacher_url=url))
    assert [e.data.writer for e in told] == ["template", "template"]
    assert len(asked) == 2
    assert len([r for r in caplog.records if r.levelname == "WARNING"]) == is_logged, "one line, not one a turn"


def test_a_teacher_that_is_down_costs_one_line_of_log(caplog: pytest.LogCaptureFixture) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # nobody listens there
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/v1"
        told = rationales(play({"a": np.concatenate([turn(), turn()])}, feels(["angry"]), teacher_url=url))
    assert [e.data.writer for e in told] == ["template", "template"]
    (line,) = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert "gives no text" in line
    assert url in line


def test_an_address_that_is_none_is_refused_with_a_word() -> None:
    with pytest.raises(ConfigError, match="is no address of an endpoint"):
        play({"a": turn()}, teacher_url="file:///etc/passwd")


def test_a_stream_among_others_is_told_of_as_if_it_were_alone(call: np.ndarray) -> None:
    labels = ["neutral", "angry"]
    alone = rationales(play({"b": call}, feels(labels)), "b")
    company = play({"a": call[: len(turn())], "b": call, "c": turn(pitch_hz=250.0, seed=9)}, feels(labels))
    assert [(e.start_sample, e.data) for e in rationales(company, "b")] == [(e.start_sample, e.data) for e in alone]
