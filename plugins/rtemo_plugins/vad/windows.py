"""Windows: audio gathered into the windows of the Silero network, at one level, as magnitude spectra."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtemo.api import HopFlag
from rtemo.dsp.fft import complex_fft, unpack_power
from rtemo.dsp.kernel import kernel
from rtemo.dsp.lanes import LANES, gather_tile, scatter_tile
from rtemo_plugins.vad.back_end import UNKNOWN

WINDOW_SAMPLES = 512
CONTEXT_SAMPLES = 64
NEED_SAMPLES = CONTEXT_SAMPLES + WINDOW_SAMPLES
FRAMES, FRAME_SAMPLES, BINS = 4, 256, 129
SPREAD_HOPS = 2
"""A window's result counts this many hops after the window is full, always, so that streams that started together
need not all be computed in the same tick: a row is computed at any of these hops and the outcome is the same."""

TARGET_DB = -26.0
LONGEST_GAIN_DB = 30.0
FALL_DB = 0.2
"""How fast the loudness falls in a window of sound, 6 dB/s: a bang is forgotten within a few words."""
FLOOR_RISE_DB = 0.1
OVER_FLOOR_DB = 6.0
LEAST_OVER_FLOOR_DB = 20.0
"""Before anybody has spoken, speech is presumed to lie that far above the floor: a network that has heard a room
amplified to the level of speech takes the first loud words for more of the same."""

LOUDNESS = np.dtype(
    [
        ("has_any", np.bool_),
        ("level_db", np.float32),  # of the newest window
        ("before_db", np.float32),  # of the one before
        ("loud_db", np.float32),  # of the loudest of late
        ("floor_db", np.float32),  # of the quietest of late
        ("gain", np.float32),  # of the newest window
    ]
)
"""One row's level; a fresh one is all zeros."""

TONE_TAIL_HOPS = 12
"""How long after a tone the network's memory of it may still read as speech: between two dialled digits, say."""

_CONCEALED = int(HopFlag.CONCEALED)
_VOICED = np.float32(0.5)
_SILENT = np.float32(0.1)
_LEAST_POWER = np.float32(1e-12)


@kernel
def take_in(
    samples: NDArray[np.float32],
    silence_power: np.float32,
    forget_windows: int,
    audio: NDArray[np.float32],
    fill: NDArray[np.int64],
    pending: NDArray[np.bool_],
    result: NDArray[np.float32],
    silent_windows: NDArray[np.int64],
    loudness: NDArray[np.void],
    age: NDArray[np.int64],
) -> bool:
    """Append a hop to every row, and follow the loudness of full windows; say whether a memory is to be cleared.

    `age` becomes the number of hops since the row's window was full, -1 when none is.

    The gain of a window brings the loudest window of late to `TARGET_DB`; it amplifies only. A louder window counts at
    once, itself included, so nothing is driven into clipping; the loudness then falls slowly, but not in pauses
    (windows within `OVER_FLOOR_DB` of a floor that follows the quietest), so that a pause is not pumped up to the level
    of speech.
    """
    n, hop_samples = samples.shape
    forget = False
    for i in range(n):
        for k in range(hop_samples):
            x = samples[i, k]
            audio[i, fill[i] + k] = np.float32(0.0) if np.isnan(x) else min(max(x, np.float32(-1.0)), np.float32(1.0))
        fill[i] += hop_samples
        age[i] = -1 if fill[i] < NEED_SAMPLES else (fill[i] - NEED_SAMPLES) // hop_samples
        if age[i] == 0:
            power = np.float32(0.0)
            for k in range(CONTEXT_SAMPLES, NEED_SAMPLES):
                power += audio[i, k] * audio[i, k]
            power /= np.float32(WINDOW_SAMPLES)
            pending[i] = power >= silence_power
            result[i] = 0.0
            forget |= silent_windows[i] == forget_windows
            _follow(loudness[i], np.float32(10.0 * np.log10(max(power, _LEAST_POWER))))
    return forget


