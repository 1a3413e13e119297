"""FrontEnd: the traces of each hop as it entered the chain."""

from typing import Literal, Self

import msgspec
import numpy as np
from numpy.typing import NDArray

from rtemo.api import ModelCard, ModelError
from rtemo.dsp.bands import LogBands
from rtemo.dsp.filterbank import linear_filterbank
from rtemo.dsp.finite import finite_rows
from rtemo.dsp.residual import VALUES, Residual
from rtemo.dsp.stft import Stft


class TraceFormat(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The facts that a bundle's network was trained with; `front_end` of its card."""

    rate_hz: int = 16_000
    hop_samples: int = 160
    frame_samples: int = 128
    frame_hop_samples: int = 80
    window: Literal["hann"] = "hann"
    scale: Literal["linear"] = "linear"
    band_count: int = 16
    low_hz: float = 0.0
    high_hz: float = 8_000.0
    floor: float = 1e-10
    residual_samples: int = 320
    reach_samples: int = 3840
    """How far back what the network measures in a step reaches: a splice within it is an artefact too."""

    @property
    def frames(self) -> int:
        """Short frames of a hop."""
        return self.hop_samples // self.frame_hop_samples

    @property
    def traces(self) -> int:
        """Values of a hop: the bands of its short frames, then what the residual is like."""
        return self.frames * self.band_count + VALUES

    @classmethod
    def of(cls, card: ModelCard) -> Self:
        """Read the facts from a card; what it does not state is as in this plugin's own bundle.

        Raises:
            ModelError: The card asks for a front end that this is not.
        """
        try:
            facts = msgspec.convert(card.front_end, cls)
        except msgspec.ValidationError as error:
            raise ModelError(
                f"bundle {card.name!r} needs another front end ({error})", "choose a bundle made for the gem plugin"
            ) from error
        if facts.hop_samples % facts.frame_hop_samples:
            raise ModelError(
                f"bundle {card.name!r} has frames every {facts.frame_hop_samples} samples, which do not fill a hop of "
                f"{facts.hop_samples}",
                "choose a bundle made for the gem plugin",
            )
        return facts


class FrontEnd:
    """Makes traces of whatever comes in, also of what is not a number.

    Short frames, where each shows a period of the voice or two, and the residual of linear prediction: synthesis errs
    from one period to the next more than it errs in what a long frame shows.

    Args:
        format: Sizes, bands and floor.
        capacity: Most streams.

    Attributes:
        reach_hops: Hops, the newest included, that what is measured reaches back over.
    """

    def __init__(self, format: TraceFormat, capacity: int) -> None:
        size = format.frame_samples
        window = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(size) / size)
        bank = linear_filterbank(
            format.band_count,
            rate_hz=format.rate_hz,
            fft_samples=size,
            low_hz=format.low_hz,
            high_hz=format.high_hz,
        )
        self._format = format
        self._stft = Stft(capacity, window, hop_samples=format.frame_hop_samples)
        self._log_bands = LogBands(capacity, window, rate_hz=format.rate_hz, floor=format.floor, bank=bank)
        self._residual = Residual(capacity, frame_samples=format.residual_samples, hop_samples=format.hop_samples)
        self._traces = np.zeros((capacity, format.traces), np.float32)
        self.reach_hops = -(-max(size, format.residual_samples, format.reach_samples) // format.hop_samples)

    def process(self, heard: NDArray[np.float32]) -> NDArray[np.float32]:
        """Give the traces of one hop of each stream, float32 [n, traces], overwritten by the next call.

        Args:
            heard: float32 [n, hop_samples].
        """
        samples, format = finite_rows(heard), self._format
        traces = self._traces[: len(samples)]
        for frame in range(format.frames):
            part = samples[:, frame * format.frame_hop_samples : (frame + 1) * format.frame_hop_samples]
            place = slice(frame * format.band_count, (frame + 1) * format.band_count)
            traces[:, place] = self._log_bands.process(self._stft.process(part))
        traces[:, -VALUES:] = self._residual.process(samples)
        return traces

    def admit(self, row: int) -> None:
        """Start a stream at `row`, after silence."""
        self._stft.admit(row)
        self._residual.admit(row)

    def retire(self, row: int, last: int) -> None:
        """Forget the stream at `row`; the one at `last` takes its place."""
        self._stft.retire(row, last)
        self._residual.retire(row, last)

    def reset(self, row: int) -> None:
        """Forget what the stream at `row` heard."""
        self._stft.reset(row)
        self._residual.reset(row)
