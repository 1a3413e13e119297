"""Waveform degradations: same length, same time, same again for the same seed, and what each one does."""

import numpy as np
import pytest

pytest.importorskip("scipy", reason="scipy is not installed: the training kit cannot be tested")

from scipy.signal import butter, sosfiltfilt

from rtemo_models.kit.audio.codecs import CODECS, codec_round_trip
from rtemo_models.kit.audio.degrade import (
    PACKET_SAMPLES,
    Degrade,
    levelled,
    limit_band,
    lose_packets,
    lost_packets,
    narrow_band,
    offset,
    overdrive,
    pump_gain,
)
from rtemo_models.kit.audio.shoebox import image_sources, random_shoebox, reflections, without_rumble

pytestmark = pytest.mark.unit

ROOM = (5.0, 4.0, 3.0)


@pytest.fixture(scope="module")
def voice():
    """Two seconds of speech-like sound: banded noise whose level comes and goes."""
    random = np.random.default_rng(0)
    count = 32_123  # no multiple of any block
    noise = sosfiltfilt(butter(2, [300, 3000], "band", fs=16_000, output="sos"), random.standard_normal(count))
    shaped = noise * np.interp(np.arange(count), np.linspace(0, count, 20), random.uniform(0.05, 1, 20))
    return (0.3 * shaped / np.abs(shaped).max()).astype(np.float32)


def lag_samples(heard, sent):
    """By how much `heard` lags `sent`: where their cross-correlation peaks."""
    size = 1 << 16
    product = np.fft.irfft(np.fft.rfft(heard, size) * np.conj(np.fft.rfft(sent, size)))
    lag = int(np.argmax(product))
    return lag if lag < size // 2 else lag - size


def tone(hz, count=16_000):
    return (0.3 * np.sin(2 * np.pi * hz * np.arange(count) / 16_000)).astype(np.float32)


def level_db(samples):
    return 10 * np.log10(np.mean(samples.astype(np.float64) ** 2) + 1e-20)


@pytest.mark.parametrize("name", CODECS)
def test_a_codec_keeps_length_and_time_and_is_the_same_again(name, voice):
    heard = codec_round_trip(voice, name)
    assert heard.shape == voice.shape
    assert heard.dtype == np.float32
    assert lag_samples(heard, voice) == 0
    assert np.array_equal(heard, codec_round_trip(voice, name))
    assert not np.array_equal(heard, voice)
    assert abs(level_db(heard) - level_db(voice)) < 3


@pytest.mark.parametrize("name", CODECS)
def test_a_codec_takes_clips_of_any_length_and_samples_that_are_no_numbers(name, voice):
    for count in (0, 1, 2, 3, 5, 6, 321, 1998):
        heard = codec_round_trip(voice[3000 : 3000 + count], name)
        assert heard.shape == (count,)
    broken = voice[:4000].copy()
    broken[100:200] = np.nan
    broken[300] = -np.inf
    assert np.isfinite(codec_round_trip(broken, name)).all()


def test_a_codec_spoils_more_at_a_higher_level(voice):
    error = [level_db(codec_round_trip(voice, "opus", level) - voice) for level in (0.0, 0.9, 0.98)]
    assert error[0] < error[1] < error[2]


def test_telephone_codecs_lose_what_is_above_four_kilohertz():
    for name in ("a-law", "mu-law", "gsm", "opus-narrow"):
        assert level_db(codec_round_trip(tone(6000), name)) < level_db(tone(6000)) - 25


def test_a_law_follows_its_own_curve():
    quiet = codec_round_trip(tone(1000) * np.float32(0.003), "a-law")
    other = codec_round_trip(tone(1000) * np.float32(0.003), "mu-law")
    # Near zero a-law is linear with steps of 2 in 4096, mu-law finer: the same tone comes back worse.
    assert level_db(quiet - 0.003 * tone(1000)) > level_db(other - 0.003 * tone(1000)) + 3


