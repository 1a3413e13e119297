"""PCM: raw samples as bytes, to float32 and back."""

from collections.abc import Callable
from typing import Literal, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray

from rtemo.api import AudioInputError
from rtemo.dsp.companding import decode_alaw, decode_mulaw, encode_alaw, encode_mulaw

SampleType = Literal["s16le", "f32le", "mulaw", "alaw"]
"""16-bit integers and 32-bit floats, both little-endian, and the two laws of ITU-T G.711."""

BYTES_PER_SAMPLE: dict[str, int] = {"s16le": 2, "f32le": 4, "mulaw": 1, "alaw": 1}

_FULL_SCALE = np.float32(32_768.0)

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
