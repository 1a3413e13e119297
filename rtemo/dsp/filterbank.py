"""Mel, ERB and linear filterbanks, kept as sparse bands: first bin, bin count and weights of each."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

Scale = Literal["slaney", "htk", "erb", "linear"]

_SLANEY_LINEAR_HZ = 200.0 / 3.0
_SLANEY_KNEE_HZ = 1000.0
_SLANEY_KNEE_MEL = _SLANEY_KNEE_HZ / _SLANEY_LINEAR_HZ
_SLANEY_LOG_STEP = np.log(6.4) / 27.0


def hz_to_scale(hz: NDArray[np.float64] | float, scale: Scale) -> NDArray[np.float64]:
    """Convert frequency in Hz to the scale that bands are evenly spaced on.

    Args:
        hz: Frequency in Hz.
        scale: `slaney` is the mel scale of Slaney's Auditory Toolbox (1998), linear below 1 kHz and logarithmic
            above; `htk` is 2595 log10(1 + f / 700) (O'Shaughnessy 1987); `erb` is the ERB-rate scale of Glasberg
            & Moore (1990), 21.4 log10(1 + 0.00437 f); `linear` is the frequency itself.
    """
    f = np.asarray(hz, dtype=np.float64)
    if scale == "slaney":
        log_part = _SLANEY_KNEE_MEL + np.log(np.maximum(f, _SLANEY_KNEE_HZ) / _SLANEY_KNEE_HZ) / _SLANEY_LOG_STEP
        return np.where(f < _SLANEY_KNEE_HZ, f / _SLANEY_LINEAR_HZ, log_part)
    if scale == "htk":
        return np.asarray(2595.0 * np.log10(1.0 + f / 700.0))
    if scale == "erb":
        return np.asarray(21.4 * np.log10(1.0 + 0.00437 * f))
    if scale == "linear":
        return f
    raise ValueError(f"scale {scale!r} is unknown; expected slaney, htk, erb or linear")


def scale_to_hz(value: NDArray[np.float64] | float, scale: Scale) -> NDArray[np.float64]:
    """Convert a position on a scale to frequency in Hz, the inverse of `hz_to_scale`."""
    v = np.asarray(value, dtype=np.float64)
    if scale == "slaney":
        log_part = _SLANEY_KNEE_HZ * np.exp(_SLANEY_LOG_STEP * (np.maximum(v, _SLANEY_KNEE_MEL) - _SLANEY_KNEE_MEL))
        return np.where(v < _SLANEY_KNEE_MEL, v * _SLANEY_LINEAR_HZ, log_part)
    if scale == "htk":
        return np.asarray(700.0 * (10.0 ** (v / 2595.0) - 1.0))
    if scale == "erb":
        return np.asarray((10.0 ** (v / 21.4) - 1.0) / 0.00437)
    if scale == "linear":
        return v
    raise ValueError(f"scale {scale!r} is unknown; expected slaney, htk, erb or linear")


def erb_bandwidth_hz(hz: NDArray[np.float64] | float) -> NDArray[np.float64]:
    """Give the equivalent rectangular bandwidth of the ear at a frequency, 24.7 (4.37 f / 1000 + 1) Hz.

    Glasberg & Moore, "Derivation of auditory filter shapes from notched-noise data", Hearing Research 47 (1990).
    """
    return np.asarray(24.7 * (4.37e-3 * np.asarray(hz, dtype=np.float64) + 1.0))


@dataclass(frozen=True)
class Filterbank:
    """Triangular bands over FFT bins; only the bins a band covers are stored.

    Attributes:
        first_bin: int32 [band_count], first FFT bin of each band.
        bin_count: int32 [band_count], number of bins of each band.
        weight: float32 [sum of bin_count], the weights of all bands one after the other.
        center_hz: float64 [band_count].
        spectrum_bins: Number of bins of the spectrum the bank was made for, fft_samples / 2 + 1.
    """

    first_bin: NDArray[np.int32]
    bin_count: NDArray[np.int32]
    weight: NDArray[np.float32]
    center_hz: NDArray[np.float64]
    spectrum_bins: int

    @property
    def band_count(self) -> int:
        """Number of bands."""
        return int(self.first_bin.size)

    def dense(self) -> NDArray[np.float32]:
        """Give the bank as a matrix, float32 [band_count, spectrum_bins]."""
        matrix = np.zeros((self.band_count, self.spectrum_bins), np.float32)
        start = 0
        for band, (first, count) in enumerate(zip(self.first_bin, self.bin_count, strict=True)):
            matrix[band, first : first + count] = self.weight[start : start + count]
            start += int(count)
        return matrix


def triangular_filterbank(
    band_count: int,
    *,
    rate_hz: int,
    fft_samples: int,
    low_hz: float,
    high_hz: float,
    scale: Scale = "slaney",
    area_normalised: bool = False,
) -> Filterbank:
    """Design triangular bands evenly spaced on a scale.

    Args:
        band_count: Number of bands.
        rate_hz: Sample rate.
        fft_samples: Transform size the bins come from.
        low_hz: Lower edge of the first band.
        high_hz: Upper edge of the last band, at most half the sample rate.
        scale: Scale on which the centres are evenly spaced, see `hz_to_scale`.
        area_normalised: Whether each band is divided by half its width in Hz so that white noise gives equal
            values (Slaney's normalisation); otherwise every triangle peaks at 1.

    Raises:
        ValueError: If a band is so narrow that it covers no bin, or the edges are not in order.
    """
    if not 0.0 <= low_hz < high_hz <= rate_hz / 2:
        raise ValueError(f"band edges {low_hz}..{high_hz} Hz do not lie in order within 0..{rate_hz / 2} Hz")
    edges = np.linspace(hz_to_scale(low_hz, scale), hz_to_scale(high_hz, scale), band_count + 2)
    edge_hz = scale_to_hz(edges, scale)
    bin_hz = np.arange(fft_samples // 2 + 1) * (rate_hz / fft_samples)
    first_bin, bin_count, weights = [], [], []
    for low, centre, high in zip(edge_hz[:-2], edge_hz[1:-1], edge_hz[2:], strict=True):
        shape = np.minimum((bin_hz - low) / (centre - low), (high - bin_hz) / (high - centre))
        covered = np.flatnonzero(shape > 0.0)
        if covered.size == 0:
            raise ValueError(
                f"the band at {centre:.0f} Hz covers no bin of a {fft_samples}-sample transform at {rate_hz} Hz; "
                "use fewer bands or a longer transform"
            )
        weight = shape[covered]
        if area_normalised:
            weight = weight * (2.0 / (high - low))
        first_bin.append(covered[0])
        bin_count.append(covered.size)
        weights.append(weight)
    return Filterbank(
        np.array(first_bin, np.int32),
        np.array(bin_count, np.int32),
        np.concatenate(weights).astype(np.float32),
        edge_hz[1:-1],
        fft_samples // 2 + 1,
    )


def mel_filterbank(
    band_count: int, *, rate_hz: int, fft_samples: int, low_hz: float = 60.0, high_hz: float | None = None
) -> Filterbank:
    """Design triangular mel bands on Slaney's scale, each peaking at 1.

    Slaney's scale rather than HTK's: with 64 bands, HTK's lowest are narrower than a bin of a 512-sample transform.
    """
    high = rate_hz / 2 if high_hz is None else high_hz
    return triangular_filterbank(band_count, rate_hz=rate_hz, fft_samples=fft_samples, low_hz=low_hz, high_hz=high)


def erb_filterbank(
    band_count: int, *, rate_hz: int, fft_samples: int, low_hz: float = 50.0, high_hz: float | None = None
) -> Filterbank:
    """Design triangular bands evenly spaced on the ERB-rate scale of Glasberg & Moore (1990), each peaking at 1."""
    high = rate_hz / 2 if high_hz is None else high_hz
    return triangular_filterbank(
        band_count, rate_hz=rate_hz, fft_samples=fft_samples, low_hz=low_hz, high_hz=high, scale="erb"
    )


def linear_filterbank(
    band_count: int, *, rate_hz: int, fft_samples: int, low_hz: float = 0.0, high_hz: float | None = None
) -> Filterbank:
    """Design triangular bands evenly spaced in Hz, each peaking at 1.

    What a synthesiser leaves behind lies high as often as low, and a perceptual scale blurs the upper half; linear
    bands keep it (Sahidullah, Kinnunen & Hanilci, "A comparison of features for synthetic speech detection",
    Interspeech 2015).
    """
    high = rate_hz / 2 if high_hz is None else high_hz
    return triangular_filterbank(
        band_count, rate_hz=rate_hz, fft_samples=fft_samples, low_hz=low_hz, high_hz=high, scale="linear"
    )
