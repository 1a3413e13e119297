import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rtemo.dsp.companding import decode_alaw, decode_mulaw, encode_alaw, encode_mulaw

pytestmark = pytest.mark.unit

Codec = Callable[..., Any]
EVERY_VALUE = np.arange(-32_768, 32_768).astype(np.int16)
EVERY_CODE = np.arange(256).astype(np.uint8)


def mulaw_code(value: int) -> int:
    """The reference encoder of ITU-T G.191, one integer at a time."""
    magnitude = min(((~value if value < 0 else value) >> 2) + 33, 0x1FFF)
    segment, rest = 1, magnitude >> 6
    while rest:
        segment, rest = segment + 1, rest >> 1
    code = (8 - segment) << 4 | 15 - (magnitude >> segment & 15)
    return code | 0x80 if value >= 0 else code


def alaw_code(value: int) -> int:
    """The reference encoder of ITU-T G.191, one integer at a time."""
    code = (~value if value < 0 else value) >> 4
    if code > 15:
        exponent = 1
        while code > 31:
            code, exponent = code >> 1, exponent + 1
        code = code - 16 + (exponent << 4)
    return (code | 0x80 if value >= 0 else code) ^ 0x55


def mulaw_value(code: int) -> int:
    """The reference decoder of ITU-T G.191."""
    sign = -1 if code < 0x80 else 1
    mantissa = ~code
    exponent = mantissa >> 4 & 7
    mantissa &= 15
    step = 4 << (exponent + 1)
    return sign * ((0x80 << exponent) + step * mantissa + step // 2 - 4 * 33)


def alaw_value(code: int) -> int:
    """The reference decoder of ITU-T G.191."""
    index = (code ^ 0x55) & 0x7F
    exponent, mantissa = index >> 4, index & 15
    if exponent > 0:
        mantissa += 16
    mantissa = (mantissa << 4) + 8
    if exponent > 1:
        mantissa <<= exponent - 1
    return mantissa if code > 127 else -mantissa


def test_every_value_gets_the_mulaw_code_of_the_reference() -> None:
    assert encode_mulaw(EVERY_VALUE).tolist() == [mulaw_code(int(value)) for value in EVERY_VALUE]


def test_every_value_gets_the_alaw_code_of_the_reference() -> None:
    assert encode_alaw(EVERY_VALUE).tolist() == [alaw_code(int(value)) for value in EVERY_VALUE]


def test_every_mulaw_code_decodes_as_the_reference() -> None:
    expected = [mulaw_value(int(code)) / 32_768 for code in EVERY_CODE]
    assert decode_mulaw(EVERY_CODE).tolist() == expected


def test_every_alaw_code_decodes_as_the_reference() -> None:
    expected = [alaw_value(int(code)) / 32_768 for code in EVERY_CODE]
    assert decode_alaw(EVERY_CODE).tolist() == expected


def test_decoders_agree_with_the_standard_library() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        audioop = pytest.importorskip("audioop", reason="the standard library dropped audioop in 3.13")
    codes = EVERY_CODE.tobytes()
    assert np.array_equal(decode_mulaw(codes), np.frombuffer(audioop.ulaw2lin(codes, 2), "<i2") / np.float32(32_768))
    assert np.array_equal(decode_alaw(codes), np.frombuffer(audioop.alaw2lin(codes, 2), "<i2") / np.float32(32_768))


@pytest.mark.parametrize(("encode", "decode"), [(encode_mulaw, decode_mulaw), (encode_alaw, decode_alaw)])
def test_a_decoded_code_encodes_to_a_code_of_the_same_value(encode: Codec, decode: Codec) -> None:
    once = decode(EVERY_CODE)
    assert np.array_equal(decode(encode(once)), once)


@pytest.mark.parametrize(
    ("encode", "decode", "expected_db"),
    [(encode_mulaw, decode_mulaw, 37.0), (encode_alaw, decode_alaw, 37.0)],
)
def test_speech_levels_keep_their_signal_to_noise_ratio(encode: Codec, decode: Codec, expected_db: float) -> None:
    for level_db in (-6.0, -15.0, -25.0):
        tone = 10 ** (level_db / 20) * np.sin(2 * np.pi * 1_020.0 / 8_000 * np.arange(8_000))
        error = decode(encode(tone.astype(np.float32))) - tone
        snr_db = 10 * np.log10(np.mean(tone**2) / np.mean(error**2))
        assert snr_db > expected_db - 2.0


def test_samples_beyond_full_scale_are_held_at_it() -> None:
    loud = np.array([-7.0, -1.0, 1.0, 7.0], np.float32)
    assert decode_mulaw(encode_mulaw(loud)).tolist() == [-32_124 / 32_768] * 2 + [32_124 / 32_768] * 2
    assert decode_alaw(encode_alaw(loud)).tolist() == [-32_256 / 32_768] * 2 + [32_256 / 32_768] * 2


def test_bytes_and_arrays_of_any_shape_are_taken() -> None:
    codes = np.arange(240, dtype=np.uint8).reshape(3, 80)
    assert decode_mulaw(codes).shape == (3, 80)
    assert np.array_equal(decode_mulaw(codes.tobytes()), decode_mulaw(codes).ravel())
    assert encode_alaw(decode_alaw(codes)[:, ::2]).shape == (3, 40)
    assert decode_mulaw(b"").size == 0
