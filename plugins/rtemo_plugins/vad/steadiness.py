"""Steadiness: music holds its notes, speech does not; what is steady, or begins at once, is less likely speech."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtemo.dsp.kernel import kernel
from rtemo_plugins.vad.windows import BINS, CONTEXT_SAMPLES, FRAMES, WINDOW_SAMPLES

LOWEST_BIN = 5
"""From 310 Hz on: hum and the rumble of a room are steady and do not make speech over them less likely."""
ALIKE = 0.95
"""Cosine of two neighbouring windows' spectra from which the sound counts as steady between them."""
SHARE = 1 / 24
"""Weight of the newest window; with windows of 32 ms the memory is 0.8 s of sound."""
ACTIVE_DB, FAINTEST_DB = 30.0, -70.0
SPEECH_LIKE, MUSIC_LIKE = 0.7, 0.85
LONGEST_SHIFT = 4.0
"""By how much the log-odds of speech fall from steadiness `SPEECH_LIKE` to `MUSIC_LIKE` and beyond."""

SAID_FROM, SAID_UNTIL = 0.85, 0.6
"""Steadiness from which a sound is named, and below which the next one may be."""
SAID_AFTER_WINDOWS = 30
"""Windows without speech before it is named: 1 s."""
CONSTANT = 0.001
"""Mean change of the spectrum below which it is a tone or a hum; music moves more."""
START_SHIFT, START_WINDOWS = 3.0, 12
"""By how much the log-odds are lower in the first window after silence, and in how many windows that fades: to a
network that has heard silence any sound that begins at once is like speech for a moment."""
COHERENT = 0.95
"""Correlation with what lay 16 to 32 ms before from which a window is one with its past. A hum of 50 Hz and more, with
whatever harmonics, is that from its first window to its last; of 240 clips of training speakers that begin in the midst
of speech 2 % are in one window, 1 % in two, none in four."""
HUM_SHIFT = 6.0
"""By how much the log-odds are lower while all sound since it began has been one with its past. To the network a hum
that begins is like the beginning of a vowel, for some windows."""
RISE_DB, RISE_WINDOWS = 12.0, 2
"""Sound begins where a window is so much louder than the one before; it may begin in the midst of a window, and then
neither this window nor the next need be one with what was before."""
THIN = 4
"""One sample in so many is compared, each the mean of as many: a hum's energy lies far below 2 kHz."""
THIN_SAMPLES = WINDOW_SAMPLES // THIN
TONE, MUSIC = 1, 2

STEADY = np.dtype(
    [
        ("share", np.float32),  # of the windows of late that are like the one before
        ("change", np.float32),  # mean of one less the cosine
        ("windows", np.int64),  # since silence
        ("risen", np.int64),  # windows since the level has risen
        ("has_changed", np.bool_),  # whether a window since then was not one with its past
        ("is_said", np.bool_),
    ]
)
"""One row's steadiness."""

FRESH = np.array((0.5, 0.0, 0, 0, False, False), STEADY)
"""A fresh row begins half way between speech, about 0.3, and music, 0.9."""


