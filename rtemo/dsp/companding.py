"""G.711: the logarithmic 8-bit codes of telephony, mu-law and A-law, to and from float32.

Tables made from the definition in ITU-T G.711, with the rounding at decision values of the reference software in ITU-T
G.191. Decoded values are exact 16-bit integers divided by 32768; the loudest mu-law code reads 0.980, the loudest A-law
code 0.984.
"""

import numpy as np
from numpy.typing import NDArray

_FULL_SCALE = 32_768.0


def _mulaw_levels() -> NDArray[np.int16]:
    """Give the 16-bit value of each mu-law code."""
    code = ~np.arange(256) & 0xFF
    segment, step = code >> 4 & 7, code & 15
    magnitude = ((2 * step + 33 << segment) - 33) * 4
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


def _alaw_levels() -> NDArray[np.int16]:
    """Give the 16-bit value of each A-law code."""
    code = np.arange(256) ^ 0x55
    segment, step = code >> 4 & 7, code & 15
    magnitude = np.where(segment == 0, 2 * step + 1, 2 * step + 33 << np.maximum(segment - 1, 0)) * 8
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)


def _magnitude_12_or_14_bits(shift: int) -> NDArray[np.int64]:
    """Give the magnitude of every 16-bit value, by one's complement as the reference software does."""
    value = np.arange(65_536).astype(np.uint16).view(np.int16).astype(np.int64)
    return np.where(value < 0, ~value, value) >> shift


def _mulaw_codes() -> NDArray[np.uint8]:
    """Give the mu-law code of every 16-bit value, indexed by the value as uint16."""
    biased = np.minimum(_magnitude_12_or_14_bits(2) + 33, 0x1FFF)
    segment = np.floor(np.log2(biased)).astype(np.int64) - 5
    code = 0x7F - (segment << 4 | biased >> segment + 1 & 15)
    return np.where(np.arange(65_536) < 32_768, code | 0x80, code).astype(np.uint8)


def _alaw_codes() -> NDArray[np.uint8]:
    """Give the A-law code of every 16-bit value, indexed by the value as uint16."""
    magnitude = _magnitude_12_or_14_bits(4)
    segment = np.maximum(np.floor(np.log2(np.maximum(magnitude, 1))).astype(np.int64) - 3, 0)
    code = segment << 4 | magnitude >> np.maximum(segment - 1, 0) & 15
    codes: NDArray[np.uint8] = np.where(np.arange(65_536) < 32_768, code ^ 0xD5, code ^ 0x55).astype(np.uint8)
    return codes


_MULAW_VALUE = (_mulaw_levels() / _FULL_SCALE).astype(np.float32)
_ALAW_VALUE = (_alaw_levels() / _FULL_SCALE).astype(np.float32)
_MULAW_CODE = _mulaw_codes()
_ALAW_CODE = _alaw_codes()


def decode_mulaw(codes: bytes | NDArray[np.uint8]) -> NDArray[np.float32]:
    """Decode mu-law codes to float32 samples of the same shape."""
    return _MULAW_VALUE.take(_codes(codes))


def decode_alaw(codes: bytes | NDArray[np.uint8]) -> NDArray[np.float32]:
    """Decode A-law codes to float32 samples of the same shape."""
    return _ALAW_VALUE.take(_codes(codes))


def encode_mulaw(samples: NDArray[np.float32] | NDArray[np.int16]) -> NDArray[np.uint8]:
    """Encode float32 samples in [-1, 1] or int16 samples to mu-law codes of the same shape."""
    return _MULAW_CODE.take(_values(samples))


def encode_alaw(samples: NDArray[np.float32] | NDArray[np.int16]) -> NDArray[np.uint8]:
    """Encode float32 samples in [-1, 1] or int16 samples to A-law codes of the same shape."""
    return _ALAW_CODE.take(_values(samples))


def _codes(codes: bytes | NDArray[np.uint8]) -> NDArray[np.uint8]:
    return np.asarray(codes, np.uint8) if isinstance(codes, np.ndarray) else np.frombuffer(codes, np.uint8)


def _values(samples: NDArray[np.float32] | NDArray[np.int16]) -> NDArray[np.uint16]:
    if samples.dtype == np.int16:
        return np.ascontiguousarray(samples).view(np.uint16)
    scaled = np.clip(np.asarray(samples, np.float32), -1.0, 32_767.0 / _FULL_SCALE) * np.float32(_FULL_SCALE)
    values: NDArray[np.int16] = np.rint(scaled).astype(np.int16)
    return values.view(np.uint16)
