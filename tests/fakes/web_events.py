"""Events of calls that nobody spoke, for what shows or serves events."""

import threading
import time
from typing import Any

from rtemo.api import (
    Alert,
    Board,
    BoardEntry,
    Emotion,
    Event,
    Level,
    Quality,
    QueryScore,
    Rank,
    RtemoError,
    SessionStart,
    SpeechStart,
    Spoof,
    StreamStart,
    Transcript,
)
from rtemo.io.web.options import WebOptions
from rtemo.io.web.publisher import WebPublisher


def event(call: str, data: Any, at_s: float = 1.0, channel: str = "0", seq: int = 1) -> Event:
    """One event."""
    return Event(
        call=call,
        channel=channel if call else "",
        plugin="testing",
        seq=seq,
        start_sample=0,
        end_sample=int(at_s * 16_000),
        capture_ns=time.time_ns(),
        emit_ns=time.time_ns(),
        data=data,
    )


def emotion(label: str = "angry", arousal: float = 0.6, valence: float = -0.5, confidence: float = 0.7) -> Emotion:
    """An estimate."""
    return Emotion(
        label=label,
        probabilities={"angry": 0.7, "neutral": 0.3},
        arousal=arousal,
        valence=valence,
        confidence=confidence,
        speech_s=2.0,
        trigger="refresh",
    )


def start() -> Event:
    """The engine is ready."""
    return event("", SessionStart(chain=("level", "vad"), latency_samples=0, sample_rate_hz=16_000, hop_samples=160))


def call_events(call: str, at_s: float = 4.0, **of_emotion: Any) -> list[Event]:
    """One caller as a wall would show it."""
    return [
        event(call, StreamStart(role="customer"), 0.0),
        event(call, SpeechStart(), at_s - 2),
        event(call, Level(rms_dbfs=-22.0, peak_dbfs=-9.0, clipped_ratio=0.0), at_s),
        event(call, Rank(attribute="arousal", score=0.8, spread=0.3, percentile=80.0, trend_per_min=0.4), at_s),
        event(call, emotion(**of_emotion), at_s),
        event(call, Spoof(score=-1.2, verdict="unknown"), at_s),
        event(call, Transcript(text="this is the third time I call"), at_s),
    ]


def alert(call: str, rule: str = "heated") -> Event:
    """A rule that was met."""
    return event(call, Alert(rule=rule, values={"arousal.score": 1.4}), 5.0)


def trouble(call: str) -> Event:
    """Sound that is wrong."""
    return event(call, Quality(problem="faint", detail="the voice is very faint"), 5.0)


def query_score(call: str, query: str, z: float | None) -> Event:
    """How much a voice is like what is looked for."""
    return event(call, QueryScore(query=query, score=0.1, z=z, trigger="stride"), 5.0)


def board(**urgency: float) -> Event:
    """A board of calls, the most urgent first."""
    ordered = sorted(urgency.items(), key=lambda item: -item[1])
    entries = tuple(
        BoardEntry(call=call, channel="0", place=place, urgency=value, spread=0.2)
        for place, (call, value) in enumerate(ordered, 1)
    )
    return event("", Board(entries=entries, ranked=len(entries), unsure=0))


class Served:
    """A web publisher that is fed and ticked as on a publish thread."""

    def __init__(self, at: int = 0, **options: Any) -> None:
        self.publisher = WebPublisher(WebOptions(port=at, **options), purpose="testing")
        self.publisher.open()
        self._stop = threading.Event()
        self._waiting: list[Event] = [start()]
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    @property
    def url(self) -> str:
        """Where it is, without the last slash."""
        return self.publisher.endpoints["web"].rstrip("/")

    @property
    def process_id(self) -> int:
        """Number of the server's process."""
        assert self.publisher.process_id is not None
        return self.publisher.process_id

    def say(self, *events: Event) -> None:
        """Publish events soon."""
        self._waiting += events

    def close(self) -> None:
        """End it."""
        self._stop.set()
        self._thread.join()
        self.publisher.close()

    def _run(self) -> None:
        while not self._stop.wait(0.02):
            count = len(self._waiting)  # more may be added meanwhile
            events, self._waiting[:count] = self._waiting[:count], []
            try:
                self.publisher.publish(events)
                self.publisher.tick()
            except RtemoError:
                return  # the server was killed, as a publish thread would find
