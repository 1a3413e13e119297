"""LivenessOptions: the settings of the liveness plugin."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Reason = Literal["alarm", "spoof"]
Language = Literal["en", "de", "fr", "es", "pl"]


class LivenessOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whom to ask, for what, and how long to wait."""

    on: Annotated[
        Reason,
        Meta(
            description="Who is asked: 'alarm', voices of whom evidence has gathered over the call, or 'spoof', those "
            "too whose last seconds alone sound synthetic."
        ),
    ] = "alarm"
    language: Annotated[Language, Meta(description="Language of the question and of its words.")] = "en"
    words: Annotated[int, Meta(ge=2, le=6, description="Words asked for; all but one must be heard.")] = 3
    wait_s: Annotated[float, Meta(ge=1, le=300, description="Time in which they may be said, in s.")] = 20.0
    again_s: Annotated[
        float, Meta(ge=0, le=86400, description="Least time between two questions to the same speaker, in s.")
    ] = 120.0
