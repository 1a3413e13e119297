import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtemo.api import (
    EMOTIONS,
    SHARED_TYPES,
    Alert,
    Board,
    BoardEntry,
    Challenge,
    Counters,
    DeadAir,
    Emotion,
    EndOfTurn,
    Event,
    Fault,
    Health,
    Interruption,
    Level,
    Overload,
    Party,
    Payload,
    PluginTiming,
    Prosody,
    Quality,
    QueryScore,
    Rank,
    Rationale,
    SessionEnd,
    SessionStart,
    SourceState,
    SpeechEnd,
    SpeechStart,
    Spoof,
    StreamEnd,
    StreamStart,
    Talk,
    Tone,
    Transcript,
    Word,
    kind_of,
    state_key_of,
)

pytestmark = pytest.mark.unit

PAYLOADS: list[Payload] = [
    Tone(name="dial"),
    Quality(problem="faint", detail="far away"),
    Transcript(text="no", words=(Word(text="no", start_sample=0, end_sample=1600),)),
    QueryScore(query="tense", score=0.5),
    EndOfTurn(p_end=0.5, silence_s=0.2),
    Party(party=None, confidence=0.5, turn=1),
    Talk(speech_s=1.0, share=None, overlap_s=0.0, silence_s=2.0, turns=1, longest_s=1.0, interruptions=0),
    DeadAir(silence_s=5.0),
    Interruption(interrupted="1", overlap_s=0.5),
    Challenge(state="asked", ask="Please say: river, lemon.", words=("river", "lemon"), reason="alarm"),
    Rationale(label="angry", text="Sounds angry.", language="en", verified_share=1.0),
    SpeechStart(confidence=0.5),
    SpeechEnd(speech_s=1.5),
    Emotion(
        label="happy",
        probabilities=dict.fromkeys(EMOTIONS, 0.125),
        arousal=0.2,
        valence=-0.1,
        confidence=0.4,
        speech_s=2.0,
        trigger="first",
    ),
    Spoof(score=-3.0, verdict="unknown"),
    Rank(attribute="arousal", score=1.0),
    Board(entries=(BoardEntry(call="c", channel="0", place=1, urgency=2.0, spread=0.5),), ranked=3, unsure=1),
    Alert(rule="turning sour", values={"valence.trend_per_min": -0.5}),
    Level(rms_dbfs=-20.0, peak_dbfs=-3.0, clipped_ratio=0.0),
    Prosody(
        pitch_hz=None,
        pitch_range_semitones=None,
        voiced_ratio=0.0,
        rate_per_s=0.0,
        tilt_db_per_octave=-6.0,
        speech_s=1.0,
    ),
    Health(
        streams=1,
        capacity=64,
        ticks=5,
        load=0.1,
        tick_p50_us=1.0,
        tick_p99_us=2.0,
        late_p99_us=0.0,
        counters=Counters(xruns=3),
        plugins=(
            PluginTiming(
                name="vad", busy_p50_us=1.0, busy_p99_us=2.0, busy_max_us=3.0, wait_p50_us=0.0, load=0.1, xruns=0
            ),
        ),
    ),
    Fault(where="vad", problem="x", action="bypassed"),
    Overload(state="given_up", what="extras", plugins=("x",), given_up=("extras",), load=1.5),
    SourceState(state="lost"),
    SessionStart(chain=("vad",), latency_samples=0, sample_rate_hz=16_000, hop_samples=160),
    SessionEnd(reason="stopped", counters=Counters()),
    StreamStart(source="mic"),
    StreamEnd(reason="end", duration_s=1.0, counters=Counters()),
]


def event_of(data: Payload) -> Event:
    return Event(
        call="c", channel="0", plugin="p", seq=1, start_sample=0, end_sample=160, capture_ns=0, emit_ns=1, data=data
    )


def test_there_is_an_example_of_every_payload() -> None:
    assert {type(data) for data in PAYLOADS} == set(SHARED_TYPES.values())


@pytest.mark.parametrize("data", PAYLOADS, ids=kind_of)
def test_event_survives_json_and_msgpack(data: Payload) -> None:
    assert msgspec.json.decode(msgspec.json.encode(event_of(data)))["data"]["kind"] == kind_of(data)
    assert msgspec.json.decode(msgspec.json.encode(data), type=type(data)) == data
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(data), type=type(data)) == data


def test_kinds_are_distinct_and_told_by_type_and_instance() -> None:
    kinds = [kind_of(data) for data in PAYLOADS]
    assert len(set(kinds)) == len(kinds)
    for data in PAYLOADS:
        assert kind_of(type(data)) == kind_of(data) == event_of(data).kind


def test_last_values_of_a_kind_are_told_apart_by_the_field_that_the_type_names() -> None:
    assert state_key_of(PAYLOADS[0]) == kind_of(PAYLOADS[0])
    rank = Rank(attribute="valence", score=1.0)
    assert state_key_of(rank) == "rank.valence"
    assert b"state_key" not in msgspec.json.encode(rank)


def test_events_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        event_of(PAYLOADS[0]).seq = 2  # type: ignore[misc]


@given(call=st.text(max_size=40), position=st.integers(0, 2**62))
def test_any_name_and_position_survives(call: str, position: int) -> None:
    event = msgspec.structs.replace(event_of(PAYLOADS[0]), call=call, start_sample=position)
    written = msgspec.json.decode(msgspec.json.encode(event))
    assert (written["call"], written["start_sample"]) == (call, position)
