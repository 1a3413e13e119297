"""Metrics of enhanced speech on sounds whose figures are known."""

import math

import numpy as np
import pytest

from bench.quality.enhancement.active_level import active_power
from bench.quality.enhancement.metrics import aligned, dnsmos, lag_samples, pesq_wb, segmental_snr_db, si_sdr_db, stoi
from bench.sound import babble

pytestmark = pytest.mark.unit

SPEECH = babble(3.0, 3)
NOISE = np.random.default_rng(1).normal(0, 1, SPEECH.size).astype(np.float32)


def with_noise(snr_db: float) -> np.ndarray:
    scale = np.sqrt(np.mean(SPEECH**2) / np.mean(NOISE**2) / 10 ** (snr_db / 10))
    return (SPEECH + scale * NOISE).astype(np.float32)


def test_si_sdr_is_the_snr_of_noise_that_is_not_correlated() -> None:
    assert si_sdr_db(SPEECH, with_noise(7.0)) == pytest.approx(7.0, abs=0.3)


def test_si_sdr_does_not_hear_gain_or_offset() -> None:
    noisy = with_noise(3.0)
    assert si_sdr_db(SPEECH, 0.1 * noisy + 0.05) == pytest.approx(si_sdr_db(SPEECH, noisy), abs=1e-3)
    assert si_sdr_db(SPEECH, 0.3 * SPEECH) > 100


def test_si_sdr_of_silence_is_unknown() -> None:
    assert math.isnan(si_sdr_db(np.zeros(1600, np.float32), NOISE[:1600]))


def test_segmental_snr_stays_between_its_bounds() -> None:
    assert segmental_snr_db(SPEECH, SPEECH) == 35.0
    assert segmental_snr_db(SPEECH, SPEECH + 100 * NOISE) == -10.0


def test_segmental_snr_is_the_mean_over_frames_and_pays_for_gain() -> None:
    tone = np.sin(0.3 * np.arange(4800)).astype(np.float32)
    assert segmental_snr_db(tone, 0.9 * tone) == pytest.approx(20.0, abs=0.01)
    half = np.where(np.arange(48_000) < 24_000, 0.9, 1.0).astype(np.float32) * np.resize(tone, 48_000)
    assert segmental_snr_db(np.resize(tone, 48_000), half) == pytest.approx((20.0 + 35.0) / 2, abs=0.2)


def test_a_delay_is_found_and_removed() -> None:
    def late(samples: np.ndarray) -> np.ndarray:
        return np.concatenate([np.zeros(160, np.float32), samples])[: samples.size]

    assert lag_samples(SPEECH, late(SPEECH)) == 160
    assert lag_samples(late(SPEECH), SPEECH) == -160
    np.testing.assert_array_equal(aligned(late, SPEECH, 160), SPEECH)


def test_a_system_that_gives_too_little_is_filled_up_with_silence() -> None:
    out = aligned(lambda samples: samples[:-100], SPEECH, 0)
    assert out.size == SPEECH.size
    assert not out[-100:].any()


def test_active_level_leaves_pauses_out() -> None:
    talk = np.random.default_rng(0).normal(0, 0.1, 32_000).astype(np.float32)
    with_pauses = np.concatenate([talk, np.zeros(64_000, np.float32), talk, np.zeros(32_000, np.float32)])
    power, share = active_power(with_pauses)
    assert 10 * np.log10(power / 0.01) == pytest.approx(0.0, abs=0.8)
    assert share == pytest.approx(0.4, abs=0.08)
    assert active_power(np.zeros(1600, np.float32)) == (0.0, 0.0)


def test_active_level_follows_gain() -> None:
    power, share = active_power(SPEECH)
    louder, same = active_power(4 * SPEECH)
    assert louder / power == pytest.approx(16.0, rel=0.03)
    assert same == pytest.approx(share, abs=0.02)


def test_pesq_and_stoi_fall_with_noise_and_failure_is_nan() -> None:
    pytest.importorskip("pesq")
    pytest.importorskip("pystoi")
    assert pesq_wb(SPEECH, SPEECH) > pesq_wb(SPEECH, with_noise(0.0)) > 1.0
    assert math.isnan(pesq_wb(SPEECH, np.zeros_like(SPEECH)))
    assert stoi(SPEECH, SPEECH) == pytest.approx(1.0, abs=1e-3)
    assert stoi(SPEECH, SPEECH) > stoi(SPEECH, with_noise(0.0))
    assert math.isnan(stoi(SPEECH[:3000], SPEECH[:3000]))


def test_dnsmos_is_what_its_package_says(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("speechmos")
    pytest.importorskip("requests")
    import sys
    import types

    # the package makes another rating, not used here, from a spectrogram of librosa
    spectrogram = types.SimpleNamespace(melspectrogram=lambda y, hop_length, n_mels, **_: np.ones((n_mels, 900)))
    librosa = types.SimpleNamespace(feature=spectrogram, power_to_db=lambda x, ref: x)
    monkeypatch.setitem(sys.modules, "librosa", librosa)
    monkeypatch.delitem(sys.modules, "speechmos.dnsmos", raising=False)
    from speechmos import dnsmos as package

    sound = with_noise(5.0)
    said = package.run(sound, 16_000)
    ours = dnsmos(sound)
    assert ours == pytest.approx((said["ovrl_mos"], said["sig_mos"], said["bak_mos"]), abs=1e-3)
