"""Options of the sinks on this machine, as the configuration file knows them; imports nothing heavy."""

from typing import Annotated

import msgspec
from msgspec import Meta


class PlayOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of the loudspeaker that processed audio is played on."""

    device: Annotated[int | str, Meta(description="Device by index or part of its name; '' is the default one.")] = ""
    sample_rate_hz: Annotated[
        int, Meta(ge=0, le=768_000, description="Rate to open the device at, in Hz; 0 is the device's own.")
    ] = 0
    latency_s: Annotated[
        float, Meta(gt=0, le=2, description="Buffering asked of the device, in s; smaller is faster and riskier.")
    ] = 0.04
    roles: Annotated[
        tuple[str, ...],
        Meta(description="Play only streams of these roles, as 'assistant'; all when empty."),
    ] = ()
    prefill_s: Annotated[
        float, Meta(ge=0, le=2, description="Audio kept in hand against jitter, in s; delays what is heard by as much.")
    ] = 0.04
    surplus_s: Annotated[
        float,
        Meta(ge=0.02, le=5, description="Audio beyond prefill_s at which some is dropped, in s."),
    ] = 0.1
