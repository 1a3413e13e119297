"""EngineOptions: the settings of the engine itself."""

from typing import Annotated

import msgspec
from msgspec import Meta


class EngineOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of the engine; see the description of each field."""

    capacity: Annotated[int, Meta(ge=1, le=4096, description="Streams held at once; one more is refused.")] = 64
    ring_s: Annotated[float, Meta(gt=0, le=60, description="Audio held per stream, rounded up to 2^k hops, in s.")] = (
        5.0
    )
    stall_s: Annotated[
        float, Meta(gt=0, le=3_600, description="Silence of all live sources until concealed audio is fed, in s.")
    ] = 0.2
    max_backlog_s: Annotated[
        float, Meta(gt=0, le=60, description="Unread live audio beyond which the oldest is dropped, in s.")
    ] = 0.5
    patience_s: Annotated[
        float,
        Meta(ge=0, le=3_600, description="How long a backlog may exceed max_backlog_s before audio is dropped, in s."),
    ] = 0.5
    max_surplus_s: Annotated[
        float,
        Meta(gt=0, le=60, description="Audio in hand beyond the usual that a live stream may keep for long, in s."),
    ] = 0.06
    surplus_patience_s: Annotated[
        float, Meta(gt=0, le=3_600, description="How long it may have more than max_surplus_s without a break, in s.")
    ] = 1.0
    settle_s: Annotated[
        float,
        Meta(
            gt=0, le=86_400, description="Window after which a hop of needless delay of a live stream is dropped, in s."
        ),
    ] = 10.0
    give_up_load: Annotated[
        float,
        Meta(
            gt=0,
            le=1_000,
            description="Load, time of work per time of audio, above which a live engine gives up what it can do "
            "without, a thing at a time; what leaves it below 85 % of that comes back. 1000: never.",
        ),
    ] = 0.9
    hang_s: Annotated[
        float,
        Meta(
            gt=0,
            le=3_600,
            description="Time after which a plugin that does not return is bypassed, in s; of files ten times as long.",
        ),
    ] = 2.0
    health_interval_s: Annotated[
        float, Meta(gt=0, le=1_000_000_000, description="Time between two health events, in s.")
    ] = 1.0
    outbox_events: Annotated[
        int, Meta(ge=16, le=1 << 24, description="Events held for the publishers; live, more are dropped and counted.")
    ] = 16_384
    audio_buffer_s: Annotated[
        float,
        Meta(gt=0, le=60, description="Processed audio held for each place it goes to; live, more is dropped, in s."),
    ] = 1.0
    owns_process: Annotated[
        bool, Meta(description="Tune the interpreter for the driver thread: switch interval and frozen heap.")
    ] = False
    realtime: Annotated[
        bool,
        Meta(description="A live engine that owns its process runs before other programs, where that is permitted."),
    ] = True
    core_dumps: Annotated[
        bool,
        Meta(
            description="Let the system keep the memory of a crashed `listen`, `analyze` or `serve`, with the audio "
            "that is in it; for developers. An embedding program decides that for itself."
        ),
    ] = False
