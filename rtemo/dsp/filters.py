"""Biquads: a cascade of second-order filters over n streams, and the usual designs."""

import math
from collections.abc import Sequence
from dataclasses import astuple, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtemo.dsp.kernel import kernel
from rtemo.dsp.lanes import LANES, fma, gather_tile, load, magnitude, scatter_tile, splat, store, where_less
from rtemo.dsp.rows import RowKernel, check_out, float32_rows

_BUTTERWORTH_Q = math.sqrt(0.5)


@dataclass(frozen=True)
class Section:
    """One second-order filter, (b0 + b1 z^-1 + b2 z^-2) / (1 + a1 z^-1 + a2 z^-2).

    The designs named after a shape are those of Bristow-Johnson, "Cookbook formulae for audio EQ biquad filter
    coefficients", with `q` as the quality factor.
    """

    b0: float
    b1: float
    b2: float
    a1: float
    a2: float

    @staticmethod
    def low_pass(corner_hz: float, rate_hz: float, q: float = _BUTTERWORTH_Q) -> "Section":
        """Design a low-pass filter, 12 dB per octave."""
        cosine, alpha = _cookbook(corner_hz, rate_hz, q)
        b = (1.0 - cosine) / 2.0
        return _normalised(b, 2.0 * b, b, 1.0 + alpha, -2.0 * cosine, 1.0 - alpha)

    @staticmethod
    def high_pass(corner_hz: float, rate_hz: float, q: float = _BUTTERWORTH_Q) -> "Section":
        """Design a high-pass filter, 12 dB per octave."""
        cosine, alpha = _cookbook(corner_hz, rate_hz, q)
        b = (1.0 + cosine) / 2.0
        return _normalised(b, -2.0 * b, b, 1.0 + alpha, -2.0 * cosine, 1.0 - alpha)

    @staticmethod
    def band_pass(center_hz: float, rate_hz: float, q: float) -> "Section":
        """Design a band-pass filter with gain 1 at the centre."""
        cosine, alpha = _cookbook(center_hz, rate_hz, q)
        return _normalised(alpha, 0.0, -alpha, 1.0 + alpha, -2.0 * cosine, 1.0 - alpha)

    @staticmethod
    def notch(center_hz: float, rate_hz: float, q: float) -> "Section":
        """Design a notch, for example against mains hum."""
        cosine, alpha = _cookbook(center_hz, rate_hz, q)
        return _normalised(1.0, -2.0 * cosine, 1.0, 1.0 + alpha, -2.0 * cosine, 1.0 - alpha)

    @staticmethod
    def peaking(center_hz: float, rate_hz: float, q: float, gain_db: float) -> "Section":
        """Design a bell that raises or lowers the surroundings of one frequency."""
        cosine, alpha = _cookbook(center_hz, rate_hz, q)
        a = 10.0 ** (gain_db / 40.0)
        return _normalised(
            1.0 + alpha * a, -2.0 * cosine, 1.0 - alpha * a, 1.0 + alpha / a, -2.0 * cosine, 1.0 - alpha / a
        )

    @staticmethod
    def low_shelf(corner_hz: float, rate_hz: float, gain_db: float, q: float = _BUTTERWORTH_Q) -> "Section":
        """Design a filter that raises or lowers everything below a frequency."""
        return _shelf(corner_hz, rate_hz, gain_db, q, side=1.0)

    @staticmethod
    def high_shelf(corner_hz: float, rate_hz: float, gain_db: float, q: float = _BUTTERWORTH_Q) -> "Section":
        """Design a filter that raises or lowers everything above a frequency."""
        return _shelf(corner_hz, rate_hz, gain_db, q, side=-1.0)

    @staticmethod
    def dc_blocker(corner_hz: float, rate_hz: float) -> "Section":
        """Design a first-order high-pass filter with a zero at 0 Hz, -3 dB at the corner, gain 1 at the top."""
        tangent = math.tan(math.pi * corner_hz / rate_hz)
        pole = (1.0 - tangent) / (1.0 + tangent)
        gain = (1.0 + pole) / 2.0
        return Section(gain, -gain, 0.0, -pole, 0.0)

    @staticmethod
    def pre_emphasis(coefficient: float = 0.97) -> "Section":
        """Design the usual y[i] = x[i] - coefficient x[i - 1]."""
        return Section(1.0, -coefficient, 0.0, 0.0, 0.0)

    @staticmethod
    def de_emphasis(coefficient: float = 0.97) -> "Section":
        """Design the inverse of `pre_emphasis`."""
        return Section(1.0, 0.0, 0.0, -coefficient, 0.0)

    def sos(self) -> tuple[float, ...]:
        """Give b0, b1, b2, 1, a1, a2, the row that `scipy.signal.sosfilt` expects."""
        b0, b1, b2, a1, a2 = astuple(self)
        return b0, b1, b2, 1.0, a1, a2


def butterworth_low_pass(order: int, corner_hz: float, rate_hz: float) -> tuple[Section, ...]:
    """Design a Butterworth low-pass filter of even order as a cascade, 6 dB per octave and order."""
    return tuple(Section.low_pass(corner_hz, rate_hz, q) for q in _butterworth_qs(order))


def butterworth_high_pass(order: int, corner_hz: float, rate_hz: float) -> tuple[Section, ...]:
    """Design a Butterworth high-pass filter of even order as a cascade, 6 dB per octave and order."""
    return tuple(Section.high_pass(corner_hz, rate_hz, q) for q in _butterworth_qs(order))


