"""LogMel: the logarithmic mel spectrum of every stream, one frame per hop, without look-ahead."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtemo.dsp.bands import log_bands
from rtemo.dsp.fft import FftPlan, complex_fft, unpack_power
from rtemo.dsp.filterbank import mel_filterbank
from rtemo.dsp.frames import frame_tile
from rtemo.dsp.kernel import kernel
from rtemo.dsp.lanes import LANES, scatter_tile
from rtemo.dsp.rows import RowKernel, check_out, float32_rows


@kernel
def _log_mel(x: Any, y: Any, power: Any, tables: Any, floor: Any, log_mel: Any) -> None:
    """Fill `log_mel` [mel_count, LANES] from the windowed frames in `x` [fft_samples, LANES]."""
    stages, twiddle, unpack, bank = tables
    unpack_power(complex_fft(x, y, stages, twiddle), unpack, power)
    log_bands(power, bank, floor, log_mel)


@kernel
def _stream(samples: Any, history: Any, window: Any, tables: Any, floor: Any, work: Any, out: Any) -> None:
    x, y, power, log_mel = work
    for tile in range(0, samples.shape[0], LANES):
        frame_tile(samples, history, window, tile, x)
        _log_mel(x, y, power, tables, floor, log_mel)
        scatter_tile(log_mel, tile, out)


@kernel
def _offline(samples: Any, hop: int, window: Any, tables: Any, floor: Any, work: Any, out: Any) -> None:
    x, y, power, log_mel = work
    frame = window.size
    for tile in range(0, out.shape[0], LANES):
        x[:] = np.float32(0.0)
        live = min(LANES, out.shape[0] - tile)
        for lane in range(live):
            begin = (tile + lane + 1) * hop - frame
            for i in range(max(0, -begin), frame):
                x[i, lane] = window[i] * samples[begin + i]
        _log_mel(x, y, power, tables, floor, log_mel)
        scatter_tile(log_mel, tile, out)


class LogMel(RowKernel):
    """Log-mel frames of n streams: ln(max(mel power, floor)), one frame per hop.

    Frame k is made of the `frame_samples` samples that end with hop k (zero look-ahead; before the stream there is
    silence), times a periodic Hann window, padded with zeros to `fft_samples`. The power spectrum is scaled so that a
    full-scale sine on a bin reads 1, and summed in triangular bands on Slaney's mel scale that peak at 1. The same
    kernels serve live streams and training, and give the same bits in both.

    Args:
        capacity: Streams that `process` can hold at once.
        rate_hz: Sample rate.
        hop_samples: New samples per frame.
        frame_samples: Length of the window, at least one hop.
        fft_samples: Size of the transform, at least `frame_samples`.
        mel_count: Number of bands.
        low_hz: Lower edge of the first band.
        high_hz: Upper edge of the last band.
        floor: Least power, so that silence has a logarithm; 1e-10 is 100 dB below a full-scale sine.

    Raises:
        ValueError: If the sizes do not fit each other or a band covers no bin of the transform.
    """

    def __init__(
        self,
        capacity: int = 1,
        *,
        rate_hz: int = 16_000,
        hop_samples: int = 160,
        frame_samples: int = 400,
        fft_samples: int = 512,
        mel_count: int = 64,
        low_hz: float = 60.0,
        high_hz: float = 7_600.0,
        floor: float = 1e-10,
    ) -> None:
        if not 0 < hop_samples <= frame_samples <= fft_samples:
            raise ValueError(
                f"hop {hop_samples}, frame {frame_samples} and transform {fft_samples} must not decrease in this order"
            )
        super().__init__(capacity)
        plan = FftPlan(fft_samples)
        bank = mel_filterbank(mel_count, rate_hz=rate_hz, fft_samples=fft_samples, low_hz=low_hz, high_hz=high_hz)
        window = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(frame_samples) / frame_samples)
        self.hop_samples = hop_samples
        self.frame_samples = frame_samples
        self.mel_count = mel_count
        self.filterbank = bank
        self._window = (window * (2.0 / window.sum())).astype(np.float32)
        self._tables = (plan.stages, plan.twiddle, plan.unpack, (bank.first_bin, bank.bin_count, bank.weight))
        self._floor = np.float32(floor)
        self._work = (
            np.zeros((fft_samples, LANES), np.float32),
            np.zeros((fft_samples, LANES), np.float32),
            np.zeros((fft_samples // 2 + 1, LANES), np.float32),
            np.zeros((mel_count, LANES), np.float32),
        )
        self._out = np.zeros((capacity, mel_count), np.float32)
        self._history = self.state.add("history", (frame_samples - hop_samples,), np.float32)

    def process(self, samples: NDArray[np.float32], out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Take one hop of each stream and give one frame of each.

        Args:
            samples: float32 [n, hop_samples].
            out: float32 [n, mel_count], C-contiguous, to write into; without it an array that the next call overwrites.
        """
        x = float32_rows(samples)
        if out is not None:
            check_out(out, (x.shape[0], self.mel_count), np.float32)
        result = self._out[: x.shape[0]] if out is None else out
        _stream(x, self._history, self._window, self._tables, self._floor, self._work, result)
        return result

    def offline(self, samples: NDArray[np.float32]) -> NDArray[np.float32]:
        """Give all frames of a whole recording, float32 [len(samples) // hop_samples, mel_count].

        An incomplete hop at the end gives no frame. Independent of the streams in `process`.

        Args:
            samples: float32 [k].
        """
        x = float32_rows(samples)
        out = np.empty((x.size // self.hop_samples, self.mel_count), np.float32)
        _offline(x, self.hop_samples, self._window, self._tables, self._floor, self._work, out)
        return out


_default: dict[tuple[tuple[str, float], ...], LogMel] = {}


def logmel_offline(samples: NDArray[np.float32], **options: Any) -> NDArray[np.float32]:
    """Give the log-mel frames of a whole recording, float32 [frames, mel_count], exactly as streaming would.

    Not for two threads at once: the tables and work space of each set of options are made once and kept.

    Args:
        samples: float32 [k].
        **options: As for `LogMel`.
    """
    key = tuple(sorted(options.items()))
    if key not in _default:
        _default[key] = LogMel(**options)
    return _default[key].offline(samples)
