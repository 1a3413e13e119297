"""Stft and Istft: streaming analysis and synthesis of n streams with perfect reconstruction and a stated delay."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtemo.dsp.fft import FftPlan, complex_fft, pack_spectrum, unpack_spectrum
from rtemo.dsp.frames import frame_tile
from rtemo.dsp.kernel import kernel
from rtemo.dsp.lanes import LANES, gather_tile, scatter_tile
from rtemo.dsp.rows import RowKernel, check_out, float32_rows

Windows = tuple[NDArray[np.float64], NDArray[np.float64]]


def hann_windows(frame_samples: int, hop_samples: int) -> Windows:
    """Design the symmetric pair: the square root of a periodic Hann window for analysis and for synthesis.

    The delay is frame - hop samples.
    """
    return low_delay_windows(frame_samples, hop_samples, frame_samples)


def low_delay_windows(frame_samples: int, hop_samples: int, synthesis_samples: int) -> Windows:
    """Design an asymmetric pair: a long analysis window for resolution, a short synthesis window for low delay.

    After Mauler & Martin, "A low delay, variable resolution, perfect reconstruction spectral analysis-synthesis system
    for speech enhancement", EUSIPCO 2007: the product of both is a Hann window over the last `synthesis_samples` of
    the frame. The delay is synthesis - hop samples instead of frame - hop.

    Args:
        frame_samples: Length of the analysis window.
        hop_samples: Advance; at most half of `synthesis_samples`.
        synthesis_samples: Even length of the part of the frame that is synthesised, at most the frame.

    Returns:
        Analysis and synthesis window, float64 [frame_samples] and [synthesis_samples], such that overlap-add of frames
        that were not changed returns the input.
    """
    if synthesis_samples % 2 or not 2 * hop_samples <= synthesis_samples <= frame_samples:
        raise ValueError(
            f"frame {frame_samples}, synthesis {synthesis_samples} and hop {hop_samples} do not fit; "
            "synthesis must be even, at least two hops and at most the frame"
        )
    fall = synthesis_samples // 2
    rise = frame_samples - fall
    analysis = np.sqrt(np.concatenate([_hann(2 * rise)[:rise], _hann(2 * fall)[fall:]]))
    tail = analysis[-synthesis_samples:]
    hann = _hann(synthesis_samples)
    synthesis = np.divide(hann, tail, out=np.zeros(synthesis_samples), where=tail > 0.0)
    return analysis, _normalised(analysis, synthesis, hop_samples)


def _hann(size: int) -> NDArray[np.float64]:
    return np.asarray(0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(size) / size))


def _normalised(analysis: NDArray[np.float64], synthesis: NDArray[np.float64], hop_samples: int) -> NDArray[np.float64]:
    """Scale `synthesis` so that the shifted products with the end of `analysis` sum to 1 at every sample.

    Raises:
        ValueError: If no frame covers some sample.
    """
    product = analysis[-synthesis.size :] * synthesis
    padded = np.pad(product, (0, -product.size % hop_samples))
    sums = padded.reshape(-1, hop_samples).sum(axis=0)
    if sums.min() < 1e-9:
        raise ValueError(f"windows of {analysis.size} and {synthesis.size} samples leave gaps at hop {hop_samples}")
    return synthesis / np.resize(sums, synthesis.size)


@kernel
def _analyse(samples: Any, history: Any, window: Any, tables: Any, x: Any, y: Any, spectrum: Any, out: Any) -> None:
    stages, twiddle, unpack = tables
    for tile in range(0, samples.shape[0], LANES):
        frame_tile(samples, history, window, tile, x)
        unpack_spectrum(complex_fft(x, y, stages, twiddle), unpack, spectrum)
        scatter_tile(spectrum, tile, out)


@kernel
def _synthesise(
    spectra: Any, overlap: Any, window: Any, begin: int, tables: Any, x: Any, y: Any, spectrum: Any, out: Any
) -> None:
    """Add the frame's last samples, from `begin` on, to `overlap` and give out the hop that is complete."""
    stages, twiddle, unpack = tables
    n, hop = out.shape
    size = window.size
    for tile in range(0, n, LANES):
        gather_tile(spectra, tile, spectrum)
        pack_spectrum(spectrum, unpack, x)
        swapped = complex_fft(x, y, stages, twiddle)
        for lane in range(min(LANES, n - tile)):
            row = tile + lane
            for i in range(size):
                overlap[row, i] += window[i] * swapped[(begin + i) ^ 1, lane]
            for i in range(hop):
                out[row, i] = overlap[row, i]
            for i in range(size - hop):
                overlap[row, i] = overlap[row, i + hop]
            for i in range(size - hop, size):
                overlap[row, i] = np.float32(0.0)


