"""One fixed message of every kind, for golden files and schemas."""

from typing import Any

import msgspec

from rtemo.api import (
    EMOTIONS,
    Alert,
    Board,
    BoardEntry,
    Challenge,
    Claim,
    Counters,
    Cue,
    DeadAir,
    Emotion,
    EndOfTurn,
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
)
from rtemo.extensions import payload_types
from rtemo.io.wire import EVENT_SCHEMA, EventPolicy, WireEvent

EPOCH = "0123456789abcdef"
T_PUB_MS = 1_784_714_400_123.456

PAYLOADS: tuple[Payload, ...] = (
    SpeechStart(confidence=0.75),
    SpeechEnd(speech_s=1.25, reason="silence"),
    Emotion(
        label="angry",
        probabilities={name: 0.5 if name == "angry" else 0.0625 for name in EMOTIONS},
        arousal=0.5,
        valence=-0.25,
        confidence=0.5,
        speech_s=1.5,
        trigger="first",
    ),
    Spoof(score=-2.5, verdict="bona_fide", contributions={"phase": -0.5}, speech_s=2.0),
    Rank(
        attribute="arousal",
        score=0.5,
        percentile=87.5,
        trend_per_min=0.25,
        p_rising=0.75,
        spread=0.25,
        anchor_percentile=62.5,
        change=1.5,
        speech_s=12.5,
        trigger="change",
    ),
    Board(
        entries=(
            BoardEntry(
                call="call 1",
                channel="0",
                place=1,
                urgency=1.5,
                spread=0.25,
                percentiles={"arousal": 87.5},
                trend_per_min=0.5,
                silent_s=2.0,
            ),
        ),
        ranked=12,
        unsure=3,
    ),
    Alert(rule="turning sour", values={"valence.trend_per_min": -0.5}, speech_s=62.5),
    Level(rms_dbfs=-26.0, peak_dbfs=-6.0, clipped_ratio=0.0, noise_dbfs=-60.0),
    Prosody(
        pitch_hz=None,
        pitch_range_semitones=None,
        voiced_ratio=0.0,
        rate_per_s=4.5,
        tilt_db_per_octave=-6.0,
        speech_s=1.0,
    ),
    Health(
        streams=2,
        capacity=64,
        ticks=100,
        load=0.125,
        tick_p50_us=500.0,
        tick_p99_us=900.0,
        late_p99_us=50.0,
        counters=Counters(source_lost_samples=160, concealed_hops=1),
        plugins=(
            PluginTiming(
                name="vad", busy_p50_us=30.0, busy_p99_us=60.0, busy_max_us=90.0, wait_p50_us=5.0, load=0.003, xruns=0
            ),
        ),
    ),
    Fault(where="vad", problem="ValueError: got 3 rows", action="bypassed"),
    Overload(state="given_up", what="words", plugins=("transcript",), given_up=("extras", "words"), load=1.125),
    SourceState(state="lost", detail="no audio for 2.0 s"),
    SessionStart(
        chain=("level", "vad"), latency_samples=320, sample_rate_hz=16_000, hop_samples=160, models={"m": "ab"}
    ),
    SessionEnd(reason="stopped", counters=Counters()),
    StreamStart(source="ingest", role="customer"),
    StreamEnd(reason="end", duration_s=61.5, counters=Counters(skipped_hops=3)),
    Tone(name="dtmf", digit="5", frequencies_hz=(770.0, 1336.0)),
    Quality(problem="clipped", detail="2 % of the samples at full scale", peak_dbfs=0.0, clipped_ratio=0.02),
    Transcript(
        text="Zażółć it, please.",
        stable_chars=18,
        is_final=True,
        language="en",
        language_probability=0.75,
        words=(Word(text="Zażółć", start_sample=16_000, end_sample=20_000, probability=0.5),),
        trigger="turn_end",
    ),
    QueryScore(query="close to tears", score=0.25, z=1.5, speech_s=2.0, trigger="turn_end", is_final=True),
    Rationale(
        label="angry",
        text="Sounds angry: higher than before.",
        language="en",
        verified_share=1.0,
        claims=(Claim(about="pitch", says="high", is_confirmed=True, start_sample=16_000, end_sample=20_000),),
        cues=(
            Cue(
                name="pitch",
                value=220.0,
                unit="hz",
                z=1.5,
                change=4.0,
                reference="self",
                start_sample=16_000,
                end_sample=20_000,
            ),
        ),
        confidence=0.5,
        trigger="turn_end",
        is_final=True,
    ),
    EndOfTurn(p_end=0.75, silence_s=0.3, is_over=True, is_backchannel=False, rests_on=("silence", "voice")),
    Party(
        party=1,
        confidence=0.875,
        turn=4,
        speech_s=2.5,
        known_s=(12.5, 8.0),
        unsure_s=1.5,
        was=0,
        trigger="correction",
        is_final=True,
    ),
    Talk(
        speech_s=12.5,
        share=0.625,
        overlap_s=1.5,
        silence_s=8.0,
        turns=4,
        longest_s=5.0,
        interruptions=1,
        is_final=True,
    ),
    DeadAir(silence_s=6.5, is_over=True, ended_by="1"),
    Interruption(interrupted="0", overlap_s=0.75),
    Challenge(state="met", ask="Please say: river, lemon.", words=("river", "lemon"), reason="alarm", heard=("lemon",)),
)


def sample(data: Payload) -> WireEvent[Any]:
    """Make the same event of a kind, every time."""
    is_engine = isinstance(data, Health | SessionStart | SessionEnd | Fault | Overload | Board)
    return WireEvent(
        schema=EVENT_SCHEMA,
        epoch=EPOCH,
        seq=7,
        pub_seq=42,
        stream_seq=9,
        call="" if is_engine else "call 1",
        channel="" if is_engine else "0",
        role="" if is_engine else "customer",
        kind=kind_of(data),
        plugin="engine" if is_engine and not isinstance(data, Board) else "sample",
        start_sample=16_000,
        end_sample=24_000,
        t0_ms=1000.0,
        t1_ms=1500.0,
        t_capture_ms=None if is_engine else T_PUB_MS - 12.5,
        t_pub_ms=T_PUB_MS,
        age_ms=None if is_engine else 12.5,
        policy=EventPolicy(purpose="customer_care"),
        data=data,
    )


def all_kinds() -> set[str]:
    """Name every kind of payload there is."""
    return set(payload_types())


def as_json(message: msgspec.Struct) -> Any:
    """Give a message as plain JSON data, as a consumer sees it."""
    return msgspec.json.decode(msgspec.json.encode(message))
