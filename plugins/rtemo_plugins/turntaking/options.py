"""TurnTakingOptions: the settings of the turntaking plugin."""

from typing import Annotated

import msgspec
from msgspec import Meta


class TurnTakingOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a turn is held to be over."""

    over_from: Annotated[
        float,
        Meta(
            gt=0, le=1, description="Probability from which a turn is over; lower ends turns sooner and cuts more off."
        ),
    ] = 0.75
    longest_silence_s: Annotated[
        float, Meta(ge=0.2, le=10, description="Silence after which a turn is over whatever the probability, in s.")
    ] = 1.5
    backchannel_s: Annotated[
        float,
        Meta(
            ge=0,
            le=5,
            description="Speech up to which a turn may be a mere sign of listening, in s; 0 calls none so.",
        ),
    ] = 0.6
    bundle: Annotated[str, Meta(description="Name of the bundle that judges pauses.")] = "end-of-turn"
