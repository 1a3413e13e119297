"""Compile every kernel before audio flows, and say how it went."""

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from rtemo.dsp import kernel, kernel_cache

# The parts import their modules themselves, so that whoever wants one does not define the kernels of all.


@dataclass(frozen=True)
class WarmUp:
    """What `compile_kernels` did.

    Attributes:
        count: Kernels that are ready in this process, one per signature.
        compiled: Kernels that were compiled by this call.
        cached: Kernels that this call read from the cache on disk.
        duration_s: How long the call took.
        problem: Why kernels are compiled anew in every process, or empty when they are cached.
    """

    count: int
    compiled: int
    cached: int
    duration_s: float
    problem: str = ""

    def __str__(self) -> str:
        text = (
            f"{self.count} kernels ready in {self.duration_s:.2f} s, "
            f"{self.compiled} compiled, {self.cached} from the cache"
        )
        return f"{text}; no cache: {self.problem}" if self.problem else text


def _run_bands() -> None:
    from rtemo.dsp.bands import LogBands
    from rtemo.dsp.stft import hann_windows

    model = LogBands(1, hann_windows(320, 160)[0], mel_count=32)
    model.process(np.zeros((1, model.bins), np.complex64), bins=np.zeros((1, model.bins), np.float32))


def _run_fft() -> None:
    from rtemo.dsp.fft import RealFft

    fft = RealFft(16)
    fft.inverse(fft.forward(np.zeros((1, 16), np.float32)))


def _run_filters() -> None:
    from rtemo.dsp.filters import Biquads, Section

    Biquads(1, [Section.pre_emphasis()]).process(_HOP)


def _run_gains() -> None:
    from rtemo.dsp.gains import apply_gains

    apply_gains(np.zeros((1, 161), np.complex64), np.zeros((1, 161), np.float32))


def _run_level() -> None:
    from rtemo.dsp.level import LevelMeter

    LevelMeter(1).process(_HOP)


def _run_logmel() -> None:
    from rtemo.dsp.logmel import LogMel

    model = LogMel(1)
    model.process(_HOP)
    model.offline(_HOP[0])


def _run_pitch() -> None:
    from rtemo.dsp.pitch import PitchTracker

    PitchTracker(1).process(_HOP)


def _run_rate() -> None:
    from rtemo.dsp.rate import SpeechRate

    SpeechRate(1).process(_HOP)


def _run_resample() -> None:
    from rtemo.dsp.resample import PolyphaseResampler

    PolyphaseResampler(8_000, 16_000).process(_HOP)


def _run_residual() -> None:
    from rtemo.dsp.residual import Residual

    model = Residual(1)
    model.process(_HOP)
    model.of_frames(np.zeros((1, 320), np.float32))


def _run_stft() -> None:
    from rtemo.dsp.stft import Istft, Stft, hann_windows

    analysis, synthesis = hann_windows(320, 160)
    Istft(1, synthesis, frame_samples=320).process(Stft(1, analysis).process(_HOP))


def _run_tilt() -> None:
    from rtemo.dsp.logmel import LogMel
    from rtemo.dsp.tilt import SpectralTilt

    model = LogMel(1)
    SpectralTilt(1, model.filterbank).process(np.zeros((1, model.mel_count), np.float32))


_HOP = np.zeros((1, 160), np.float32)

PARTS: Mapping[str, Callable[[], None]] = MappingProxyType(
    {
        "bands": _run_bands,
        "fft": _run_fft,
        "filters": _run_filters,
        "gains": _run_gains,
        "level": _run_level,
        "logmel": _run_logmel,
        "pitch": _run_pitch,
        "rate": _run_rate,
        "resample": _run_resample,
        "residual": _run_residual,
        "stft": _run_stft,
        "tilt": _run_tilt,
    }
)
"""Module → a run through its kernels, with the only types they ever see."""


def compile_kernels(parts: Iterable[str] = tuple(PARTS)) -> WarmUp:
    """Run every kernel once so that none is compiled, nor read from the cache, while audio flows.

    The first call of a kernel costs 10 to 30 ms even from the cache, and seconds in all without one. A cache that
    cannot be written is reported (`WarmUp.problem`) and otherwise does no harm; `NUMBA_CACHE_DIR` names another
    folder.

    Args:
        parts: Modules of this package to prepare; all by default.

    Raises:
        KeyError: If a part is unknown.
    """
    start_s = time.perf_counter()
    compiled_before, cached_before, _ = statistics()
    for part in parts:
        PARTS[part]()
    problem = kernel_cache.problem
    compiled, cached, count = statistics()
    return WarmUp(count, compiled - compiled_before, cached - cached_before, time.perf_counter() - start_s, problem)


def statistics() -> tuple[int, int, int]:
    """Give kernels compiled, kernels read from the cache and kernels ready, since the process began."""
    compiled = sum(sum(dispatcher.stats.cache_misses.values()) for dispatcher in kernel.dispatchers)
    cached = sum(sum(dispatcher.stats.cache_hits.values()) for dispatcher in kernel.dispatchers)
    return compiled, cached, sum(len(dispatcher.signatures) for dispatcher in kernel.dispatchers)
