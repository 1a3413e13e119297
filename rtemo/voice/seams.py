"""Seams: one sound put into another so that it is not heard where."""

import numpy as np
from numpy.typing import NDArray

RATE_HZ = 16_000
FADE_SAMPLES = 320
"""Length of a cross-fade, 20 ms."""

_SEARCH_SAMPLES = 640
_FRAME_SAMPLES = 160
_MOST_DB = 12.0


def quiet_place(samples: NDArray[np.float32], wanted: int, search_samples: int = _SEARCH_SAMPLES) -> int:
    """Find the quietest place near a wanted one: there a seam is heard least."""
    low, high = max(0, wanted - search_samples), min(len(samples), wanted + search_samples)
    if high - low < 2 * _FRAME_SAMPLES:
        return min(max(wanted, 0), len(samples))
    power = np.convolve(samples[low:high].astype(np.float64) ** 2, np.ones(_FRAME_SAMPLES), mode="valid")
    away = np.abs(np.arange(len(power)) + low + _FRAME_SAMPLES // 2 - wanted) / search_samples
    # A place that is a little louder but nearer is better: up to 6 dB at the edge of the search.
    cost = 10.0 * np.log10(power + 1e-9) + 6.0 * away
    return low + _FRAME_SAMPLES // 2 + int(np.argmin(cost))


def put_in(
    recording: NDArray[np.float32],
    start: int,
    end: int,
    piece: NDArray[np.float32],
    fade_samples: int = FADE_SAMPLES,
) -> tuple[NDArray[np.float32], int]:
    """Replace samples [start, end) of a recording by a piece, with a cross-fade of equal power at both seams.

    The fades lie outside of [start, end): half of each over what stays. The piece has `fade_samples` of lead-in and
    lead-out around what is to be heard whole, where there are so many; a piece that is empty takes the span out.

    Args:
        recording: float32 [k].
        start: First sample that is replaced.
        end: One past the last.
        piece: float32 [m], beginning and ending with `fade_samples` that are faded.
        fade_samples: Length of each fade.

    Returns:
        The new recording, and where the piece begins in it.

    Raises:
        ValueError: The span lies outside of the recording.
    """
    if not 0 <= start <= end <= len(recording):
        raise ValueError(f"the span {start} to {end} lies outside of a recording of {len(recording)} samples")
    half = fade_samples // 2
    if len(piece) < 2 * fade_samples:  # nothing but fades: what is left on both sides is joined
        width = min(half, start, len(recording) - end)
        if not width:
            return np.concatenate([recording[:start], recording[end:]]), start
        joined = _faded(recording[start - width : start + width], recording[end - width : end + width], 2 * width)
        return np.concatenate([recording[: start - width], joined, recording[end + width :]]), start
    before, after = min(half, start), min(half, len(recording) - end)
    begin, finish = start - before, end + after
    out = piece.copy()
    head, tail = recording[begin : begin + fade_samples], recording[max(finish - fade_samples, 0) : finish]
    if start > 0 and len(head):
        out[: len(head)] = _faded(head, piece[: len(head)], len(head))
    if end < len(recording) and len(tail):
        out[-len(tail) :] = _faded(piece[-len(tail) :], tail, len(tail))
    return np.concatenate([recording[:begin], out, recording[finish:]]), begin


def gain_between(wanted: NDArray[np.float32], made: NDArray[np.float32]) -> float:
    """Tell by how much `made` must be multiplied to be as loud as `wanted`, within 12 dB."""
    loud, quiet = (float(np.sqrt(np.mean(x.astype(np.float64) ** 2))) if len(x) else 0.0 for x in (wanted, made))
    if loud < 1e-5 or quiet < 1e-5:
        return 1.0
    most = 10.0 ** (_MOST_DB / 20.0)
    return float(np.clip(loud / quiet, 1.0 / most, most))


def _faded(one: NDArray[np.float32], other: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Fade from one sound to another; what is shorter is missing at its end."""
    angle = np.linspace(0.0, np.pi / 2, size)
    a, b = np.zeros(size), np.zeros(size)
    a[: len(one)], b[: len(other)] = one[:size], other[:size]
    return (np.cos(angle) * a + np.sin(angle) * b).astype(np.float32)
