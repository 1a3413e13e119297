"""Events: what leaves the engine, as msgspec structs; the wire schema is generated from these types."""

import msgspec

from rtemo.api.format import StreamFormat

EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fear", "disgust", "surprise")
"""The eight emotion labels, in the order of every posterior array."""


_RATE_HZ = StreamFormat().sample_rate_hz  # of every engine


class Counters(msgspec.Struct, frozen=True, kw_only=True):
    """The five kinds of trouble, never merged; all count from the start of the stream or session."""

    source_lost_samples: int = 0
    """Samples the source could not deliver (device overflow, missing or late packets)."""
    overrun_samples: int = 0
    """Samples overwritten in the ring because the engine did not read in time."""
    xruns: int = 0
    """Ticks that finished after the next one was due."""
    skipped_hops: int = 0
    """Hops dropped, or plugin turns left out, by the overload policy."""
    dropped_events: int = 0
    """Events thrown away because the outbox was full."""
    concealed_hops: int = 0
    """Hops filled in because the audio was late: no loss by itself, but the listener should know."""


class SpeechStart(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="speech_start"):
    """Speech begins at `start_sample` of the event."""

    confidence: float | None = None


class SpeechEnd(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="speech_end"):
    """A stretch of speech has ended at `end_sample`; the event spans all of it."""

    speech_s: float
    reason: str = "silence"
    """`silence`, `stream_end`, `frames_stopped` or `max_duration`."""


class Emotion(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="emotion"):
    """Perceived vocal expression over the speech of the current turn, not an inner state."""

    label: str
    """Most probable emotion, or `unsure` when the confidence is below the threshold."""
    probabilities: dict[str, float]
    arousal: float
    """-1 (calm) to 1 (excited)."""
    valence: float
    """-1 (negative) to 1 (positive)."""
    confidence: float
    """Calibrated probability that the most probable label is right."""
    speech_s: float
    """Speech the estimate rests on."""
    trigger: str
    """`first`, `refresh`, `turn_end` or `stream_end`."""
    is_final: bool = False
    is_trusted: bool = True
    """False while a plugin that guards the stream holds the voice for synthetic."""


class Spoof(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="spoof"):
    """Risk that the voice is synthetic: a signal for a person, not an identity verdict."""

    score: float
    """Log-odds that the voice is synthetic."""
    verdict: str
    """`bona_fide`, `spoof` or `unknown`."""
    contributions: dict[str, float] = {}
    """Expert → its share of the score."""
    speech_s: float = 0.0
    """Speech of the stream so far."""
    trigger: str = ""
    """`first`, `refresh`, `change`, `alarm` or `stream_end`."""
    is_alarmed: bool = False
    """Whether an alarm over the call stands: evidence has gathered over many scores."""


class Rank(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="rank"):
    """Ordinal position of the present moment, per attribute: within the call, and among voices at large."""

    attribute: str
    """`arousal`, `valence`, `intensity` or another that the ranker's bundle knows."""
    score: float
    """Over the last seconds of speech; 0 is the mean of the training clips, 1 one standard deviation above it."""
    percentile: float | None = None
    """Share of this call's own past, in percent, that lies below; null while there is too little of it."""
    trend_per_min: float | None = None
    """Slope of the score over the last half minute of speech, per minute of speech."""
    p_rising: float | None = None
    """Probability that the present moment lies above what was before it."""
    spread: float | None = None
    """Standard deviation of the score's error."""
    anchor_percentile: float | None = None
    """Share of the bundle's training clips, in percent, that lies below."""
    change: float | None = None
    """By how much the score has changed, where a change is reported (`trigger` is `change`)."""
    speech_s: float = 0.0
    """Speech of the stream so far."""
    trigger: str = ""
    """`first`, `refresh`, `change` or `stream_end`."""


