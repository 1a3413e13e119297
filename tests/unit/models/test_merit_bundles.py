"""The shipped bundles of Sparse MERIT, as ONNX Runtime sees them; needs neither torch nor data."""

import hashlib

import numpy as np
import pytest

from rtemo.api import EMOTIONS
from rtemo.dsp.bands import LogBands
from rtemo.dsp.stft import Istft, Stft, low_delay_windows
from tests.fakes.bundle_streams import BundleStreams, buzz

pytestmark = pytest.mark.unit

HOP = 160


def run(clips: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Enhanced audio [n, samples], two hops late, logits [n, steps, 8] and arousal [n, steps]."""
    n, samples = clips.shape
    analysis, synthesis = low_delay_windows(512, HOP, 480)
    stft, logs = Stft(n, analysis, hop_samples=HOP), LogBands(n, analysis)
    istft = Istft(n, synthesis, frame_samples=512, hop_samples=HOP)
    for row in range(n):
        stft.admit(row)
        istft.admit(row)
    listener, enhancer = BundleStreams("merit_listen", n), BundleStreams("merit_enhance", n)
    contexts = [np.zeros((n, *listener.card.outputs["context"].shape), np.float32)] * 2
    out, logits, arousal, collected = np.zeros_like(clips), [], [], []
    for hop in range(samples // HOP):
        part = slice(hop * HOP, (hop + 1) * HOP)
        spectra = stft.process(np.ascontiguousarray(clips[:, part])).copy()
        bins = np.empty((n, 257), np.float32)
        bands = logs.process(spectra, bins=bins).copy()
        gain = enhancer.step(bands=bands, bins=bins, context=contexts[hop // 4])["gain"]
        out[:, part] = istft.process(spectra * gain)
        collected.append(bands)
        if len(collected) == 4:
            said = listener.step(bands=np.stack(collected, 1), weight=np.ones((n, 4)))
            collected = []
            contexts.append(said["context"])
            logits.append(said["logits"])
            arousal.append(said["arousal"])
    return out, np.stack(logits, 1), np.stack(arousal, 1)


@pytest.mark.parametrize("part", ["listen", "enhance"])
def test_card_carries_the_hash_and_size_of_its_weights_and_their_terms(part: str) -> None:
    streams = BundleStreams(f"merit_{part}", 1)
    assert hashlib.sha256(streams.weights).hexdigest() == streams.card.sha256
    assert len(streams.weights) == streams.card.weights_bytes
    assert "non-commercial research use" in streams.card.licence
    assert any("RAVDESS" in line for line in streams.card.training_data)
    assert streams.card.limits


def test_cards_name_the_emotions_in_the_order_of_the_events_and_share_a_front_end() -> None:
    listen, enhance = BundleStreams("merit_listen", 1).card, BundleStreams("merit_enhance", 1).card
    assert tuple(listen.labels) == EMOTIONS
    assert listen.front_end == enhance.front_end
    assert listen.parameters + enhance.parameters < 2_000_000


def test_white_noise_is_turned_down_and_a_voice_is_not() -> None:
    random = np.random.default_rng(0)
    noise = (0.05 * random.standard_normal(3 * 16_000)).astype(np.float32)
    clean = buzz(3.0, 1)
    noisy = (clean + 0.3 * noise).astype(np.float32)
    enhanced, _, _ = run(np.stack([noise, noisy]))
    late = slice(16_000, None)
    assert np.std(enhanced[0][late]) < 0.25 * np.std(noise[late])
    target = np.concatenate([np.zeros(2 * HOP, np.float32), clean[: -2 * HOP]])[late]
    before = np.sum((noisy - clean)[late] ** 2)
    after = np.sum((enhanced[1][late] - target) ** 2)
    assert after < 0.7 * before


def test_clean_speech_is_left_alone() -> None:
    clean = np.stack([buzz(4.0, seed) for seed in range(3)])
    enhanced, _, _ = run(clean)
    for said, heard in zip(clean[:, 8000 : -2 * HOP], enhanced[:, 8000 + 2 * HOP :], strict=True):
        assert np.sum((heard - said) ** 2) < 0.03 * np.sum(said**2)


def test_level_does_not_matter() -> None:
    clip = buzz(3.0, 2)
    enhanced, logits, _ = run(np.stack([clip, 0.1 * clip]))
    steady = slice(16_000, None)
    difference = enhanced[0][steady] - 10 * enhanced[1][steady]
    assert np.sqrt(np.mean(difference**2)) < 0.12 * np.sqrt(np.mean(enhanced[0][steady] ** 2))
    assert np.abs(logits[0, -1] - logits[1, -1]).max() < 0.5


def test_streams_do_not_hear_each_other() -> None:
    clips = np.stack([buzz(1.0, seed) for seed in range(5)])
    together = run(clips)
    alone = run(clips[3:4])
    for a, b in zip(together, alone, strict=True):
        np.testing.assert_allclose(a[3], b[0], atol=1e-4)


def test_silence_digital_and_loud_keeps_everything_finite() -> None:
    clips = np.stack([np.zeros(16_000), np.sign(buzz(1.0, 3)), 1e-6 * buzz(1.0, 4)]).astype(np.float32)
    for values in run(clips):
        assert np.isfinite(values).all()


def test_many_minutes_leave_states_bounded() -> None:
    listener, enhancer = BundleStreams("merit_listen", 2), BundleStreams("merit_enhance", 2)
    random = np.random.default_rng(5)
    context = np.zeros((2, *listener.card.outputs["context"].shape), np.float32)
    for _ in range(3000):
        bands = random.normal(-6, 2, (2, 4, 64))
        context = listener.step(bands=bands, weight=np.ones((2, 4)))["context"]
        enhancer.step(bands=bands[:, 0], bins=random.normal(-6, 2, (2, 257)), context=context)
    for streams in (listener, enhancer):
        assert all(np.isfinite(v).all() and np.abs(v).max() < 1e6 for k, v in streams.state.items() if "pool" not in k)
