"""Operating point: from false alarms per hour of genuine speech to thresholds."""

import math
import re
from collections.abc import Mapping

import numpy as np

DECISIONS_PER_HOUR = 7200.0
"""Of uninterrupted speech: one every half second."""


def level_at(calibration: Mapping[str, float], name: str, per_hour: float, *, fall: float) -> float:
    """Give the level that genuine speech exceeds so many times an hour.

    Between the rates that a card states (`<name>_at_<rate>_per_hour`) levels are interpolated over the logarithm of the
    rate. Beyond them, and when there are none, calibrated log-odds themselves say how fast the rate falls: a likelihood
    ratio of r in favour of "synthetic" comes up on genuine speech with a probability of 1/r at most (the ratio's mean
    there is 1; Markov's inequality). So the level rises with the logarithm of the rate's inverse, from 0 where every
    decision is a false alarm.

    Args:
        calibration: Of the card.
        name: Of the level.
        per_hour: False alarms per hour of speech.
        fall: By how much the level falls, beyond the table, for e times as many false alarms.
    """
    table = sorted(
        (math.log(float(match[1])), level)
        for key, level in calibration.items()
        if (match := re.fullmatch(rf"{name}_at_(\d+(?:\.\d+)?)_per_hour", key)) and float(match[1]) > 0
    ) or [(math.log(DECISIONS_PER_HOUR), 0.0)]
    rates, levels = zip(*table, strict=True)
    rate = math.log(per_hour)
    within = min(max(rate, rates[0]), rates[-1])
    return float(np.interp(within, rates, levels)) - fall * (rate - within)
