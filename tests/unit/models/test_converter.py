"""The converter: words keep their time, pitch goes where the target's is, training can be resumed; needs no data."""

from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: networks cannot be tested")

from rtemo_models.kit.corpora.clip import Clip  # noqa: E402
from rtemo_models.kit.nets.converter import (  # noqa: E402
    COMBS,
    Converter,
    ConverterConfig,
    combs_of,
    convert,
    load_converter,
    pitch_at,
    pitch_frames,
    usual_pitch,
)
from rtemo_models.kit.nets.vocoder import BANDS, HOP_SAMPLES, mel_of  # noqa: E402
from rtemo_models.kit.run_folder import save_net  # noqa: E402
from rtemo_models.systems.vocoder.train.converter import (  # noqa: E402
    ConverterRecipe,
    ConverterRun,
    Voices,
    chosen_clips,
    rebuilt_distance,
    voices_of,
    warped,
)

pytestmark = pytest.mark.unit

RATE_HZ = 16_000
PLACES = (("ann", "angry"), ("ann", "sad"), ("bob", "sad"))
SMALL = {
    "code": 4,
    "hold": 4,
    "style": 6,
    "encoder_width": 16,
    "encoder_blocks": 1,
    "width": 24,
    "hidden": 32,
    "blocks": 2,
}
RECIPE = ConverterRecipe(
    seed=2,
    corpora=("toy",),
    fewest_clips=2,
    most_clips=3,
    steps=30,
    batch=4,
    crop_frames=20,
    warp=0.1,
    rate_peak=5e-3,
    warm_steps=2,
    average_decay=0.5,
    net=SMALL,
)


def buzz(pitch_hz: float, duration_s: float = 0.8) -> np.ndarray:
    time_s = np.arange(int(RATE_HZ * duration_s)) / RATE_HZ
    wave = sum(np.sin(2 * np.pi * k * pitch_hz * time_s) / k for k in range(1, 25))
    return (0.15 * wave * (1.2 + np.sin(2 * np.pi * 4 * time_s))).astype(np.float32)


def net_of(seed: int = 0) -> Converter:
    torch.manual_seed(seed)
    net = Converter(ConverterConfig(PLACES, **SMALL)).eval()
    net.mean_log[:] = torch.tensor([220.0, 180.0, 100.0]).log()
    net.deviation_log[:] = torch.tensor([0.3, 0.1, 0.1])
    return net


def toy_voices() -> Voices:
    clips, pitches, said_by = [], [], []
    for place, pitch_hz in zip(PLACES, (220.0, 180.0, 100.0), strict=True):
        for take in range(8):
            heard_hz = pitch_hz * (1 + 0.02 * take)
            mel = mel_of(buzz(heard_hz))
            clips.append(mel.astype(np.float16))
            pitches.append(np.full(len(mel), heard_hz, np.float32))
            said_by.append(place)
    return voices_of(said_by, clips, pitches)


@pytest.mark.parametrize("frames", [5, 31, 64])
def test_converted_speech_has_as_many_frames_as_it_had(frames: int) -> None:
    mel = np.random.default_rng(0).normal(-4, 2, (frames, BANDS)).astype(np.float32)
    made = convert(net_of(), mel, np.full(frames, 150, np.float32), PLACES[1])
    assert made.shape == mel.shape
    assert made.dtype == np.float32
    assert np.isfinite(made).all()


def test_a_place_that_was_not_trained_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="bob in the mood 'angry'"):
        convert(net_of(), np.zeros((8, BANDS), np.float32), np.zeros(8, np.float32), ("bob", "angry"))


def test_pitch_gets_the_mean_and_the_range_of_the_target_and_pauses_stay() -> None:
    pitch_hz = (150 * np.exp(0.15 * np.sin(np.arange(200) / 9))).astype(np.float32)
    pitch_hz[50:80] = 0
    net = net_of()
    moved = {place: pitch_at(net, pitch_hz, place) for place in (0, 2)}
    for place, centre_hz in ((0, 220), (2, 100)):
        assert ((moved[place] > 0) == (pitch_hz > 0)).all()
        assert np.median(moved[place][moved[place] > 0]) == pytest.approx(centre_hz, rel=0.05)
    widths = [np.log(moved[place][moved[place] > 0]).std() for place in (0, 2)]
    assert widths[0] == pytest.approx(3 * widths[1], rel=0.1)
    assert not pitch_at(net, np.zeros(9, np.float32), 0).any()


