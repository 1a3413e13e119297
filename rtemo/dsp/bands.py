"""LogBands: the logarithmic bands, and bins if wanted, of spectra that were already computed for something else."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtemo.dsp.filterbank import Filterbank, mel_filterbank
from rtemo.dsp.kernel import kernel
from rtemo.dsp.lanes import LANES, fma, gather_tile, largest, load, natural_log, scatter_tile, splat, store
from rtemo.dsp.rows import check_out, float32_rows


@kernel
def log_bands(power: Any, bank: Any, floor: Any, out: Any) -> None:
    """Sum one tile of power spectra, float32 [bins, LANES], in bands and take logarithms, float32 [band_count, LANES].

    Args:
        power: Power of each bin.
        bank: `first_bin`, `bin_count` and `weight` of a `Filterbank`.
        floor: Least power of a band.
        out: Overwritten.
    """
    first_bin, bin_count, weight = bank
    lowest = splat(floor)
    w = 0
    for band in range(first_bin.size):
        total = splat(np.float32(0.0))
        for k in range(first_bin[band], first_bin[band] + bin_count[band]):
            total = fma(splat(weight[w]), load(power, k), total)
            w += 1
        store(out, band, natural_log(largest(total, lowest)))


@kernel
def _log_spectra(spectra: Any, scale: Any, bank: Any, floor: Any, work: Any, bands: Any, bins: Any) -> None:
    """Fill `bands` [n, band_count], and `bins` [n, bins] unless it has no rows, from `spectra` [n, 2 bins]."""
    spectrum, power, log_mel = work
    lowest = splat(floor)
    for tile in range(0, spectra.shape[0], LANES):
        gather_tile(spectra, tile, spectrum)
        for k in range(power.shape[0]):
            re, im = load(spectrum, 2 * k), load(spectrum, 2 * k + 1)
            store(power, k, splat(scale) * fma(re, re, im * im))
        log_bands(power, bank, floor, log_mel)
        scatter_tile(log_mel, tile, bands)
        if bins.shape[0] > 0:
            for k in range(power.shape[0]):
                store(power, k, natural_log(largest(load(power, k), lowest)))
            scatter_tile(power, tile, bins)


class LogBands:
    """Log bands of given spectra, ln(max(band power, floor)), and the same of each bin: one transform serves all.

    The bands are those of `LogMel`, on another window, unless another bank is given. Power is scaled so that a
    full-scale sine on a bin reads 1, whatever the window. Has no state: bands belong to the spectrum they come from.

    Args:
        capacity: Spectra that `process` can take at once.
        window: float64 [frame_samples], analysis window the spectra come from, as `Stft` got it.
        rate_hz: Sample rate.
        fft_samples: Size of the transform; the frame by default.
        mel_count: Number of bands.
        low_hz: Lower edge of the first band.
        high_hz: Upper edge of the last band.
        floor: Least power, so that silence has a logarithm; 1e-10 is 100 dB below a full-scale sine.
        bank: Bands to take in place of mel bands; they fit the transform.

    Attributes:
        band_count: Number of bands.
        bins: Number of bins of a spectrum.
        filterbank: The bands.

    Raises:
        ValueError: If a band covers no bin of the transform, or `bank` is for another one.
    """

    def __init__(
        self,
        capacity: int,
        window: NDArray[np.float64],
        *,
        rate_hz: int = 16_000,
        fft_samples: int | None = None,
        mel_count: int = 64,
        low_hz: float = 60.0,
        high_hz: float = 7_600.0,
        floor: float = 1e-10,
        bank: Filterbank | None = None,
    ) -> None:
        size = window.size if fft_samples is None else fft_samples
        if bank is None:
            bank = mel_filterbank(mel_count, rate_hz=rate_hz, fft_samples=size, low_hz=low_hz, high_hz=high_hz)
        self.band_count = bank.band_count
        self.bins = size // 2 + 1
        if bank.spectrum_bins != self.bins:
            raise ValueError(f"the bank is for spectra of {bank.spectrum_bins} bins, the transform gives {self.bins}")
        self.filterbank = bank
        self._bank = (bank.first_bin, bank.bin_count, bank.weight)
        self._scale = np.float32((2.0 / window.sum()) ** 2)
        self._floor = np.float32(floor)
        self._work = (
            np.zeros((2 * self.bins, LANES), np.float32),
            np.zeros((self.bins, LANES), np.float32),
            np.zeros((self.band_count, LANES), np.float32),
        )
        self._out = np.zeros((capacity, self.band_count), np.float32)
        self._no_bins = np.zeros((0, self.bins), np.float32)

    def process(
        self,
        spectra: NDArray[np.complex64],
        out: NDArray[np.float32] | None = None,
        bins: NDArray[np.float32] | None = None,
    ) -> NDArray[np.float32]:
        """Give the bands of each spectrum, float32 [n, band_count].

        Args:
            spectra: complex64 [n, bins].
            out: float32 [n, band_count], C-contiguous, to write into; without it an array that the next call
                overwrites.
            bins: float32 [n, bins], C-contiguous, to write the log power of every bin into; not computed without it.
        """
        x = float32_rows(np.ascontiguousarray(spectra, np.complex64).view(np.float32))
        n = x.shape[0]
        if out is not None:
            check_out(out, (n, self.band_count), np.float32)
        if bins is not None:
            check_out(bins, (n, self.bins), np.float32)
        result = self._out[:n] if out is None else out
        _log_spectra(
            x, self._scale, self._bank, self._floor, self._work, result, self._no_bins if bins is None else bins
        )
        return result
