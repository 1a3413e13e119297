"""What the enhancer is taught by: nothing where the gain is right, more where more is wrong, alike at any level."""

import numpy as np
import pytest
import torch

from rtemo_models.kit.audio.spectra import Spectra
from rtemo_models.systems.merit.train.enhancement_losses import (
    compressed_distance,
    intelligibility_loss,
    loudness_loss,
    power_of,
    si_sdr_loss,
)

pytestmark = pytest.mark.unit


def syllables(seconds: float = 3.0) -> np.ndarray:
    """Noise that comes and goes four times a second, in two bands that do so apart."""
    random = np.random.default_rng(0)
    time_s = np.arange(int(16_000 * seconds)) / 16_000
    carrier = random.standard_normal(len(time_s))
    low = np.convolve(carrier, np.hanning(16), "same") * np.clip(np.sin(2 * np.pi * 4 * time_s), 0.01, 1)
    high = np.diff(carrier, prepend=0) * np.clip(np.sin(2 * np.pi * 2.5 * time_s), 0.01, 1)
    return (0.02 * low + 0.1 * high).astype(np.float32)


def spectra(*sounds: np.ndarray) -> list[torch.Tensor]:
    return [Spectra().analyse(torch.from_numpy(x.astype(np.float32))[None]) for x in sounds]


def noise(level: float) -> np.ndarray:
    return level * np.random.default_rng(1).standard_normal(len(syllables()))


def test_intelligibility_falls_with_noise_and_comes_back_with_the_right_gain() -> None:
    clean = syllables()
    losses = []
    for level in (0.0, 0.02, 0.1, 0.5):
        wanted, noisy = spectra(clean, clean + noise(level))
        losses.append(float(intelligibility_loss(torch.ones(noisy.shape), noisy, wanted)))
    assert losses[0] == pytest.approx(0.0, abs=1e-4)
    assert losses[0] < losses[1] < losses[2] < losses[3]
    assert losses[3] > 0.5
    best = (power_of(wanted) / power_of(noisy)).clamp(0, 1) ** (1 / 6)
    assert float(intelligibility_loss(best, noisy, wanted)) < 0.4 * losses[3]


def test_intelligibility_does_not_depend_on_level_or_on_silence_around() -> None:
    clean = syllables()
    noisy = clean + noise(0.1)
    silence = np.zeros(16_000)
    plain, faint, framed = (
        float(intelligibility_loss(torch.ones(y.shape), y, x))
        for x, y in (
            spectra(clean, noisy),
            spectra(0.01 * clean, 0.01 * noisy),
            spectra(np.concatenate([silence, clean]), np.concatenate([silence + 0.01, noisy])),
        )
    )
    assert faint == pytest.approx(plain, rel=0.01)
    assert framed == pytest.approx(plain, rel=0.1)


def loudness(gain: torch.Tensor, noisy: torch.Tensor, wanted: torch.Tensor) -> float:
    power = power_of(wanted).mean((1, 2))
    return float(loudness_loss(gain, noisy, wanted, Spectra().bank, power))


def test_loudness_hears_noise_left_over_and_speech_taken_away_at_any_level() -> None:
    clean = syllables()
    wanted, noisy = spectra(clean, clean + noise(0.1))
    ones = torch.ones(noisy.shape)
    best = (power_of(wanted) / power_of(noisy)).clamp(0, 1) ** (1 / 6)
    assert loudness(ones, wanted, wanted) == 0
    assert loudness(0.5 * ones, wanted, wanted) > 0.1
    assert loudness(best, noisy, wanted) < 0.3 * loudness(ones, noisy, wanted)
    assert loudness(ones, 0.01 * noisy, 0.01 * wanted) == pytest.approx(loudness(ones, noisy, wanted), rel=0.01)


def test_silence_gives_losses_and_gradients_that_are_numbers() -> None:
    wanted, noisy = spectra(np.zeros(16_000), np.zeros(16_000))
    gain = torch.full(noisy.shape, 0.5, requires_grad=True)
    phase, magnitude = compressed_distance(gain, noisy, wanted, torch.zeros(1))
    loud = loudness_loss(gain, noisy, wanted, Spectra().bank, torch.zeros(1))
    (intelligibility_loss(gain, noisy, wanted) + loud + phase + magnitude).backward()
    assert torch.isfinite(gain.grad).all()


def test_the_distances_are_those_of_compressed_spectra() -> None:
    clean = syllables()
    wanted, noisy = spectra(clean, clean + noise(0.1))
    gain = torch.rand(noisy.shape, generator=torch.Generator().manual_seed(0))
    phase, magnitude = compressed_distance(gain, noisy, wanted, torch.ones(1))

    def compressed(x: torch.Tensor) -> torch.Tensor:
        return x.abs() ** (1 / 3) * torch.exp(1j * x.angle())

    said = gain * compressed(noisy)
    assert float(phase) == pytest.approx(float((said - compressed(wanted)).abs().square().mean()), rel=1e-4)
    assert float(magnitude) == pytest.approx(float((said.abs() - wanted.abs() ** (1 / 3)).square().mean()), rel=1e-4)


def test_signal_to_distortion_is_counted_in_tens_of_decibels() -> None:
    clean = torch.from_numpy(syllables())[None]
    error = torch.from_numpy(noise(1.0).astype(np.float32))[None]
    error = error - (error * clean).sum() / clean.square().sum() * clean
    error = error * (clean.square().sum() / error.square().sum() / 100).sqrt()
    assert float(si_sdr_loss(clean + error, clean)) == pytest.approx(-2.0, abs=0.01)
    assert float(si_sdr_loss(3 * (clean + error), clean)) == pytest.approx(-2.0, abs=0.02)
