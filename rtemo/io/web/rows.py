"""Rows: what the wall, and whoever lists calls, is told of each call."""

from typing import Annotated

import msgspec
from msgspec import Meta


class EmotionNow(msgspec.Struct, frozen=True, kw_only=True):
    """The last estimate of how a voice sounds."""

    label: Annotated[str, Meta(description="An emotion, or `unsure` below the confidence at which the model commits.")]
    confidence: float
    arousal: float
    valence: float
    is_trusted: bool

    @property
    def heat(self) -> float:
        """How aroused and displeased it sounds, by which voices are compared; half of it where the model is unsure."""
        return (self.arousal - self.valence) / (4 if self.label == "unsure" else 2)


class EmotionWorst(EmotionNow, frozen=True, kw_only=True):
    """The estimate at which a voice sounded worst, the most aroused and displeased."""

    t_s: Annotated[float, Meta(description="How far into the stream, in s.")]


class SpoofNow(msgspec.Struct, frozen=True, kw_only=True):
    """The last sign of a synthetic voice; weak, and for a person to weigh."""

    verdict: Annotated[str, Meta(description="`bona_fide`, `spoof`, or `unknown`, which is an abstention.")]
    score: float
    is_alarmed: bool


class RankNow(msgspec.Struct, frozen=True, kw_only=True):
    """Where the present moment stands in one attribute."""

    score: float
    spread: float | None
    percentile: Annotated[float | None, Meta(description="Share of the call's own past that lies below, in percent.")]
    trend_per_min: float | None


class ChannelRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One party of a call, now."""

    channel: str
    role: str = ""
    analysis: Annotated[str, Meta(description="`person`, or `timing` where the policy allows no more.")] = "person"
    is_open: bool = True
    is_speaking: bool | None = None
    t_s: Annotated[float, Meta(description="How far into the stream, in s.")] = 0.0
    speech_s: float = 0.0
    level_dbfs: float | None = None
    emotion: EmotionNow | None = None
    worst: Annotated[EmotionWorst | None, Meta(description="How it sounded at its worst; told once it has ended.")] = (
        None
    )
    spoof: SpoofNow | None = None
    ranks: dict[str, RankNow] = {}
    queries: Annotated[
        dict[str, float],
        Meta(description="Query → how much the voice is like it of late, in deviations from its own usual score."),
    ] = {}
    words: Annotated[str, Meta(description="What is said in the present turn, or was in the last.")] = ""
    why: Annotated[str, Meta(description="The last rationale.")] = ""
    quality: Annotated[tuple[str, ...], Meta(description="What is wrong with the sound.")] = ()
    is_lost: Annotated[bool, Meta(description="Whether the source was lost and has not come back.")] = False


class AlertRow(msgspec.Struct, frozen=True, kw_only=True):
    """One alert of a call."""

    id: Annotated[str, Meta(description="Epoch and number of its event.")]
    rule: str
    channel: str
    t_s: float
    t_pub_ms: float
    values: dict[str, float]
    mark: Annotated[str, Meta(description="`acknowledged`, `snoozed` or `wrong`, when somebody has said so.")] = ""
    snoozed_until_ms: Annotated[float, Meta(description="UTC in ms until which it is put off.")] = 0.0


class CallRow(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One call, now."""

    call: str
    is_open: bool = True
    t_pub_ms: Annotated[float, Meta(description="UTC in ms of its last event.")] = 0.0
    channels: tuple[ChannelRow, ...] = ()
    alerts: tuple[AlertRow, ...] = ()
    urgency: Annotated[float | None, Meta(description="From the board; absent when it is not on it.")] = None
    spread: Annotated[float | None, Meta(description="Standard deviation of the error of `urgency`.")] = None
    trend: Annotated[
        dict[str, list[tuple[float, float, float, float | None, float | None]]],
        Meta(
            description="Channel → [t in s, arousal, valence, rank, its spread] of every estimate; in snapshots only."
        ),
    ] = {}


class EngineRow(msgspec.Struct, frozen=True, kw_only=True):
    """The engine, now."""

    is_fed: Annotated[bool, Meta(description="Whether the engine has given a sign of life in the last seconds.")]
    purpose: str = ""
    chain: tuple[str, ...] = ()
    streams: int = 0
    capacity: int = 0
    load: float = 0.0
    ranked: Annotated[int | None, Meta(description="Streams that the board compares.")] = None
    unsure: Annotated[int | None, Meta(description="Streams that it cannot compare yet.")] = None
    trouble: Annotated[dict[str, int], Meta(description="Counters of trouble that are not zero.")] = {}
    faults: Annotated[tuple[str, ...], Meta(description="What broke last.")] = ()
    given_up: Annotated[
        tuple[str, ...], Meta(description="What the engine does without, since it cannot carry its load.")
    ] = ()


class Calls(msgspec.Struct, frozen=True, kw_only=True):
    """Answer of `/v1/calls`."""

    epoch: str
    pub_seq: int
    calls: list[CallRow]


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Answer to what cannot be done."""

    error: str
    mend: str
