"""Manner: how a phrase is said, as changes of what a voice plans."""

import math

import msgspec
import numpy as np
from numpy.typing import NDArray

from rtemo.api import VoicePlan
from rtemo.voice.errors import VoiceError

VOICED_HZ = 10.0
"""Pitch below which a plan means that nothing is voiced."""
_LOWEST_HZ, _HIGHEST_HZ = 50.0, 700.0


class Manner(msgspec.Struct, frozen=True, kw_only=True):
    """How something is said.

    Attributes:
        speed: 2 is twice as fast.
        pitch_semitones: Moves the whole melody.
        pitch_range: Widens (above 1) or flattens (below 1) the melody about its median.
        level_db: Louder or quieter.
    """

    speed: float = 1.0
    pitch_semitones: float = 0.0
    pitch_range: float = 1.0
    level_db: float = 0.0

    def then(self, other: "Manner") -> "Manner":
        """Give both, one after the other."""
        return Manner(
            speed=self.speed * other.speed,
            pitch_semitones=self.pitch_semitones + other.pitch_semitones,
            pitch_range=self.pitch_range * other.pitch_range,
            level_db=self.level_db + other.level_db,
        )


# After what acoustic studies of acted emotion agree on (Scherer 2003, table 2: rate, mean and range of F0, level).
MANNERS = {
    "neutral": Manner(),
    "calm": Manner(speed=0.92, pitch_semitones=-1.0, pitch_range=0.7, level_db=-2.0),
    "happy": Manner(speed=1.06, pitch_semitones=2.0, pitch_range=1.35, level_db=1.0),
    "sad": Manner(speed=0.85, pitch_semitones=-1.5, pitch_range=0.6, level_db=-3.0),
    "angry": Manner(speed=1.1, pitch_semitones=2.5, pitch_range=1.3, level_db=3.0),
    "fear": Manner(speed=1.12, pitch_semitones=3.0, pitch_range=1.1, level_db=0.0),
    "disgust": Manner(speed=0.93, pitch_semitones=-1.0, pitch_range=0.9, level_db=0.0),
    "surprise": Manner(speed=1.03, pitch_semitones=3.0, pitch_range=1.5, level_db=1.0),
}
"""Emotion → how it is most often said."""


def manner_of(name: str) -> Manner:
    """Find a manner by the emotion that it is of.

    Raises:
        VoiceError: There is none of that name.
    """
    if name not in MANNERS:
        raise VoiceError(f"there is no manner {name!r}", f"name one of {', '.join(MANNERS)}")
    return MANNERS[name]


def shaped(plan: VoicePlan, manner: Manner) -> VoicePlan:
    """Apply pitch and range of a manner to a plan; its speed has to go into the planning, its level into the sound."""
    if not manner.pitch_semitones and manner.pitch_range == 1.0:
        return plan
    return msgspec.structs.replace(
        plan, pitch_hz=moved_pitch(plan.pitch_hz, manner.pitch_semitones, manner.pitch_range)
    )


def moved_pitch(pitch_hz: NDArray[np.float32], semitones: float, spread: float = 1.0) -> NDArray[np.float32]:
    """Move a melody by semitones and widen it about its median; what is not voiced stays."""
    is_voiced = pitch_hz > VOICED_HZ
    if not is_voiced.any():
        return pitch_hz
    log = np.log2(pitch_hz[is_voiced])
    middle = float(np.median(log))
    made = pitch_hz.copy()
    made[is_voiced] = np.clip(2.0 ** (middle + semitones / 12.0 + spread * (log - middle)), _LOWEST_HZ, _HIGHEST_HZ)
    return made


def at_median(plan: VoicePlan, median_hz: float, spread: float = 1.0) -> VoicePlan:
    """Move the melody of a plan to a median pitch; 0 leaves it where it is."""
    is_voiced = plan.pitch_hz > VOICED_HZ
    if median_hz <= 0 or not is_voiced.any():
        return plan
    semitones = semitones_between(float(np.median(plan.pitch_hz[is_voiced])), median_hz)
    return msgspec.structs.replace(plan, pitch_hz=moved_pitch(plan.pitch_hz, semitones, spread))


def semitones_between(low_hz: float, high_hz: float) -> float:
    """Tell how many semitones lie between two pitches."""
    return 12.0 * math.log2(high_hz / low_hz)
