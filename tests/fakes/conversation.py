"""Events made by hand for tests of the view."""

from rtemo.api import (
    EMOTIONS,
    Board,
    Counters,
    Emotion,
    Event,
    Health,
    Level,
    Payload,
    PluginTiming,
    Prosody,
    SessionStart,
    SpeechEnd,
    SpeechStart,
    StreamEnd,
    StreamStart,
)

RATE_HZ = 16_000


def event(
    data: Payload, start_s: float = 0.0, end_s: float = 0.0, call: str = "call", channel: str = "0", age_ms: float = 0
) -> Event:
    is_engine = isinstance(data, Health | SessionStart | Board)
    return Event(
        call="" if is_engine else call,
        channel="" if is_engine else channel,
        plugin="test",
        seq=1,
        start_sample=round(start_s * RATE_HZ),
        end_sample=round(end_s * RATE_HZ),
        capture_ns=10**18 if age_ms else 0,
        emit_ns=10**18 + round(age_ms * 1e6),
        data=data,
    )


def emotion(
    label: str = "angry",
    share: float = 0.65,
    speech_s: float = 2.0,
    is_final: bool = False,
    unsure: bool = False,
    **more: float,
) -> Emotion:
    rest = (1 - share) / (len(EMOTIONS) - 1)
    return Emotion(
        label="unsure" if unsure else label,
        probabilities={name: share if name == label else rest for name in EMOTIONS},
        arousal=more.get("arousal", 0.5),
        valence=more.get("valence", -0.5),
        confidence=share,
        speech_s=speech_s,
        trigger="turn_end" if is_final else "refresh",
        is_final=is_final,
    )


def health(**counters: int) -> Health:
    plugins = tuple(
        PluginTiming(
            name=name,
            busy_p50_us=busy_us / 2,
            busy_p99_us=busy_us,
            busy_max_us=2 * busy_us,
            wait_p50_us=9.0,
            load=busy_us / 1e4,
            xruns=0,
        )
        for name, busy_us in (("level", 9.0), ("vad", 40.0), ("emotion", 1312.0))
    )
    return Health(
        streams=1,
        capacity=64,
        ticks=900,
        load=0.047,
        tick_p50_us=380.0,
        tick_p99_us=1612.0,
        late_p99_us=120.0,
        counters=Counters(**counters),
        plugins=plugins,
    )


def conversation(channels: int = 1, duration_s: float = 24.0, call: str = "call") -> list[Event]:
    """Channels that take turns of three seconds, with everything that a chain reports."""
    events = [
        event(
            SessionStart(
                chain=("level", "vad", "emotion"), latency_samples=320, sample_rate_hz=RATE_HZ, hop_samples=160
            )
        )
    ]
    events += [event(StreamStart(source="file"), call=call, channel=str(channel)) for channel in range(channels)]
    for tenth in range(1, round(duration_s * 10) + 1):
        now_s = tenth / 10
        for channel in range(channels):
            turn_s = now_s - 3.0 * int(now_s / 3)
            is_turn = int(now_s / 3) % channels == channel
            level_dbfs = -20.0 if is_turn else -55.0
            batch: list[tuple[Payload, float]] = [
                (Level(rms_dbfs=level_dbfs, peak_dbfs=level_dbfs + 12, clipped_ratio=0.0), now_s - 0.1)
            ]
            if is_turn and abs(turn_s - 0.5) < 0.01:
                batch.append((SpeechStart(), now_s))
            if is_turn and turn_s > 1.9 and tenth % 4 == 0:
                batch.append((emotion(arousal=0.4, valence=-0.3, speech_s=turn_s), now_s - 1))
                batch.append(
                    (
                        Prosody(
                            pitch_hz=180.0,
                            pitch_range_semitones=4.0,
                            voiced_ratio=0.6,
                            rate_per_s=4.1,
                            tilt_db_per_octave=-7.0,
                            speech_s=1.0,
                        ),
                        now_s - 1,
                    )
                )
            if is_turn and abs(turn_s - 2.8) < 0.01:
                batch += [(SpeechEnd(speech_s=2.3), now_s - 2.3), (emotion(speech_s=2.3, is_final=True), now_s - 2.3)]
            events += [event(data, at_s, now_s, call, str(channel), age_ms=11.0) for data, at_s in batch]
    return [*events, event(health())]


def ended(duration_s: float = 24.0, channel: str = "0", **counters: int) -> Event:
    return event(
        StreamEnd(reason="end_of_file", duration_s=duration_s, counters=Counters(**counters)),
        0,
        duration_s,
        channel=channel,
    )
