import numpy as np
import pytest
from numpy.typing import NDArray

from rtemo.dsp.logmel import LogMel, logmel_offline

pytestmark = pytest.mark.unit


def noise(seed: int, samples: int, level: float = 0.1) -> NDArray[np.float32]:
    return (np.random.default_rng(seed).standard_normal(samples) * level).astype(np.float32)


def reference(samples: NDArray[np.float32], model: LogMel, fft_samples: int = 512) -> NDArray[np.float64]:
    """The definition in the docstring, in float64 and plain numpy."""
    hop, frame = model.hop_samples, model.frame_samples
    window = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(frame) / frame)
    padded = np.concatenate([np.zeros(frame - hop), samples.astype(np.float64)])
    frames = [padded[k * hop : k * hop + frame] * window for k in range(len(samples) // hop)]
    power = np.abs(np.fft.rfft(frames, fft_samples) * (2.0 / window.sum())) ** 2
    return np.log(np.maximum(power @ model.filterbank.dense().T.astype(np.float64), 1e-10))


def stream(model: LogMel, samples: NDArray[np.float32]) -> NDArray[np.float32]:
    hop = model.hop_samples
    frames = [model.process(samples[:, k : k + hop]).copy() for k in range(0, samples.shape[1] - hop + 1, hop)]
    return np.stack(frames, axis=1)


def test_frames_agree_with_float64() -> None:
    samples = noise(0, 16_000)
    model = LogMel()
    assert np.abs(model.offline(samples) - reference(samples, model)).max() < 2e-5


def test_other_sizes_agree_with_float64() -> None:
    samples = noise(1, 8_000)
    model = LogMel(rate_hz=8_000, hop_samples=80, frame_samples=200, fft_samples=320, mel_count=32, high_hz=3_800.0)
    assert np.abs(model.offline(samples) - reference(samples, model, 320)).max() < 2e-5


def test_whole_file_has_the_bits_of_hop_by_hop() -> None:
    samples = noise(2, 160 * 40 + 37)
    streamed = stream(LogMel(), samples[None, : 160 * 40])[0]
    assert np.array_equal(logmel_offline(samples), streamed)


def test_a_row_depends_neither_on_its_place_nor_on_the_others() -> None:
    samples = np.stack([noise(seed, 160 * 12) for seed in range(21)])
    together = stream(LogMel(21), samples)
    for row in range(21):
        assert np.array_equal(stream(LogMel(), samples[row : row + 1])[0], together[row])


def test_full_scale_sine_on_a_bin_reads_zero_in_its_band() -> None:
    time_s = np.arange(3_200) / 16_000
    frames = logmel_offline(np.sin(2.0 * np.pi * 3_000.0 * time_s).astype(np.float32))
    model = LogMel()
    dense = model.filterbank.dense()
    expected = np.log(dense[:, 95] * 0.25 + dense[:, 96] + dense[:, 97] * 0.25 + 1e-30)
    band = int(np.argmax(dense[:, 96]))
    assert frames[-1, band] == pytest.approx(expected[band], abs=0.35)
    assert int(np.argmax(frames[-1])) == band


def test_silence_gives_the_floor() -> None:
    assert np.allclose(logmel_offline(np.zeros(1_600, np.float32)), np.log(1e-10), atol=1e-5)


def test_retire_moves_the_last_row_and_leaves_fresh_state() -> None:
    samples = np.stack([noise(seed, 160 * 8) for seed in (3, 4, 5)])
    expected = logmel_offline(samples[2])
    model = LogMel(3)
    stream(model, samples[:, : 160 * 4])
    model.retire(0, 2)
    moved = stream(model, samples[[2, 1], 160 * 4 :])[0]
    assert np.array_equal(moved, expected[4:])
    model.admit(2)
    assert np.array_equal(stream(model, samples)[2], expected)


def test_reset_repeats_the_first_result() -> None:
    samples = noise(6, 160 * 5)[None]
    model = LogMel()
    first = stream(model, samples)
    model.reset(0)
    assert np.array_equal(stream(model, samples), first)


def test_frame_has_no_look_ahead() -> None:
    samples = noise(7, 160 * 10)
    changed = samples.copy()
    changed[160 * 6 :] = 0.0
    assert np.array_equal(logmel_offline(samples)[:6], logmel_offline(changed)[:6])


def test_input_of_another_layout_gives_the_same_frames() -> None:
    samples = np.stack([noise(seed, 160) for seed in range(4)])
    expected = LogMel(4).process(samples).copy()
    assert np.array_equal(LogMel(4).process(np.asfortranarray(samples)), expected)
    out = np.empty((4, 64), np.float32)
    assert LogMel(4).process(samples.astype(np.float64), out) is out
    assert np.array_equal(out, expected)


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="must not decrease"):
        LogMel(hop_samples=500)
