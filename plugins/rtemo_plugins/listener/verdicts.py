"""Verdicts: evidence gathered over each call, what is decided of it, and what is told."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from rtemo.api import EXPERTS, Emit, ModelCard, Spoof, StreamFacts
from rtemo_plugins.gem.cusum import Cusum
from rtemo_plugins.gem.operating_point import level_at
from rtemo_plugins.listener.judgement import Judgement
from rtemo_plugins.listener.options import ListenerOptions

REMEMBERED_S = 4.0
"""Speech over which the score fades: that of a call is a mean over about so much."""
_DECISION_S = 0.5
_OVERLAP = 6
"""Decisions whose scores rest on the same three seconds of speech."""
_LEAST_LIMIT = 1e-3
_LEFT = 64
"""Streams that have left and are still remembered, since a window of theirs may be on its way."""


@dataclass(slots=True)
class Call:
    """What is known of one stream."""

    cusum: Cusum
    start_sample: int
    heard_to: int = 0
    speech_samples: int = 0
    weight: float = 0.0
    score: float = 0.0
    shares: NDArray[np.float64] = field(default_factory=lambda: np.zeros(len(EXPERTS)))
    verdict: str = "unknown"
    due_samples: int = 0
    told_samples: int = -1
    is_alarmed: bool = False
    was_decided: bool = False


class Verdicts:
    """Decides about each stream every half second of its speech. Driver thread.

    Args:
        card: Of the network; its calibration gives the thresholds.
        options: Operating point and times.
        rate_hz: Of the audio.
        has_other: Whether another plugin speaks of the voices about which this one cannot decide; then it is silent
            about them.

    Attributes:
        doubted: Streams whose verdict is `spoof`.
        threshold: Score from which the verdict is `spoof`.
    """

    def __init__(self, card: ModelCard, options: ListenerOptions, rate_hz: int, has_other: bool = False) -> None:
        calibration, per_hour = card.calibration, options.false_alarms_per_hour
        self._options = options
        self._rate_hz = rate_hz
        self._has_other = has_other
        self.threshold = level_at(calibration, "threshold", per_hour, fall=1.0)
        self._bona_fide_below = min(calibration.get("bona_fide_below", 0.0), self.threshold)
        self._limit = max(level_at(calibration, "alarm_limit", per_hour, fall=_OVERLAP), _LEAST_LIMIT)
        self._drift = calibration.get("alarm_drift", 0.0)
        self._keep = calibration.get("alarm_keep", 0.98)
        self._cool_down = round(options.cool_down_s / _DECISION_S)
        self._of: dict[int, Call] = {}
        self._left: dict[int, None] = {}
        self.doubted: set[int] = set()

    def leave(self, stream: int) -> None:
        """Note that a stream has left; what is known of it is dropped when others have followed it."""
        self._left[stream] = None
        while len(self._left) > _LEFT:
            gone = next(iter(self._left))
            del self._left[gone]
            self._of.pop(gone, None)
            self.doubted.discard(gone)

    def tell(self, stream: StreamFacts, judgement: Judgement, start_sample: int, end_sample: int, emit: Emit) -> None:
        """Take what a window of a turn said, and say what follows from it.

        Args:
            stream: Whose it is.
            judgement: Of the window.
            start_sample: Where the turn began.
            end_sample: One past the last sample of the window.
            emit: Of the plugin.
        """
        call = self._call(stream.id, start_sample)
        fresh = end_sample - max(call.heard_to, start_sample)
        if fresh <= 0:
            return  # the end of a turn whose last stride was heard already
        self._add(call, judgement, fresh)
        call.heard_to = end_sample
        if call.speech_samples >= max(call.due_samples, self._options.heard_s * self._rate_hz):
            call.due_samples = call.speech_samples + round(0.9 * _DECISION_S * self._rate_hz)
            trigger = self._decide(stream.id, call)
            if not trigger:
                return
            spoof = self._describe(call, trigger)
            if spoof.is_decided or call.was_decided or not self._has_other:
                call.told_samples = call.speech_samples
                call.was_decided = spoof.is_decided
                emit(stream, spoof, call.start_sample, end_sample)

    def _call(self, stream: int, start_sample: int) -> Call:
        if stream not in self._of:
            cusum = Cusum(self._limit, self._drift, self._keep, self._cool_down, 1)
            self._of[stream] = Call(cusum, start_sample)
        return self._of[stream]

    def _add(self, call: Call, judgement: Judgement, fresh: int) -> None:
        """Fade the mean by the speech that is new, and take the window in for as much."""
        kept = call.weight * np.exp(-fresh / (REMEMBERED_S * self._rate_hz))
        call.weight = kept + fresh
        share = fresh / call.weight
        call.score += share * (judgement.score - call.score)
        call.shares += share * (np.array(judgement.shares) - call.shares)
        call.speech_samples += fresh

    def _decide(self, stream: int, call: Call) -> str:
        """Move verdict and alarm; tells why something is to be said, nothing if it is not."""
        verdict = "spoof" if call.score >= self.threshold else "unknown"
        if call.score < self._bona_fide_below:
            verdict = "bona_fide"
        begins = bool(call.cusum.add(np.zeros(1, np.int64), np.array([call.score]))[0])
        was_alarmed, call.is_alarmed = call.is_alarmed, bool(call.cusum.is_alarmed[0])
        has_changed = verdict != call.verdict or (was_alarmed and not call.is_alarmed)
        call.verdict = verdict
        (self.doubted.add if verdict == "spoof" else self.doubted.discard)(stream)
        is_first = call.told_samples < 0
        is_due = call.speech_samples - call.told_samples >= (self._options.refresh_s - 0.05) * self._rate_hz
        return "alarm" if begins else "first" if is_first else "change" if has_changed else "refresh" * is_due

    def _describe(self, call: Call, trigger: str) -> Spoof:
        return Spoof(
            score=round(call.score, 4),
            verdict=call.verdict,
            contributions={name: round(share, 4) for name, share in zip(EXPERTS, call.shares.tolist(), strict=True)},
            speech_s=round(call.speech_samples / self._rate_hz, 3),
            trigger=trigger,
            is_alarmed=call.is_alarmed,
        )
