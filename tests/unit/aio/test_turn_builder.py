"""TurnBuilder: what belongs to a turn, and when a turn is ready."""

import time
from typing import Any

import pytest

from rtemo.aio.turn_builder import TurnBuilder
from rtemo.api import (
    Counters,
    Emotion,
    EndOfTurn,
    Event,
    Rank,
    SpeechEnd,
    SpeechStart,
    Spoof,
    StreamEnd,
    StreamStart,
    Transcript,
)

pytestmark = pytest.mark.unit

RATE_HZ = 16_000


class Teller:
    """Makes the events of one stream."""

    def __init__(self, builder: TurnBuilder, role: str = "caller", analysis: str = "person") -> None:
        self.builder = builder
        self.seq = 0
        self.say(StreamStart(role=role, analysis=analysis), 0, 0)

    def say(self, data: Any, start_s: float, end_s: float) -> None:
        self.seq += 1
        self.builder.take(
            Event(
                call="call",
                channel="0",
                plugin="p",
                seq=self.seq,
                start_sample=round(start_s * RATE_HZ),
                end_sample=round(end_s * RATE_HZ),
                capture_ns=round(end_s * 1e9) + 1,
                emit_ns=round(end_s * 1e9) + 50_000_001,
                data=data,
            )
        )

    def speak(self, start_s: float, end_s: float, reason: str = "silence") -> None:
        self.say(SpeechStart(), start_s, start_s + 0.1)
        self.say(SpeechEnd(speech_s=end_s - start_s, reason=reason), start_s, end_s)


def emotion(label: str, is_final: bool = True) -> Emotion:
    return Emotion(
        label=label,
        probabilities={label: 1.0},
        arousal=0.0,
        valence=0.0,
        confidence=0.9,
        speech_s=1.0,
        trigger="turn_end" if is_final else "refresh",
        is_final=is_final,
    )


def rank(score: float, p_rising: float | None) -> Rank:
    return Rank(attribute="arousal", score=score, p_rising=p_rising)


def test_a_chain_that_tells_nothing_but_speech_gives_turns_at_once() -> None:
    teller = Teller(TurnBuilder({"speech_start", "speech_end"}))
    teller.speak(0.5, 1.5)
    (turn,) = teller.builder.ready()
    assert (turn.start_s, turn.end_s, turn.role, turn.text, turn.emotion) == (0.5, 1.5, "caller", "", None)
    assert turn.latency_s == pytest.approx(0.05)
    assert teller.builder.ready() == []


def test_a_turn_waits_for_its_words_and_mood_wherever_they_come_from() -> None:
    teller = Teller(TurnBuilder({"emotion", "transcript"}))
    teller.speak(0.5, 1.5)
    assert teller.builder.ready() == []
    assert 0 < (teller.builder.wait_s() or 0) <= 0.3
    teller.say(SpeechStart(), 2.0, 2.1)  # the next has begun before the words of this one came
    teller.say(Transcript(text="hello", is_final=True), 0.5, 1.5)
    teller.say(emotion("sad", is_final=False), 2.0, 2.5)
    assert teller.builder.ready() == []
    teller.say(emotion("happy"), 0.5, 1.5)
    (turn,) = teller.builder.ready()
    assert turn.text == "hello"
    assert turn.emotion is not None
    assert turn.emotion.label == "happy"


def test_what_does_not_come_is_not_waited_for_for_ever() -> None:
    teller = Teller(TurnBuilder({"emotion"}, patience_s={"emotion": 0.02}))
    teller.speak(0.5, 0.6)  # too short for anybody to tell a mood
    assert teller.builder.ready() == []
    time.sleep(0.03)
    (turn,) = teller.builder.ready()
    assert turn.emotion is None
    assert teller.builder.wait_s() is None


def test_without_a_clock_one_waits_for_as_much_of_the_stream_instead() -> None:
    teller = Teller(TurnBuilder({"emotion"}, is_live=False, patience_s={"emotion": 0.5}))
    teller.speak(0.5, 1.0)
    teller.say(rank(0.0, None), 0.5, 2.2)
    assert teller.builder.ready() == []
    teller.say(rank(0.0, None), 0.5, 2.6)
    assert len(teller.builder.ready()) == 1


def test_of_somebody_whom_the_policy_only_times_nothing_is_waited_for() -> None:
    teller = Teller(TurnBuilder({"emotion", "transcript"}), role="agent", analysis="timing")
    teller.speak(0.5, 1.5)
    (turn,) = teller.builder.ready()
    assert turn.role == "agent"


def test_the_end_of_the_stream_gives_every_turn_that_is_left() -> None:
    teller = Teller(TurnBuilder({"emotion", "transcript"}))
    teller.speak(0.5, 1.5)
    teller.speak(2.0, 3.0, reason="stream_end")
    teller.say(StreamEnd(reason="end", duration_s=3.0, counters=Counters()), 3.0, 3.0)
    assert [turn.reason for turn in teller.builder.ready()] == ["silence", "stream_end"]


def test_ranks_and_the_sign_of_a_synthetic_voice_stand_as_they_were_at_the_end() -> None:
    teller = Teller(TurnBuilder(set()))
    teller.say(rank(0.1, 0.9), 0.0, 2.0)
    teller.say(rank(0.5, 0.95), 0.0, 12.0)
    teller.say(Spoof(score=-1.0, verdict="unknown"), 0.0, 12.0)
    teller.speak(10.0, 13.0)
    teller.say(rank(-0.5, 0.1), 0.0, 20.0)
    teller.speak(18.0, 20.0)
    first, second = teller.builder.ready()
    assert first.ranks["arousal"].score == 0.5
    assert (first.courses["arousal"].direction, first.courses["arousal"].duration_s) == ("rising", 10.0)
    assert (second.courses["arousal"].direction, second.courses["arousal"].duration_s) == ("falling", 0.0)
    assert first.spoof is not None


def test_where_ends_of_turns_are_told_a_pause_does_not_end_one() -> None:
    teller = Teller(TurnBuilder({"end_of_turn", "transcript"}, is_live=False))
    teller.speak(0.5, 1.5)
    teller.say(EndOfTurn(p_end=0.1, silence_s=0.4), 0.5, 1.5)
    teller.say(Transcript(text="I would like", is_final=True), 0.5, 1.5)
    teller.speak(2.2, 3.0)
    teller.say(Transcript(text="to go home.", is_final=True), 2.2, 3.0)
    assert teller.builder.ready() == []
    teller.say(EndOfTurn(p_end=0.9, silence_s=0.3, is_over=True, is_backchannel=False), 0.5, 3.0)
    (turn,) = teller.builder.ready()
    assert (turn.start_s, turn.end_s, turn.text) == (0.5, 3.0, "I would like to go home.")
    assert turn.end_of_turn is not None
    assert not turn.is_backchannel


def test_a_teller_of_turns_that_has_failed_does_not_keep_a_turn_for_ever() -> None:
    teller = Teller(TurnBuilder({"end_of_turn"}, patience_s={"end_of_turn": 0.02}))
    teller.speak(0.5, 1.5)
    assert teller.builder.ready() == []
    assert teller.builder.wait_s() is not None
    time.sleep(0.03)
    assert len(teller.builder.ready()) == 1
