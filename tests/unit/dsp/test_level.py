import numpy as np
import pytest
from numpy.typing import NDArray

from rtemo.dsp.level import SILENCE_DBFS, LevelMeter, amplitude_to_dbfs, power_to_dbfs

pytestmark = pytest.mark.unit


def noise(seed: int, shape: tuple[int, ...], level_dbfs: float = -20.0) -> NDArray[np.float32]:
    return (np.random.default_rng(seed).standard_normal(shape) * 10.0 ** (level_dbfs / 20.0)).astype(np.float32)


def noise_dbfs(meter: LevelMeter, samples: NDArray[np.float32]) -> NDArray[np.float64]:
    """Background level of one stream after each hop."""
    hops = [meter.process(samples[None, k : k + 160]).noise_power[0] for k in range(0, samples.size, 160)]
    return power_to_dbfs(np.array(hops))


@pytest.mark.parametrize("hop_samples", [160, 1, 7, 83, 441])
def test_power_and_peak_agree_with_numpy_in_float64(hop_samples: int) -> None:
    samples = noise(0, (13, hop_samples))
    level = LevelMeter(13, hop_samples=hop_samples).process(samples)
    expected = np.mean(np.square(samples.astype(np.float64)), axis=1)
    assert np.allclose(level.power, expected, rtol=2e-6)
    assert np.array_equal(level.peak, np.abs(samples).max(axis=1))


def test_full_scale_sine_reads_three_decibels_below_full_scale() -> None:
    sine = np.sin(2.0 * np.pi * np.arange(160) / 16).astype(np.float32)[None]
    level = LevelMeter(1).process(sine)
    assert power_to_dbfs(level.power)[0] == pytest.approx(-3.01, abs=0.01)
    assert amplitude_to_dbfs(level.peak)[0] == pytest.approx(0.0, abs=1e-6)


def test_silence_reads_the_least_level() -> None:
    level = LevelMeter(2).process(np.zeros((2, 160), np.float32))
    assert power_to_dbfs(level.power).tolist() == [SILENCE_DBFS] * 2
    assert level.peak.tolist() == [0.0, 0.0]


def test_clipped_samples_are_counted_on_both_sides_and_at_the_loudest_telephone_code() -> None:
    samples = np.zeros((2, 160), np.float32)
    samples[1, [3, 50, 159]] = [1.0, -1.0, 32_124 / 32_768]
    samples[1, 60] = 0.97
    assert LevelMeter(2).process(samples).clipped_samples.tolist() == [0, 3]


@pytest.mark.parametrize("level_dbfs", [-70.0, -40.0, -20.0])
def test_steady_noise_is_measured_within_half_a_decibel(level_dbfs: float) -> None:
    estimate = noise_dbfs(LevelMeter(1), noise(1, (160 * 1_000,), level_dbfs))
    assert np.isnan(estimate[:49]).all()
    assert abs(np.mean(estimate[200:]) - level_dbfs) < 0.5
    assert np.abs(estimate[200:] - level_dbfs).max() < 1.5


def test_bursts_of_speech_level_do_not_raise_the_noise() -> None:
    samples = noise(2, (160 * 600,), -50.0)
    loud = noise(3, (160 * 600,), -15.0)
    for start in range(100, 600, 100):  # 0.7 s of sound, 0.3 s of pause
        samples[160 * start : 160 * (start + 70)] = loud[160 * start : 160 * (start + 70)]
    assert np.abs(noise_dbfs(LevelMeter(1), samples)[150:] + 50.0).max() < 2.0


def test_a_rise_of_the_noise_is_followed_within_two_seconds() -> None:
    samples = np.concatenate([noise(4, (160 * 300,), -60.0), noise(5, (160 * 300,), -40.0)])
    estimate = noise_dbfs(LevelMeter(1), samples)
    assert estimate[299] == pytest.approx(-60.0, abs=1.5)
    assert estimate[500] == pytest.approx(-40.0, abs=1.5)


def test_a_row_depends_neither_on_its_place_nor_on_the_others() -> None:
    samples = noise(6, (11, 160 * 80))
    together = LevelMeter(11)
    alone = [LevelMeter(1) for _ in range(11)]
    for k in range(0, samples.shape[1], 160):
        level = together.process(samples[:, k : k + 160])
        for row in range(11):
            one = alone[row].process(samples[row : row + 1, k : k + 160])
            assert one.power[0] == level.power[row]
            assert np.array_equal(one.noise_power[0], level.noise_power[row], equal_nan=True)


def test_retire_moves_the_noise_with_its_stream() -> None:
    samples = np.stack([noise(7, (160 * 120,), -60.0), noise(8, (160 * 120,), -30.0)])
    meter = LevelMeter(2)
    for k in range(0, samples.shape[1], 160):
        expected = float(meter.process(samples[:, k : k + 160]).noise_power[1])
    meter.retire(0, 1)
    assert meter.process(samples[1:, :160]).noise_power[0] == pytest.approx(expected, rel=0.3)
    meter.reset(0)
    assert np.isnan(meter.process(samples[1:, :160]).noise_power[0])