@pytest.mark.parametrize(
    "effect",
    [
        narrow_band,
        lambda x: limit_band(x, 200, 3800),
        lambda x: overdrive(x, 10),
        lambda x: pump_gain(x, -20, 4, 0.01, 0.3),
        lambda x: offset(x, 0.01),
        lambda x: lose_packets(x, lost_packets(101, 0.1, 2, np.random.default_rng(0))),
        lambda x: Degrade({"room": 1.0})(x, np.random.default_rng(5)),
    ],
)
def test_an_effect_keeps_length_and_time(effect, voice):
    heard = effect(voice)
    assert (heard.shape, heard.dtype) == (voice.shape, np.float32)
    assert lag_samples(heard, voice) == 0
    assert not np.array_equal(heard, voice)


def test_a_limited_band_is_kept_and_the_rest_lost():
    kept = [level_db(limit_band(tone(hz), 300, 3400)[1000:-1000]) - level_db(tone(hz)) for hz in (50, 1000, 7000)]
    assert kept[0] < -20
    assert kept[1] > -0.5
    assert kept[2] < -20


def test_losses_come_at_the_share_and_in_the_bursts_that_were_asked_for():
    lost = lost_packets(200_000, 0.1, 3.0, np.random.default_rng(1))
    assert lost.mean() == pytest.approx(0.1, abs=0.01)
    runs = np.diff(np.flatnonzero(np.diff(np.concatenate([[False], lost, [False]]))))[::2]
    assert runs.mean() == pytest.approx(3.0, abs=0.2)


def test_concealment_fills_a_gap_of_a_vowel_better_than_silence():
    vowel = sum(tone(130 * k) / k for k in range(1, 8)).astype(np.float32)
    lost = np.zeros(50, bool)
    lost[[20, 35]] = True
    gap = slice(20 * PACKET_SAMPLES, 21 * PACKET_SAMPLES)
    silent, concealed = lose_packets(vowel, lost, conceal=False), lose_packets(vowel, lost)
    assert np.all(silent[gap] == 0)
    assert level_db(concealed[gap] - vowel[gap]) < level_db(vowel[gap]) - 6
    assert np.abs(np.diff(concealed)).max() < 1.5 * np.abs(np.diff(vowel)).max()  # no click on either edge
    assert np.array_equal(concealed[: gap.start], vowel[: gap.start])
    assert np.array_equal(concealed[gap.stop + 64 : 35 * PACKET_SAMPLES], vowel[gap.stop + 64 : 35 * PACKET_SAMPLES])


def test_a_long_gap_fades_to_silence():
    lost = np.zeros(50, bool)
    lost[20:30] = True
    heard = lose_packets(tone(150), lost)
    assert np.all(heard[24 * PACKET_SAMPLES : 30 * PACKET_SAMPLES] == 0)


def test_an_automatic_gain_lowers_the_loud_at_once_and_lets_pauses_swell():
    loud, quiet = tone(300) * 2, tone(300) * 0.05
    heard = pump_gain(np.concatenate([quiet, loud, quiet]), -20, 8, 0.005, 0.3)
    swing_db = level_db(loud) - level_db(quiet)
    assert level_db(heard[20_000:30_000]) - level_db(heard[8_000:15_000]) < swing_db - 15
    after = [level_db(heard[k : k + 1600]) for k in range(32_000, 48_000, 1600)]
    assert after[-1] > after[0] + 10
    assert np.abs(heard).max() <= 1


def test_overdrive_keeps_the_peak_and_adds_harmonics():
    heard = overdrive(tone(500), 12)
    spectrum = np.abs(np.fft.rfft(heard * np.hanning(len(heard))))
    assert np.abs(heard).max() == pytest.approx(0.3, rel=1e-3)
    assert spectrum[1500] > 0.05 * spectrum[500]


def test_levelling_reaches_the_level_and_leaves_silence_alone(voice):
    assert level_db(levelled(voice, -26)) == pytest.approx(-26, abs=0.1)
    assert not levelled(np.zeros(100, np.float32), -26).any()