def _butterworth_qs(order: int) -> list[float]:
    if order < 2 or order % 2:
        raise ValueError(f"order {order} was asked for; a cascade of second-order sections has an even order")
    return [0.5 / math.cos(math.pi * (2 * k + 1) / (2 * order)) for k in range(order // 2)]


def _cookbook(hz: float, rate_hz: float, q: float) -> tuple[float, float]:
    if not 0.0 < hz < rate_hz / 2.0:
        raise ValueError(f"a filter at {hz} Hz was asked for; at {rate_hz} Hz it must lie within 0..{rate_hz / 2} Hz")
    angle = 2.0 * math.pi * hz / rate_hz
    return math.cos(angle), math.sin(angle) / (2.0 * q)


def _normalised(b0: float, b1: float, b2: float, a0: float, a1: float, a2: float) -> Section:
    return Section(b0 / a0, b1 / a0, b2 / a0, a1 / a0, a2 / a0)


def _shelf(corner_hz: float, rate_hz: float, gain_db: float, q: float, side: float) -> Section:
    cosine, alpha = _cookbook(corner_hz, rate_hz, q)
    a = 10.0 ** (gain_db / 40.0)
    root = 2.0 * math.sqrt(a) * alpha
    plus, minus = a + 1.0, a - 1.0
    return _normalised(
        a * (plus - side * minus * cosine + root),
        side * 2.0 * a * (minus - side * plus * cosine),
        a * (plus - side * minus * cosine - root),
        plus + side * minus * cosine + root,
        -side * 2.0 * (minus + side * plus * cosine),
        plus + side * minus * cosine - root,
    )


def section_table(sections: Sequence[Section]) -> NDArray[np.float64]:
    """Give the coefficients of a cascade as the kernels take them, float64 [sections, 5]: b0, b1, b2, a1, a2."""
    if not sections:
        raise ValueError("a cascade without sections was given; expected one or more")
    return np.array([astuple(section) for section in sections], np.float64)


@kernel
def _settled(z: Any) -> Any:
    """Give state to keep until the next hop.

    What decays after the sound has stopped would end in subnormal numbers, a hundred times as slow; what a NaN or an
    infinity left behind would never decay.
    """
    zero = splat(0.0)
    size = magnitude(z)
    return where_less(size, splat(1e-60), zero, where_less(size, splat(1e60), z, zero))


@kernel
def biquads_tile(registers: Any, coefficients: Any, state: Any, tile: int, live: int, carry: Any) -> None:
    """Filter one tile in place.

    Transposed direct form 2 in float64: in float32 a high-pass filter of 20 Hz at 16 kHz would lose 7 of its 24 bits.

    Args:
        registers: float64 [k, LANES], samples.
        coefficients: From `section_table`.
        state: float64 [capacity, sections, 2].
        tile: First row of the tile.
        live: Rows of the tile.
        carry: float64 [2, LANES], work space.
    """
    for section in range(coefficients.shape[0]):
        carry[:] = 0.0
        for lane in range(live):
            carry[0, lane] = state[tile + lane, section, 0]
            carry[1, lane] = state[tile + lane, section, 1]
        b0, b1, b2 = (
            splat(coefficients[section, 0]),
            splat(coefficients[section, 1]),
            splat(coefficients[section, 2]),
        )
        minus_a1, minus_a2 = splat(-coefficients[section, 3]), splat(-coefficients[section, 4])
        z1, z2 = load(carry, 0), load(carry, 1)
        for i in range(registers.shape[0]):
            x = load(registers, i)
            y = fma(b0, x, z1)
            z1 = fma(minus_a1, y, fma(b1, x, z2))
            z2 = fma(minus_a2, y, b2 * x)
            store(registers, i, y)
        store(carry, 0, _settled(z1))
        store(carry, 1, _settled(z2))
        for lane in range(live):
            state[tile + lane, section, 0] = carry[0, lane]
            state[tile + lane, section, 1] = carry[1, lane]


@kernel
def _filter(samples: Any, coefficients: Any, state: Any, registers: Any, carry: Any, out: Any) -> None:
    for tile in range(0, samples.shape[0], LANES):
        live = gather_tile(samples, tile, registers)
        biquads_tile(registers, coefficients, state, tile, live, carry)
        scatter_tile(registers, tile, out)


class Biquads(RowKernel):
    """Filters n streams through the same cascade of sections, with float64 state.

    Args:
        capacity: Streams that `process` can hold at once.
        sections: The cascade, applied in order.
        hop_samples: Samples of each stream per call.
    """

    def __init__(self, capacity: int, sections: Sequence[Section], *, hop_samples: int = 160) -> None:
        super().__init__(capacity)
        self.hop_samples = hop_samples
        self._coefficients = section_table(sections)
        self._carried = self.state.add("carried", (len(sections), 2), np.float64)
        self._registers = np.zeros((hop_samples, LANES), np.float64)
        self._carry = np.zeros((2, LANES), np.float64)
        self._out = np.zeros((capacity, hop_samples), np.float32)

    def process(self, samples: NDArray[np.float32], out: NDArray[np.float32] | None = None) -> NDArray[np.float32]:
        """Filter one hop of each stream.

        Args:
            samples: float32 [n, hop_samples].
            out: float32 [n, hop_samples], C-contiguous, to write into, may be `samples` itself; without it an array
                that the next call overwrites.
        """
        x = float32_rows(samples)
        if out is not None:
            check_out(out, x.shape, np.float32)
        result = self._out[: x.shape[0]] if out is None else out
        _filter(x, self._coefficients, self._carried, self._registers, self._carry, result)
        return result
