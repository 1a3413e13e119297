"""PCM: raw samples as bytes, to float32 and back."""

from collections.abc import Callable
from typing import Any, Literal, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from rtemo.api import AudioInputError
from rtemo.dsp.companding import decode_alaw, decode_mulaw, encode_alaw, encode_mulaw

SampleType = Literal["s16le", "f32le", "mulaw", "alaw"]
"""16-bit integers and 32-bit floats, both little-endian, and the two laws of ITU-T G.711."""

BYTES_PER_SAMPLE: dict[str, int] = {"s16le": 2, "f32le": 4, "mulaw": 1, "alaw": 1}

_FULL_SCALE = np.float32(32_768.0)
_OVERSHOOT = 4.0
_FEW_SAMPLES = 16
_MOST_RATE_HZ = 768_000

T = TypeVar("T")


def decode_pcm(data: bytes | bytearray | memoryview, sample_type: str) -> NDArray[np.float32]:
    """Decode raw samples to float32 in [-1, 1].

    >>> decode_pcm(bytes([0, 64, 0, 128]), "s16le").tolist()
    [0.5, -1.0]

    Args:
        data: Whole samples; channels stay interleaved.
        sample_type: One of `SampleType`.

    Returns:
        float32 [k], not sharing memory with `data`.

    Raises:
        AudioInputError: The type is unknown, or `data` does not hold a whole number of samples.
    """
    decode = _codec(_DECODERS, sample_type)
    width = BYTES_PER_SAMPLE[sample_type]
    if len(data) % width:
        raise AudioInputError(
            f"got {len(data)} bytes of {sample_type} audio, expected a multiple of {width}",
            "send whole samples, or correct the sample type",
        )
    return decode(data)


def encode_pcm(samples: NDArray[np.float32], sample_type: str) -> bytes:
    """Encode float32 samples to bytes; what exceeds [-1, 1] is clipped except for f32le.

    >>> encode_pcm(np.array([0.5, -2.0], np.float32), "s16le").hex()
    '00400080'

    Args:
        samples: float32 of any shape; written in C order.
        sample_type: One of `SampleType`.

    Raises:
        AudioInputError: The type is unknown.
    """
    return _codec(_ENCODERS, sample_type)(samples)


def as_int16(samples: NDArray[np.float32]) -> NDArray[np.int16]:
    """Round float32 samples of any shape to 16 bits, so that what was decoded from 16 bits comes back the same.

    >>> as_int16(np.array([0.5, -2.0], np.float32)).tolist()
    [16384, -32768]
    """
    scaled = np.clip(samples, -1.0, 32_767 / 32_768) * _FULL_SCALE
    rounded: NDArray[np.int16] = np.rint(scaled).astype("<i2")
    return rounded


def as_float(pcm: Any) -> NDArray[np.float32]:
    """Take mono audio as programs have it.

    >>> as_float(bytes([0, 64])).tolist(), as_float(memoryview(np.array([0.5], np.float32))).tolist()
    ([0.5], [0.5])

    Args:
        pcm: float [k] in [-1, 1], int16 [k], or bytes of little-endian int16.

    Returns:
        float32 [k], sharing memory with `pcm` where that is float32.

    Raises:
        AudioInputError: It is not one-dimensional, of another type, far beyond full scale, or an odd number of bytes.
    """
    if is_untyped(pcm):
        data = bytes(pcm)
        if len(data) % 2:
            raise AudioInputError(
                f"got {len(data)} bytes of 16-bit audio, an odd number", "push whole samples of two bytes each"
            )
        audio: NDArray[Any] = np.frombuffer(data, dtype="<i2")
    else:
        audio = np.asarray(pcm)
    if audio.ndim != 1:
        raise AudioInputError(f"got audio of shape {audio.shape}, expected [k]", "push one channel per stream")
    if audio.dtype == np.int16:
        return audio.astype(np.float32) / _FULL_SCALE
    if audio.dtype.kind != "f":
        raise AudioInputError(f"got samples of type {audio.dtype}", "push float32 in [-1, 1] or int16")
    check_full_scale(audio)  # as it came: doubles beyond the range of float32 would be infinite afterwards
    with np.errstate(over="ignore"):
        return audio.astype(np.float32, copy=False)


