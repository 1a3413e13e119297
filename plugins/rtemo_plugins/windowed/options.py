"""WindowedOptions: the settings of the windowed plugin."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class WindowedOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which model, how often it is asked, and when to say that one is not sure."""

    bundle: Annotated[
        str, Meta(description="Name of an installed bundle, or path of its folder; there is none without it.")
    ] = ""
    window_s: Annotated[
        Annotated[float, Meta(gt=0, le=60)] | None,
        Meta(description="Longest window, in s; as long as the model takes if unset."),
    ] = None
    stride_s: Annotated[
        Annotated[float, Meta(gt=0, le=60)] | None,
        Meta(description="Time between two estimates while somebody speaks, in s; the card's own if unset."),
    ] = None
    least_s: Annotated[float, Meta(gt=0, le=10, description="Least speech for an estimate, in s.")] = 0.5
    labels: Annotated[
        dict[str, str],
        Meta(description="Label of the model: one of the eight emotions, or nothing to leave it out."),
    ] = msgspec.field(default_factory=dict)
    unsure_below: Annotated[
        Annotated[float, Meta(ge=0, le=1)] | None,
        Meta(description="Confidence below which the label is 'unsure'; the bundle's own value if unset."),
    ] = None
    audio: Annotated[
        Literal["heard", "processed"],
        Meta(description="Audio as it enters the chain, or as it leaves it."),
    ] = "heard"
    max_batch: Annotated[int, Meta(ge=1, le=256, description="Windows given to the model at once at most.")] = 16
    max_age_s: Annotated[
        float, Meta(gt=0, le=60, description="A window that waited longer is dropped and counted, in s.")
    ] = 5.0
