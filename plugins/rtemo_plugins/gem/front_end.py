"""FrontEnd: the bands of each hop as it entered the chain."""

from typing import Literal, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from rtemo.api import ModelCard, ModelError
from rtemo.dsp.bands import LogBands
from rtemo.dsp.filterbank import linear_filterbank
from rtemo.dsp.finite import finite_rows
from rtemo.dsp.stft import Stft


class SpectrumFormat(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The facts that a bundle's network was trained with; `front_end` of its card."""

    rate_hz: int = 16_000
    hop_samples: int = 160
    frame_samples: int = 512
    fft_samples: int = 512
    window: Literal["hann"] = "hann"
    scale: Literal["linear"] = "linear"
    band_count: int = 96
    low_hz: float = 0.0
    high_hz: float = 8_000.0
    floor: float = 1e-10

    @classmethod
    def of(cls, card: ModelCard) -> Self:
        """Read the facts from a card; what it does not state is as in this plugin's own bundle.

        Raises:
            ModelError: The card asks for a front end that this is not.
        """
        try:
            return msgspec.convert(card.front_end, cls)
        except msgspec.ValidationError as error:
            raise ModelError(
                f"bundle {card.name!r} needs another front end ({error})", "choose a bundle made for the gem plugin"
            ) from error


class FrontEnd:
    """Makes log bands of whatever comes in, also of what is not a number.

    The plain spectrum of a Hann window, not the one that enhancement works on: that window is made for low delay, and
    the side lobes of its steep end would cover the upper bands, where artefacts live.

    Args:
        format: Sizes, bands and floor.
        capacity: Most streams.

    Attributes:
        reach_hops: Hops, the newest included, that the frame reaches back over.
    """

    def __init__(self, format: SpectrumFormat, capacity: int) -> None:
        size = format.frame_samples
        window = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(size) / size)
        bank = linear_filterbank(
            format.band_count,
            rate_hz=format.rate_hz,
            fft_samples=format.fft_samples,
            low_hz=format.low_hz,
            high_hz=format.high_hz,
        )
        self._stft = Stft(capacity, window, hop_samples=format.hop_samples, fft_samples=format.fft_samples)
        self._log_bands = LogBands(capacity, window, fft_samples=format.fft_samples, floor=format.floor, bank=bank)
        self.reach_hops = -(-size // format.hop_samples)
        self.admit, self.retire, self.reset = self._stft.admit, self._stft.retire, self._stft.reset

    def process(self, heard: NDArray[np.float32]) -> NDArray[np.float32]:
        """Give the bands of one hop of each stream, float32 [n, band_count], overwritten by the next call.

        Args:
            heard: float32 [n, hop_samples].
        """
        return self._log_bands.process(self._stft.process(finite_rows(heard)))
