"""LevelOptions: what a user may set about level."""

from typing import Annotated

import msgspec
from msgspec import Meta


class LevelOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of the level meter."""

    interval_s: Annotated[float, Meta(ge=0.01, le=3600, description="Time between two level events, in s.")] = 1.0
    quality_s: Annotated[
        float, Meta(ge=1, le=3600, description="Span over which samples that look wrong are reported, in s.")
    ] = 10.0
