"""Made-up noise is sound: finite, never silent, another one each time, and each kind unlike the others."""

from collections.abc import Callable

import numpy as np
import pytest

from rtemo_models.systems.merit.data.made_up_noise import MADE_UP, crackle, murmur, texture, tones, unit

pytestmark = pytest.mark.unit

COUNT = 24_000
Maker = Callable[[int, np.random.Generator], np.ndarray]


@pytest.mark.parametrize("make", sorted(set(MADE_UP), key=lambda make: make.__name__))
def test_every_kind_is_sound_at_any_length_and_another_one_each_time(make: Maker) -> None:
    random = np.random.default_rng(0)
    for count in (160, 4_000, COUNT):
        first, second = make(count, random), make(count, random)
        assert first.shape == (count,)
        assert first.dtype == np.float32
        assert np.isfinite(first).all()
        assert first.std() > 0
        assert abs(np.corrcoef(first, second)[0, 1]) < 0.9


def flatness(x: np.ndarray) -> float:
    """Spectral flatness: near 1 for noise, near 0 for tones."""
    power = np.abs(np.fft.rfft(unit(x))) ** 2 + 1e-9
    return float(np.exp(np.log(power).mean()) / power.mean())


def unrest(x: np.ndarray) -> float:
    """Deviation of the level of 20 ms blocks, in dB."""
    power = (unit(x)[: len(x) // 320 * 320].reshape(-1, 320) ** 2).mean(1)
    return float(np.std(10 * np.log10(power + 1e-4)))


def test_tones_are_tonal_and_crackle_comes_in_blows() -> None:
    random = np.random.default_rng(1)
    hiss = [random.standard_normal(COUNT).astype(np.float32) for _ in range(12)]
    assert np.median([flatness(tones(COUNT, random)) for _ in range(12)]) < 0.2 * np.median([*map(flatness, hiss)])
    for make in (crackle, texture):
        assert np.median([unrest(make(COUNT, random)) for _ in range(12)]) > 3 * np.median([*map(unrest, hiss)])


def test_a_murmur_has_the_colour_of_the_voice_but_not_its_order() -> None:
    random = np.random.default_rng(2)
    voice = np.convolve(random.standard_normal(COUNT), np.hanning(24), "same").astype(np.float32)
    heard = murmur(voice, random)
    assert heard.shape == voice.shape
    assert abs(np.corrcoef(heard, voice)[0, 1]) < 0.5
    bands = [np.abs(np.fft.rfft(unit(x)))[: COUNT // 2].reshape(20, -1).mean(1) for x in (voice, heard)]
    assert np.corrcoef(np.log(bands[0]), np.log(bands[1]))[0, 1] > 0.95
