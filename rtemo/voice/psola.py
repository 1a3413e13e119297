"""PSOLA: pitch, melody and tempo of a recording changed while the voice stays (Moulines & Charpentier 1990, TD-PSOLA).

Voiced speech is cut into pieces of two periods around its pulses, and these are put together again closer, wider,
more or fewer of them. What is not voiced is stretched in pieces of 10 ms.
"""

import numpy as np
from numpy.typing import NDArray

from rtemo.voice.manner import Manner
from rtemo.voice.reference import HOP_SAMPLES, RATE_HZ, Melody, melody_of

_UNVOICED_SAMPLES = 160
_LOWEST_HZ, _HIGHEST_HZ = 55.0, 600.0


def said_in(samples: NDArray[np.float32], manner: Manner, melody: Melody | None = None) -> NDArray[np.float32]:
    """Give a recording another manner: tempo, height and range of pitch, level.

    Args:
        samples: float32 [k] at 16 kHz.
        manner: How it is to be said.
        melody: Its pitch, where that is known.

    Returns:
        float32 [k / speed or so].
    """
    melody = melody or melody_of(samples)
    marks, periods, is_voiced = _pulses(samples, melody)
    if not len(marks):
        return samples
    middle = np.log2(melody.median_hz) if melody.median_hz else 0.0
    total = round(len(samples) / manner.speed)
    out = np.zeros(total + 2 * RATE_HZ)
    weight = np.zeros_like(out)
    at = float(marks[0]) / manner.speed
    while at < total:
        source = int(np.argmin(np.abs(marks - at * manner.speed)))
        period = int(periods[source])
        step = float(marks[source + 1] - marks[source]) if source + 1 < len(marks) else float(period)
        if is_voiced[source]:
            log_hz = np.log2(RATE_HZ / period)
            wanted = middle + manner.pitch_range * (log_hz - middle) + manner.pitch_semitones / 12.0
            step *= RATE_HZ / period / float(np.clip(2.0**wanted, _LOWEST_HZ, _HIGHEST_HZ))
        low, high = max(0, marks[source] - period), min(len(samples), marks[source] + period)
        window = np.hanning(2 * period + 1)[low - marks[source] + period :][: high - low]
        place = round(at) - (marks[source] - low)
        if place >= 0:
            out[place : place + high - low] += window * samples[low:high]
            weight[place : place + high - low] += window
        at += step
    # Where pieces lie closer than in the source they add up; where they lie wider there are gaps: as loud as before.
    made = out[:total] / np.maximum(weight[:total], 0.5)
    return np.asarray((made * 10.0 ** (manner.level_db / 20.0)).clip(-0.98, 0.98), np.float32)


def _pulses(
    samples: NDArray[np.float32], melody: Melody
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Place of each pulse, its period, and whether it is voiced; what is not voiced has one every 10 ms."""
    marks: list[int] = []
    periods: list[int] = []
    voiced: list[bool] = []
    at = 0
    while at < len(samples):
        hop = min(at // HOP_SAMPLES, len(melody.pitch_hz) - 1)
        hz = float(melody.pitch_hz[hop]) if hop >= 0 else 0.0
        period = round(RATE_HZ / hz) if hz > 0 else _UNVOICED_SAMPLES
        if hz > 0:  # the strongest sample near where a period after the last pulse the next should lie
            reach = period // 4 if voiced and voiced[-1] else period // 2
            low, high = max(0, at - reach), min(len(samples), at + reach + 1)
            at = low + int(np.argmax(np.abs(samples[low:high])))
            if marks and at <= marks[-1]:
                at = marks[-1] + period
        marks.append(at)
        periods.append(period)
        voiced.append(hz > 0)
        at += period
    return np.array(marks, np.int64), np.array(periods, np.int64), np.array(voiced, np.bool_)
