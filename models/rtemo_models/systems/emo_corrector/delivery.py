"""Delivery: how the clips that were found are said, against how their speakers usually speak, moved onto new words."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtemo.voice.imitation import Imitator, Sentence, stretched_contour, with_pitch
from rtemo.voice.manner import VOICED_HZ, Manner
from rtemo_models.systems.emo_corrector.store import ClipStore, Found

_CURVE_POINTS = 64
_LOWEST_HZ, _HIGHEST_HZ = 55.0, 600.0
_MOST = Manner(speed=1.35, pitch_semitones=7.0, pitch_range=1.8, level_db=8.0)
_LEAST = Manner(speed=0.7, pitch_semitones=-5.0, pitch_range=0.5, level_db=-8.0)
_CONTOUR_SHARE = 0.5
_MOST_COLOUR_DB = 10.0


class Delivery(NamedTuple):
    """How something is to be said.

    Attributes:
        manner: Tempo, height and range of pitch, level, against what is usual.
        contour: float32 [points], melody in semitones about its median; empty where only the manner is known.
        colour_db: float64 [257], how the long-term spectrum moves (vocal effort); empty where that is not known.
    """

    manner: Manner
    contour: NDArray[np.float32]
    colour_db: NDArray[np.float64] = np.zeros(0)


def delivery_of(found: Sequence[Found], store: ClipStore) -> Delivery:
    """Take the mean of how clips are said, the nearer the more, each against its speaker's other clips.

    A speaker of one clip has no usual: then only the melody is taken.
    """
    weights = np.array([one.likeness for one in found])
    weights = weights / weights.sum()
    changes, contours = [], []
    colours, colour_weights = [], []
    for weight, one in zip(weights, found, strict=True):
        clip = one.clip
        pitch_hz, spread, rate, level_db = store.usual(clip.speaker)
        own = (clip.melody.median_hz, clip.melody.range_semitones, clip.rate_per_s)
        changes.append(
            (
                np.log(own[2] / rate) if own[2] > 0 and rate > 0 else 0.0,
                12.0 * np.log2(own[0] / pitch_hz) if own[0] > 0 and pitch_hz > 0 else 0.0,
                np.log(own[1] / spread) if own[1] > 0 and spread > 0 else 0.0,
                clip.level_db - level_db if pitch_hz > 0 else 0.0,
            )
        )
        contours.append(stretched_contour(clip.melody.pitch_hz, _CURVE_POINTS))
        usual_db = store.usual_spectrum_db(clip.speaker)
        if len(usual_db) and len(clip.spectrum_db):
            colours.append(clip.spectrum_db - usual_db)
            colour_weights.append(weight)
    speed, semitones, spread, level_db = weights @ np.array(changes)
    manner = _limited_manner(float(np.exp(speed)), float(semitones), float(np.exp(spread)), float(level_db))
    colour_db = np.average(colours, axis=0, weights=colour_weights) if colours else np.zeros(0)
    return Delivery(manner, np.asarray(weights @ np.stack(contours), np.float32), _limited(colour_db))


def scaled(delivery: Delivery, share: float) -> Delivery:
    """Give a delivery with less (share below 1) or more of what it changes; the shape of the melody stays."""
    manner = delivery.manner
    return Delivery(
        _limited_manner(
            manner.speed**share, manner.pitch_semitones * share, manner.pitch_range**share, manner.level_db * share
        ),
        delivery.contour,
        _limited(delivery.colour_db * share),
    )


def delivered(imitator: Imitator, sentence: Sentence, first: int, last: int, delivery: Delivery) -> Sentence:
    """Say words [first, last) of a sentence in a delivery; the others stay as they were planned."""
    signs = slice(sentence.spans[first].start, sentence.spans[last - 1].stop)
    durations = sentence.plan.durations_frames.astype(np.float64)
    durations[signs] /= delivery.manner.speed
    sentence = imitator.with_durations(sentence, _whole(durations))
    ends = np.cumsum(sentence.plan.durations_frames)
    start, end = 2 * int(ends[signs.start - 1]), 2 * int(ends[signs.stop - 1])
    pitch_hz = sentence.plan.pitch_hz.copy()
    part = pitch_hz[start:end]
    is_voiced = part > VOICED_HZ
    if not is_voiced.any():
        return sentence
    middle = (
        np.log2(imitator.melody.median_hz) if imitator.melody.median_hz > 0 else np.median(np.log2(part[is_voiced]))
    )
    planned = 12.0 * (np.log2(np.where(is_voiced, part, 1.0)) - middle)
    if len(delivery.contour):
        spread = np.std(planned[is_voiced]) / max(float(np.std(delivery.contour)), 0.3)
        along = np.linspace(0, len(delivery.contour) - 1, end - start)
        curve = np.interp(along, np.arange(len(delivery.contour)), delivery.contour) * spread
        planned = (1.0 - _CONTOUR_SHARE) * planned + _CONTOUR_SHARE * curve
    moved = 2.0 ** (middle + (delivery.manner.pitch_range * planned + delivery.manner.pitch_semitones) / 12.0)
    part[is_voiced] = np.clip(moved, _LOWEST_HZ, _HIGHEST_HZ)[is_voiced]
    return with_pitch(sentence, pitch_hz)


def _limited_manner(speed: float, pitch_semitones: float, pitch_range: float, level_db: float) -> Manner:
    return Manner(
        speed=_within(speed, _LEAST.speed, _MOST.speed),
        pitch_semitones=_within(pitch_semitones, _LEAST.pitch_semitones, _MOST.pitch_semitones),
        pitch_range=_within(pitch_range, _LEAST.pitch_range, _MOST.pitch_range),
        level_db=_within(level_db, _LEAST.level_db, _MOST.level_db),
    )


def _limited(colour_db: NDArray[np.float64]) -> NDArray[np.float64]:
    """Take the level out of a colour, and what is more than 10 dB: rooms and microphones differ by more than effort."""
    if not len(colour_db):
        return colour_db
    return np.asarray(np.clip(colour_db - colour_db.mean(), -_MOST_COLOUR_DB, _MOST_COLOUR_DB), np.float64)


def _whole(durations: NDArray[np.float64]) -> NDArray[np.int64]:
    """Round durations so that their sum stays: what is cut off one is given to the next."""
    ends = np.rint(np.cumsum(durations)).astype(np.int64)
    return np.maximum(np.diff(ends, prepend=0), 1)


def _within(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)
