"""Tally: what the events of one stream add up to."""

from rtemo.api import (
    Alert,
    Counters,
    Emotion,
    Event,
    Party,
    Quality,
    QueryScore,
    Rank,
    Rationale,
    SpeechEnd,
    Spoof,
    StreamEnd,
    StreamStart,
    Tone,
    Transcript,
)
from rtemo.api.emotions import committed


class Tally:
    """Adds up one stream: speech, emotions weighted by speech, last spoof and rank, alerts, tones, trouble of sound.

    The emotion of a whole stream is the mean of the posteriors of its turns, each weighted by the speech it
    rests on, so a long turn counts for more than a short one and silence counts for nothing. Only the final
    estimate of a turn enters: the ones before it rest on a part of the same speech.
    """

    def __init__(self) -> None:
        self.duration_s = 0.0
        self.speech_s = 0.0
        self.turns = 0
        self.rated_s = 0.0
        self.rated_by: dict[str, float] = {}
        """Plugin → seconds of speech of the turns that it rated."""
        self.counters = Counters()
        self.end_reason = ""
        self.role = ""
        self.is_timing = self.is_estimate = False
        self.spoof: Spoof | None = None
        self.alarms = 0
        self.ranks: dict[str, Rank] = {}
        self.changes = 0
        self.alerts: dict[str, int] = {}
        self.tones: dict[str, int] = {}
        self.digits = ""
        self.quality: dict[str, str] = {}
        self.queries: dict[str, tuple[float, int]] = {}
        self.party: Party | None = None
        self.texts: list[tuple[int, int, Transcript]] = []
        self.rationales: dict[int, Event] = {}
        self._probabilities: dict[str, float] = {}
        self._arousal = 0.0
        self._valence = 0.0

    def add(self, event: Event) -> None:
        """Take one event of the stream into account."""
        data = event.data
        if isinstance(data, Emotion):
            if data.is_final:
                self._rate(data, event.plugin)
        elif isinstance(data, SpeechEnd):
            self.turns += 1
            self.speech_s += data.speech_s
        elif isinstance(data, Spoof):
            self.spoof = data
            self.alarms += data.trigger == "alarm"
        elif isinstance(data, Rank):
            self.ranks[data.attribute] = data
            self.changes += data.change is not None
        elif isinstance(data, Alert):
            self.alerts[data.rule] = self.alerts.get(data.rule, 0) + 1
        elif isinstance(data, Tone):
            self.tones[data.name] = self.tones.get(data.name, 0) + 1
            self.digits += data.digit
        elif isinstance(data, Quality):
            self.quality[data.problem] = data.detail
        elif isinstance(data, Party):
            self.party = data
        elif isinstance(data, QueryScore):
            if data.score > self.queries.get(data.query, (-9.0, 0))[0]:
                self.queries[data.query] = data.score, event.end_sample
        elif isinstance(data, Transcript):
            if data.is_final and data.text:
                self.texts.append((event.start_sample, event.end_sample, data))
        elif isinstance(data, Rationale):
            if data.is_final:
                self.rationales[event.start_sample] = event  # a later one of the turn replaces it
        elif isinstance(data, StreamStart):
            self.role = data.role
            self.is_timing = data.analysis == "timing"
            self.is_estimate = data.is_estimate is True
        elif isinstance(data, StreamEnd):
            self.duration_s = data.duration_s
            self.counters = data.counters
            self.end_reason = data.reason

    @property
    def emotion(self) -> dict[str, float]:
        """Label → mean probability over the speech; empty when no turn was rated."""
        return {label: value / self.rated_s for label, value in self._probabilities.items()} if self.rated_s else {}

    @property
    def label(self) -> str:
        """Most probable emotion over the speech; empty when no turn was rated."""
        return committed(self._probabilities)[0] if self._probabilities else ""

    @property
    def arousal(self) -> float | None:
        """Mean arousal over the speech, -1 to 1; None when no turn was rated."""
        return self._arousal / self.rated_s if self.rated_s else None

    @property
    def valence(self) -> float | None:
        """Mean valence over the speech, -1 to 1; None when no turn was rated."""
        return self._valence / self.rated_s if self.rated_s else None

    def _rate(self, emotion: Emotion, plugin: str) -> None:
        weight_s = emotion.speech_s
        if weight_s <= 0:
            return
        self.rated_s += weight_s
        self.rated_by[plugin] = self.rated_by.get(plugin, 0.0) + weight_s
        self._arousal += weight_s * emotion.arousal
        self._valence += weight_s * emotion.valence
        for label, probability in emotion.probabilities.items():
            self._probabilities[label] = self._probabilities.get(label, 0.0) + weight_s * probability
