"""WatermarkOptions: the settings of the watermark plugin."""

from typing import Annotated

import msgspec
from msgspec import Meta

from rtemo.dsp.watermark import THRESHOLD


class WatermarkOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How often to look for the watermark, and what counts as found."""

    stride_s: Annotated[float, Meta(ge=1, le=30, description="Time between two looks while somebody speaks, in s.")] = (
        3.0
    )
    threshold: Annotated[
        float, Meta(ge=4, le=50, description="Deviations of chance by which it must stand out to be found.")
    ] = THRESHOLD
    max_batch: Annotated[int, Meta(ge=1, le=256, description="Windows of all streams worked on at once.")] = 16
    max_age_s: Annotated[
        float, Meta(gt=0, le=30, description="A window that waited longer is dropped and counted, in s.")
    ] = 5.0
