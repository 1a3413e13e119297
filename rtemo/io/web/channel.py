"""LiveChannel: the present state of one party of a call."""

import time
from collections import deque
from collections.abc import Callable
from operator import itemgetter
from typing import Any

import msgspec

from rtemo.api import (
    Emotion,
    Level,
    Payload,
    Quality,
    QueryScore,
    Rank,
    Rationale,
    SourceState,
    SpeechEnd,
    SpeechStart,
    Spoof,
    StreamEnd,
    StreamStart,
    Transcript,
)
from rtemo.io.query_scores import QueryScores
from rtemo.io.web.rows import ChannelRow, EmotionNow, EmotionWorst, RankNow, SpoofNow
from rtemo.io.wire import LatestEvent, WireEvent

_TREND_POINTS = 240
_QUALITY_S = 30.0

_Change = dict[str, Any]
_Event = WireEvent[Any]


class LiveChannel:
    """What is known now of one party.

    Args:
        name: Of the channel.

    Attributes:
        latest: Key → the last event of its kind.
        trend: (t in s, arousal, valence, rank, its spread) of every estimate, as they came.
        worst: The estimate at which it sounded worst.
        problems: What was wrong with the sound, in words, and when that was said.
        scores: By what it is like what is looked for.
    """

    def __init__(self, name: str) -> None:
        self.latest: dict[str, LatestEvent[Any]] = {}
        self.trend: deque[tuple[float, float, float, float | None, float | None]] = deque(maxlen=_TREND_POINTS)
        self.worst: EmotionWorst | None = None
        self.problems: dict[str, tuple[str, float]] = {}
        self.scores = QueryScores()
        self.row = ChannelRow(channel=name)

    def take(self, event: _Event, data: Payload | None) -> None:
        """Take an event into account; of those whose payload is not looked into (None) the time alone."""
        change: _Change = {"t_s": max(self.row.t_s, round(event.end_s, 2))}
        reduce = _REDUCERS.get(type(data))
        if reduce is not None:
            change |= reduce(self, data, event)
        self.row = msgspec.structs.replace(self.row, **change)

    def now(self, now_s: float) -> ChannelRow:
        """Tell what the wall shows of it at a monotonic time."""
        recent = tuple(text for text, at_s in self.problems.values() if now_s - at_s < _QUALITY_S)
        return msgspec.structs.replace(self.row, quality=recent, worst=None if self.row.is_open else self.worst)

    def course(self) -> list[tuple[float, float, float, float | None, float | None]]:
        """Give the trend in order of time: a slower plugin speaks later of a moment that has passed."""
        return sorted(self.trend, key=itemgetter(0))


def _started(channel: LiveChannel, data: StreamStart, event: _Event) -> _Change:
    return {"role": data.role, "analysis": data.analysis}


def _ended(channel: LiveChannel, data: StreamEnd, event: _Event) -> _Change:
    return {"is_open": False, "is_speaking": False, "level_dbfs": None, "is_lost": False}


def _emotion(channel: LiveChannel, data: Emotion, event: _Event) -> _Change:
    rank = next(iter(channel.row.ranks.values()), None)
    arousal, valence = round(data.arousal, 3), round(data.valence, 3)
    score, spread = (None, None) if rank is None else (rank.score, rank.spread)
    channel.trend.append((round(event.end_s, 2), arousal, valence, score, spread))
    now = EmotionNow(
        label=data.label,
        confidence=round(data.confidence, 3),
        arousal=arousal,
        valence=valence,
        is_trusted=data.is_trusted,
    )
    if channel.worst is None or now.heat > channel.worst.heat:
        channel.worst = EmotionWorst(**msgspec.structs.asdict(now), t_s=round(event.end_s, 2))
    return {"emotion": now}


def _rank(channel: LiveChannel, data: Rank, event: _Event) -> _Change:
    now = RankNow(
        score=round(data.score, 3),
        spread=None if data.spread is None else round(data.spread, 3),
        percentile=data.percentile,
        trend_per_min=data.trend_per_min,
    )
    return {"ranks": {**channel.row.ranks, data.attribute: now}}


def _quality(channel: LiveChannel, data: Quality, event: _Event) -> _Change:
    channel.problems[data.problem] = (data.detail or data.problem, time.monotonic())
    return {}


def _query_score(channel: LiveChannel, data: QueryScore, event: _Event) -> _Change:
    channel.scores.add(data)
    return {"queries": channel.scores.means()}


_REDUCERS: dict[Any, Callable[[LiveChannel, Any, _Event], _Change]] = {
    StreamStart: _started,
    StreamEnd: _ended,
    SpeechStart: lambda channel, data, event: {"is_speaking": True},
    SpeechEnd: lambda channel, data, event: {
        "is_speaking": False,
        "speech_s": round(channel.row.speech_s + data.speech_s, 2),
    },
    Level: lambda channel, data, event: {"level_dbfs": round(data.rms_dbfs, 1)},
    Emotion: _emotion,
    Spoof: lambda channel, data, event: {
        "spoof": SpoofNow(verdict=data.verdict, score=round(data.score, 3), is_alarmed=data.is_alarmed)
    },
    Rank: _rank,
    QueryScore: _query_score,
    Transcript: lambda channel, data, event: {"words": data.text},
    Rationale: lambda channel, data, event: {"why": data.text},
    Quality: _quality,
    SourceState: lambda channel, data, event: {"is_lost": data.state == "lost"},
}

READ_TYPES: tuple[type[Payload], ...] = tuple(_REDUCERS)
"""What is looked into."""
