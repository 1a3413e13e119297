"""Heard: what a detector said of one clip while it listened."""

import math
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

_LATE_S = 0.55  # a score may come that much speech later than asked for


def _nothing() -> NDArray[np.float64]:
    return np.zeros(0)


@dataclass(frozen=True, eq=False)
class Heard:
    """Scores over time.

    Attributes:
        speech_s: float64 [k], speech each score rests on.
        score: float64 [k], log-likelihood ratio that the voice is synthetic.
        is_spoof: bool [k], whether the detector itself called it so.
        is_alarmed: bool [k], whether an alarm about the call stood.
        is_final: bool [k], whether it was only said because the clip ended.
        end_s: float64 [k], when in the clip it was said.
        total_speech_s: Speech that was listened to.
        duration_s: Of the clip.
    """

    speech_s: NDArray[np.float64]
    score: NDArray[np.float64]
    is_spoof: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))
    is_alarmed: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))
    is_final: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, np.bool_))
    end_s: NDArray[np.float64] = field(default_factory=_nothing)
    total_speech_s: float = 0.0
    duration_s: float = 0.0

    def at(self, seconds: str) -> float | None:
        """The score after so much speech, or at the end of a clip that has less.

        None where the detector said nothing, or nothing within half a second of speech after that.
        """
        known = np.flatnonzero(np.isfinite(self.score))
        if not len(known):
            return None
        wanted_s = math.inf if seconds == "end" else float(seconds)
        reached = known[self.speech_s[known] >= wanted_s - 1e-6]
        first = known[-1] if not len(reached) else reached[0]
        return None if self.speech_s[first] > wanted_s + _LATE_S else float(self.score[first])
