"""PartiesOptions: the settings of the parties plugin."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class PartiesOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How many parties there are at most, when to say that one cannot tell, and whether emotion of both may be told."""

    parties: Annotated[int, Meta(ge=1, le=4, description="How many people speak on the line at most.")] = 2
    unsure_below: Annotated[
        float, Meta(ge=0, le=1, description="Confidence below which it is not said who spoke (`party` is null).")
    ] = 0.7
    emotion: Annotated[
        Literal["refuse", "both"],
        Meta(
            description="refuse: a chain that tells emotion, too, is not opened, since it would tell that of everybody "
            "on the line; both: it may, since nobody on it is at work or in education."
        ),
    ] = "refuse"
    stride_s: Annotated[
        float, Meta(ge=0.4, le=5, description="Time of speech between two looks at the voice, in s.")
    ] = 0.8
    max_batch: Annotated[int, Meta(ge=1, le=256, description="Windows of all streams worked on at once.")] = 8
    max_age_s: Annotated[
        float, Meta(gt=0, le=30, description="A window that waited longer is dropped and counted, in s.")
    ] = 5.0
    bundle: Annotated[str, Meta(description="Name of the bundle that tells voices apart.")] = "speaker"
