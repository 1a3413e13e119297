import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import signal

from rtemo.api.errors import AudioInputError
from rtemo.dsp.resample import PolyphaseResampler, design_prototype, resample

pytestmark = pytest.mark.unit

RATES = [
    (8_000, 16_000),
    (16_000, 8_000),
    (48_000, 16_000),
    (44_100, 16_000),
    (384_000, 16_000),
    (11_025, 16_000),
    (22_050, 16_000),
    (7_350, 16_000),
    (96_000, 16_000),
    (16_000, 16_000),
]


def noise(seed: int, shape: int | tuple[int, ...]) -> NDArray[np.float32]:
    return (np.random.default_rng(seed).standard_normal(shape) * 0.2).astype(np.float32)


def sine(hz: float, rate_hz: int, duration_s: float) -> NDArray[np.float32]:
    return np.sin(2.0 * np.pi * hz * np.arange(int(duration_s * rate_hz)) / rate_hz).astype(np.float32)


@pytest.mark.parametrize(("from_hz", "to_hz"), RATES)
def test_result_agrees_with_scipy_in_float64(from_hz: int, to_hz: int) -> None:
    samples = noise(0, from_hz // 5)
    common = np.gcd(from_hz, to_hz)
    up, down = to_hz // common, from_hz // common
    if up == down:
        expected = samples.astype(np.float64)
    else:
        # resample_poly multiplies the window it is given by `up`
        window = design_prototype(up, down) / up
        expected = signal.resample_poly(samples.astype(np.float64), up, down, window=window)
    got = resample(samples, from_hz, to_hz)
    assert got.size == expected.size == -(-samples.size * up // down)
    assert np.abs(got - expected).max() < 2e-6


@pytest.mark.parametrize(("from_hz", "to_hz"), RATES)
def test_prototype_passes_and_stops_what_the_docstring_says(from_hz: int, to_hz: int) -> None:
    common = np.gcd(from_hz, to_hz)
    up, down = to_hz // common, from_hz // common
    if up == down:
        return
    taps = design_prototype(up, down)
    size = 1 << int(np.ceil(np.log2(taps.size * 16)))
    gain_db = 20.0 * np.log10(np.abs(np.fft.rfft(taps, size)) / up + 1e-12)
    frequency = np.arange(gain_db.size) / size * from_hz * up
    nyquist_hz = min(from_hz, to_hz) / 2
    assert np.abs(gain_db[frequency <= 0.9 * nyquist_hz]).max() < 1e-3
    assert gain_db[frequency >= nyquist_hz].max() < -80.0


@pytest.mark.parametrize("hz", [8_050.0, 9_000.0, 12_345.0, 15_990.0, 16_000.0, 20_000.0, 23_900.0])
def test_tones_above_the_output_band_do_not_alias(hz: float) -> None:
    got = resample(sine(hz, 48_000, 0.5), 48_000, 16_000)[400:-400]
    assert 20.0 * np.log10(np.sqrt(2.0) * np.std(got) + 1e-12) < -80.0


@pytest.mark.parametrize("hz", [200.0, 1_000.0, 3_400.0, 3_600.0])
def test_doubling_the_rate_makes_no_image(hz: float) -> None:
    got = resample(sine(hz, 8_000, 0.5), 8_000, 16_000)
    expected = sine(hz, 16_000, 0.5)
    assert np.abs(got - expected)[400:-400].max() < 1.2e-4  # -78 dB: image and pass-band error together


@pytest.mark.parametrize(("from_hz", "to_hz"), RATES)
def test_impulse_arrives_after_exactly_the_stated_latency(from_hz: int, to_hz: int) -> None:
    resampler = PolyphaseResampler(from_hz, to_hz, aligned=False)
    common = np.gcd(from_hz, to_hz)
    at = from_hz // common * 20  # an input sample that falls on an output sample
    impulse = np.zeros(at * 3 + 50, np.float32)
    impulse[at] = 1.0
    got = np.concatenate([resampler.process(impulse), resampler.flush()[0]])
    assert int(np.argmax(got)) == to_hz // common * 20 + resampler.latency_samples
    aligned = resample(impulse, from_hz, to_hz)
    assert int(np.argmax(aligned)) == to_hz // common * 20


def test_latency_of_the_telephone_and_microphone_rates_is_what_the_docstring_says() -> None:
    assert PolyphaseResampler(8_000, 16_000).latency_samples / 16 == pytest.approx(6.6, abs=0.1)
    assert PolyphaseResampler(48_000, 16_000).latency_samples / 16 == pytest.approx(3.3, abs=0.1)


@settings(max_examples=60, deadline=None)
@given(
    rates=st.sampled_from(RATES),
    aligned=st.booleans(),
    cuts=st.lists(st.integers(0, 3_000), min_size=1, max_size=12),
)
def test_samples_do_not_depend_on_how_the_input_was_cut(rates: tuple[int, int], aligned: bool, cuts: list[int]) -> None:
    samples = noise(1, (2, sum(cuts)))
    whole = PolyphaseResampler(*rates, channels=2, aligned=aligned)
    expected = np.concatenate([whole.process(samples), whole.flush()], axis=1)
    pieces, at = [], 0
    cut = PolyphaseResampler(*rates, channels=2, aligned=aligned)
    for size in cuts:
        pieces.append(cut.process(samples[:, at : at + size]))
        at += size
        due = max(0, -(-at * rates[1] // rates[0]) - (cut.latency_samples if aligned else 0))
        assert sum(piece.shape[1] for piece in pieces) == due
    pieces.append(cut.flush())
    assert np.array_equal(np.concatenate(pieces, axis=1), expected)
    assert expected.shape[1] == -(-at * rates[1] // rates[0]) + (0 if aligned else cut.latency_samples)


def test_a_long_block_is_the_same_as_short_ones() -> None:
    samples = noise(2, 100_000)
    resampler = PolyphaseResampler(44_100, 16_000)
    short = [resampler.process(samples[at : at + 441]) for at in range(0, samples.size, 441)]
    assert np.array_equal(np.concatenate([*short, resampler.flush()[0]]), resample(samples, 44_100, 16_000))


def test_channels_do_not_touch_each_other() -> None:
    samples = noise(3, (3, 5_000))
    together = resample(samples, 48_000, 16_000)
    for channel in range(3):
        assert np.array_equal(resample(samples[channel], 48_000, 16_000), together[channel])


def test_a_flushed_resampler_starts_anew() -> None:
    samples = noise(4, 3_000)
    resampler = PolyphaseResampler(8_000, 16_000)
    first = np.concatenate([resampler.process(samples), resampler.flush()[0]])
    assert np.array_equal(np.concatenate([resampler.process(samples), resampler.flush()[0]]), first)


def test_one_sample_gives_its_share() -> None:
    assert resample(np.ones(1, np.float32), 8_000, 16_000).size == 2
    assert resample(np.ones(1, np.float32), 48_000, 16_000).size == 1
    assert resample(np.zeros(0, np.float32), 48_000, 16_000).size == 0


def test_an_odd_rate_within_the_table_limit_converts() -> None:
    got = resample(sine(1_000.0, 15_999, 0.3), 15_999, 16_000)
    expected = sine(1_000.0, 16_000, 0.3)[: got.size]
    assert np.abs(got[400:-400] - expected[400 : got.size - 400]).max() < 1.2e-4


def test_rates_without_a_common_divisor_are_refused_with_the_mend() -> None:
    with pytest.raises(AudioInputError, match="hardly a common divisor; convert the audio to a usual rate"):
        PolyphaseResampler(383_999, 16_000)


@pytest.mark.parametrize("rate_hz", [0, -8_000])
def test_a_rate_that_is_not_positive_is_refused(rate_hz: int) -> None:
    with pytest.raises(AudioInputError, match="above 0 Hz"):
        PolyphaseResampler(rate_hz, 16_000)


def test_a_wrong_number_of_channels_is_refused() -> None:
    with pytest.raises(ValueError, match=r"expected \[2, k\]"):
        PolyphaseResampler(8_000, 16_000, channels=2).process(np.zeros(5, np.float32))
