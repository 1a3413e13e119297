"""ListenerOptions: the settings of the listener plugin."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class ListenerOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When to estimate, when to say that one is not sure, and which network listens."""

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
    bundle: Annotated[str, Meta(description="Name of the bundle that listens.")] = "merit-large"
