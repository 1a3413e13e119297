"""Pauses: what the voice was like before each pause of a turn, followed for all rows at once."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtemo.dsp.kernel import kernel

FEATURES = (
    "silence_s",
    "log_usual_pause_s",
    "has_pitch",
    "pitch_semitones",
    "pitch_slope",
    "level_db",
    "level_slope",
    "voiced_share",
)
"""What a pause is judged by. Pitch and level are those of the last 100 ms of voice, against the means of stream and
turn; slopes are over the last 300 ms, per second; the usual pause is the mean of those after which the speaker went on.
How long the turn has been is left out: it tells the length of the sentences that were read in training, and little of
conversations."""

STEP_HOPS = 10
"""A pause is looked at every 100 ms."""
TAIL_HOPS = 30
"""Voice before a pause that is looked at."""
_END_HOPS = 10
_RESUME_HOPS = 3
_PAUSE_HOPS = 10  # a gap from which on it counts as a pause
_HOPS_PER_S = 100.0
_LEAST_PITCH_HOPS = 4

SILENT, SPEAKING, PAUSING = 0, 1, 2

PAUSE = np.dtype(
    [
        ("phase", np.int64),
        ("start", np.int64),  # first sample of the turn
        ("voice_end", np.int64),  # one past its last voice
        ("silent", np.int64),  # hops without voice
        ("resumed", np.int64),  # voiced hops in a row after silence
        ("voiced", np.int64),  # hops of voice in the turn
        ("kept", np.int64),  # hops of voice that the tail has taken
        ("level_sum", np.float64),
        ("pitch_mean", np.float64),  # of the stream, in semitones above 1 Hz
        ("pitch_count", np.float64),
        ("pause_sum", np.float64),  # of the pauses after which the speaker went on, in s
        ("pause_count", np.float64),
    ]
)
"""One row's state; a fresh one is all zeros."""


@kernel
def follow(
    speech: NDArray[np.uint8],
    voice: NDArray[np.uint8],
    pitch_hz: NDArray[np.float32],
    level_dbfs: NDArray[np.float32],
    position: NDArray[np.int64],
    hop_samples: int,
    rows: Any,
    tail: NDArray[np.float32],
    due: NDArray[np.uint8],
) -> bool:
    """Move every row on by one hop; say whether any pause is to be looked at.

    Args:
        speech: uint8 [n], 1 within speech and its hangover; unknown counts as silence.
        voice: uint8 [n], 1 where this hop has voice.
        pitch_hz: float32 [n], 0 when unvoiced.
        level_dbfs: float32 [n].
        position: int64 [n], first sample of the hop.
        hop_samples: Length of the hop.
        rows: `PAUSE` [capacity], changed in place.
        tail: float32 [capacity, TAIL_HOPS, 2], pitch in semitones (NaN when unvoiced) and level of the last voice.
        due: uint8 [n], overwritten: 1 where a pause has become 100 ms longer.
    """
    any_due = False
    for i in range(voice.shape[0]):
        row = rows[i]
        due[i] = 0
        is_voice = voice[i] == 1
        if row.phase == SILENT:
            if speech[i] != 1 or not is_voice:
                continue
            row.phase = SPEAKING
            row.start = position[i]
            row.silent = row.resumed = row.voiced = row.kept = 0
            row.level_sum = 0.0
        if row.phase == PAUSING:
            row.silent += 1
            row.resumed = row.resumed + 1 if is_voice else 0
            if row.resumed >= _RESUME_HOPS:
                gap = row.silent - row.resumed
                if gap >= _PAUSE_HOPS:
                    row.pause_sum += gap / _HOPS_PER_S
                    row.pause_count += 1.0
                row.phase = SPEAKING
        elif not is_voice:
            row.phase = PAUSING
            row.silent = 1
            row.resumed = 0
        if row.phase == SPEAKING:
            slot = row.kept % tail.shape[1]
            row.kept += 1
            row.voiced += 1
            row.voice_end = position[i] + hop_samples
            level = level_dbfs[i] if np.isfinite(level_dbfs[i]) else np.float32(-100.0)
            row.level_sum += level
            tail[i, slot, 1] = level
            if pitch_hz[i] > 0.0:
                semitones = 12.0 * np.log2(pitch_hz[i])
                row.pitch_count = min(row.pitch_count + 1.0, 3_000.0)
                row.pitch_mean += (semitones - row.pitch_mean) / row.pitch_count
                tail[i, slot, 0] = semitones
            else:
                tail[i, slot, 0] = np.nan
        elif row.silent % STEP_HOPS == 0 and row.silent > 0:
            due[i] = 1
            any_due = True
    return any_due


@kernel
def measure(row: Any, tail: NDArray[np.float32], out: NDArray[np.float32]) -> None:
    """Write `FEATURES` of a pause of one row.

    Args:
        row: `PAUSE`.
        tail: float32 [TAIL_HOPS, 2] of the row.
        out: float32 [len(FEATURES)], overwritten.
    """
    count = min(row.kept, tail.shape[0])
    level_end = pitch_end = 0.0
    ends = pitch_ends = pitches = 0
    # sums for two lines through (age, value), age in s before the last voice
    p_t = p_tt = p_y = p_ty = l_t = l_tt = l_y = l_ty = 0.0
    for k in range(count):
        slot = (row.kept - 1 - k) % tail.shape[0]
        age = -k / _HOPS_PER_S
        level, pitch = tail[slot, 1], tail[slot, 0]
        l_t += age
        l_tt += age * age
        l_y += level
        l_ty += age * level
        if k < _END_HOPS:
            level_end += level
            ends += 1
        if not np.isnan(pitch):
            p_t += age
            p_tt += age * age
            p_y += pitch
            p_ty += age * pitch
            pitches += 1
            if pitch_ends < _END_HOPS:
                pitch_end += pitch
                pitch_ends += 1
    has_pitch = pitches >= _LEAST_PITCH_HOPS
    usual = row.pause_sum / row.pause_count if row.pause_count > 0 else 0.3
    out[0] = row.silent / _HOPS_PER_S
    out[1] = np.log(usual)
    out[2] = 1.0 if has_pitch else 0.0
    out[3] = min(max(pitch_end / pitch_ends - row.pitch_mean, -12.0), 12.0) if has_pitch else 0.0
    out[4] = _slope(p_t, p_tt, p_y, p_ty, pitches, 60.0) if has_pitch else 0.0
    out[5] = min(max(level_end / max(ends, 1) - row.level_sum / max(row.voiced, 1), -30.0), 30.0)
    out[6] = _slope(l_t, l_tt, l_y, l_ty, count, 200.0)
    out[7] = pitches / max(count, 1)


@kernel
def _slope(t: float, tt: float, y: float, ty: float, count: int, most: float) -> float:
    if count < _LEAST_PITCH_HOPS:
        return 0.0
    spread = tt - t * t / count
    if spread <= 0.0:
        return 0.0
    return min(max((ty - t * y / count) / spread, -most), most)
