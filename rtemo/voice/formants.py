"""Formants: a voice made larger or smaller than the model's voices, by rendering lower or higher than it is played."""

import msgspec
import numpy as np
from numpy.typing import NDArray

from rtemo.api import VoiceHandle, VoicePlan
from rtemo.dsp.resample import resample
from rtemo.voice.reference import RATE_HZ

_STEP_HZ = 500
"""Rates are multiples of this, so that the filter between them stays short."""


def played_rate_hz(rate_hz: int, formants: float) -> int:
    """Tell at which rate audio of a model is played, so that its formants are moved by a factor."""
    return round(rate_hz * formants / _STEP_HZ) * _STEP_HZ


def before_playing(plan: VoicePlan, factor: float) -> VoicePlan:
    """Give a plan the pitch that is heard as planned once the audio is played faster by a factor.

    Tempo is not touched: a plan that is to last as long has to be made slower by the same factor.
    """
    if factor == 1.0:
        return plan
    return msgspec.structs.replace(plan, pitch_hz=(plan.pitch_hz / np.float32(factor)).astype(np.float32))


def rendered(voice: VoiceHandle, plan: VoicePlan, formants: float) -> NDArray[np.float32]:
    """Render a plan with formants moved by a factor, its pitch where it was planned, float32 [k] at 16 kHz."""
    own_hz = voice.card.sample_rate_hz
    played_hz = played_rate_hz(own_hz, formants)
    return resample(voice.render(before_playing(plan, played_hz / own_hz)), played_hz, RATE_HZ)
