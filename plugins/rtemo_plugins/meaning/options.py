"""MeaningOptions: the settings of the meaning plugin."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta


class QueryRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When to alert: a query has scored beyond a value often enough; give `above` or `below`."""

    name: Annotated[str, Meta(min_length=1, description="Name of the rule, told with the alert.")]
    query: Annotated[str, Meta(min_length=1, description="One of `queries`.")]
    measure: Annotated[
        Literal["score", "z"], Meta(description="What is looked at, by the names in `query_score` events.")
    ] = "z"
    above: Annotated[float | None, Meta(description="Holds above this value.")] = None
    below: Annotated[float | None, Meta(description="Holds below this value.")] = None
    release: Annotated[
        float | None,
        Meta(description="Once it holds it does until the value is back at this one; nothing is told twice before."),
    ] = None
    hits: Annotated[int, Meta(ge=1, le=64, description="In how many of the last scores it must hold.")] = 1
    windows: Annotated[int, Meta(ge=1, le=64, description="How many scores are looked at.")] = 1
    cool_down_s: Annotated[
        float, Meta(ge=0, le=3600, description="Time of the call before the next alert of this rule, in s.")
    ] = 60.0


class MeaningOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is looked for in voices, how often, and which networks look."""

    queries: Annotated[
        tuple[str, ...],
        Meta(
            description="Descriptions of voices, as 'a caller losing patience'; with its opposite behind a bar, as "
            "'losing patience | calm and content'."
        ),
    ] = ()
    takes_queries: Annotated[
        bool,
        Meta(description="Whether queries may be asked and taken back while it runs, by who may ask the query socket."),
    ] = False
    alerts: Annotated[tuple[QueryRule, ...], Meta(description="Rules for alerts on scores.")] = ()
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
