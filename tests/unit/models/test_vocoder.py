"""The vocoder: frames are where they should be, clips keep their length, training lowers the loss and resumes."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: networks cannot be tested")

from rtemo_models.kit.nets.vocoder import (  # noqa: E402
    BANDS,
    HOP_SAMPLES,
    Vocoder,
    VocoderConfig,
    load_vocoder,
    mel_matrices,
    mel_of,
    vocode,
    wave_of,
)
from rtemo_models.kit.run_folder import save_net  # noqa: E402
from rtemo_models.systems.vocoder.train.vocoder import Crops, VocoderRecipe, VocoderRun, dev_clips, griffin_lim  # noqa: E402

pytestmark = pytest.mark.unit

RATE_HZ = 16_000
SMALL = {"width": 24, "hidden": 32, "blocks": 2}
RECIPE = VocoderRecipe(
    seed=3,
    corpora=("toy",),
    steps=24,
    critics_from=18,
    batch=2,
    crop_hops=12,
    rate_peak=5e-3,
    critic_rate=1e-3,
    critic_width=4,
    warm_steps=2,
    average_decay=0.5,
    mel_weight=15.0,
    spectrum_weight=5.0,
    critic_weight=1.0,
    feature_weight=10.0,
    net=SMALL,
)


def voice(duration_s: float, seed: int, pitch_hz: float = 140.0) -> np.ndarray:
    time_s = np.arange(int(RATE_HZ * duration_s)) / RATE_HZ
    phase = 2 * np.pi * pitch_hz * (time_s + 0.004 * np.sin(2 * np.pi * time_s))
    buzz = sum(np.sin(k * phase) / k for k in range(1, 30))
    hiss = np.random.default_rng(seed).standard_normal(len(time_s))
    return (0.1 * buzz * np.clip(np.sin(2 * np.pi * 3 * time_s), 0.05, 1) + 1e-3 * hiss).astype(np.float32)


def toy_crops() -> Crops:
    clips = [voice(1.0, seed, pitch_hz) for seed, pitch_hz in enumerate((110, 150, 210, 260))]
    return Crops(clips, {"low": np.array([0, 1]), "high": np.array([2, 3])}, 5)


def net_of(seed: int = 0) -> Vocoder:
    torch.manual_seed(seed)
    return Vocoder(VocoderConfig(**SMALL)).eval()


def test_there_is_a_frame_for_every_hop_and_one_more() -> None:
    assert mel_of(voice(0.5, 0)).shape == (1 + 8000 // HOP_SAMPLES, BANDS)
    assert mel_of(voice(0.5, 0)).dtype == np.float32


def test_a_click_is_heard_in_the_frame_about_it() -> None:
    samples = np.zeros(20 * HOP_SAMPLES, np.float32)
    samples[7 * HOP_SAMPLES] = 1.0
    assert mel_of(samples).mean(1).argmax() == 7


def test_a_higher_tone_is_heard_in_a_higher_band_and_silence_is_at_the_floor() -> None:
    time_s = np.arange(RATE_HZ) / RATE_HZ
    heard = [mel_of(np.sin(2 * np.pi * hz * time_s).astype(np.float32))[20].argmax() for hz in (200, 900, 3000, 7000)]
    assert heard == sorted(set(heard))
    np.testing.assert_allclose(mel_of(np.zeros(4096, np.float32)), np.log(1e-5), atol=1e-4)


def test_smooth_magnitudes_survive_the_way_through_the_bands() -> None:
    forth, back = (m.numpy() for m in mel_matrices())
    flat = np.ones(forth.shape[0])
    np.testing.assert_allclose(flat @ forth @ back, 1.0, rtol=1e-4)
    assert (back >= 0).all()


@pytest.mark.parametrize("count", [300, 4096, 16_000, 16_001, 12_345])
def test_a_clip_comes_back_as_long_as_it_was(count: int) -> None:
    clip = voice(1.1, 1)[:count]
    made = vocode(net_of(), clip)
    assert made.shape == clip.shape
    assert made.dtype == np.float32
    assert np.isfinite(made).all()


def test_a_wave_has_a_hop_less_than_its_frames() -> None:
    assert len(wave_of(net_of(), mel_of(voice(0.5, 0)))) == 8000 // HOP_SAMPLES * HOP_SAMPLES


def test_an_untrained_vocoder_already_keeps_the_level_of_every_band() -> None:
    clip = voice(1.0, 2)
    louder = mel_of(clip)[5:-5].mean()
    softer = mel_of(0.1 * clip)[5:-5].mean()
    made = [mel_of(vocode(net_of(), gain * clip))[5:-5].mean() for gain in (1.0, 0.1)]
    assert made[0] - made[1] == pytest.approx(louder - softer, abs=0.7)


def test_griffin_lim_comes_near_the_bands_it_was_given() -> None:
    mel = mel_of(voice(1.0, 3)[: 60 * HOP_SAMPLES])
    assert np.abs(mel_of(griffin_lim(mel)) - mel).mean() < 0.5


def test_what_is_saved_is_what_is_loaded(tmp_path: Path) -> None:
    net, clip = net_of(4), voice(0.4, 4)
    save_net(net, tmp_path / "net.pt")
    np.testing.assert_array_equal(vocode(load_vocoder(tmp_path / "net.pt"), clip), vocode(net, clip))


def test_crops_are_the_same_at_the_same_step_and_their_clips_peak_as_promised() -> None:
    crops = toy_crops()
    torch.testing.assert_close(crops.make(7, 4, 2048), crops.make(7, 4, 2048), rtol=0, atol=0)
    assert not torch.equal(crops.make(7, 4, 2048), crops.make(8, 4, 2048))
    peaks = crops.make(9, 16, 16_000).abs().amax(1)
    assert ((peaks > 10 ** (-20.1 / 20)) & (peaks < 10 ** (-0.9 / 20))).all()


def test_a_clip_shorter_than_a_crop_is_followed_by_silence() -> None:
    crops = Crops([voice(0.2, 0)], {"short": np.array([0])}, 1)
    made = crops.make(0, 2, 8000)
    assert made[:, :3000].abs().sum() > 0
    assert made[:, 3200:].abs().sum() == 0


def test_dev_clips_are_long_enough_and_of_all_corpora() -> None:
    clips = [voice(length_s, i) for i, length_s in enumerate((2.0, 0.5, 1.8, 2.2))]
    chosen = dev_clips(Crops(clips, {"a": np.array([0, 1]), "b": np.array([2, 3])}, 1), 10)
    assert sorted(map(len, chosen)) == [28_800, 32_000, 35_200]


def test_training_lowers_the_distance_and_then_teaches_critics(tmp_path: Path) -> None:
    run = VocoderRun(RECIPE, toy_crops(), tmp_path)
    before = run.update(0)
    run.train(18)
    without = [p.clone() for p in run.critics.parameters()]
    run.train()
    after = run.update(0)
    assert after["mel"] < 0.9 * before["mel"]
    assert after["spectrum"] < before["spectrum"]
    assert all(not torch.equal(a, b) for a, b in zip(without, run.critics.parameters(), strict=True))
    assert (tmp_path / "average.pt").exists()


def test_a_run_that_was_stopped_ends_where_one_that_was_not_does(tmp_path: Path) -> None:
    VocoderRun(RECIPE, toy_crops(), tmp_path / "whole").train()
    VocoderRun(RECIPE, toy_crops(), tmp_path / "parts").train(20)
    resumed = VocoderRun(RECIPE, toy_crops(), tmp_path / "parts")
    assert resumed.step == 20
    resumed.train()
    whole, parts = (load_vocoder(tmp_path / name / "average.pt").state_dict() for name in ("whole", "parts"))
    for name, value in whole.items():
        torch.testing.assert_close(parts[name], value, rtol=0, atol=1e-6)
