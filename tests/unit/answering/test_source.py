"""A voice answers turns in the mood they ask for, and falls silent when it is spoken over."""

import time

import msgspec
import numpy as np
import pytest

import rtemo
from rtemo.answering.options import VoiceOptions
from rtemo.answering.rule import Turn, load_rule, manner_for
from rtemo.answering.source import VoiceSource
from rtemo.api import Challenge, ConfigError, Emotion, Event, SpeechStart, StreamFormat, StreamStart, Transcript
from rtemo.config import Config
from rtemo.voice.errors import VoiceError

pytestmark = pytest.mark.unit

RATE_HZ = 16_000


class Writer:
    is_closed = False

    def __init__(self, call, channel, role):
        self.call, self.channel, self.role = call, channel, role
        self.samples = []
        self.ended = ""
        self.ended_s = 0.0

    def write(self, samples, capture_ns=0):
        self.samples.append(samples.copy())
        return len(samples)

    def end(self, reason):
        self.ended, self.ended_s = reason, time.monotonic()


class Desk:
    format = StreamFormat()
    is_live = True

    def __init__(self):
        self.writers = []

    def open_stream(self, call, channel, *, source="", role="", prefill_s=0.0):
        self.writers.append(Writer(call, channel, role))
        return self.writers[-1]


def event(data, call="call-1", channel="0"):
    return Event(
        call=call, channel=channel, plugin="x", seq=1, start_sample=0, end_sample=1, capture_ns=0, emit_ns=0, data=data
    )


def mood(label="angry"):
    return Emotion(
        label=label,
        probabilities={label: 1.0},
        arousal=0.5,
        valence=-0.5,
        confidence=0.9,
        speech_s=2.0,
        trigger="turn_end",
        is_final=True,
    )