def test_combs_stand_where_the_harmonics_are() -> None:
    log_pitch = torch.tensor([[220.0, 220.0]]).log()
    comb = combs_of(log_pitch, torch.tensor([[1.0, 0.0]]))
    heard = mel_of(buzz(220.0))[10]
    assert np.corrcoef(comb[0, 0, :25].numpy(), heard[:25])[0, 1] > 0.8
    assert not comb[0, 1].any()
    assert combs_of(torch.tensor([[1e-3, 99.0]]), torch.ones(1, 2)).isfinite().all()
    assert COMBS > 50


def test_the_code_does_not_hear_gain_or_a_steady_colour() -> None:
    net = net_of()
    random = torch.Generator().manual_seed(1)
    mel = torch.randn(1, 60, BANDS, generator=random) - 4
    coloured = mel + torch.linspace(-2, 3, BANDS)
    with torch.no_grad():
        torch.testing.assert_close(net.encoder(coloured), net.encoder(mel), atol=1e-3, rtol=1e-3)


def test_warping_moves_a_peak_by_its_factor_and_one_changes_nothing() -> None:
    mel = np.full((3, BANDS), -5, np.float32)
    mel[:, 40] = 0
    assert warped(mel, 0.8)[0].argmax() == 50
    np.testing.assert_allclose(warped(mel, 1.0)[:, :-1], mel[:, :-1], atol=1e-4)


def test_pitch_of_a_buzz_is_found_at_every_frame_of_its_bands() -> None:
    pytest.importorskip("pyworld")
    found = pitch_frames(buzz(160.0))
    assert len(found) == len(mel_of(buzz(160.0))) == 1 + len(buzz(160.0)) // HOP_SAMPLES
    assert np.median(found[found > 0]) == pytest.approx(160, rel=0.02)


def test_usual_pitch_is_of_voiced_frames_and_silence_has_a_default() -> None:
    mean, deviation = usual_pitch([np.array([0, 100, 100, 0], np.float32), np.array([100], np.float32)])
    assert np.exp(mean) == pytest.approx(100)
    assert deviation == pytest.approx(0.08)
    assert np.exp(usual_pitch([np.zeros(5, np.float32)])[0]) == pytest.approx(180)


def test_places_need_enough_clips_of_training_speakers() -> None:
    def clips(speaker: str, emotion: str, split: str, count: int) -> list[Clip]:
        return [Clip(f"{speaker}{emotion}{i}", "toy", speaker, split, emotion, "", 2.0) for i in range(count)]

    listed = clips("a", "sad", "train", 5) + clips("a", "calm", "train", 1) + clips("b", "sad", "dev", 5)
    chosen = chosen_clips([*listed, Clip("short", "toy", "a", "train", "sad", "", 0.4)], RECIPE)
    assert [(c.speaker, c.emotion) for c in chosen] == [("a", "sad")] * 3


def test_one_clip_of_every_place_is_kept_back() -> None:
    voices = toy_voices()
    assert voices.places == PLACES
    assert sorted(voices.place[voices.is_kept_back]) == [0, 1, 2]
    with pytest.raises(ValueError, match="measured"):
        voices_of([PLACES[0]], [], [])


def test_what_is_saved_is_what_is_loaded(tmp_path: Path) -> None:
    net = net_of(3)
    save_net(net, tmp_path / "net.pt")
    loaded = load_converter(tmp_path / "net.pt")
    mel, pitch_hz = mel_of(buzz(130.0)), np.full(51, 130, np.float32)
    assert loaded.config == net.config
    np.testing.assert_array_equal(convert(loaded, mel, pitch_hz, PLACES[0]), convert(net, mel, pitch_hz, PLACES[0]))


def test_training_comes_nearer_to_clips_that_were_kept_back(tmp_path: Path) -> None:
    voices = toy_voices()
    run = ConverterRun(RECIPE, voices, tmp_path)
    assert run.net.mean_log.exp().tolist() == pytest.approx([220 * 1.06, 180 * 1.06, 106], rel=0.03)
    before = rebuilt_distance(run.average, voices)
    run.train()
    assert rebuilt_distance(run.average, voices) < 0.8 * before


def test_a_run_that_was_stopped_ends_where_one_that_was_not_does(tmp_path: Path) -> None:
    voices = toy_voices()
    ConverterRun(RECIPE, voices, tmp_path / "whole").train(12)
    ConverterRun(RECIPE, voices, tmp_path / "parts").train(7)
    resumed = ConverterRun(RECIPE, voices, tmp_path / "parts")
    assert resumed.step == 7
    resumed.train(12)
    whole, parts = (load_converter(tmp_path / name / "average.pt").state_dict() for name in ("whole", "parts"))
    for name, value in whole.items():
        torch.testing.assert_close(parts[name], value, rtol=0, atol=1e-6)
