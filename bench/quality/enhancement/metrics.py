"""Metrics of enhanced speech against the clean speech it was made from; both float32 [k] at 16 kHz and in step."""

import importlib.util
import math
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 16_000
Sound = NDArray[np.float32]

WITH_REFERENCE = ("pesq_wb", "stoi", "si_sdr_db", "ssnr_db")
WITHOUT_REFERENCE = ("dnsmos_ovrl", "dnsmos_sig", "dnsmos_bak")
METRICS = (*WITH_REFERENCE, *WITHOUT_REFERENCE)
"""Names in the order of the tables; larger is better in all of them. Those without reference take 9/10 of the time."""

_SSNR_FRAME_S = 0.03
_SSNR_RANGE_DB = (-10.0, 35.0)
_DNSMOS_SAMPLES = 144_160
_MAX_LAG_SAMPLES = 1_600


def score(clean: Sound, processed: Sound, metrics: Sequence[str] = METRICS) -> dict[str, float]:
    """Measure a clip; a metric that fails on it (PESQ finds no speech) is NaN and so can be counted.

    Returns:
        Name → value; of each of the two groups either everything or nothing, as `metrics` asks.

    Raises:
        ValueError: The two differ in length.
    """
    if clean.shape != processed.shape:
        raise ValueError(f"clean speech {clean.shape} and processed {processed.shape} differ; align them first")
    found: dict[str, float] = {}
    if not set(WITH_REFERENCE).isdisjoint(metrics):
        by_reference = (pesq_wb, stoi, si_sdr_db, segmental_snr_db)
        found |= {name: measure(clean, processed) for name, measure in zip(WITH_REFERENCE, by_reference, strict=True)}
    if not set(WITHOUT_REFERENCE).isdisjoint(metrics):
        found |= dict(zip(WITHOUT_REFERENCE, dnsmos(processed), strict=True))
    return found


def si_sdr_db(clean: Sound, processed: Sound) -> float:
    """Scale-invariant signal-to-distortion ratio of zero-mean signals (Le Roux et al. 2019, arXiv:1811.02508)."""
    s = np.asarray(clean, np.float64) - np.mean(clean, dtype=np.float64)
    y = np.asarray(processed, np.float64) - np.mean(processed, dtype=np.float64)
    power = float(s @ s)
    if power == 0.0:
        return math.nan
    target = (float(y @ s) / power) * s
    rest = y - target
    tiny = 1e-12 * power
    return 10.0 * math.log10((float(target @ target) + tiny) / (float(rest @ rest) + tiny))


def segmental_snr_db(clean: Sound, processed: Sound, rate_hz: int = RATE_HZ) -> float:
    """Mean over all frames of 30 ms, 75 % overlapped, of the SNR of the frame kept within [-10, 35] dB.

    Not scale-invariant: a system that changes the level of speech pays for it. Frames of pauses count as well, and
    stand at -10 dB unless nothing is left in them.
    """
    size = round(_SSNR_FRAME_S * rate_hz)
    hop = size // 4
    s = np.asarray(clean, np.float64)
    e = s - np.asarray(processed, np.float64)
    signal, error = (
        np.lib.stride_tricks.sliding_window_view(np.square(np.pad(x, (0, max(0, size - x.size)))), size)[::hop].sum(-1)
        for x in (s, e)
    )
    ratio_db = 10.0 * np.log10((signal + 1e-12) / (error + 1e-12))
    return float(np.mean(np.clip(ratio_db, *_SSNR_RANGE_DB)))


def pesq_wb(clean: Sound, processed: Sound) -> float:
    """Wide-band PESQ (ITU-T P.862.2), MOS-LQO 1.04 to 4.64; NaN where it cannot be computed."""
    from pesq import PesqError, pesq

    if not np.any(processed):
        return math.nan
    value = pesq(RATE_HZ, clean, processed, "wb", on_error=PesqError.RETURN_VALUES)
    return float(value) if value > 0 else math.nan


def stoi(clean: Sound, processed: Sound) -> float:
    """Short-time objective intelligibility (Taal et al. 2011), 0 to 1; NaN with less than 0.4 s of speech."""
    import warnings

    from pystoi import stoi as taal

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        value = float(taal(clean, processed, RATE_HZ))
    return math.nan if any("Not enough STFT frames" in str(w.message) for w in caught) else value


def dnsmos(processed: Sound) -> tuple[float, float, float]:
    """Predicted ratings after ITU-T P.835 without reference: overall, signal, background (Reddy et al. 2022).

    The network of the package `speechmos` with its polynomials, read directly: the package itself wants librosa for
    a rating that is not used here, and takes every core. Shorter clips repeat, longer ones give the mean over windows
    of 9.01 s once per second, as the package does; peaks beyond full scale are scaled down.
    """
    peak = float(np.max(np.abs(processed), initial=0.0))
    x = np.asarray(processed, np.float32) / np.float32(max(1.0, peak))
    while x.size < _DNSMOS_SAMPLES:
        x = np.concatenate([x, x])
    session, name = _dnsmos_graph()
    count = int(np.floor(x.size / RATE_HZ) - _DNSMOS_SAMPLES / RATE_HZ) + 1
    windows = [x[k * RATE_HZ : k * RATE_HZ + _DNSMOS_SAMPLES] for k in range(count)]
    raw = np.array([session.run(None, {name: w[None]})[0][0] for w in windows if w.size == _DNSMOS_SAMPLES])
    sig, bak, ovrl = raw.astype(np.float64).T
    return (
        float(np.mean(np.polyval((-0.06766283, 1.11546468, 0.04602535), ovrl))),
        float(np.mean(np.polyval((-0.08397278, 1.22083953, 0.0052439), sig))),
        float(np.mean(np.polyval((-0.13166888, 1.60915514, -0.39604546), bak))),
    )


@cache
def _dnsmos_graph() -> tuple[Any, str]:
    import onnxruntime

    spec = importlib.util.find_spec("speechmos")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("the package speechmos is missing; run pip install 'rtemo[bench]'")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    path = Path(spec.origin).parent / "dnsmos_models" / "sig_bak_ovr.onnx"
    session = onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    return session, session.get_inputs()[0].name


def aligned(enhance: Callable[[Sound], Sound], samples: Sound, delay_samples: int) -> Sound:
    """Enhance a whole clip and remove the system's own delay: as long as the clip, and in step with it."""
    out = np.asarray(enhance(np.pad(samples, (0, delay_samples))), np.float32)[delay_samples:]
    return np.pad(out, (0, max(0, samples.size - out.size)))[: samples.size]


def lag_samples(reference: Sound, delayed: Sound) -> int:
    """Measure by how many samples one signal lags another, from the peak of their cross-correlation.

    Lags up to 100 ms either way are looked at.
    """
    size = 1 << (reference.size + delayed.size - 1).bit_length()
    product = np.fft.rfft(delayed, size) * np.conj(np.fft.rfft(reference, size))
    correlation = np.fft.irfft(product, size)
    lags = np.arange(-_MAX_LAG_SAMPLES, _MAX_LAG_SAMPLES + 1)
    return int(lags[np.argmax(correlation[lags])])
