"""FrontEnd: the one spectrum of each hop that both networks work on."""

from typing import NamedTuple, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from rtemo.api import ModelCard, ModelError
from rtemo.dsp.bands import LogBands
from rtemo.dsp.finite import finite_rows
from rtemo.dsp.stft import Istft, Stft, low_delay_windows


class SpectrumFormat(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The facts that a bundle's network was trained with; `front_end` of its card."""

    rate_hz: int = 16_000
    hop_samples: int = 160
    frame_samples: int = 512
    synthesis_samples: int = 480
    fft_samples: int = 512
    mel_count: int = 64
    low_hz: float = 60.0
    high_hz: float = 7_600.0
    floor: float = 1e-10

    @classmethod
    def of(cls, card: ModelCard) -> Self:
        """Read the facts from a card; what it does not state is as in this plugin's own bundles.

        Raises:
            ModelError: The card asks for a front end that this is not.
        """
        try:
            return msgspec.convert(card.front_end, cls)
        except msgspec.ValidationError as error:
            raise ModelError(
                f"bundle {card.name!r} needs another front end ({error})", "choose a bundle made for the merit plugin"
            ) from error

    @property
    def windows(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Analysis and synthesis window."""
        return low_delay_windows(self.frame_samples, self.hop_samples, self.synthesis_samples)

    def synthesis(self, capacity: int) -> Istft:
        """Make what turns the spectra back into audio, `synthesis_samples` - `hop_samples` late."""
        return Istft(
            capacity,
            self.windows[1],
            frame_samples=self.frame_samples,
            hop_samples=self.hop_samples,
            fft_samples=self.fft_samples,
        )


class Spectrum(NamedTuple):
    """One hop of n streams, overwritten by the next."""

    spectra: NDArray[np.complex64]
    """complex64 [n, bins]; whoever enhances edits it in place."""
    bands: NDArray[np.float32]
    """float32 [n, mel_count], natural logarithm of power."""
    bins: NDArray[np.float32] | None
    """float32 [n, bins], natural logarithm of power, when it was asked for."""


class FrontEnd:
    """Makes spectra and bands of whatever comes in, also of what is not a number.

    Args:
        format: Sizes, bands and floor.
        capacity: Most streams.
        with_bins: Whether the log power of each bin is wanted too.
    """

    def __init__(self, format: SpectrumFormat, capacity: int, *, with_bins: bool) -> None:
        window = format.windows[0]
        self._stft = Stft(capacity, window, hop_samples=format.hop_samples, fft_samples=format.fft_samples)
        self._log_bands = LogBands(
            capacity,
            window,
            rate_hz=format.rate_hz,
            fft_samples=format.fft_samples,
            mel_count=format.mel_count,
            low_hz=format.low_hz,
            high_hz=format.high_hz,
            floor=format.floor,
        )
        self._bins = np.zeros((capacity, self._stft.bins), np.float32) if with_bins else None
        self.admit, self.retire, self.reset = self._stft.admit, self._stft.retire, self._stft.reset

    def process(self, samples: NDArray[np.float32], *, with_bins: bool = True) -> Spectrum:
        """Take one hop of each stream, float32 [n, hop_samples]; without bins for once if `with_bins` is false."""
        spectra = self._stft.process(finite_rows(samples))
        bins = None if self._bins is None or not with_bins else self._bins[: len(spectra)]
        return Spectrum(spectra, self._log_bands.process(spectra, bins=bins), bins)
