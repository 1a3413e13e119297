"""DialogueOptions: the settings of the dialogue plugin."""

from typing import Annotated

import msgspec
from msgspec import Meta


class DialogueOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How often to tell, and what counts as dead air and as an interruption."""

    interval_s: Annotated[
        float, Meta(ge=1, le=3600, description="Time between two talk events of a party, in s; the last one is final.")
    ] = 10.0
    dead_air_s: Annotated[
        float, Meta(ge=1, le=3600, description="Time in which nobody of the call speaks that is dead air, in s.")
    ] = 5.0
    interruption_s: Annotated[
        float,
        Meta(
            ge=0,
            le=30,
            description="Least time for which one talks over another, who then stops, in s; at the end of a turn a "
            "shorter one is how people take turns.",
        ),
    ] = 0.5
