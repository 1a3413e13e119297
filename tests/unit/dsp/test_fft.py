import numpy as np
import pytest

from rtemo.dsp.fft import FftPlan, RealFft

pytestmark = pytest.mark.unit

SIZES = (4, 8, 10, 12, 16, 20, 60, 256, 320, 400, 480, 512, 600, 960, 1024, 1200, 2048)


@pytest.mark.parametrize("size", SIZES)
def test_forward_transform_agrees_with_float64(size: int) -> None:
    frames = np.random.default_rng(size).standard_normal((19, size)).astype(np.float32)
    expected = np.fft.rfft(frames.astype(np.float64))
    got = RealFft(size).forward(frames)
    assert np.abs(got - expected).max() < 1e-6 * np.abs(expected).max()


@pytest.mark.parametrize("size", SIZES)
def test_inverse_transform_returns_the_frames(size: int) -> None:
    frames = np.random.default_rng(size).standard_normal((9, size)).astype(np.float32)
    fft = RealFft(size)
    assert np.abs(fft.inverse(fft.forward(frames)) - frames).max() < 1e-6 * np.abs(frames).max()


def test_a_row_has_the_same_bits_wherever_it_stands() -> None:
    frames = np.random.default_rng(1).standard_normal((21, 512)).astype(np.float32)
    fft = RealFft(512)
    together = fft.forward(frames)
    for row in range(21):
        assert np.array_equal(fft.forward(frames[row : row + 1])[0], together[row])


@pytest.mark.parametrize("size", [0, 2, 7, 14, 511, 514])
def test_a_size_that_cannot_be_transformed_is_refused_with_its_reason(size: int) -> None:
    with pytest.raises(ValueError, match=f"a transform of {size} samples"):
        FftPlan(size)
