import msgspec
import pytest

from rtemo.api import EMOTIONS, Alert, Emotion, Rank, SpeechEnd, Spoof
from rtemo.cli.tally import Tally
from tests.fakes.conversation import emotion, ended, event

pytestmark = pytest.mark.unit


def tally_of(*payloads):
    tally = Tally()
    for payload in payloads:
        tally.add(event(payload))
    return tally


def test_the_emotion_of_a_stream_is_the_mean_of_its_turns_weighted_by_speech():
    tally = tally_of(
        emotion("angry", 1.0, speech_s=3.0, is_final=True, arousal=1.0, valence=-1.0),
        emotion("calm", 1.0, speech_s=1.0, is_final=True, arousal=-1.0, valence=0.0),
    )
    assert tally.emotion == pytest.approx({name: {"angry": 0.75, "calm": 0.25}.get(name, 0.0) for name in EMOTIONS})
    assert tally.label == "angry"
    assert tally.arousal == pytest.approx(0.5)
    assert tally.valence == pytest.approx(-0.75)


def test_estimates_before_the_end_of_a_turn_do_not_count_twice():
    turn = emotion("sad", 0.9, speech_s=2.0, is_final=True)
    alone = tally_of(turn)
    with_refreshes = tally_of(emotion("happy", 0.9, speech_s=1.0), emotion("fear", 0.9, speech_s=1.5), turn)
    assert with_refreshes.emotion == alone.emotion


def test_probabilities_add_up_to_one():
    tally = tally_of(
        *(emotion(label, 0.5, speech_s=index + 0.3, is_final=True) for index, label in enumerate(EMOTIONS))
    )
    assert sum(tally.emotion.values()) == pytest.approx(1.0)


def test_without_a_rated_turn_there_is_no_emotion():
    tally = tally_of(
        SpeechEnd(speech_s=0.2),
        Emotion(
            **{**{name: getattr(emotion(is_final=True), name) for name in Emotion.__struct_fields__}, "speech_s": 0.0}
        ),
    )
    assert (tally.emotion, tally.label, tally.arousal, tally.valence) == ({}, "", None, None)
    assert (tally.turns, tally.speech_s) == (1, 0.2)


def test_the_last_spoof_and_rank_findings_are_kept_and_alerts_counted():
    tally = tally_of(
        Spoof(score=1.0, verdict="unknown", trigger="alarm"),
        Spoof(score=-2.0, verdict="bona_fide"),
        Rank(attribute="arousal", score=0.1),
        Rank(attribute="arousal", score=0.7, change=1.5, trigger="change"),
        Alert(rule="loud"),
        Alert(rule="loud"),
    )
    tally.add(ended(12.5, overrun_samples=7))
    assert tally.spoof is not None
    assert tally.spoof.verdict == "bona_fide"
    assert tally.alarms == 1
    assert tally.ranks["arousal"].score == 0.7
    assert (tally.changes, tally.alerts) == (1, {"loud": 2})
    assert (tally.duration_s, tally.end_reason, tally.counters.overrun_samples) == (12.5, "end_of_file", 7)


def test_neutral_and_calm_are_one_word_in_the_label_and_two_in_the_distribution():
    tally = tally_of(emotion("angry", 0.4, speech_s=3.0, is_final=True))
    shares = {**dict.fromkeys(EMOTIONS, 0.0), "neutral": 0.3, "calm": 0.3, "angry": 0.4}
    mixed = msgspec.structs.replace(emotion("angry", speech_s=3.0, is_final=True), probabilities=shares)
    tally = tally_of(mixed)
    assert tally.label == "neutral"
    assert tally.emotion["calm"] == pytest.approx(0.3)


def test_who_rated_how_much_speech_is_told():
    tally = Tally()
    for plugin, speech_s in (("one", 2.0), ("other", 1.0), ("one", 0.5)):
        told = event(emotion("sad", speech_s=speech_s, is_final=True))
        tally.add(msgspec.structs.replace(told, plugin=plugin))
    assert tally.rated_by == pytest.approx({"one": 2.5, "other": 1.0})
