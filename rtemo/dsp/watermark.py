"""Watermark: a pattern in the level of time-frequency cells that tells speech made by rtemo from recorded speech.

Every cell of 62.5 Hz by 48 ms between 312 and 3,437 Hz, the band that a telephone leaves, is made a little louder or
quieter by a pattern of signs that comes from a key and repeats itself. A detector that knows the key adds up, over
all cells, sign times deviation from the surroundings; what other keys give on the same sound tells how far chance
would have come (spread spectrum in the manner of Cox et al. 1997, on log magnitudes). It holds no message, it hides
nothing from those who want to take it out, and a change of speed destroys it.
"""

import hashlib

import msgspec
import numpy as np
from numpy.typing import NDArray

from rtemo.dsp.resample import resample

RATE_HZ = 16_000
DEPTH_DB = 2.5
"""How much louder and quieter cells are made."""
THRESHOLD = 6.0
"""Score from which a watermark is held for found: `bench.quality.watermark` tells what genuine speech reaches."""

_KEY = b"rtemo synthetic speech 1"
_FRAME_SAMPLES, _HOP_SAMPLES = 512, 128
_FIRST_BIN, _BINS_PER_CELL, _CELLS = 10, 2, 50
_FRAMES_PER_CELL, _PERIOD_CELLS = 6, 32
_PERIOD_FRAMES = _FRAMES_PER_CELL * _PERIOD_CELLS
PHASES = _PERIOD_FRAMES
"""Places of the pattern that a score is the best of."""
_BAND = slice(_FIRST_BIN, _FIRST_BIN + _BINS_PER_CELL * _CELLS)
_WINDOW = np.hanning(_FRAME_SAMPLES + 1)[:-1]
_WEIGHT = (_WINDOW**2).reshape(-1, _HOP_SAMPLES).sum(axis=0)
_DECOYS = 15
_MOST_DB = 4.0
_ABOVE_FLOOR_DB, _RANGE_DB, _FULL_WEIGHT_DB = 4.0, 50.0, 8.0
_AROUND_FRAMES, _AROUND_CELLS = 17, 9
_LOOK_FRAMES = 2 * _PERIOD_FRAMES
_SHORT_FRAMES = 96


class WatermarkFinding(msgspec.Struct, frozen=True, kw_only=True):
    """What the detector found in a recording.

    Attributes:
        score: How many standard deviations of chance the best place stands out by; 0 where there is too little sound.
        is_found: Whether that is `THRESHOLD` and more.
        start_s: Where the best place begins.
        end_s: Where it ends.
    """

    score: float
    is_found: bool
    start_s: float
    end_s: float