def is_untyped(pcm: Any) -> bool:
    """Tell whether audio is bytes without a type of their own; a memoryview of floats has one."""
    return isinstance(pcm, bytes | bytearray) or (isinstance(pcm, memoryview) and pcm.format in ("B", "b", "c"))


def check_full_scale(samples: NDArray[np.floating[Any]]) -> None:
    """Refuse float samples that are those of integers.

    Raises:
        AudioInputError: They are far beyond full scale; see `beyond_full_scale`.
    """
    peak = beyond_full_scale(samples)
    if peak:
        raise AudioInputError(
            f"got float samples of up to {f'{peak:.0f}' if peak < 1e9 else f'{peak:.3g}'}, expected [-1, 1]",
            "divide by the full scale of where they come from (32768 for 16 bits), or give int16",
        )


def whole_rate(sample_rate_hz: Any) -> int:
    """Take a rate that is a whole number, whatever its type.

    >>> whole_rate(8000.0)
    8000

    Raises:
        AudioInputError: It is none.
    """
    try:
        rate_hz = int(sample_rate_hz)
    except (TypeError, ValueError, OverflowError):
        rate_hz = 0
    if isinstance(sample_rate_hz, bool) or rate_hz != sample_rate_hz or not 0 < rate_hz <= _MOST_RATE_HZ:
        raise AudioInputError(
            f"sample_rate_hz is {sample_rate_hz!r:.60}, expected a whole number of Hz from 1 to {_MOST_RATE_HZ}",
            "give the rate of the audio, such as 8000 or 16000",
        )
    return rate_hz


def beyond_full_scale(samples: NDArray[np.floating[Any]]) -> float:
    """Tell how large samples are that cannot be meant for [-1, 1], such as 16-bit integers turned into floats.

    A few samples beyond full scale are an overshoot or a fault of their own; here at least 16, and most of those that
    are not zero, lie beyond four times full scale.

    >>> beyond_full_scale(np.full(160, -1200.0, np.float32))
    1200.0
    >>> beyond_full_scale(np.array([0.5, -1.5, 1e30], np.float32))
    0.0

    Args:
        samples: Floats of any shape, NaN and infinities included.

    Returns:
        The largest finite size; 0 when all is well.
    """
    size = np.abs(samples)
    if size.size == 0 or float(size.max()) <= _OVERSHOOT:  # NaN is not
        return 0.0
    size = size[np.isfinite(size) & (size > 0.0)]
    beyond = int(np.count_nonzero(size > _OVERSHOOT))
    if beyond < _FEW_SAMPLES or 2 * beyond <= size.size:
        return 0.0
    return float(size.max())


def _codec(table: dict[str, T], sample_type: str) -> T:
    codec = table.get(sample_type)
    if codec is None:
        raise AudioInputError(f"unknown sample type {sample_type!r}", f"use one of {', '.join(get_args(SampleType))}")
    return codec


def _decode_s16le(data: bytes) -> NDArray[np.float32]:
    values: NDArray[np.float32] = np.frombuffer(data, "<i2").astype(np.float32)
    values /= _FULL_SCALE
    return values


def _decode_f32le(data: bytes) -> NDArray[np.float32]:
    return np.frombuffer(data, "<f4").astype(np.float32)


def _encode_s16le(samples: NDArray[np.float32]) -> bytes:
    data: bytes = as_int16(samples).tobytes()
    return data


_DECODERS: dict[str, Callable[..., NDArray[np.float32]]] = {
    "s16le": _decode_s16le,
    "f32le": _decode_f32le,
    "mulaw": lambda data: decode_mulaw(np.frombuffer(data, np.uint8)),
    "alaw": lambda data: decode_alaw(np.frombuffer(data, np.uint8)),
}

_ENCODERS: dict[str, Callable[[NDArray[np.float32]], bytes]] = {
    "s16le": _encode_s16le,
    "f32le": lambda samples: samples.astype("<f4").tobytes(),
    "mulaw": lambda samples: encode_mulaw(samples).tobytes(),
    "alaw": lambda samples: encode_alaw(samples).tobytes(),
}
