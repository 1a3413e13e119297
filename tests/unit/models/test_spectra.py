import numpy as np
import pytest
import torch

from rtemo.dsp.bands import LogBands
from rtemo.dsp.stft import Istft, Stft, low_delay_windows
from rtemo_models.kit.audio.spectra import FRAME_SAMPLES, HOP_SAMPLES, LATENCY_SAMPLES, SYNTHESIS_SAMPLES, Spectra

pytestmark = pytest.mark.unit


def sound(hops: int) -> np.ndarray:
    return (0.1 * np.random.default_rng(0).standard_normal((2, hops * HOP_SAMPLES))).astype(np.float32)


def test_whole_clip_spectra_are_those_of_the_running_kernels() -> None:
    samples = sound(20)
    analysis, synthesis = low_delay_windows(FRAME_SAMPLES, HOP_SAMPLES, SYNTHESIS_SAMPLES)
    stft = Stft(2, analysis, hop_samples=HOP_SAMPLES)
    istft = Istft(2, synthesis, frame_samples=FRAME_SAMPLES, hop_samples=HOP_SAMPLES)
    logs = LogBands(2, analysis)
    for row in range(2):
        stft.admit(row)
        istft.admit(row)
    spectra = Spectra()
    whole = spectra.analyse(torch.from_numpy(samples))
    bands, bins = spectra.logs(whole)
    back = spectra.synthesise(whole)
    for hop in range(20):
        part = slice(hop * HOP_SAMPLES, (hop + 1) * HOP_SAMPLES)
        heard = stft.process(np.ascontiguousarray(samples[:, part])).copy()
        running_bins = np.empty((2, 257), np.float32)
        running_bands = logs.process(heard, bins=running_bins)
        np.testing.assert_allclose(whole[:, hop].numpy(), heard, atol=2e-5)
        np.testing.assert_allclose(bands[:, hop].numpy(), running_bands, atol=1e-3)
        np.testing.assert_allclose(bins[:, hop].numpy(), running_bins, atol=2e-2)
        np.testing.assert_allclose(back[:, part].numpy(), istft.process(heard), atol=1e-5)


def test_synthesis_returns_the_input_late_by_the_overlap() -> None:
    samples = sound(12)
    spectra = Spectra()
    back = spectra.synthesise(spectra.analyse(torch.from_numpy(samples))).numpy()
    np.testing.assert_allclose(back[:, LATENCY_SAMPLES:], samples[:, :-LATENCY_SAMPLES], atol=1e-5)
