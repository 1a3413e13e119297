"""ListenerOptions: the settings of the listener plugin."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class ListenerOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to tell, when to estimate, when to say that one is not sure, and which network listens."""

    emotion: Annotated[bool, Meta(description="Whether the emotion is told.")] = True
    spoof: Annotated[
        bool,
        Meta(
            description="Whether signs of a synthetic voice are told, from the same pass, where the bundle knows any."
        ),
    ] = True

    when: Annotated[
        Literal["always", "spare"],
        Meta(
            description="spare: as many turns at once are listened to as the lane keeps up with, where a later plugin "
            "of the chain tells emotion too and speaks of the others; always: every turn."
        ),
    ] = "spare"

    first_s: Annotated[float, Meta(gt=0, le=10, description="Time of a turn before its first estimate, in s.")] = 1.0
    stride_s: Annotated[float, Meta(ge=0.2, le=5, description="Time between two estimates of a turn, in s.")] = 0.5
    least_s: Annotated[float, Meta(gt=0, le=10, description="Least time of a turn for its final estimate, in s.")] = 0.3
    span_s: Annotated[
        float, Meta(gt=0, le=120, description="Time after which a long turn is closed and begun anew, in s.")
    ] = 12.0
    unsure_below: Annotated[
        Annotated[float, Meta(ge=0, le=1)] | None,
        Meta(description="Confidence below which the label is 'unsure'; the bundle's own value if unset."),
    ] = None
    max_batch: Annotated[
        int,
        Meta(ge=1, le=256, description="Windows of all streams worked on at once; more than one only pay on a GPU."),
    ] = 1
    max_age_s: Annotated[
        float, Meta(gt=0, le=30, description="A window that waited longer is dropped and counted, in s.")
    ] = 3.0
    bundle: Annotated[str, Meta(description="Name of the bundle that listens.")] = "gem-large"
    false_alarms_per_hour: Annotated[
        float,
        Meta(
            gt=0,
            le=3600,
            description="False alarms about synthetic voices to put up with, per hour of genuine speech: the operating "
            "point.",
        ),
    ] = 1.0
    policy: Annotated[
        Literal["warn", "tag"],
        Meta(
            description="What follows from a verdict: 'warn' (events only) or 'tag' (emotion events of a voice judged "
            "synthetic are tagged untrusted)."
        ),
    ] = "warn"
    heard_s: Annotated[
        float, Meta(ge=0.5, le=30, description="Speech heard before the first verdict on a voice, in s.")
    ] = 2.0
    refresh_s: Annotated[float, Meta(gt=0, le=60, description="Speech between two events about a voice, in s.")] = 1.0
    cool_down_s: Annotated[
        float, Meta(ge=0, le=3600, description="Speech without new evidence after which an alarm is over, in s.")
    ] = 30.0
