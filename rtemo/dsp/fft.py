"""RealFft: forward and inverse transform of real frames, eight rows per register.

Stockham's autosort with radices 4, 2, 3 and 5, of half the length on pairs of samples (even samples as the real part,
odd ones as the imaginary part). Sizes are even with a half that has no prime factor above 5, which every window in use
for speech satisfies: 256, 320, 400, 512, 640, 960, 1024, 2048.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtemo.dsp.kernel import kernel
from rtemo.dsp.lanes import LANES, fma, fms, gather_tile, load, scatter_tile, splat, store
from rtemo.dsp.rows import float32_rows


@kernel
def _store_rotated(y: Any, o: int, re: Any, im: Any, twiddle: Any, t: int) -> None:
    wr, wi = splat(twiddle[t]), splat(twiddle[t + 1])
    store(y, o, fms(re, wr, im * wi))
    store(y, o + 1, fma(re, wi, im * wr))


@kernel
def _radix2(x: Any, y: Any, length: int, stride: int, twiddle: Any, start: int) -> None:
    step = stride * (length // 2)
    for p in range(length // 2):
        t = start + 2 * p
        for q in range(stride):
            i = q + stride * p
            o = q + stride * 2 * p
            ar, ai = load(x, 2 * i), load(x, 2 * i + 1)
            br, bi = load(x, 2 * (i + step)), load(x, 2 * (i + step) + 1)
            store(y, 2 * o, ar + br)
            store(y, 2 * o + 1, ai + bi)
            _store_rotated(y, 2 * (o + stride), ar - br, ai - bi, twiddle, t)


@kernel
def _radix3(x: Any, y: Any, length: int, stride: int, twiddle: Any, start: int) -> None:
    step = stride * (length // 3)
    half = splat(np.float32(0.5))
    sine = splat(np.float32(0.8660254037844386))
    for p in range(length // 3):
        t = start + 4 * p
        for q in range(stride):
            i = q + stride * p
            o = q + stride * 3 * p
            ar, ai = load(x, 2 * i), load(x, 2 * i + 1)
            br, bi = load(x, 2 * (i + step)), load(x, 2 * (i + step) + 1)
            cr, ci = load(x, 2 * (i + 2 * step)), load(x, 2 * (i + 2 * step) + 1)
            sr, si = br + cr, bi + ci
            dr, di = sine * (bi - ci), sine * (cr - br)
            store(y, 2 * o, ar + sr)
            store(y, 2 * o + 1, ai + si)
            er, ei = ar - half * sr, ai - half * si
            _store_rotated(y, 2 * (o + stride), er + dr, ei + di, twiddle, t)
            _store_rotated(y, 2 * (o + 2 * stride), er - dr, ei - di, twiddle, t + 2)


@kernel
def _radix4(x: Any, y: Any, length: int, stride: int, twiddle: Any, start: int) -> None:
    step = stride * (length // 4)
    for p in range(length // 4):
        t = start + 6 * p
        for q in range(stride):
            i = q + stride * p
            o = q + stride * 4 * p
            ar, ai = load(x, 2 * i), load(x, 2 * i + 1)
            br, bi = load(x, 2 * (i + step)), load(x, 2 * (i + step) + 1)
            cr, ci = load(x, 2 * (i + 2 * step)), load(x, 2 * (i + 2 * step) + 1)
            dr, di = load(x, 2 * (i + 3 * step)), load(x, 2 * (i + 3 * step) + 1)
            er, ei, fr, fi = ar + cr, ai + ci, ar - cr, ai - ci
            gr, gi, hr, hi = br + dr, bi + di, br - dr, bi - di
            store(y, 2 * o, er + gr)
            store(y, 2 * o + 1, ei + gi)
            _store_rotated(y, 2 * (o + stride), fr + hi, fi - hr, twiddle, t)
            _store_rotated(y, 2 * (o + 2 * stride), er - gr, ei - gi, twiddle, t + 2)
            _store_rotated(y, 2 * (o + 3 * stride), fr - hi, fi + hr, twiddle, t + 4)


@kernel
def _radix5(x: Any, y: Any, length: int, stride: int, twiddle: Any, start: int) -> None:
    step = stride * (length // 5)
    c1, s1 = splat(np.float32(0.30901699437494745)), splat(np.float32(0.9510565162951535))
    c2, s2 = splat(np.float32(-0.8090169943749475)), splat(np.float32(0.5877852522924731))
    for p in range(length // 5):
        t = start + 8 * p
        for q in range(stride):
            i = q + stride * p
            o = q + stride * 5 * p
            ar, ai = load(x, 2 * i), load(x, 2 * i + 1)
            br, bi = load(x, 2 * (i + step)), load(x, 2 * (i + step) + 1)
            cr, ci = load(x, 2 * (i + 2 * step)), load(x, 2 * (i + 2 * step) + 1)
            dr, di = load(x, 2 * (i + 3 * step)), load(x, 2 * (i + 3 * step) + 1)
            er, ei = load(x, 2 * (i + 4 * step)), load(x, 2 * (i + 4 * step) + 1)
            pr, pi, mr, mi = br + er, bi + ei, br - er, bi - ei
            qr, qi, nr, ni = cr + dr, ci + di, cr - dr, ci - di
            store(y, 2 * o, ar + pr + qr)
            store(y, 2 * o + 1, ai + pi + qi)
            gr, gi = fma(c2, qr, fma(c1, pr, ar)), fma(c2, qi, fma(c1, pi, ai))
            hr, hi = fma(s1, mi, s2 * ni), fma(s1, mr, s2 * nr)
            jr, ji = fma(c1, qr, fma(c2, pr, ar)), fma(c1, qi, fma(c2, pi, ai))
            kr, ki = s2 * mi - s1 * ni, s2 * mr - s1 * nr
            _store_rotated(y, 2 * (o + stride), gr + hr, gi - hi, twiddle, t)
            _store_rotated(y, 2 * (o + 2 * stride), jr + kr, ji - ki, twiddle, t + 2)
            _store_rotated(y, 2 * (o + 3 * stride), jr - kr, ji + ki, twiddle, t + 4)
            _store_rotated(y, 2 * (o + 4 * stride), gr - hr, gi + hi, twiddle, t + 6)


@kernel
def complex_fft(x: Any, y: Any, stages: Any, twiddle: Any) -> Any:
    """Transform complex lanes in place and give the array, `x` or `y`, that holds the result; both are overwritten.

    Args:
        x: float32 [2 length, LANES]; register 2k is the real part of value k, register 2k + 1 the imaginary part. For
            the inverse transform (times the length) swap the two.
        y: Work space like `x`.
        stages: int64 [stages, 2], see `FftPlan`.
        twiddle: float32, see `FftPlan`.
    """
    size = x.shape[0] // 2
    length = size
    for stage in range(stages.shape[0]):
        radix, start = stages[stage]
        stride = size // length
        if radix == 4:
            _radix4(x, y, length, stride, twiddle, start)
        elif radix == 2:
            _radix2(x, y, length, stride, twiddle, start)
        elif radix == 3:
            _radix3(x, y, length, stride, twiddle, start)
        else:
            _radix5(x, y, length, stride, twiddle, start)
        length //= radix
        x, y = y, x
    return x


@kernel
def unpack_spectrum(z: Any, unpack: Any, out: Any) -> None:
    """Turn the transform of sample pairs into the spectrum of the real frame.

    Args:
        z: float32 [size, LANES], result of `complex_fft` on the frame.
        unpack: float32, see `FftPlan`.
        out: float32 [size + 2, LANES]; register 2k is the real part of bin k, register 2k + 1 the imaginary part.
    """
    half = z.shape[0] // 2
    a, b = load(z, 0), load(z, 1)
    zero = splat(np.float32(0.0))
    store(out, 0, a + b)
    store(out, 1, zero)
    store(out, 2 * half, a - b)
    store(out, 2 * half + 1, zero)
    scale = splat(np.float32(0.5))
    for k in range(1, half // 2 + 1):
        j = half - k
        ar, ai, br, bi = load(z, 2 * k), load(z, 2 * k + 1), load(z, 2 * j), load(z, 2 * j + 1)
        er, ei = scale * (ar + br), scale * (ai - bi)
        pr, pi = scale * (ai + bi), scale * (br - ar)
        wr, wi = splat(unpack[2 * k]), splat(unpack[2 * k + 1])
        tr, ti = fms(pr, wr, pi * wi), fma(pr, wi, pi * wr)
        store(out, 2 * j, er - tr)
        store(out, 2 * j + 1, ti - ei)
        store(out, 2 * k, er + tr)
        store(out, 2 * k + 1, ei + ti)


@kernel
def unpack_power(z: Any, unpack: Any, out: Any) -> None:
    """Turn the transform of sample pairs into the power spectrum of the real frame, float32 [size / 2 + 1, LANES]."""
    half = z.shape[0] // 2
    a, b = load(z, 0), load(z, 1)
    store(out, 0, (a + b) * (a + b))
    store(out, half, (a - b) * (a - b))
    scale = splat(np.float32(0.5))
    for k in range(1, half // 2 + 1):
        j = half - k
        ar, ai, br, bi = load(z, 2 * k), load(z, 2 * k + 1), load(z, 2 * j), load(z, 2 * j + 1)
        er, ei = scale * (ar + br), scale * (ai - bi)
        pr, pi = scale * (ai + bi), scale * (br - ar)
        wr, wi = splat(unpack[2 * k]), splat(unpack[2 * k + 1])
        tr, ti = fms(pr, wr, pi * wi), fma(pr, wi, pi * wr)
        xr, xi = er - tr, ti - ei
        store(out, j, fma(xr, xr, xi * xi))
        xr, xi = er + tr, ei + ti
        store(out, k, fma(xr, xr, xi * xi))


@kernel
def pack_spectrum(spectrum: Any, unpack: Any, z: Any) -> None:
    """Undo `unpack_spectrum`, with real and imaginary parts swapped so that `complex_fft` inverts.

    After `complex_fft` the frame stands in the result with the samples of each pair swapped, times size / 2.
    """
    half = z.shape[0] // 2
    a, b = load(spectrum, 0), load(spectrum, 2 * half)
    scale = splat(np.float32(0.5))
    store(z, 1, scale * (a + b))
    store(z, 0, scale * (a - b))
    for k in range(1, half // 2 + 1):
        j = half - k
        ar, ai = load(spectrum, 2 * k), load(spectrum, 2 * k + 1)
        br, bi = load(spectrum, 2 * j), load(spectrum, 2 * j + 1)
        er, ei = scale * (ar + br), scale * (ai - bi)
        tr, ti = scale * (ar - br), scale * (ai + bi)
        wr, wi = splat(unpack[2 * k]), splat(unpack[2 * k + 1])
        pr, pi = fma(tr, wr, ti * wi), fms(ti, wr, tr * wi)
        store(z, 2 * j + 1, er + pi)
        store(z, 2 * j, pr - ei)
        store(z, 2 * k + 1, er - pi)
        store(z, 2 * k, ei + pr)


@kernel
def _forward(frames: Any, stages: Any, twiddle: Any, unpack: Any, x: Any, y: Any, spectrum: Any, out: Any) -> None:
    for tile in range(0, frames.shape[0], LANES):
        gather_tile(frames, tile, x)
        unpack_spectrum(complex_fft(x, y, stages, twiddle), unpack, spectrum)
        scatter_tile(spectrum, tile, out)


@kernel
def _inverse(spectra: Any, stages: Any, twiddle: Any, unpack: Any, x: Any, y: Any, spectrum: Any, out: Any) -> None:
    n, size = out.shape
    scale = np.float32(2.0 / size)
    for tile in range(0, n, LANES):
        live = min(LANES, n - tile)
        gather_tile(spectra, tile, spectrum)
        pack_spectrum(spectrum, unpack, x)
        swapped = complex_fft(x, y, stages, twiddle)
        for lane in range(live):
            for i in range(0, size, 2):
                out[tile + lane, i] = scale * swapped[i + 1, lane]
                out[tile + lane, i + 1] = scale * swapped[i, lane]


class FftPlan:
    """Tables for transforms of real frames of one size.

    Attributes:
        size: Samples of a frame.
        stages: int64 [stages, 2], radix of each stage of the half-length complex transform and where its twiddle
            factors begin.
        twiddle: float32, per stage of length L and radix R and for each p < L / R the cosine and sine of
            exp(-2 pi i p r / L) for r = 1..R-1.
        unpack: float32 [size / 2 + 2], cosine and sine of exp(-2 pi i k / size).
    """

    def __init__(self, size: int) -> None:
        rest = size // 2
        if size < 4 or size % 2:
            raise ValueError(f"a transform of {size} samples was asked for; expected an even size of 4 or more")
        radices = []
        for radix in (4, 2, 3, 5):
            while rest % radix == 0:
                radices.append(radix)
                rest //= radix
        if rest != 1:
            raise ValueError(
                f"a transform of {size} samples was asked for; half of it must have no prime factor above 5, "
                "as in 320, 400, 512, 960 or 1024"
            )
        self.size = size
        length = size // 2
        starts, twiddles = [0], []
        for radix in radices:
            p = np.arange(length // radix)[:, None]
            twiddles.append(_cosine_and_sine(p * np.arange(1, radix)[None, :] / length))
            starts.append(starts[-1] + twiddles[-1].size)
            length //= radix
        self.stages = np.array(list(zip(radices, starts[:-1], strict=True)), np.int64)
        self.twiddle = np.concatenate(twiddles)
        self.unpack = _cosine_and_sine(np.arange(size // 4 + 1) / size)


class RealFft:
    """Forward and inverse transforms of n real float32 frames at once, as `numpy.fft.rfft` and `irfft` define them.

    Not for two threads at once: the work space is kept.
    """

    def __init__(self, size: int) -> None:
        self.plan = FftPlan(size)
        self._tables = (self.plan.stages, self.plan.twiddle, self.plan.unpack)
        self._x = np.zeros((size, LANES), np.float32)
        self._y = np.zeros((size, LANES), np.float32)
        self._spectrum = np.zeros((size + 2, LANES), np.float32)

    def forward(self, frames: NDArray[np.float32]) -> NDArray[np.complex64]:
        """Transform float32 [n, size] to complex64 [n, size / 2 + 1]."""
        x = float32_rows(frames)
        out = np.empty((x.shape[0], self.plan.size + 2), np.float32)
        _forward(x, *self._tables, self._x, self._y, self._spectrum, out)
        return out.view(np.complex64)

    def inverse(self, spectra: NDArray[np.complex64]) -> NDArray[np.float32]:
        """Transform complex64 [n, size / 2 + 1] to float32 [n, size].

        The imaginary parts of the first and last bin are taken as zero.
        """
        x = float32_rows(np.ascontiguousarray(spectra, np.complex64).view(np.float32))
        out = np.empty((x.shape[0], self.plan.size), np.float32)
        _inverse(x, *self._tables, self._x, self._y, self._spectrum, out)
        return out


def _cosine_and_sine(turns: NDArray[np.float64]) -> NDArray[np.float32]:
    angle = -2.0 * np.pi * turns
    return np.stack([np.cos(angle), np.sin(angle)], axis=-1).reshape(-1).astype(np.float32)
