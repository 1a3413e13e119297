"""MeaningOptions: the settings of the meaning plugin."""

from typing import Annotated

import msgspec
from msgspec import Meta


class MeaningOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is looked for in voices, how often, and which networks look."""

    queries: Annotated[
        tuple[str, ...],
        Meta(
            description="Descriptions of voices, as 'a caller losing patience'; with its opposite behind a bar, as "
            "'losing patience | calm and content'."
        ),
    ] = ()
    stride_s: Annotated[float, Meta(ge=0.25, le=10, description="Time between two scores of a turn, in s.")] = 1.0
    first_s: Annotated[float, Meta(gt=0, le=3, description="Time of a turn before its first score, in s.")] = 1.0
    share: Annotated[
        float, Meta(gt=0, le=1, description="Share of the newest window in the score of a turn; 1 forgets the rest.")
    ] = 0.4
    bundle: Annotated[str, Meta(description="Name of the bundle that joins voices and text.")] = "emotion-rank-clap"
    listen_bundle: Annotated[str, Meta(description="Name of the bundle that hears voices.")] = "merit-large"
    sentence_bundle: Annotated[str, Meta(description="Name of the bundle that reads text.")] = "minilm"
    max_batch: Annotated[int, Meta(ge=1, le=256, description="Windows of all streams worked on at once.")] = 16
    max_age_s: Annotated[
        float, Meta(gt=0, le=30, description="A window that waited longer is dropped and counted, in s.")
    ] = 3.0
