import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import signal

from rtemo.dsp.stft import Istft, Stft, hann_windows, low_delay_windows

pytestmark = pytest.mark.unit

# frame, hop, synthesis, fft
SHAPES = [
    (320, 160, 320, 320),
    (512, 128, 512, 512),
    (400, 160, 400, 512),
    (512, 160, 320, 512),
    (960, 160, 320, 960),
    (640, 80, 160, 1_024),
    (512, 100, 300, 640),
]


def noise(seed: int, shape: tuple[int, ...]) -> NDArray[np.float32]:
    return np.random.default_rng(seed).uniform(-1.0, 1.0, shape).astype(np.float32)


def make(capacity: int, frame: int, hop: int, synthesis: int, fft: int) -> tuple[Stft, Istft]:
    analysis_window, synthesis_window = low_delay_windows(frame, hop, synthesis)
    return (
        Stft(capacity, analysis_window, hop_samples=hop, fft_samples=fft),
        Istft(capacity, synthesis_window, frame_samples=frame, hop_samples=hop, fft_samples=fft),
    )


def round_trip(stft: Stft, istft: Istft, samples: NDArray[np.float32]) -> NDArray[np.float32]:
    hop = stft.hop_samples
    hops = [istft.process(stft.process(samples[:, k : k + hop])).copy() for k in range(0, samples.shape[1], hop)]
    return np.concatenate(hops, axis=1)


@pytest.mark.parametrize("shape", SHAPES)
def test_unchanged_spectra_return_the_input_after_the_stated_latency(shape: tuple[int, int, int, int]) -> None:
    stft, istft = make(9, *shape)
    samples = noise(0, (9, shape[1] * 40))
    got = round_trip(stft, istft, samples)
    delay = istft.latency_samples
    assert delay == shape[2] - shape[1]
    assert np.abs(got[:, delay:] - samples[:, : samples.shape[1] - delay]).max() < 1e-6
    assert np.abs(got[:, :delay]).max(initial=0.0) < 1e-6


@pytest.mark.parametrize("shape", SHAPES)
def test_an_impulse_arrives_after_the_stated_latency(shape: tuple[int, int, int, int]) -> None:
    stft, istft = make(1, *shape)
    for at in (0, 1, shape[1] - 1, 5 * shape[1] + 17):
        stft.reset(0)
        istft.reset(0)
        impulse = np.zeros((1, shape[1] * 20), np.float32)
        impulse[0, at] = 1.0
        assert int(np.argmax(round_trip(stft, istft, impulse)[0])) == at + istft.latency_samples


def test_spectra_agree_with_scipy_in_float64() -> None:
    samples = noise(1, (3, 160 * 30))
    window = hann_windows(400, 160)[0]
    stft = Stft(3, window, hop_samples=160, fft_samples=512)
    got = np.stack([stft.process(samples[:, k : k + 160]).copy() for k in range(0, 4_800, 160)], axis=2)
    padded = np.pad(samples.astype(np.float64), ((0, 0), (240, 0)))
    _, _, expected = signal.stft(
        padded, window=window, nperseg=400, noverlap=240, nfft=512, boundary=None, padded=False, return_onesided=True
    )
    expected *= window.sum()
    assert np.abs(got - expected).max() < 1e-6 * np.abs(expected).max()


def test_windows_are_the_square_root_of_hann_when_symmetric() -> None:
    analysis, synthesis = hann_windows(320, 160)
    expected = np.sqrt(signal.get_window("hann", 320))
    assert np.allclose(analysis, expected)
    assert np.allclose(synthesis, expected)


def test_low_delay_pair_keeps_the_long_analysis_and_shortens_the_delay() -> None:
    analysis, synthesis = low_delay_windows(512, 160, 320)
    assert analysis.size == 512
    assert synthesis.size == 320
    assert analysis.min() >= 0.0
    assert synthesis.max() < 1.5


def test_a_row_depends_neither_on_its_place_nor_on_the_others() -> None:
    samples = noise(2, (21, 1_600))
    together = round_trip(*make(21, 512, 160, 320, 512), samples)
    for row in range(21):
        assert np.array_equal(round_trip(*make(1, 512, 160, 320, 512), samples[row : row + 1])[0], together[row])


def test_retire_moves_the_last_row() -> None:
    samples = noise(3, (3, 3_200))
    expected = round_trip(*make(3, 400, 160, 400, 512), samples)
    stft, istft = make(3, 400, 160, 400, 512)
    round_trip(stft, istft, samples[:, :1_600])
    stft.retire(0, 2)
    istft.retire(0, 2)
    assert np.array_equal(round_trip(stft, istft, samples[[2, 1], 1_600:]), expected[[2, 1], 1_600:])


def test_spectra_can_be_written_into_an_array_of_the_caller() -> None:
    samples = noise(4, (2, 160))
    out = np.empty((2, 257), np.complex64)
    stft, _ = make(2, 400, 160, 400, 512)
    stft.process(samples, out=out)
    other, _ = make(2, 400, 160, 400, 512)
    assert np.array_equal(out, other.process(samples))


def test_sizes_that_do_not_fit_are_refused() -> None:
    with pytest.raises(ValueError, match="at least two hops"):
        low_delay_windows(400, 160, 240)
    with pytest.raises(ValueError, match="must not decrease"):
        Stft(1, np.ones(512), hop_samples=160, fft_samples=400)
