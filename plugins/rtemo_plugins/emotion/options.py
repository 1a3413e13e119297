"""EmotionOptions: the settings of the emotion plugin."""

from typing import Annotated

import msgspec
from msgspec import Meta


class EmotionOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When to estimate and when to say that one is not sure."""

    bundle: Annotated[str, Meta(description="Name of the model bundle.")] = "emotion"
    first_s: Annotated[float, Meta(gt=0, le=10, description="Speech heard before the first estimate, in s.")] = 1.0
    refresh_s: Annotated[float, Meta(gt=0, le=10, description="Speech between two estimates of a turn, in s.")] = 0.5
    least_s: Annotated[float, Meta(gt=0, le=10, description="Least speech for the final estimate of a turn, in s.")] = (
        0.3
    )
    span_s: Annotated[
        float, Meta(gt=0, le=120, description="Speech after which a long turn is closed and begun anew, in s.")
    ] = 12.0
    unsure_below: Annotated[
        Annotated[float, Meta(ge=0, le=1)] | None,
        Meta(description="Confidence below which the label is 'unsure'; the bundle's own value if unset."),
    ] = None
