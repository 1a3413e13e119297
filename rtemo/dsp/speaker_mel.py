"""The mel bands that the speaker encoder takes (Wan et al. 2018, as Resemblyzer computes them), for whole windows."""

import numpy as np
from numpy.typing import NDArray

from rtemo.dsp.filterbank import triangular_filterbank

RATE_HZ = 16_000
HOP_SAMPLES = 160
FRAME_SAMPLES = 400
MEL_COUNT = 40
FRAMES = 160
"""The encoder takes so many at once: 1.6 s."""
LEVEL_DBFS = -30.0
"""What is quieter is amplified to it."""

_BANK = triangular_filterbank(
    MEL_COUNT, rate_hz=RATE_HZ, fft_samples=FRAME_SAMPLES, low_hz=0.0, high_hz=RATE_HZ / 2, area_normalised=True
)
_BINS = np.concatenate([np.arange(k, k + n) for k, n in zip(_BANK.first_bin, _BANK.bin_count, strict=True)])
_BEGINS = np.concatenate([[0], np.cumsum(_BANK.bin_count)[:-1]])
_WINDOW = np.hanning(FRAME_SAMPLES + 1)[:-1].astype(np.float32)


def speaker_mel(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Power in mel bands, without a logarithm, as the network was trained; frame k is centred on sample 160·k.

    Args:
        samples: float32 [k] at 16 kHz.

    Returns:
        float32 [k // 160 + 1, 40].
    """
    padded = np.pad(samples, FRAME_SAMPLES // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, FRAME_SAMPLES)[::HOP_SAMPLES]
    spectrum = np.fft.rfft(frames * _WINDOW, axis=1)
    power = spectrum.real**2 + spectrum.imag**2
    # A product of matrices would wake a thread of the linear algebra library on every processor.
    return np.add.reduceat(power[:, _BINS] * _BANK.weight, _BEGINS, axis=1).astype(np.float32)


def levelled(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Amplify what is quieter to `LEVEL_DBFS`, float32 [k]; silence stays as it is."""
    power = float(np.mean(samples.astype(np.float64) ** 2)) if len(samples) else 0.0
    gain_db = LEVEL_DBFS - 10.0 * np.log10(max(power, 1e-12))
    return samples * np.float32(10.0 ** (max(gain_db, 0.0) / 20.0))


def window_mel(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Make one window for the encoder, float32 [k] → [160, 40]; what is missing at the end is silence."""
    out = np.zeros((FRAMES, MEL_COUNT), np.float32)
    made = speaker_mel(levelled(samples))[:FRAMES]
    out[: len(made)] = made
    return out
