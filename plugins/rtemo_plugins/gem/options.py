"""GemOptions: the settings of the gem plugin."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Policy = Literal["warn", "tag", "mute"]


class GemOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How sure to be, when to say so, and what follows from it."""

    false_alarms_per_hour: Annotated[
        float,
        Meta(
            gt=0, le=3600, description="False alarms to put up with, per hour of genuine speech: the operating point."
        ),
    ] = 1.0
    policy: Annotated[
        Policy,
        Meta(
            description="What follows: 'warn' (events only), 'tag' (emotion events of a voice judged synthetic are "
            "tagged untrusted) or 'mute' (that, and silence while an alarm stands)."
        ),
    ] = "warn"
    least_s: Annotated[float, Meta(ge=0.5, le=30, description="Speech heard before the first verdict, in s.")] = 1.5
    refresh_s: Annotated[float, Meta(gt=0, le=60, description="Speech between two events, in s.")] = 1.0
    cool_down_s: Annotated[
        float, Meta(ge=0, le=3600, description="Speech without new evidence after which an alarm is over, in s.")
    ] = 30.0
    verdicts_of: Annotated[
        tuple[str, ...],
        Meta(
            description="Plugins whose verdicts on a voice count in the place of its own, for 30 s of speech; none: []."
        ),
    ] = ("listener", "watermark")
    bundle: Annotated[str, Meta(description="Name of the bundle that holds the ensemble.")] = "gem"