def test_a_chain_is_the_same_for_the_same_seed_only(voice):
    degrade = Degrade(dict.fromkeys(Degrade.ORDER, 0.5))
    first, again, other = (degrade(voice, np.random.default_rng(seed)) for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_dropping_an_effect_leaves_the_others_as_they_were(voice):
    def heard(**shares):
        return Degrade(shares)(voice, np.random.default_rng(7))

    assert np.array_equal(heard(loss=1.0), heard(loss=1.0, codec=0.0))


@pytest.mark.parametrize("seed", range(12))
def test_every_chain_gives_finite_samples_of_the_same_length(seed, voice):
    heard = Degrade(dict.fromkeys(Degrade.ORDER, 0.6))(voice, np.random.default_rng(seed))
    assert (heard.shape, heard.dtype) == (voice.shape, np.float32)
    assert np.isfinite(heard).all()


@pytest.mark.parametrize("count", [0, 1, 2, 15, 400])
def test_clips_too_short_for_anything_come_back(count):
    for name in Degrade.ORDER:
        heard = Degrade({name: 1.0})(np.full(count, 0.1, np.float32), np.random.default_rng(0))
        assert len(heard) == count


def test_an_unknown_effect_is_refused_by_name():
    with pytest.raises(ValueError, match="no effect is called eko"):
        Degrade({"eko": 1.0})


def test_a_room_with_deaf_walls_has_the_direct_sound_alone():
    response = image_sources(ROOM, (1, 1, 1), (3, 2, 1.5), (0,) * 6, 0.1)
    assert response[0] == 1
    assert not response[1:].any()


def test_the_first_reflection_arrives_when_and_as_loud_as_geometry_says():
    source, receiver = (1.0, 2.0, 1.5), (4.0, 2.0, 1.5)
    response = image_sources(ROOM, source, receiver, (0, 0, 0, 0, 0.8, 0), 0.1)
    path_m = np.hypot(3.0, 3.0)
    at = (path_m - 3.0) / 343 * 16_000
    band = response[int(at) - 4 : int(at) + 6]
    assert np.argmax(np.abs(response[1:])) + 1 == round(at)
    assert band.sum() == pytest.approx(0.8 * 3.0 / path_m, rel=0.05)


@pytest.mark.parametrize("rt60_s", [0.25, 0.5])
def test_a_room_dies_away_at_about_the_time_that_was_asked_for(rt60_s):
    beta = reflections(ROOM, rt60_s)
    response = image_sources(ROOM, (1, 1.2, 1.4), (3.6, 2.7, 1.6), (beta,) * 6, rt60_s, 0.08)
    response = without_rumble(response)
    left_db = 10 * np.log10(np.cumsum(response[::-1].astype(np.float64) ** 2)[::-1] / np.sum(response**2))
    early, late = (np.argmax(left_db < level) / 16_000 for level in (-5, -25))
    assert 3 * (late - early) == pytest.approx(rt60_s, rel=0.3)


def test_the_images_are_those_of_another_implementation():
    room_acoustics = pytest.importorskip("pyroomacoustics", reason="pyroomacoustics is not installed")
    source, receiver, energy = (1.0, 1.2, 1.4), (3.6, 2.7, 1.6), 0.3
    other = room_acoustics.ShoeBox(ROOM, fs=16_000, max_order=12, materials=room_acoustics.Material(energy))
    other.add_source(source)
    other.add_microphone(receiver)
    other.image_source_model()
    images = other.sources[0]
    far_m = np.linalg.norm(images.images - np.array(receiver)[:, None], axis=0)
    direct_m = np.linalg.norm(np.subtract(source, receiver))
    at = (far_m - direct_m) / 343 * 16_000
    amplitude = images.damping[0] * direct_m / far_m
    ours = image_sources(ROOM, source, receiver, (np.sqrt(1 - energy),) * 6, 0.04)
    assert np.sum(amplitude[at < 600]) == pytest.approx(ours[:600].sum(), rel=0.01)
    expected = np.zeros(640)
    for t, a in zip(at, amplitude, strict=True):
        if t < 600:
            k = np.arange(640)
            expected += a * np.sinc(k - t) * np.where(np.abs(k - t) < 32, 0.5 + 0.5 * np.cos(np.pi * (k - t) / 32), 0)
    assert np.abs(expected[:560] - ours[:560]).max() < 1e-3


def test_a_place_outside_the_room_is_refused():
    with pytest.raises(ValueError, match="not inside"):
        image_sources(ROOM, (6, 1, 1), (1, 1, 1), (0.5,) * 6, 0.1)


def test_random_rooms_differ_by_seed_and_have_unit_energy():
    first, again, other = (random_shoebox(np.random.default_rng(seed)) for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert len(first) != len(other)
    assert np.sum(first**2) == pytest.approx(1, rel=1e-4)
    assert np.argmax(np.abs(first)) == 0
