"""The log-mel bands that Whisper's encoder takes (Radford et al. 2022, arXiv:2212.04356), for whole windows."""

import numpy as np
from numpy.typing import NDArray

from rtemo.dsp.filterbank import triangular_filterbank

RATE_HZ = 16_000
HOP_SAMPLES = 160
FRAME_SAMPLES = 400
MEL_COUNT = 80
RANGE_DECADES = 8.0
"""What lies further below the loudest value of a window is raised to that."""

_FLOOR = 1e-10


_BANK = triangular_filterbank(
    MEL_COUNT, rate_hz=RATE_HZ, fft_samples=FRAME_SAMPLES, low_hz=0.0, high_hz=RATE_HZ / 2, area_normalised=True
)
_BINS = np.concatenate([np.arange(k, k + n) for k, n in zip(_BANK.first_bin, _BANK.bin_count, strict=True)])
_BEGINS = np.concatenate([[0], np.cumsum(_BANK.bin_count)[:-1]])
_WINDOW = np.hanning(FRAME_SAMPLES + 1)[:-1].astype(np.float32)


def log_mel_power(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Logarithm to the base of 10 of the power in every band; the frame k is centred on sample 160·k.

    Args:
        samples: float32 [k], 16 kHz, at least 201.

    Returns:
        float32 [k // 160, 80], at least -10.
    """
    padded = np.pad(samples, FRAME_SAMPLES // 2, mode="reflect")
    frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME_SAMPLES)[::HOP_SAMPLES]
    spectrum = np.fft.rfft(frames[: len(samples) // HOP_SAMPLES] * _WINDOW, axis=1).astype(np.complex64)
    power = spectrum.real**2 + spectrum.imag**2
    # A product of matrices would wake a thread of the linear algebra library on every processor.
    bands = np.add.reduceat(power[:, _BINS] * _BANK.weight, _BEGINS, axis=1)
    return np.log10(np.maximum(bands, np.float32(_FLOOR))).astype(np.float32)


def as_whisper_hears(log_power: NDArray[np.float32], loudest: float | None = None) -> NDArray[np.float32]:
    """Limit the range below the loudest value and scale, as Whisper does.

    Args:
        log_power: float32 [frames, 80] of `log_mel_power`.
        loudest: If given, the whole window is raised or lowered until its loudest value is this, so that the level of
            the recording does not show; Whisper itself leaves it.
    """
    peak = float(log_power.max())
    limited = np.maximum(log_power, peak - RANGE_DECADES)
    if loudest is not None:
        limited = limited + np.float32(loudest - peak)
    return ((limited + 4.0) / 4.0).astype(np.float32)