class Stft(RowKernel):
    """Gives the spectrum of the newest frame of each stream, once per hop, without look-ahead.

    Frame k holds the `frame_samples` samples that end with hop k, times the analysis window, padded at the end with
    zeros to `fft_samples`; before the stream there is silence.

    Args:
        capacity: Streams that `process` can hold at once.
        window: float64 [frame_samples], analysis window.
        hop_samples: New samples per frame.
        fft_samples: Size of the transform, at least the frame; the frame by default.
    """

    def __init__(
        self, capacity: int, window: NDArray[np.float64], *, hop_samples: int = 160, fft_samples: int | None = None
    ) -> None:
        super().__init__(capacity)
        self.fft_samples, self._tables, self._x, self._y, self._spectrum = _workspace(
            window.size, hop_samples, fft_samples
        )
        self.bins = self.fft_samples // 2 + 1
        self.hop_samples = hop_samples
        self._window = np.ascontiguousarray(window, np.float32)
        self._history = self.state.add("history", (window.size - hop_samples,), np.float32)
        self._out = np.zeros((capacity, 2 * self.bins), np.float32)

    def process(self, samples: NDArray[np.float32], out: NDArray[np.complex64] | None = None) -> NDArray[np.complex64]:
        """Take one hop of each stream and give one spectrum of each.

        Args:
            samples: float32 [n, hop_samples].
            out: complex64 [n, bins], C-contiguous, to write into; without it an array that the next call overwrites.
        """
        x = float32_rows(samples)
        if out is not None:
            check_out(out, (x.shape[0], self.bins), np.complex64)
        result = self._out[: x.shape[0]] if out is None else out.view(np.float32)
        _analyse(x, self._history, self._window, self._tables, self._x, self._y, self._spectrum, result)
        return result.view(np.complex64)


class Istft(RowKernel):
    """Turns spectra back into audio by windowed overlap-add, one hop per spectrum.

    Args:
        capacity: Streams that `process` can hold at once.
        window: float64 [synthesis_samples], synthesis window for the end of the frame.
        frame_samples: Length of the analysis frame.
        hop_samples: Samples given per spectrum.
        fft_samples: Size of the transform; the frame by default.

    Attributes:
        latency_samples: Samples by which the output of the pair lags the input, synthesis_samples - hop_samples.
    """

    def __init__(
        self,
        capacity: int,
        window: NDArray[np.float64],
        *,
        frame_samples: int,
        hop_samples: int = 160,
        fft_samples: int | None = None,
    ) -> None:
        super().__init__(capacity)
        self.fft_samples, self._tables, self._x, self._y, self._spectrum = _workspace(
            frame_samples, hop_samples, fft_samples
        )
        self.bins = self.fft_samples // 2 + 1
        self.hop_samples = hop_samples
        self.latency_samples = window.size - hop_samples
        self._begin = frame_samples - window.size
        self._window = (window * (2.0 / self.fft_samples)).astype(np.float32)
        self._overlap = self.state.add("overlap", (window.size,), np.float32)
        self._out = np.zeros((capacity, hop_samples), np.float32)

    def process(self, spectra: NDArray[np.complex64], out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Take one spectrum of each stream and give one hop of each.

        Args:
            spectra: complex64 [n, bins]; the imaginary parts of the first and last bin are taken as zero.
            out: float32 [n, hop_samples], C-contiguous, to write into; without it an array that the next call
                overwrites.
        """
        x = float32_rows(np.ascontiguousarray(spectra, np.complex64).view(np.float32))
        if out is not None:
            check_out(out, (x.shape[0], self.hop_samples), np.float32)
        result = self._out[: x.shape[0]] if out is None else out
        _synthesise(x, self._overlap, self._window, self._begin, self._tables, self._x, self._y, self._spectrum, result)
        return result


def _workspace(frame_samples: int, hop_samples: int, fft_samples: int | None) -> tuple[Any, ...]:
    size = frame_samples if fft_samples is None else fft_samples
    if not 0 < hop_samples <= frame_samples <= size:
        raise ValueError(f"hop {hop_samples}, frame {frame_samples} and transform {size} must not decrease in order")
    plan = FftPlan(size)
    x, y = np.zeros((size, LANES), np.float32), np.zeros((size, LANES), np.float32)
    return size, (plan.stages, plan.twiddle, plan.unpack), x, y, np.zeros((size + 2, LANES), np.float32)
