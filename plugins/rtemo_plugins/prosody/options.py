"""ProsodyOptions: what a user may set about prosody."""

from typing import Annotated

import msgspec
from msgspec import Meta


class ProsodyOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of the prosody plugin."""

    interval_s: Annotated[float, Meta(ge=0.1, le=60, description="Speech that one event speaks of, in s.")] = 1.0
    least_s: Annotated[
        float, Meta(gt=0, description="Least speech left at the end of a turn that is worth an event, in s.")
    ] = 0.5
    low_hz: Annotated[float, Meta(ge=50, le=400, description="Lowest pitch looked for.")] = 60.0
    high_hz: Annotated[float, Meta(ge=100, le=1000, description="Highest pitch looked for.")] = 500.0
