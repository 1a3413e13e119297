"""The shipped ranker behind the shipped listener, as ONNX Runtime sees them; needs neither torch nor data."""

import hashlib

import numpy as np
import pytest

from rtemo.dsp.bands import LogBands
from rtemo.dsp.stft import Stft, low_delay_windows
from tests.fakes.bundle_streams import BundleStreams, buzz

pytestmark = pytest.mark.unit

HOP, STEP_HOPS = 160, 4
ATTRIBUTES = ("arousal", "valence", "intensity")


def run(clips: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Scores and spreads after every step, float32 [n, steps, 3] each."""
    n, samples = clips.shape
    analysis, _ = low_delay_windows(512, HOP, 480)
    stft, logs = Stft(n, analysis, hop_samples=HOP), LogBands(n, analysis)
    for row in range(n):
        stft.admit(row)
    listener, ranker = BundleStreams("merit_listen", n), BundleStreams("ranker", n)
    scores, spreads, hops = [], [], []
    for begin in range(0, samples - HOP + 1, HOP):
        spectra = stft.process(np.ascontiguousarray(clips[:, begin : begin + HOP]))
        hops.append(logs.process(spectra).copy())
        if len(hops) == STEP_HOPS:
            words = listener.step(bands=np.stack(hops, 1), weight=np.ones((n, STEP_HOPS)))["words"]
            said = ranker.step(words=words, weight=np.ones(n))
            scores.append(said["scores"])
            spreads.append(said["spread"])
            hops = []
    return np.stack(scores, 1), np.stack(spreads, 1)


def test_the_card_carries_hash_terms_limits_and_keeps_the_seam() -> None:
    streams, listener = BundleStreams("ranker", 1), BundleStreams("merit_listen", 1).card
    card = streams.card
    assert hashlib.sha256(streams.weights).hexdigest() == card.sha256
    assert len(streams.weights) == card.weights_bytes
    assert "non-commercial research use" in card.licence
    assert card.labels == ATTRIBUTES
    assert card.inputs["words"].shape == listener.outputs["words"].shape
    assert card.hops_per_step == listener.hops_per_step
    assert all(name.startswith("pool_") for name in card.states)
    assert card.macs_per_s < 5_000_000
    assert any("not people" in line for line in card.limits)
    assert any("merit-listen" in line for line in card.training_data)


def test_anchors_rise_from_percent_to_percent_and_are_of_standardised_scores() -> None:
    calibration = BundleStreams("ranker", 1).card.calibration
    for attribute in ATTRIBUTES:
        anchors = [calibration[f"anchors_{attribute}_{percent}"] for percent in range(101)]
        assert (np.diff(anchors) > 0).all()
        assert abs(anchors[50]) < 0.7
        assert anchors[16] == pytest.approx(-1, abs=0.5)
        assert anchors[84] == pytest.approx(1, abs=0.5)
        assert 0 < calibration[f"within_share_{attribute}"] <= 1.05


def test_the_card_says_how_well_each_task_was_ordered_and_that_it_is_better_than_chance() -> None:
    scores = BundleStreams("ranker", 1).card.scores
    assert {"clean", "telephone", "noise_10db", "noise_0db", "room"} <= set(scores)
    for task in ("baved_level", "ravdess_intensity", "arousal_order", "valence_order"):
        assert scores["clean"][f"{task}_tau"] > 0.2
        assert scores["clean"][f"{task}_pair_accuracy"] > 0.65


def test_a_fast_high_voice_ranks_above_a_slow_low_one_in_arousal() -> None:
    clips = np.stack([buzz(4.0, 1, pitch_hz=90.0, rate_hz=2.0), buzz(4.0, 1, pitch_hz=320.0, rate_hz=6.0)])
    scores, _ = run(clips)
    assert scores[1, -1, 0] > scores[0, -1, 0]


def test_gain_moves_scores_by_less_than_their_spread() -> None:
    clip = buzz(4.0, 2, pitch_hz=120.0, rate_hz=4.0)
    scores, spreads = run(np.stack([clip, 0.1 * clip, 3.0 * clip]))
    assert (np.abs(scores[1:, -1] - scores[0, -1]) < spreads[0, -1]).all()


def test_streams_do_not_hear_each_other() -> None:
    clips = np.stack([buzz(1.0, seed, pitch_hz=120.0, rate_hz=4.0) for seed in range(5)])
    np.testing.assert_allclose(run(clips)[0][3], run(clips[3:4])[0][0], atol=1e-3)


def test_the_spread_narrows_with_speech_and_silence_moves_nothing() -> None:
    ranker = BundleStreams("ranker", 1)
    random = np.random.default_rng(0)
    spreads = [ranker.step(words=random.normal(size=(1, 192)), weight=np.ones(1))["spread"][0] for _ in range(100)]
    assert (np.diff(spreads, axis=0) <= 1e-6).all()
    assert (spreads[-1] < spreads[0]).all()
    before = ranker.step(words=np.zeros((1, 192)), weight=np.zeros(1))
    after = ranker.step(words=random.normal(size=(1, 192)), weight=np.zeros(1))
    for name in ("scores", "spread"):
        np.testing.assert_allclose(after[name], before[name], atol=1e-5)


def test_before_any_speech_scores_are_nought_and_a_long_call_keeps_states_finite() -> None:
    ranker = BundleStreams("ranker", 2)
    random = np.random.default_rng(1)
    assert (ranker.step(words=random.normal(size=(2, 192)), weight=np.zeros(2))["scores"] == 0).all()
    for _ in range(3000):
        said = ranker.step(words=3 * random.normal(size=(2, 192)), weight=np.array([1.0, 0.3]))
    assert np.isfinite(said["scores"]).all()
    assert all(np.isfinite(v).all() and np.abs(v).max() < 1e6 for v in ranker.state.values())
