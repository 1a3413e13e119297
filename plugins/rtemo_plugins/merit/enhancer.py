"""Enhancer: the network that gives every bin its gain, at every hop."""

import numpy as np
from numpy.typing import NDArray

from rtemo.api import ModelHandle, check_seam
from rtemo.dsp.gains import apply_gains
from rtemo_plugins.merit.front_end import Spectrum, SpectrumFormat


class Enhancer:
    """Turns spectra into enhanced audio; the phase is that of the noisy signal.

    Args:
        model: The network: `bands`, `context`, perhaps `bins` to `gain`, one step per hop.
        format: Of the spectra.
        context: Shape of what the listener tells.
        least: What a gain of 0 leaves of a bin, see `rtemo.dsp.gains.least_factor`.
        capacity: Most streams.

    Attributes:
        wants_bins: Whether the network looks at single bins too.
        latency_samples: How late the audio comes out.

    Raises:
        ModelError: The network takes or gives something else.
    """

    def __init__(
        self, model: ModelHandle, format: SpectrumFormat, context: tuple[int, ...], least: float, capacity: int
    ) -> None:
        bins = format.fft_samples // 2 + 1
        check_seam(
            model.card,
            "merit",
            "enhance_bundle",
            hops_per_step=1,
            inputs={"bands": (format.mel_count,), "context": context},
            optional={"bins": (bins,)},
            outputs={"gain": (bins,)},
        )
        self._model = model
        self._least = least
        self._network = model.new_state(capacity)
        self._synthesis = format.synthesis(capacity)
        self._some = format.synthesis(capacity)
        self.wants_bins = "bins" in model.card.inputs
        self.latency_samples = self._synthesis.latency_samples
        model.warm(self._network, {1, capacity})

    def process(
        self,
        spectrum: Spectrum,
        context: NDArray[np.float32],
        samples: NDArray[np.float32],
        rows: NDArray[np.int64] | None = None,
    ) -> None:
        """Enhance one hop of each stream, or of some.

        Args:
            spectrum: Of the newest frame; its spectra may be overwritten.
            context: float32 [n, …], of the listener.
            samples: float32 [n, hop_samples], overwritten with the audio that is due.
            rows: int64 [k], which of the n; all of them when None.
        """
        inputs = {"bands": spectrum.bands, "context": context}
        if spectrum.bins is not None:
            inputs["bins"] = spectrum.bins
        if rows is None:
            gain = self._model.run(inputs, self._network, len(samples))["gain"]
            apply_gains(spectrum.spectra, gain, self._least)
            samples[:] = self._synthesis.process(spectrum.spectra)
            return
        gain = self._model.run({name: values[rows] for name, values in inputs.items()}, self._network, rows)["gain"]
        spectra = spectrum.spectra[rows]
        apply_gains(spectra, gain, self._least)
        held, part = self._synthesis.state["overlap"], self._some.state["overlap"]
        part[: len(rows)] = held[rows]
        samples[rows] = self._some.process(spectra)
        held[rows] = part[: len(rows)]

    def copy(self, row: int, other: "Enhancer", other_row: int) -> None:
        """Go on at `row` where another enhancer of the same network stands at `other_row`."""
        self._network.copy(row, other._network, other_row)
        self._synthesis.state.copy(row, other._synthesis.state, other_row)

    def admit(self, row: int) -> None:
        """Prepare fresh state for a new stream."""
        self._network.admit(row)
        self._synthesis.admit(row)

    reset = admit

    def retire(self, row: int, last: int) -> None:
        """Forget the stream at `row`; the one at `last` takes its place."""
        self._network.retire(row, last)
        self._synthesis.retire(row, last)