class Watermarker:
    """Adds the watermark to synthetic speech that comes in parts; what comes out does not depend on how it was cut.

    Args:
        start_sample: Position of the first sample in what it is a part of: speech that is put together of several
            carries one pattern then.
        depth_db: How much louder and quieter cells are made.
    """

    def __init__(self, start_sample: int = 0, depth_db: float = DEPTH_DB) -> None:
        self._gains = 10.0 ** (depth_db / 20.0 * np.repeat(_pattern(_KEY), _BINS_PER_CELL, axis=1))
        self._lead = _FRAME_SAMPLES - _HOP_SAMPLES
        self._at = start_sample - self._lead + _FRAME_SAMPLES // 2  # centre of the next frame
        self._line = np.zeros(self._lead)
        self._sum = np.zeros(_FRAME_SAMPLES)
        self._skip = self._lead

    def process(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Take float32 [k] at 16 kHz and give what is ready, up to 24 ms less."""
        line = np.concatenate([self._line, np.asarray(samples, np.float64)])
        frames = max(0, (len(line) - _FRAME_SAMPLES) // _HOP_SAMPLES + 1)
        out = np.empty(frames * _HOP_SAMPLES)
        for frame in range(frames):
            start = frame * _HOP_SAMPLES
            spectrum = np.fft.rfft(line[start : start + _FRAME_SAMPLES] * _WINDOW)
            spectrum[_BAND] *= self._gains[self._at // (_FRAMES_PER_CELL * _HOP_SAMPLES) % _PERIOD_CELLS]
            self._sum += np.fft.irfft(spectrum, _FRAME_SAMPLES) * _WINDOW
            out[start : start + _HOP_SAMPLES] = self._sum[:_HOP_SAMPLES] / _WEIGHT
            self._sum[:-_HOP_SAMPLES] = self._sum[_HOP_SAMPLES:]
            self._sum[-_HOP_SAMPLES:] = 0.0
            self._at += _HOP_SAMPLES
        self._line = line[frames * _HOP_SAMPLES :]
        skipped = min(self._skip, out.size)
        self._skip -= skipped
        return out[skipped:].astype(np.float32)

    def flush(self) -> NDArray[np.float32]:
        """End it: give the samples that were held back, as many as came in are out then."""
        missing = self._line.size - self._skip
        held = self.process(np.zeros(2 * _FRAME_SAMPLES, np.float32))
        return held[:missing]


def add_watermark(
    samples: NDArray[np.float32], start_sample: int = 0, depth_db: float = DEPTH_DB
) -> NDArray[np.float32]:
    """Add the watermark to a recording of synthetic speech, float32 [k] at 16 kHz; see `Watermarker`."""
    maker = Watermarker(start_sample, depth_db)
    return np.concatenate([maker.process(samples), maker.flush()])


def find_watermark(samples: NDArray[np.float32], sample_rate_hz: int = RATE_HZ) -> WatermarkFinding:
    """Look for the watermark anywhere in a recording, of which only a part may be synthetic.

    Args:
        samples: float32 [k].
        sample_rate_hz: Its rate; 8 kHz and more.
    """
    x = np.asarray(samples, np.float32)
    if sample_rate_hz != RATE_HZ:
        x = resample(x, sample_rate_hz, RATE_HZ)
    deviations = _deviations(x)
    count = deviations.shape[0]
    looks = {(0, count)}
    for length in (_LOOK_FRAMES, _SHORT_FRAMES):
        looks |= {(at, at + length) for at in range(0, max(0, count - length) + 1, length // 2) if at + length <= count}
    best = WatermarkFinding(score=0.0, is_found=False, start_s=0.0, end_s=0.0)
    for start, end in sorted(looks):
        score = _score(deviations[start:end], start)
        if score > best.score:
            hop_s = _HOP_SAMPLES / RATE_HZ
            best = WatermarkFinding(score=score, is_found=score >= THRESHOLD, start_s=start * hop_s, end_s=end * hop_s)
    return best


def _pattern(key: bytes) -> NDArray[np.float64]:
    """Give the signs of a key, float64 [_PERIOD_CELLS, _CELLS]; each is followed by its opposite."""
    wanted = _PERIOD_CELLS // 2 * _CELLS
    data = b"".join(hashlib.sha256(key + bytes([number])).digest() for number in range(-(-wanted // 256)))
    bits = np.unpackbits(np.frombuffer(data, np.uint8))[:wanted].reshape(-1, _CELLS)
    signs = 2.0 * bits - 1.0
    return np.stack([signs, -signs], axis=1).reshape(_PERIOD_CELLS, _CELLS)


def _deviations(x: NDArray[np.float32]) -> NDArray[np.float64]:
    """Give how far each cell lies from its surroundings, weighted by the speech in it, float64 [frames, _CELLS]."""
    count = max(0, (len(x) - _FRAME_SAMPLES) // _HOP_SAMPLES + 1)
    if count < _FRAMES_PER_CELL:
        return np.zeros((0, _CELLS))
    frames = np.lib.stride_tricks.sliding_window_view(x, _FRAME_SAMPLES)[::_HOP_SAMPLES]
    power = np.abs(np.fft.rfft(frames * _WINDOW, axis=1)[:, _BAND]) ** 2
    cells = 10.0 * np.log10(power.reshape(count, _CELLS, _BINS_PER_CELL).mean(axis=2) + 1e-12)
    without_course = cells - _smooth(cells, _AROUND_FRAMES)
    deviations = np.clip(without_course - _smooth(without_course, _AROUND_CELLS, axis=1), -_MOST_DB, _MOST_DB)
    # Cells near the noise of their band, or far below the loud ones, hold no speech and say nothing.
    floor = np.maximum(np.percentile(cells, 10, axis=0) + _ABOVE_FLOOR_DB, np.percentile(cells, 95) - _RANGE_DB)
    return np.asarray(deviations * np.clip((cells - floor) / _FULL_WEIGHT_DB, 0.0, 1.0), np.float64)


def _smooth(x: NDArray[np.float64], width: int, axis: int = 0) -> NDArray[np.float64]:
    """Give the running mean over `width` values, at the ends over those that there are."""
    half = width // 2
    rows = np.moveaxis(x, axis, 0)
    sums = np.concatenate([np.zeros((1, *rows.shape[1:])), np.cumsum(rows, axis=0)])
    at = np.arange(rows.shape[0])
    low, high = np.maximum(at - half, 0), np.minimum(at + half + 1, rows.shape[0])
    means = (sums[high] - sums[low]) / (high - low).reshape(-1, *[1] * (rows.ndim - 1))
    return np.asarray(np.moveaxis(means, 0, axis), np.float64)


_SPECTRA: list[NDArray[np.complex128]] = []


def _spectra() -> list[NDArray[np.complex128]]:
    """Transforms of the pattern over time, then of the decoys."""
    if not _SPECTRA:
        keys = [_KEY, *(b"decoy %d" % number for number in range(_DECOYS))]
        _SPECTRA.extend(np.fft.rfft(np.repeat(_pattern(key), _FRAMES_PER_CELL, axis=0), axis=0) for key in keys)
    return _SPECTRA


def _score(deviations: NDArray[np.float64], start_frame: int) -> float:
    """Tell by how many deviations of chance the pattern stands out, at whatever phase."""
    folded = np.zeros((_PERIOD_FRAMES, _CELLS))
    np.add.at(folded, (start_frame + np.arange(deviations.shape[0])) % _PERIOD_FRAMES, deviations)
    spectrum = np.fft.rfft(folded, axis=0)
    sums = [np.fft.irfft((spectrum * pattern.conj()).sum(axis=1), _PERIOD_FRAMES) for pattern in _spectra()]
    chance = np.concatenate(sums[1:])
    spread = float(chance.std())
    if spread <= 1e-9:
        return 0.0
    return float((sums[0].max() - chance.mean()) / spread)
