"""CallRecord: everything a report needs of one call, gathered from its events."""

from bisect import insort
from collections.abc import Iterable, Sequence
from operator import attrgetter
from typing import Any, NamedTuple, Protocol

from rtemo.api import (
    Alert,
    Emotion,
    Quality,
    Rank,
    Rationale,
    SourceState,
    SpeechEnd,
    Spoof,
    StreamEnd,
    StreamStart,
    Transcript,
)
from rtemo.cli.tally import Tally

_FARTHEST_RANK = 1_000.0  # in standard deviations


class Told(Protocol):
    """An event, of the engine or as read from a file."""

    @property
    def call(self) -> str:
        """Name of the call."""

    @property
    def channel(self) -> str:
        """Channel within it."""

    @property
    def start_s(self) -> float:
        """Where it begins, in s of the stream."""

    @property
    def end_s(self) -> float:
        """Where it ends."""

    @property
    def data(self) -> Any:
        """The payload."""


class Span(NamedTuple):
    """A stretch of a call, in s."""

    start_s: float
    end_s: float


class Estimate(NamedTuple):
    """How a voice sounded at a moment."""

    at_s: float
    label: str
    confidence: float
    arousal: float
    valence: float
    is_trusted: bool


class Line(NamedTuple):
    """Something said, by the call or about it."""

    at_s: float
    party: str
    text: str
    note: str = ""


class Party:
    """One party of the call.

    Attributes:
        is_namesake: Whether another party that came before has its role.
        is_person: Whether the policy was seen to let it be analysed; else nothing but its timing is told of it.
        is_estimate: Whether its channel was made of one that others speak on, by the voices.
        turns: When it speaks.
        estimates: How it sounds, in order.
        ranks: Attribute → (t in s, score, spread) in order.
        tally: What its events add up to.
    """

    def __init__(self, channel: str) -> None:
        self.channel = channel
        self.role = ""
        self.is_namesake = False
        self.is_timed_only = False
        self.is_person = False
        self.is_estimate = False
        self.duration_s = 0.0
        self.has_ended = False
        self.turns: list[Span] = []
        self.estimates: list[Estimate] = []
        self.ranks: dict[str, list[tuple[float, float, float]]] = {}
        self.spoof: Spoof | None = None
        self.spoof_unknown = 0
        self.spoof_all = 0
        self.tally = Tally()

    @property
    def name(self) -> str:
        """What it is called in the report."""
        if self.role and self.is_namesake:
            return f"{self.role} ({self.channel})"
        return self.role or f"channel {self.channel}"

    @property
    def speech_s(self) -> float:
        """How long it speaks."""
        return sum(turn.end_s - turn.start_s for turn in self.turns)