class BoardEntry(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One stream on the board."""

    call: str
    channel: str
    place: int
    """1 needs a person most; streams that cannot be told apart share a place."""
    urgency: float
    """Weighted sum of the scores, each taken half against all voices and half against the call's own past."""
    spread: float
    """Standard deviation of its error."""
    percentiles: dict[str, float] = {}
    """Attribute → share of the bundle's training clips, in percent, that lies below the score."""
    trend_per_min: float | None = None
    """Slope of the weighted sum of the scores, per minute of speech."""
    silent_s: float = 0.0
    """Time since the stream last spoke."""


class Board(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="board"):
    """Which calls need a person first, over all streams of the engine; never about people at work."""

    entries: tuple[BoardEntry, ...]
    """The first places, in order."""
    ranked: int
    """Streams that were compared."""
    unsure: int
    """Streams that were not: too little speech so far, or none for long."""


class Alert(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="alert"):
    """A rule of the configuration has been met on this stream."""

    rule: str
    """Its name."""
    values: dict[str, float] = {}
    """What its conditions looked at, as `valence.trend_per_min`, and what they found."""
    speech_s: float = 0.0
    """Speech of the stream so far."""


class Tone(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="tone"):
    """A sound of the telephone line, or music: nobody speaks in it."""

    name: str
    """`dtmf`, `dial`, `ringback`, `busy`, `congestion`, `facsimile`, `music`, or `tone` for another one."""
    digit: str = ""
    """Of `dtmf`: `0` to `9`, `*`, `#`, `A` to `D`."""
    frequencies_hz: tuple[float, ...] = ()
    """What it consists of; empty for music."""


class Quality(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="quality"):
    """Something is wrong with the sound of a stream, so that little or nothing can be heard in it."""

    problem: str
    """`silent`, `faint`, `clipped`, `scale` or `no_speech`."""
    detail: str
    """What was found and what it may be, for a person."""
    rms_dbfs: float | None = None
    """Level over the event's span."""
    peak_dbfs: float | None = None
    clipped_ratio: float | None = None
    """Share of samples at full scale."""


class Level(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="level"):
    """Level over the event's span."""

    rms_dbfs: float
    peak_dbfs: float
    clipped_ratio: float
    """Share of samples at full scale."""
    noise_dbfs: float | None = None
    """Estimated background level."""


class Prosody(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="prosody"):
    """Prosody over one second of speech."""

    pitch_hz: float | None
    """Median fundamental frequency of voiced frames; null without voiced frames."""
    pitch_range_semitones: float | None
    """10th to 90th percentile of pitch."""
    voiced_ratio: float
    rate_per_s: float
    """Syllable-like energy peaks per second of speech: a proxy for speech rate."""
    tilt_db_per_octave: float
    speech_s: float


class PluginTiming(msgspec.Struct, frozen=True, kw_only=True):
    """How long a plugin takes, over the ticks since the last report."""

    name: str
    busy_p50_us: float
    busy_p99_us: float
    busy_max_us: float
    wait_p50_us: float
    load: float
    """Mean busy time as a share of the hop."""
    xruns: int
    state: str = "running"
    """`running` or `bypassed`."""


class SinkState(msgspec.Struct, frozen=True, kw_only=True):
    """How processed audio fares on its way to one place; all count from the start of the session."""

    name: str
    dropped_hops: int = 0
    """Hops of streams that found no room on the way to it, because it was too slow."""
    overrun_samples: int = 0
    """Samples that it dropped itself, to keep its own delay bounded."""
    underrun_samples: int = 0
    """Samples that should have gone out but had not come in."""
    state: str = "running"
    """`running` or `closed`."""


class LaneState(msgspec.Struct, frozen=True, kw_only=True):
    """How slow work beside the ticks fares; ages and batches since the last report, counts since the start."""

    name: str
    """Plugin and lane, as `transcript.words`."""
    queue: int = 0
    """Windows that wait."""
    batch_mean: float = 0.0
    """Windows worked on at once."""
    age_p50_ms: float = 0.0
    """Time from the cut of a window to its finding."""
    age_p99_ms: float = 0.0
    lane_skipped: int = 0
    """Windows dropped because a newer one of their stream superseded them, or they had waited too long."""
    lane_failed: int = 0
    """Windows lost with a lane that raised, hung or died."""
    restarts: int = 0
    state: str = "running"
    """`starting`, `running` or `restarting`."""


class Health(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="health", omit_defaults=True):
    """The engine's own state, about once a second."""

    streams: int
    capacity: int
    ticks: int
    load: float
    tick_p50_us: float
    tick_p99_us: float
    late_p99_us: float
    counters: Counters
    plugins: tuple[PluginTiming, ...] = ()
    sinks: tuple[SinkState, ...] = ()
    """Where processed audio goes, besides being listened to."""
    lanes: tuple[LaneState, ...] = ()
    """Slow work beside the ticks."""
    history_bytes_per_stream: int = 0
    """Memory of the past that lanes look into, of one stream."""


class Fault(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="fault"):
    """Something broke and the engine went on without it."""

    where: str
    problem: str
    action: str
    """What the engine did: `bypassed`, `closed`, `retrying`."""


class SourceState(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="source"):
    """A source was lost or came back."""

    state: str
    """`lost`, `recovered`, `overflow`."""
    detail: str = ""


class SessionStart(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="session_start"):
    """The engine is ready: chain warmed, latencies known."""

    chain: tuple[str, ...]
    latency_samples: int
    sample_rate_hz: int
    hop_samples: int
    models: dict[str, str] = {}
    """Bundle name → sha256."""


class SessionEnd(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="session_end"):
    """The engine has stopped."""

    reason: str
    counters: Counters


class StreamStart(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="stream_start"):
    """A stream was admitted."""

    source: str = ""
    role: str = ""
    analysis: str = "person"
    """`person`, or `timing` when the policy allows no more than to tell speech from silence."""


class StreamEnd(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="stream_end"):
    """A stream has ended; no more events about it follow."""

    reason: str
    duration_s: float
    counters: Counters


Payload = (
    SpeechStart
    | SpeechEnd
    | Emotion
    | Spoof
    | Rank
    | Board
    | Alert
    | Tone
    | Quality
    | Level
    | Prosody
    | Health
    | Fault
    | SourceState
    | SessionStart
    | SessionEnd
    | StreamStart
    | StreamEnd
)
"""Any event payload; the tag `kind` tells them apart."""


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """One event: a payload with its place in a stream and its times.

    Attributes:
        call: Name of the call the stream belongs to; empty for events about the engine itself.
        channel: Channel within the call, as a topic part (`0`, `left`, `caller`).
        plugin: Who emitted it (`engine` for the engine itself).
        seq: Counts this stream's events from 1 without gaps, over all kinds.
        start_sample: First sample the event is about, at the engine's rate, from the start of the stream.
        end_sample: One past the last sample.
        capture_ns: UTC time in ns at which `end_sample` was captured (0 when unknown).
        emit_ns: UTC time in ns at which the event was emitted.
        data: The payload.
    """

    call: str
    channel: str
    plugin: str
    seq: int
    start_sample: int
    end_sample: int
    capture_ns: int
    emit_ns: int
    data: Payload

    @property
    def start_s(self) -> float:
        """`start_sample` in seconds of the stream."""
        return self.start_sample / _RATE_HZ

    @property
    def end_s(self) -> float:
        """`end_sample` in seconds of the stream."""
        return self.end_sample / _RATE_HZ

    @property
    def kind(self) -> str:
        """The payload's tag, for example `speech_start`."""
        return kind_of(self.data)


def kind_of(data: Payload | type) -> str:
    """Tell the `kind` tag of a payload or payload type.

    >>> kind_of(SpeechStart)
    'speech_start'
    """
    cls = data if isinstance(data, type) else type(data)
    return str(cls.__struct_config__.tag)  # type: ignore[attr-defined]
