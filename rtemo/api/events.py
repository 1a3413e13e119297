"""Events: what leaves the engine, as msgspec structs; the wire schema is generated from these types."""

from typing import TypeAlias

import msgspec

from rtemo.api.format import StreamFormat

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
    """Hops dropped, plugin turns left out, or hops whose audio was left as it was, by the overload policy."""
    dropped_events: int = 0
    """Events thrown away because the outbox was full."""
    concealed_hops: int = 0
    """Hops filled in because the audio was late: no loss by itself, but the listener should know."""


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
    """`running`, `bypassed`, or `left out` while the engine cannot carry its load."""


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


class SourceCounts(msgspec.Struct, frozen=True, kw_only=True):
    """What has come to the door of a source that strangers connect to, since the start of the session."""

    name: str
    connections: int = 0
    """Peers let in; calls, where there are no connections."""
    refused: int = 0
    """Peers turned away: no signature, another key, no room."""
    broken: int = 0
    """Peers closed because of what they did."""
    messages: int = 0
    """Messages and packets taken."""
    dropped: int = 0
    """Packets dropped: far faster than real time, unreadable, or of a party that is not let in."""


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
    """Windows dropped because a newer one of their stream superseded them, they had waited too long, or the engine
    could not carry its load."""
    lane_failed: int = 0
    """Windows lost with a lane that raised, hung or died."""
    restarts: int = 0
    state: str = "running"
    """`starting`, `running`, `restarting`, or `left out` while the engine cannot carry its load."""


class WorkerState(msgspec.Struct, frozen=True, kw_only=True):
    """How one of several processes fares that share the calls of one server."""

    name: str
    """Its number; one that takes the place of another has the same."""
    state: str
    """`starting`, `running`, `late` (nothing heard from it for half a second), `leaving` or `restarting`."""
    streams: int = 0
    """Streams that clients have open there."""
    load: float = 0.0
    late_p99_us: float = 0.0
    restarts: int = 0
    """How often another has taken its place since the start of the session."""


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
    sources: tuple[SourceCounts, ...] = ()
    """What has come to sources that strangers connect to."""
    given_up: tuple[str, ...] = ()
    """What the engine does without since it cannot carry its load, in the order in which it went; see `overload`."""
    given_up_s: float = 0.0
    """For how long that has been so."""
    workers: tuple[WorkerState, ...] = ()
    """The processes that share the calls, where there are several; what stands above is of all together."""


class Fault(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="fault"):
    """Something broke and the engine went on without it."""

    where: str
    problem: str
    action: str
    """What was done: `bypassed`, `closed`, `retrying`, `dropped` for what was too much, or `moved`: the call goes on in
    another process, with fresh state."""


class Overload(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="overload"):
    """The engine cannot carry its load and gives something up, or can again and takes it back."""

    state: str
    """`given_up` or `taken_back`."""
    what: str
    """`extras`, `queries`, `words`, `spoof`, `enhancement` or `rate`; see the architecture."""
    plugins: tuple[str, ...]
    """Whose it is."""
    given_up: tuple[str, ...] = ()
    """All that is given up from now on, in the order in which it went."""
    load: float = 0.0
    """Time of work per time of audio, in the quarter of a second before."""
    where: str = ""
    """Which process, as `worker 2`, where several share the calls."""


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
    is_estimate: bool | msgspec.UnsetType = msgspec.UNSET
    """True where it was told apart by its voice from others in one channel: some of their speech may be in it."""


class StreamEnd(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="stream_end"):
    """A stream has ended; no more events about it follow."""

    reason: str
    duration_s: float
    counters: Counters


ENGINE_EVENTS: tuple[type[msgspec.Struct], ...] = (
    Health,
    Fault,
    Overload,
    SourceState,
    SessionStart,
    SessionEnd,
    StreamStart,
    StreamEnd,
)
"""What the engine itself says."""

Payload: TypeAlias = msgspec.Struct
"""Any event payload: a struct with a `kind` of its own, of the engine, of `rtemo.api.vocabulary`, or of a plugin."""


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


def kind_of(data: Payload | type[Payload]) -> str:
    """Tell the `kind` tag of a payload or payload type.

    >>> kind_of(StreamStart)
    'stream_start'
    """
    cls = data if isinstance(data, type) else type(data)
    return str(cls.__struct_config__.tag)


def is_payload_type(cls: object) -> bool:
    """Whether something is a type of event payloads: a struct whose tag field is `kind`, and whose tag is a name."""
    if not (isinstance(cls, type) and issubclass(cls, msgspec.Struct)) or cls.__struct_config__.tag_field != "kind":
        return False
    kind = cls.__struct_config__.tag
    return isinstance(kind, str) and kind.isidentifier()


def state_key_of(data: Payload) -> str:
    """Tell under what key the last value of an event is kept: its kind, and the field that `state_key` names.

    A payload type that speaks of several things in turn names the field that tells them apart, as
    `state_key: ClassVar[str] = "attribute"`; the last value of each is kept then.
    """
    field = getattr(type(data), "state_key", "")
    kind = kind_of(data)
    return f"{kind}.{getattr(data, field)}" if field else kind
