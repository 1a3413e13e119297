"""MeritOptions: the settings of the merit plugin."""

from typing import Annotated

import msgspec
from msgspec import Meta


class MeritOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much to enhance, when to estimate, and when to say that one is not sure."""

    enhance: Annotated[
        bool, Meta(description="Whether the audio is enhanced, 20 ms late; else it passes untouched, without delay.")
    ] = True
    emotion: Annotated[
        bool,
        Meta(
            description="Whether emotion events are emitted; false where another plugin, as listener, emits them. "
            "The marks are written all the same."
        ),
    ] = True
    wet: Annotated[float, Meta(ge=0, le=1, description="Share of the enhanced signal in the output.")] = 1.0
    attenuation_limit_db: Annotated[
        Annotated[float, Meta(ge=0)] | None,
        Meta(description="By how much a bin may be attenuated at most, in dB; no limit if unset."),
    ] = None
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
    listen_bundle: Annotated[str, Meta(description="Name of the bundle that hears emotion and gives the context.")] = (
        "merit-listen"
    )
    enhance_bundle: Annotated[str, Meta(description="Name of the bundle that enhances.")] = "merit-enhance"
