"""TurnTakingOptions: the settings of the turntaking plugin."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class TurnTakingOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When a turn is held to be over."""

    judge: Annotated[
        Literal["pauses", "network"],
        Meta(
            description="pauses: by silence, melody and level, in the tick; network: by the last 8 s of sound, beside "
            "the tick, better in conversation and far dearer."
        ),
    ] = "pauses"
    over_from: Annotated[
        Annotated[float, Meta(gt=0, le=1)] | None,
        Meta(
            description="Probability from which a turn is over; lower ends turns sooner and cuts more off. Unset it is "
            "0.9 by pauses and 0.5 by the network."
        ),
    ] = None
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
    network_bundle: Annotated[
        str, Meta(description="Name of the bundle that hears the last 8 s (the package pipecat-ai brings it).")
    ] = "smart-turn"
    max_age_s: Annotated[
        float, Meta(gt=0, le=10, description="A window that waited longer for the network is dropped, in s.")
    ] = 0.5

    @property
    def threshold(self) -> float:
        """Probability from which a turn is over."""
        if self.over_from is not None:
            return self.over_from
        return 0.9 if self.judge == "pauses" else 0.5
