"""Sounds are joined without a click, aligned, coloured and said in another manner."""

import numpy as np
import pytest

from rtemo.testing.voice import voice
from rtemo.voice.align import moved_times, warp_path
from rtemo.voice.colour import ColourFilter, colour_between, coloured, spectrum_of
from rtemo.voice.manner import Manner
from rtemo.voice.psola import said_in
from rtemo.voice.reference import melody_of
from rtemo.voice.seams import FADE_SAMPLES, gain_between, put_in, quiet_place

pytestmark = pytest.mark.unit

RATE_HZ = 16_000


def tone(hz, duration_s=1.0, level=0.3):
    return (level * np.sin(2 * np.pi * hz * np.arange(round(duration_s * RATE_HZ)) / RATE_HZ)).astype(np.float32)


def steps(samples):
    return float(np.abs(np.diff(samples)).max())


def test_what_is_outside_of_the_span_and_its_fades_stays():
    recording, piece = tone(200), tone(210, 0.4)
    made, begin = put_in(recording, 6_000, 9_000, piece)
    half = FADE_SAMPLES // 2
    assert begin == 6_000 - half
    np.testing.assert_array_equal(made[:begin], recording[:begin])
    np.testing.assert_array_equal(made[begin + len(piece) :], recording[9_000 + half :])
    np.testing.assert_allclose(made[begin + 400 : begin + len(piece) - 400], piece[400:-400])


def test_no_seam_clicks():
    recording, piece = tone(200), tone(310, 0.4)
    for start, end in ((6_000, 9_000), (0, 3_000), (13_000, 16_000), (5_000, 5_000)):
        made, _ = put_in(recording, start, end, piece)
        assert steps(made) < 1.5 * max(steps(recording), steps(piece))


def test_a_span_is_taken_out_without_a_click():
    recording = tone(200)
    made, _ = put_in(recording, 6_000, 9_013, np.zeros(0, np.float32))
    assert len(made) == len(recording) - 3_013
    assert steps(made) < 1.5 * steps(recording)


def test_a_span_outside_of_the_recording_is_refused():
    with pytest.raises(ValueError, match="outside of a recording of 16000 samples"):
        put_in(tone(200), 15_000, 17_000, tone(200))


def test_a_seam_is_moved_to_where_it_is_quiet():
    sound = np.concatenate([tone(200, 0.5), np.zeros(480, np.float32), tone(300, 0.5)])
    assert abs(quiet_place(sound, 8_000 - 300) - 8_240) < 200


def test_gains_make_equal_levels_within_bounds():
    assert gain_between(tone(200, level=0.4), tone(300, level=0.2)) == pytest.approx(2.0, rel=0.01)
    assert gain_between(tone(200, level=0.9), tone(300, level=0.001)) == pytest.approx(10 ** (12 / 20), rel=0.01)
    assert gain_between(np.zeros(100, np.float32), tone(200)) == 1.0


def test_a_stretched_copy_is_aligned_with_its_original():
    speech = voice(3.0, seed=5)
    times = np.arange(len(speech))
    slower = np.interp(np.arange(round(1.25 * len(speech))) / 1.25, times, speech).astype(np.float32)
    path = warp_path(speech, slower)
    assert (np.diff(path) >= 0).all()
    errors = np.abs(path - 1.25 * np.arange(len(path)))
    assert np.median(errors) < 5
    assert moved_times(np.array([0, 16_000]), path)[1] == pytest.approx(20_000, abs=1_600)


def test_what_is_too_short_is_not_aligned():
    with pytest.raises(ValueError, match="cannot be aligned"):
        warp_path(np.zeros(100, np.float32), np.zeros(16_000, np.float32))


def test_a_sound_gets_the_spectrum_of_another_and_keeps_its_level():
    noise = np.random.default_rng(0).standard_normal(2 * RATE_HZ).astype(np.float32) * 0.1
    dull = np.convolve(noise, np.ones(8) / 8, mode="same").astype(np.float32)
    made = coloured(noise, spectrum_of(noise), spectrum_of(dull))
    near = np.abs(10 * np.log10(spectrum_of(made) / made.var() / spectrum_of(dull) * dull.var()))[5:110]
    assert np.median(near) < 1.0
    assert made.std() == pytest.approx(noise.std(), rel=0.01)
    np.testing.assert_allclose(coloured(noise, spectrum_of(noise), spectrum_of(noise)), noise, atol=1e-5)


def test_a_filter_in_parts_gives_the_colour_without_a_delay():
    noise = np.random.default_rng(1).standard_normal(2 * RATE_HZ).astype(np.float32) * 0.1
    dull = np.convolve(noise, np.ones(8) / 8, mode="same").astype(np.float32)
    colour_db = colour_between(spectrum_of(noise), spectrum_of(dull))[::4]
    whole, parts = ColourFilter(colour_db), ColourFilter(colour_db)
    one = np.concatenate([whole.process(noise), whole.flush()])
    cut = [parts.process(noise[at : at + 777]) for at in range(0, len(noise), 777)]
    np.testing.assert_allclose(np.concatenate([*cut, parts.flush()]), one, atol=1e-6)
    assert len(one) == len(noise)
    ratio_db = 10 * np.log10(spectrum_of(one) / spectrum_of(dull))[5:110]
    assert np.std(ratio_db) < 1.5
    flat = ColourFilter([0.0, 0.0, 0.0])
    same = np.concatenate([flat.process(noise), flat.flush()])
    np.testing.assert_allclose(same, noise, atol=1e-4)


@pytest.mark.parametrize("semitones", [-3.0, 4.0])
def test_pitch_is_moved_and_the_length_stays(semitones):
    speech = voice(3.0, seed=6)
    made = said_in(speech, Manner(pitch_semitones=semitones))
    assert len(made) == len(speech)
    moved = 12 * np.log2(melody_of(made).median_hz / melody_of(speech).median_hz)
    assert moved == pytest.approx(semitones, abs=0.6)


def test_tempo_is_changed_and_the_pitch_stays():
    speech = voice(3.0, seed=6)
    made = said_in(speech, Manner(speed=0.8))
    assert len(made) == round(len(speech) / 0.8)
    assert abs(12 * np.log2(melody_of(made).median_hz / melody_of(speech).median_hz)) < 0.5


def test_a_flatter_melody_has_a_smaller_range():
    speech = voice(4.0, seed=6)
    assert melody_of(said_in(speech, Manner(pitch_range=0.3))).range_semitones < melody_of(speech).range_semitones


def test_the_same_manner_changes_little():
    speech = voice(3.0, seed=6)
    made = said_in(speech, Manner())
    error_db = 10 * np.log10(np.mean((made - speech) ** 2) / np.mean(speech**2))
    assert error_db < -8
