import doctest

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import rtemo.io.pcm
from rtemo.api import AudioInputError
from rtemo.io.pcm import BYTES_PER_SAMPLE, as_float, beyond_full_scale, decode_pcm, encode_pcm

pytestmark = pytest.mark.unit

LOUDNESS = {"s16le": 1 / 65_536, "f32le": 0.0, "mulaw": 0.02, "alaw": 0.02}  # half the largest step


@pytest.mark.parametrize("sample_type", BYTES_PER_SAMPLE)
def test_what_is_encoded_decodes_to_within_half_a_step(sample_type: str) -> None:
    samples = np.linspace(-0.95, 0.95, 10_001).astype(np.float32)
    decoded = decode_pcm(encode_pcm(samples, sample_type), sample_type)
    assert decoded.dtype == np.float32
    assert np.max(np.abs(decoded - samples)) <= LOUDNESS[sample_type] * 1.001


@pytest.mark.parametrize("sample_type", BYTES_PER_SAMPLE)
@given(data=st.binary(max_size=64))
def test_any_whole_number_of_samples_decodes_and_any_other_is_refused(sample_type: str, data: bytes) -> None:
    width = BYTES_PER_SAMPLE[sample_type]
    if len(data) % width:
        with pytest.raises(AudioInputError, match=f"got {len(data)} bytes of {sample_type} audio, expected a multiple"):
            decode_pcm(data, sample_type)
    else:
        assert decode_pcm(data, sample_type).shape == (len(data) // width,)


def test_sixteen_bit_extremes_decode_exactly_and_loud_floats_are_clipped_to_them() -> None:
    assert decode_pcm(bytes([0x00, 0x80, 0xFF, 0x7F]), "s16le").tolist() == [-1.0, 32_767 / 32_768]
    assert encode_pcm(np.array([-3.0, 3.0], np.float32), "s16le") == bytes([0x00, 0x80, 0xFF, 0x7F])


def test_an_unknown_sample_type_is_refused_by_naming_those_there_are() -> None:
    with pytest.raises(AudioInputError, match="unknown sample type 's24le'; use one of s16le, f32le, mulaw, alaw"):
        decode_pcm(b"", "s24le")


def test_decoded_samples_do_not_share_memory_with_the_bytes() -> None:
    data = bytearray(4)
    for sample_type in BYTES_PER_SAMPLE:
        samples = decode_pcm(data, sample_type)
        data[0] = data[0] ^ 0xFF
        assert np.array_equal(samples, decode_pcm(bytes([data[0] ^ 0xFF]) + bytes(data[1:]), sample_type))


@given(data=st.binary(max_size=64))
def test_bytes_are_16_bit_samples_whatever_holds_them(data: bytes) -> None:
    for held in (data, bytearray(data), memoryview(data)):
        if len(data) % 2:
            with pytest.raises(AudioInputError, match="an odd number"):
                as_float(held)
        else:
            np.testing.assert_array_equal(as_float(held), decode_pcm(data, "s16le"))


@given(scale=st.floats(0.0, 3.9), at=st.integers(0, 99), spike=st.floats(width=32))
def test_one_wild_sample_among_good_ones_is_not_far_beyond_full_scale(scale: float, at: int, spike: float) -> None:
    samples = np.full(100, scale, np.float32)
    samples[at] = spike
    assert beyond_full_scale(samples) == 0.0


def test_integers_among_zeros_and_bad_samples_are_far_beyond_full_scale() -> None:
    samples = np.zeros(160, np.float32)
    samples[10:60] = -3_000.0
    samples[70:75] = np.nan, np.inf, -np.inf, 1.0, 0.5
    assert beyond_full_scale(samples) == 3_000.0


def test_examples_in_docstrings_are_true() -> None:
    assert doctest.testmod(rtemo.io.pcm).failed == 0
