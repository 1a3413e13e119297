"""GatesOptions: the settings of the gates plugin."""

from typing import Annotated

import msgspec
from msgspec import Meta


class GatesOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How much music and noise there may be, and over how long; the numbers are those of the corpus pipeline."""

    window_s: Annotated[float, Meta(ge=3, le=30, description="What is looked at at once, in s.")] = 6.0
    stride_s: Annotated[float, Meta(ge=0.5, le=30, description="Time of speech between two looks, in s.")] = 2.0
    most_music: Annotated[float, Meta(ge=0, le=1, description="Share of a window that may be music.")] = 0.5
    least_snr_db: Annotated[float, Meta(ge=-20, le=60, description="Least signal-to-noise ratio, in dB.")] = 15.0
    patience: Annotated[
        int, Meta(ge=1, le=100, description="Windows in a row that must say the same before it is said.")
    ] = 2
    max_batch: Annotated[int, Meta(ge=1, le=256, description="Windows of all streams worked on at once.")] = 16
    max_age_s: Annotated[
        float, Meta(gt=0, le=30, description="A window that waited longer is dropped and counted, in s.")
    ] = 5.0