@kernel
def _follow(loud: Any, level_db: np.float32) -> None:
    if not loud.has_any:
        loud.has_any = True
        loud.loud_db = loud.floor_db = level_db
        loud.level_db = np.float32(-120.0)
    loud.before_db = loud.level_db
    loud.level_db = level_db
    loud.floor_db = min(level_db, loud.floor_db + np.float32(FLOOR_RISE_DB))
    if level_db > loud.loud_db:
        loud.loud_db = level_db
    elif level_db > loud.floor_db + np.float32(OVER_FLOOR_DB):
        loud.loud_db = max(level_db, loud.loud_db - np.float32(FALL_DB))
    speech_db = max(loud.loud_db, loud.floor_db + np.float32(LEAST_OVER_FLOOR_DB))
    gain_db = min(max(TARGET_DB - speech_db, 0.0), LONGEST_GAIN_DB)
    loud.gain = np.float32(10.0 ** (gain_db / 20.0))


@kernel
def spectra(
    audio: NDArray[np.float32],
    loudness: NDArray[np.void],
    rows: NDArray[np.int64],
    hann: NDArray[np.float32],
    tables: Any,
    x: NDArray[np.float32],
    y: NDArray[np.float32],
    power: NDArray[np.float32],
    frames: NDArray[np.float32],
    magnitude: NDArray[np.float32],
) -> None:
    """Transform the windows of `rows` to magnitudes, float32 [4 k, 129]: four frames of 256 samples, half overlapping.

    As in the published network, the window is mirrored at its end by 64 samples to fill the last frame.
    """
    stages, twiddle, unpack = tables
    step = FRAME_SAMPLES // 2
    for i in range(rows.size):
        row = rows[i]
        gain = loudness[row].gain
        for frame in range(FRAMES):
            start = frame * step
            for k in range(FRAME_SAMPLES):
                at = start + k
                at = at if at < NEED_SAMPLES else 2 * (NEED_SAMPLES - 1) - at
                frames[FRAMES * i + frame, k] = gain * hann[k] * audio[row, at]
    for tile in range(0, frames.shape[0], LANES):
        gather_tile(frames, tile, x)
        unpack_power(complex_fft(x, y, stages, twiddle), unpack, power)
        scatter_tile(power, tile, magnitude)
    for i in range(magnitude.shape[0]):
        for k in range(BINS):
            magnitude[i, k] = np.sqrt(magnitude[i, k])


@kernel
def settle(
    flags: NDArray[np.uint8],
    toned: NDArray[np.uint32],
    hop_samples: int,
    age: NDArray[np.int64],
    audio: NDArray[np.float32],
    fill: NDArray[np.int64],
    result: NDArray[np.float32],
    latest: NDArray[np.float32],
    silent_windows: NDArray[np.int64],
    lag: NDArray[np.int64],
    probability: NDArray[np.float32],
    voice: NDArray[np.uint8],
) -> None:
    """Let the results whose time has come count, drop their audio, and write every row's judgement.

    A window in which a tone of the line was heard, or just after one, is no speech: bit k of `toned` says so of the hop
    k hops ago.
    """
    hops = -(-WINDOW_SAMPLES // hop_samples) + 1 + TONE_TAIL_HOPS
    window_bits = np.uint32(((1 << hops) - 1) << SPREAD_HOPS)
    for i in range(flags.shape[0]):
        if age[i] == SPREAD_HOPS:
            latest[i] = np.float32(0.0) if toned[i] & window_bits else result[i]
            silent_windows[i] = silent_windows[i] + 1 if result[i] < _SILENT else 0
            lag[i] = fill[i] - CONTEXT_SAMPLES - hop_samples
            fill[i] -= WINDOW_SAMPLES
            for k in range(fill[i]):
                audio[i, k] = audio[i, k + WINDOW_SAMPLES]
        if flags[i] & _CONCEALED:
            probability[i] = np.float32(np.nan)
        else:
            probability[i] = latest[i]
        if np.isnan(probability[i]):
            voice[i] = UNKNOWN
        else:
            voice[i] = 1 if latest[i] >= _VOICED else 0
