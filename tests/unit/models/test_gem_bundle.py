"""The shipped bundle of GEM, as ONNX Runtime sees it; needs neither torch nor data."""

import hashlib

import numpy as np
import pytest

from rtemo.dsp.filterbank import linear_filterbank
from rtemo.dsp.residual import Residual
from tests.fakes.bundle_streams import BundleStreams, buzz

pytestmark = pytest.mark.unit

HOP = 160


def traces_of(clips: np.ndarray) -> np.ndarray:
    """Traces as the card states them, float32 [n, hops, 36]."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(128) / 128)
    bank = linear_filterbank(16, rate_hz=16_000, fft_samples=128, high_hz=8000.0).dense()
    padded = np.pad(clips, ((0, 0), (48, 0)))
    frames = np.lib.stride_tricks.sliding_window_view(padded, 128, 1)[:, ::80] * window
    power = np.abs(np.fft.rfft(frames)) ** 2 * (2 / window.sum()) ** 2
    bands = np.log(np.maximum(power @ bank.T, 1e-10)).reshape(len(clips), -1, 32)
    longer = np.lib.stride_tricks.sliding_window_view(np.pad(clips, ((0, 0), (160, 0))), 320, 1)[:, ::HOP]
    residual = np.stack([Residual(1).of_frames(np.ascontiguousarray(clip)) for clip in longer])
    return np.concatenate([bands, residual[:, : bands.shape[1]]], -1).astype(np.float32)


def run(clips: np.ndarray, gate: np.ndarray | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Score [steps, n] and experts [steps, n, 4]."""
    streams, traces, n = BundleStreams("gem", len(clips)), traces_of(clips), len(clips)
    gate = np.full((n, 4), 0.25) if gate is None else gate
    said = [
        streams.step(traces=traces[:, h : h + 4], weight=np.ones((n, 4)), gate=gate)
        for h in range(0, traces.shape[1] // 4 * 4, 4)
    ]
    return np.stack([s["score"] for s in said]), np.stack([s["experts"] for s in said])


def test_card_carries_hash_and_terms_and_keeps_the_budget() -> None:
    streams = BundleStreams("gem", 1)
    card = streams.card
    assert hashlib.sha256(streams.weights).hexdigest() == card.sha256
    assert len(streams.weights) == card.weights_bytes
    assert "non-commercial research use" in card.licence
    assert card.labels == ("neutral", "happy", "angry", "sad")
    assert card.macs_per_s < 20_000_000
    assert card.parameters < 500_000
    assert card.hops_per_step == 4
    assert any("verdict" in line for line in card.limits)


def test_score_is_what_the_gate_makes_of_the_experts() -> None:
    clips = np.stack([buzz(2.0, seed, hiss=1e-3) for seed in range(3)])
    gate = np.random.default_rng(0).dirichlet(np.ones(4), 3)
    score, experts = run(clips, gate)
    np.testing.assert_allclose(score, (experts * gate).sum(-1), atol=1e-3)


def test_streams_do_not_hear_each_other() -> None:
    clips = np.stack([buzz(1.0, seed, hiss=1e-3) for seed in range(5)])
    np.testing.assert_allclose(run(clips)[0][:, 3], run(clips[3:4])[0][:, 0], atol=1e-3)


def test_gain_matters_little() -> None:
    clip = buzz(3.0, 2, hiss=1e-3)
    score, _ = run(np.stack([clip, 0.2 * clip]))
    assert abs(score[-1, 0] - score[-1, 1]) < 0.5


def test_silence_loud_noise_and_many_minutes_keep_everything_finite() -> None:
    random = np.random.default_rng(3)
    odd = np.stack([np.zeros(16_000), np.sign(random.standard_normal(16_000)), 1e-6 * buzz(1.0, 4, hiss=1e-3)])
    assert np.isfinite(run(odd.astype(np.float32))[0]).all()
    streams = BundleStreams("gem", 2)
    for _ in range(3000):
        streams.step(traces=random.normal(-8, 2, (2, 4, 36)), weight=np.ones((2, 4)), gate=np.full((2, 4), 0.25))
    assert all(np.isfinite(v).all() and np.abs(v).max() < 1e6 for v in streams.state.values())
