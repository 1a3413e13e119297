"""ViewState: everything the live view shows, reduced from events."""

from collections import deque

from rtemo.api import (
    Counters,
    Emotion,
    Event,
    Fault,
    Health,
    Level,
    Payload,
    Prosody,
    QueryScore,
    Rank,
    Rationale,
    SessionStart,
    SourceState,
    SpeechEnd,
    SpeechStart,
    StreamEnd,
    StreamStart,
    Transcript,
)
from rtemo.api.units import samples_to_seconds
from rtemo.cli.tally import Tally
from rtemo.cli.view.narrator import Narrator

_LOG_LINES = 64
_AGES = 512
_PEAK_HOLD_S = 1.5


class StreamView:
    """What is known of one stream at the moment.

    Attributes:
        is_timed_only: Whether no more is found out than when somebody speaks, as the policy has it.
        position_s: Audio seen so far.
        is_speaking: Whether speech is going on; None before anything was said about it.
        speech_from_s: Where the present speech began.
        peak_dbfs: Highest peak of the last moments, as a level meter holds it.
        emotion_by: The plugin that has told the emotion.
        trend: (position in s, arousal, valence) of every estimate.
        words: What is said in the present turn, or was in the last.
        queries: What was asked → how near the voice is to it at present.
        rank_trend: (position in s, score) of every rank of the attribute that is shown, the first one told.
    """

    def __init__(self, call: str, channel: str) -> None:
        self.call = call
        self.channel = channel
        self.role = ""
        self.is_timed_only = False
        self.position_s = 0.0
        self.is_speaking: bool | None = None
        self.speech_from_s = 0.0
        self.level: Level | None = None
        self.peak_dbfs = -120.0
        self.emotion: Emotion | None = None
        self.emotion_by = ""
        self.prosody: Prosody | None = None
        self.words: Transcript | None = None
        self.rationale: Rationale | None = None
        self.queries: dict[str, QueryScore] = {}
        self.source: SourceState | None = None
        self.trend: deque[tuple[float, float, float]] = deque(maxlen=4096)
        self.rank_trend: deque[tuple[float, float]] = deque(maxlen=4096)
        self.tally = Tally()
        self.is_ended = False
        self._peak_at_s = 0.0

    def add(self, event: Event, sample_rate_hz: int) -> None:
        """Take one event of this stream into account."""
        start_s = samples_to_seconds(event.start_sample, sample_rate_hz)
        end_s = samples_to_seconds(event.end_sample, sample_rate_hz)
        self.position_s = max(self.position_s, end_s)
        self.tally.add(event)
        data = event.data
        if isinstance(data, Level):
            self._hold(data, end_s)
        elif isinstance(data, Prosody):
            self.prosody = data
        elif isinstance(data, QueryScore):
            self.queries[data.query] = data
        elif isinstance(data, Transcript):
            self.words = data
        elif isinstance(data, Rationale):
            self.rationale = data
        elif isinstance(data, Emotion):
            self.emotion, self.emotion_by = data, event.plugin
            self.trend.append((end_s, data.arousal, data.valence))
        elif isinstance(data, Rank):
            if data.attribute == next(iter(self.tally.ranks)):
                self.rank_trend.append((end_s, data.score))
        elif isinstance(data, SpeechStart):
            self.is_speaking = True
            self.speech_from_s = start_s
        elif isinstance(data, SpeechEnd):
            self.is_speaking = False
        elif isinstance(data, StreamStart):
            self.role = data.role
            self.is_timed_only = data.analysis == "timing"
        elif isinstance(data, SourceState):
            self.source = data if data.state == "lost" else None
        elif isinstance(data, StreamEnd):
            self.is_ended = True
            self.is_speaking = False
            self.position_s = data.duration_s

    def _hold(self, level: Level, at_s: float) -> None:
        self.level = level
        if level.peak_dbfs >= self.peak_dbfs or at_s - self._peak_at_s > _PEAK_HOLD_S:
            self.peak_dbfs = level.peak_dbfs
            self._peak_at_s = at_s


class ViewState:
    """What is known of the session and of each of its streams.

    Args:
        title: What is being listened to.

    Attributes:
        duration_s: How long it will last; 0 when nobody knows.
    """

    def __init__(self, title: str = "") -> None:
        self.title = title
        self.duration_s = 0.0
        self.session = SessionStart(chain=(), latency_samples=0, sample_rate_hz=16_000, hop_samples=160)
        self.health: Health | None = None
        self.faults: list[Fault] = []
        self.streams: dict[tuple[str, str], StreamView] = {}
        self.log: deque[str] = deque(maxlen=_LOG_LINES)
        self.events = 0
        self._ages_ms: deque[float] = deque(maxlen=_AGES)
        self._narrator = Narrator()

    @property
    def counters(self) -> Counters:
        """Trouble of the whole session."""
        return self.health.counters if self.health else Counters()

    @property
    def position_s(self) -> float:
        """Audio seen so far on the stream that is furthest."""
        return max((stream.position_s for stream in self.streams.values()), default=0.0)

    def name_of(self, stream: StreamView) -> str:
        """Name a stream: its call where there are several or it is alone, its channel, and who speaks if known."""
        is_clear = len(self.streams) > 1 and len({call for call, _ in self.streams}) == 1
        return " · ".join(part for part in ("" if is_clear else stream.call, stream.channel, stream.role) if part)

    def age_ms(self, percent: float) -> float | None:
        """Time from capture to event at the given percentile of the last events; None when nothing was captured."""
        if not self._ages_ms:
            return None
        ordered = sorted(self._ages_ms)
        return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]

    def add(self, event: Event) -> None:
        """Take one event into account."""
        self.events += 1
        data = event.data
        if isinstance(data, SessionStart):
            self.session = data
            self._narrator.sample_rate_hz = data.sample_rate_hz
        elif isinstance(data, Health):
            self.health = data
        elif isinstance(data, Fault):
            self.faults.append(data)
        if event.call:
            self._stream(event).add(event, self.session.sample_rate_hz)
            if event.capture_ns > 0 and _is_prompt(data):
                self._ages_ms.append((event.emit_ns - event.capture_ns) / 1e6)
        is_one_call = len({call for call, _ in self.streams}) == 1
        line = self._narrator.line(event, event.channel if is_one_call else "")
        if line:
            self.log.append(line)

    def _stream(self, event: Event) -> StreamView:
        key = (event.call, event.channel)
        if key not in self.streams or (self.streams[key].is_ended and isinstance(event.data, StreamStart)):
            self.streams[key] = StreamView(*key)
        return self.streams[key]


def _is_prompt(data: Payload) -> bool:
    """Whether an event goes out as soon as its last sample is in: others wait by design, as for the end of a turn."""
    return isinstance(data, Level) or (isinstance(data, Emotion) and not data.is_final)