@kernel
def weigh_steadiness(
    magnitude: NDArray[np.float32],
    rows: NDArray[np.int64],
    audio: NDArray[np.float32],
    past: NDArray[np.float32],
    loudness: NDArray[np.void],
    shape: NDArray[np.float32],
    steady: NDArray[np.void],
    silent_windows: NDArray[np.int64],
    toned: NDArray[np.uint32],
    probability: NDArray[np.float32],
    began: NDArray[np.uint8],
) -> None:
    """Compare the spectrum of each window with the one before, and shift the odds of speech where it has been steady.

    Steadiness is the share of neighbouring windows that are alike, over the last second of sound; pauses and tones
    of the line do not count, so that speech after them is not held back.

    Args:
        magnitude: float32 [4 k, 129], of the windows of `rows`.
        rows: int64 [k].
        audio: float32 [capacity, samples], with the window after `CONTEXT_SAMPLES`.
        past: float32 [capacity, `THIN_SAMPLES`], the window before, thinned; changed in place.
        loudness: `LOUDNESS` [capacity].
        shape: float32 [capacity, 129], spectrum of the window before at unit energy, changed in place.
        steady: `STEADY` [capacity], changed in place.
        silent_windows: int64 [capacity], windows since the last one that may have been speech.
        toned: uint32 [n], not 0 where a tone of the line was heard lately.
        probability: float32 [capacity], of speech, changed in place.
        began: uint8 [capacity], set to `TONE` or `MUSIC` where that is now plain.
    """
    for i in range(rows.size):
        row = rows[i]
        energy = low = np.float32(0.0)
        product = np.float32(0.0)
        for k in range(LOWEST_BIN, BINS):
            value = np.float32(0.0)
            for frame in range(FRAMES):
                value += magnitude[FRAMES * i + frame, k]
            energy += value * value
            product += value * shape[row, k]
            magnitude[FRAMES * i, k] = value
        for k in range(LOWEST_BIN):
            for frame in range(FRAMES):
                low += np.float32(FRAMES) * magnitude[FRAMES * i + frame, k] ** 2
        scale = np.float32(1.0) / np.sqrt(max(energy, np.float32(1e-20)))
        for k in range(LOWEST_BIN, BINS):
            shape[row, k] = scale * magnitude[FRAMES * i, k]
        loud = loudness[row]
        now = steady[row]
        is_heard = product > 0.0 and toned[row] == 0
        if is_heard and loud.level_db > max(loud.loud_db - ACTIVE_DB, FAINTEST_DB):
            likeness = product * scale
            now.share += np.float32(SHARE) * (np.float32(1.0 if likeness > ALIKE else 0.0) - now.share)
            now.change += np.float32(SHARE) * (np.float32(1.0) - likeness - now.change)
            began[row] = _begins(now, silent_windows[row], low > energy)
        shift = LONGEST_SHIFT * min(max((now.share - SPEECH_LIKE) / (MUSIC_LIKE - SPEECH_LIKE), 0.0), 1.0)
        shift += START_SHIFT * max(0.0, 1.0 - now.windows / START_WINDOWS)
        if loud.level_db > loud.before_db + RISE_DB:
            now.risen = 0
            now.has_changed = False
        if not now.has_changed:
            if _follow_wave(audio[row], past[row]) >= COHERENT:
                shift += HUM_SHIFT
            elif now.risen >= RISE_WINDOWS:
                now.has_changed = True
        now.risen += 1
        now.windows += 1
        p = probability[row]
        probability[row] = np.float32(p / (p + (1.0 - p) * np.exp(shift)))


@kernel
def _follow_wave(audio: Any, past: Any) -> np.float32:
    """Give the best correlation of the window with what lay 16 to 32 ms before it; it becomes `past`."""
    line = np.empty(2 * THIN_SAMPLES, np.float32)
    line[:THIN_SAMPLES] = past
    for k in range(THIN_SAMPLES):
        value = np.float32(0.0)
        for j in range(THIN):
            value += audio[CONTEXT_SAMPLES + THIN * k + j]
        line[THIN_SAMPLES + k] = past[k] = value
    energy = np.float32(0.0)
    for k in range(THIN_SAMPLES):
        energy += past[k] * past[k]
    best = np.float32(0.0)
    for start in range(THIN_SAMPLES // 2 + 1):
        product = own = np.float32(0.0)
        for k in range(THIN_SAMPLES):
            product += line[start + k] * past[k]
            own += line[start + k] * line[start + k]
        if product > 0.0:
            best = max(best, product / np.sqrt(own * energy + np.float32(1e-20)))
    return best


@kernel
def _begins(now: Any, silent_windows: int, is_hum: bool) -> int:
    if now.share < SAID_UNTIL:
        now.is_said = False
    elif now.share >= SAID_FROM and silent_windows >= SAID_AFTER_WINDOWS and not now.is_said:
        now.is_said = True
        return TONE if is_hum or now.change < CONSTANT else MUSIC
    return 0
