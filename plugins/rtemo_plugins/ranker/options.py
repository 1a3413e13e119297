"""RankerOptions: the settings of the ranker plugin."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

Measure = Literal["score", "percentile", "anchor_percentile", "trend_per_min", "p_rising"]


class Condition(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What must hold of one attribute; give `above` or `below`."""

    attribute: Annotated[str, Meta(description="Attribute of the bundle, as arousal.")]
    measure: Annotated[Measure, Meta(description="What is looked at, by the names in `rank` events.")] = "score"
    above: Annotated[float | None, Meta(description="Holds above this value.")] = None
    below: Annotated[float | None, Meta(description="Holds below this value.")] = None
    release: Annotated[
        float | None,
        Meta(description="Once it holds it does until the value is back at this one; nothing is told twice before."),
    ] = None
    for_s: Annotated[float, Meta(ge=0, le=600, description="Speech over which it must hold all the time, in s.")] = 0.0


class AlertRule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When to alert: all conditions at once, in enough windows of half a second."""

    name: Annotated[str, Meta(min_length=1, description="Name of the rule, told with the alert.")]
    when: Annotated[tuple[Condition, ...], Meta(min_length=1, description="Conditions, all of which must hold.")]
    hits: Annotated[int, Meta(ge=1, le=64, description="In how many of the last windows they must hold.")] = 1
    windows: Annotated[int, Meta(ge=1, le=64, description="How many windows of half a second are looked at.")] = 1
    cool_down_s: Annotated[
        float, Meta(ge=0, le=3600, description="Speech before the next alert of this rule, in s.")
    ] = 60.0


class BoardOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the streams of the engine are compared."""

    refresh_s: Annotated[float, Meta(ge=0, le=60, description="Time between two boards, in s; 0 for none.")] = 1.0
    places: Annotated[int, Meta(ge=1, le=100, description="Streams on the board.")] = 10
    weights: Annotated[
        dict[str, float], Meta(description="Attribute → its weight in the urgency; negative where low is urgent.")
    ] = msgspec.field(default_factory=lambda: {"arousal": 1.0, "valence": -1.0})
    caution: Annotated[
        float, Meta(ge=0, le=5, description="How many times its spread is taken from the urgency of a stream.")
    ] = 0.5
    hysteresis: Annotated[
        float, Meta(ge=0, le=5, description="By how much a stream must exceed another to take its place.")
    ] = 0.25
    stale_s: Annotated[
        float, Meta(gt=0, le=3600, description="Time without speech after which a stream is not compared, in s.")
    ] = 120.0


class RankerOptions(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When to speak, how long to remember, what is a change; the board; the alerts."""

    least_s: Annotated[float, Meta(ge=0.5, le=30, description="Speech heard before the first rank, in s.")] = 2.0
    refresh_s: Annotated[float, Meta(ge=0.5, le=60, description="Speech between two events, in s.")] = 2.0
    memory_s: Annotated[
        float, Meta(ge=10, le=7200, description="Speech after which half of the call's own past is forgotten, in s.")
    ] = 120.0
    change_z: Annotated[
        Annotated[float, Meta(gt=0, le=20)] | None,
        Meta(description="Distance beyond which a mood has changed, in deviations; the bundle's own value if unset."),
    ] = None
    alerts: Annotated[tuple[AlertRule, ...], Meta(description="Rules for alerts; see docs/ranking.md.")] = ()
    board: Annotated[BoardOptions, Meta(description="The board, over all streams.")] = BoardOptions()
    estimates_of: Annotated[
        tuple[str, ...],
        Meta(description="Plugins of the chain whose estimates of arousal and valence are taken into the scores."),
    ] = ("listener",)
    bundle: Annotated[str, Meta(description="Name of the bundle that scores.")] = "ranker"
    listen_bundle: Annotated[
        str, Meta(description="Name of the bundle whose words are scored: the same as that of the merit plugin.")
    ] = "merit-listen"