class CallRecord:
    """Gathers the events of one call; a publisher, too.

    Args:
        call: Its name; empty for the first that comes.

    Attributes:
        parties: Channel → party, in the order in which they came.
        alerts: Rules that were met.
        changes: Changes of rank that were told.
        quality: What was wrong with the sound.
    """

    name = "report"

    def __init__(self, call: str = "") -> None:
        self.call = call
        self.parties: dict[str, Party] = {}
        self.alerts: list[Line] = []
        self.changes: list[Line] = []
        self.quality: list[Line] = []
        self.words: list[Line] = []
        self.reasons: dict[tuple[str, float], Line] = {}

    @property
    def duration_s(self) -> float:
        """How long the call is."""
        return max((party.duration_s for party in self.parties.values()), default=0.0)

    @property
    def is_over(self) -> bool:
        """Whether its events tell of its end, so that its length is known."""
        return all(party.has_ended for party in self.parties.values())

    def open(self) -> None:
        """Do nothing: all is kept in memory."""

    def publish(self, events: Sequence[Told]) -> None:
        """Gather events."""
        for event in events:
            self.add(event)

    def tick(self) -> None:
        """Do nothing."""

    def close(self) -> None:
        """Do nothing."""

    def add(self, event: Told) -> None:
        """Take one event into account; of other calls none."""
        if not event.call or (self.call and event.call != self.call):
            return
        self.call = event.call
        party = self.parties.get(event.channel)
        if party is None:
            party = self.parties[event.channel] = Party(event.channel)
        party.duration_s = max(party.duration_s, event.end_s)
        party.tally.add(event)  # type: ignore[arg-type] # it reads what both kinds of events have
        self._reduce(party, event, event.data)

    def _reduce(self, party: Party, event: Told, data: Any) -> None:
        at_s = event.end_s
        if isinstance(data, StreamStart):
            party.is_namesake = any(other.role == data.role for other in self.parties.values() if other is not party)
            party.role, party.is_timed_only = data.role, data.analysis == "timing"
            party.has_ended = False
            party.is_person, party.is_estimate = data.analysis == "person", data.is_estimate is True
        elif isinstance(data, StreamEnd):
            party.duration_s, party.has_ended = max(party.duration_s, data.duration_s), True
        elif isinstance(data, SpeechEnd):
            party.turns.append(Span(event.start_s, at_s))
        elif isinstance(data, Emotion):
            arousal, valence = _bounded(data.arousal, 1.0), _bounded(data.valence, 1.0)
            estimate = Estimate(at_s, data.label, data.confidence, arousal, valence, data.is_trusted)
            insort(party.estimates, estimate, key=attrgetter("at_s"))  # a slower plugin speaks later of the same turn
        elif isinstance(data, Rank):
            rank = at_s, _bounded(data.score, _FARTHEST_RANK), _bounded(data.spread or 0.0, _FARTHEST_RANK)
            party.ranks.setdefault(data.attribute, []).append(rank)
            if data.change is not None:
                way = "rises" if data.change > 0 else "falls"
                self.changes.append(Line(at_s, party.name, f"{data.attribute} {way} by {abs(data.change):.1f}"))
        elif isinstance(data, Alert):
            values = ", ".join(f"{name} {value:.2f}" for name, value in data.values.items())
            self.alerts.append(Line(at_s, party.name, data.rule, values))
        elif isinstance(data, Quality):
            self.quality.append(Line(at_s, party.name, data.detail or data.problem, data.problem))
        elif isinstance(data, SourceState):
            self.quality.append(Line(at_s, party.name, f"source {data.state} {data.detail}".strip()))
        elif isinstance(data, Spoof):
            party.spoof = data
            party.spoof_all += 1
            party.spoof_unknown += data.verdict == "unknown"
            if data.trigger == "alarm":
                self.alerts.append(Line(at_s, party.name, "the voice may be synthetic", f"log-odds {data.score:.1f}"))
        elif isinstance(data, Transcript):
            if data.is_final and data.text:
                self.words.append(Line(event.start_s, party.name, data.text, data.language))
        elif isinstance(data, Rationale) and data.is_final and data.text:
            self.reasons[party.name, event.start_s] = Line(event.start_s, party.name, data.text, data.label)


def _bounded(value: float, most: float) -> float:
    """Keep a figure where such figures are, whatever a file says: it is squared and added up."""
    return max(-most, min(most, value))


def united(spans: Iterable[Span]) -> list[Span]:
    """Join stretches that touch or overlap.

    >>> united([Span(3, 4), Span(0, 2), Span(1, 2.5)])
    [Span(start_s=0, end_s=2.5), Span(start_s=3, end_s=4)]
    """
    joined: list[Span] = []
    for span in sorted(spans):
        if joined and span.start_s <= joined[-1].end_s:
            joined[-1] = Span(joined[-1].start_s, max(joined[-1].end_s, span.end_s))
        else:
            joined.append(span)
    return joined


def overlaps(parties: Sequence[Party]) -> list[Span]:
    """Give the stretches in which two parties or more speak."""
    edges = sorted(
        edge for party in parties for turn in united(party.turns) for edge in ((turn.start_s, 1), (turn.end_s, -1))
    )
    found: list[Span] = []
    speaking, since_s = 0, 0.0
    for at_s, step in sorted(edges, key=lambda edge: (edge[0], edge[1])):
        speaking += step
        if speaking == 2 and step == 1:
            since_s = at_s
        elif speaking == 1 and step == -1 and at_s > since_s:
            found.append(Span(since_s, at_s))
    return united(found)


def length_s(spans: Iterable[Span]) -> float:
    """Add up stretches."""
    return sum(span.end_s - span.start_s for span in spans)
