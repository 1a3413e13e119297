"""Active speech level: how loud a talker is while talking, so that pauses do not count as quiet speech."""

import numpy as np
from numpy.typing import NDArray

_TIME_CONSTANT_S = 0.03
_HANGOVER_S = 0.2
_MARGIN_DB = 15.9
_THRESHOLDS = 2.0 ** np.arange(-20.0, 1.0)


def active_power(samples: NDArray[np.floating], rate_hz: int = 16_000) -> tuple[float, float]:
    """Measure the mean square over active speech after ITU-T P.56, method B.

    The threshold that divides speech from pauses lies 15.9 dB below the level which it yields.

    Args:
        samples: float [k].
        rate_hz: Rate of the samples.

    Returns:
        Mean square over active speech, and the share of the time that is active; (0, 0) for silence.
    """
    from scipy.signal import lfilter

    x = np.asarray(samples, np.float64)
    energy = float(x @ x)
    if energy == 0.0:
        return 0.0, 0.0
    decay = np.exp(-1.0 / (rate_hz * _TIME_CONSTANT_S))
    smoothing = ([1.0 - decay], [1.0, -decay])
    envelope = lfilter(*smoothing, lfilter(*smoothing, np.abs(x)))
    place = np.arange(x.size)
    hangover_samples = round(_HANGOVER_S * rate_hz)
    levels_db, gaps_db = [], []
    for threshold in _THRESHOLDS:
        last = np.maximum.accumulate(np.where(envelope >= threshold, place, -hangover_samples - 1))
        active = np.count_nonzero(place - last <= hangover_samples)
        if not active:
            break
        levels_db.append(10.0 * np.log10(energy / active))
        gaps_db.append(levels_db[-1] - 20.0 * np.log10(threshold))
    if not levels_db or gaps_db[0] <= _MARGIN_DB:
        return energy / x.size, 1.0  # quieter than the lowest threshold
    # the gap falls as the threshold rises
    level_db = float(np.interp(-_MARGIN_DB, -np.array(gaps_db), levels_db))
    power = 10.0 ** (level_db / 10.0)
    return power, min(1.0, energy / (power * x.size))