class Said:
    """Makes half a second of sound in parts, and remembers what was asked for."""

    def __init__(self, duration_s=0.5):
        self.asked = []
        self._parts = round(duration_s / 0.1)

    def __call__(self, text, emotion):
        self.asked.append((text, emotion))
        return (np.full(RATE_HZ // 10, 0.1 * (number % 5 + 1), np.float32) for number in range(self._parts))


def started(said, **options):
    source, desk = VoiceSource(VoiceOptions(**options), said), Desk()
    source.open(desk)
    return source, desk


def pump_until(source, done, longest_s=3.0):
    until_s = time.monotonic() + longest_s
    while not done() and time.monotonic() < until_s:
        time.sleep(source.pump())
    return done()


def test_a_turn_is_answered_by_the_table_in_real_time():
    said = Said()
    source, desk = started(said, answers={"angry": "I am sorry.", "*": "I see."})
    source.publisher.publish([event(mood("angry"))])
    begun_s = time.monotonic()
    assert pump_until(source, lambda: desk.writers and desk.writers[0].ended)
    assert said.asked == [("I am sorry.", "angry")]
    writer = desk.writers[0]
    assert (writer.call, writer.role, writer.ended) == ("call-1", "assistant", "end")
    assert sum(map(len, writer.samples)) == RATE_HZ // 2
    assert writer.ended_s - begun_s > 0.4
    source.close()


def test_words_are_answered_once_they_are_there_and_the_mood_with_them():
    turns = []
    source, desk = started(Said())
    source._rule = lambda turn: turns.append(turn) or ""
    source.publisher.publish([event(Transcript(text="where is", is_final=True)), event(mood("sad"))])
    source.publisher.publish([event(Transcript(text="where is my parcel", is_final=True))])
    assert [(turn.text, turn.emotion) for turn in turns] == [("where is", ""), ("where is my parcel", "sad")]
    assert not desk.writers
    source.close()


def test_it_falls_silent_within_a_tenth_of_a_second_when_it_is_spoken_over():
    source, desk = started(Said(duration_s=3.0))
    source.publisher.publish([event(mood())])
    assert pump_until(source, lambda: desk.writers and sum(map(len, desk.writers[0].samples)) > 0.3 * RATE_HZ)
    spoken_s = time.monotonic()
    source.publisher.publish([event(SpeechStart())])
    assert pump_until(source, lambda: desk.writers[0].ended == "interrupted")
    assert desk.writers[0].ended_s - spoken_s < 0.05
    written_s = sum(map(len, desk.writers[0].samples)) / RATE_HZ
    assert written_s < 0.3 + 0.1 + 0.1
    source.close()


def test_it_neither_answers_itself_nor_breaks_off_for_itself():
    said = Said()
    source, desk = started(said)
    source.publisher.publish([event(StreamStart(role="assistant"), channel="assistant-1")])
    source.publisher.publish([event(mood(), channel="assistant-1"), event(mood())])
    assert pump_until(source, lambda: desk.writers)
    source.publisher.publish([event(SpeechStart(), channel="assistant-1")])
    assert pump_until(source, lambda: desk.writers[0].ended)
    assert desk.writers[0].ended == "end"
    assert len(said.asked) == 1
    source.close()


def test_another_call_does_not_break_an_answer_off():
    source, desk = started(Said())
    source.publisher.publish([event(mood())])
    assert pump_until(source, lambda: desk.writers)
    source.publisher.publish([event(SpeechStart(), call="call-2")])
    assert pump_until(source, lambda: desk.writers[0].ended)
    assert desk.writers[0].ended == "end"
    source.close()


def test_answers_of_a_call_are_said_one_after_the_other():
    source, desk = started(Said(duration_s=0.3))
    source.publisher.publish([event(mood()), event(mood("sad"))])
    assert pump_until(source, lambda: len(desk.writers) == 2 and desk.writers[1].ended)
    first, second = desk.writers
    assert second.ended_s - first.ended_s > 0.2
    assert sum(map(len, first.samples)) == sum(map(len, second.samples))
    source.close()


def test_what_a_doubtful_voice_should_be_asked_is_asked_once():
    said = Said()
    source, desk = started(said)
    asked = Challenge(state="asked", ask="Please say: river, lemon.", words=("river", "lemon"), reason="alarm")
    met = msgspec.structs.replace(asked, state="met")
    source.publisher.publish([event(asked), event(met)])
    assert pump_until(source, lambda: desk.writers and desk.writers[0].ended)
    assert said.asked == [("Please say: river, lemon.", "")]
    source.close()


def test_a_rule_that_fails_is_logged_and_the_next_turn_is_answered(caplog):
    source, desk = started(Said())
    rules = [lambda turn: 1 / 0, lambda turn: "yes"]
    source._rule = lambda turn: rules.pop(0)(turn)
    source.publisher.publish([event(mood())])
    source.publisher.publish([event(mood())])
    assert pump_until(source, lambda: desk.writers and desk.writers[0].ended)
    assert "ZeroDivisionError" in caplog.text
    source.close()


def test_closing_twice_stops_at_once():
    source, desk = started(Said(duration_s=9.0))
    source.publisher.publish([event(mood())])
    pump_until(source, lambda: desk.writers)
    begun_s = time.monotonic()
    source.close()
    source.close()
    assert time.monotonic() - begun_s < 0.7
    assert desk.writers[0].ended == "stopped"


def test_what_it_says_enters_a_live_session_as_a_stream_of_the_assistant():
    source = VoiceSource(VoiceOptions(answers={"*": "hello"}), Said())
    with rtemo.Session(Config(chain=("level",)), sources=[source]) as session:
        source.hear(event(mood("happy"), call="call-9"))
        kinds = []
        for told in session.events(3.0):
            if told.call == "call-9":
                kinds.append((told.kind, getattr(told.data, "role", "")))
            if told.call == "call-9" and told.kind == "stream_end":
                break
    assert ("stream_start", "assistant") in kinds
    assert kinds[-1][0] == "stream_end"


def test_anger_is_met_with_calm_and_joy_is_shared():
    assert manner_for("angry").speed < 1.0
    assert manner_for("happy").pitch_range > 1.0
    assert manner_for("").speed == 1.0
    assert manner_for("sad").speed > 0.85


def test_rules_are_found_by_name():
    turn = Turn(call="a", channel="0", emotion="sad")
    assert load_rule("", {"sad": "x", "*": "y"})(turn) == "x"
    assert load_rule("", {"*": "y"})(turn) == "y"
    assert load_rule("builtins:repr", {})(turn).startswith("Turn(")
    for name in ("nowhere:rule", "builtins:nothing", "builtins", "builtins:__name__"):
        with pytest.raises(ConfigError, match="rule"):
            load_rule(name, {})


def test_a_freewheeling_session_has_no_use_for_a_voice():
    desk = Desk()
    desk.is_live = False
    with pytest.raises(VoiceError, match="in real time"):
        VoiceSource(VoiceOptions(), Said()).open(desk)
