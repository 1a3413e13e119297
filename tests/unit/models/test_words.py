"""Words of the shipped listener over whole clips, in the versions that networks behind it are trained on."""

import json
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: the training kit cannot be tested")
pytest.importorskip("onnxruntime")

from rtemo_models.kit.audio.cache import AudioCache  # noqa: E402
from rtemo_models.systems.ranker.data.words import STEP_HOPS, WORD_VARIANTS, Ear, hearing, open_words  # noqa: E402

pytestmark = pytest.mark.unit


def voice(duration_s: float, seed: int) -> np.ndarray:
    """Syllables of a buzz after a silence."""
    random = np.random.default_rng(seed)
    time_s = np.arange(int(16_000 * duration_s)) / 16_000
    buzz = sum(np.sin(2 * np.pi * k * random.uniform(100, 200) * time_s) / k for k in range(1, 12))
    syllables = np.clip(np.sin(2 * np.pi * 4 * time_s), 0, 1) * (time_s > 0.5)
    return (0.1 * buzz * syllables + 1e-5 * random.standard_normal(len(time_s))).astype(np.float32)


@pytest.fixture(scope="module")
def ear() -> Ear:
    torch.set_num_threads(1)
    return Ear()


@pytest.fixture(scope="module")
def audio(tmp_path_factory) -> AudioCache:
    stem = tmp_path_factory.mktemp("audio") / "speech"
    clips = [voice(1.0, 1), voice(1.5, 2), voice(0.02, 3)]
    np.concatenate([(c * 32767).astype(np.int16) for c in clips]).tofile(stem.with_suffix(".i16"))
    offsets = [0, *np.cumsum([len(c) for c in clips]).tolist()]
    stem.with_suffix(".json").write_text(json.dumps({"paths": ["a", "b", "c"], "offsets": offsets}))
    return AudioCache(stem)


def test_words_do_not_depend_on_the_clips_beside(ear: Ear, audio: AudioCache) -> None:
    bands = [ear.bands(audio.samples(i)) for i in range(3)]
    together, alone = ear.words(bands), ear.words(bands[:1])
    np.testing.assert_allclose(together[0].astype(np.float32), alone[0].astype(np.float32), atol=0.02)
    assert [len(w) for w in together] == [len(b) // STEP_HOPS for b in bands]
    assert len(together[2]) == 1  # half a hop is a step of its own
    assert together[0].shape[1] == ear.width


@pytest.mark.parametrize("variant", WORD_VARIANTS, ids=lambda v: v.name)
def test_versions_differ_in_sound_but_not_in_time_and_are_the_same_again(ear: Ear, audio: AudioCache, variant) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 20_000).astype(np.float32)
    hear = hearing(variant, ear, audio, audio, [noise], 7)
    plain = ear.bands(audio.samples(1))
    bands, speech = hear(1)
    assert bands.shape == plain.shape
    assert np.isfinite(bands).all()
    if variant.snr_db is None and not variant.is_coloured:
        np.testing.assert_array_equal(bands, plain)
    else:
        assert np.abs(bands - plain).mean() > 0.1
    assert speech[: len(speech) // 5].sum() == 0  # the silence at the beginning
    assert speech[len(speech) // 2 :].mean() > 0.9
    np.testing.assert_array_equal(hear(1)[0], bands)


def test_noise_is_as_strong_as_the_variant_says(ear: Ear, audio: AudioCache) -> None:
    variant = next(v for v in WORD_VARIANTS if v.snr_db == (0.0, 20.0))
    noise = np.random.default_rng(0).normal(0, 0.1, 20_000).astype(np.float32)
    raised = hearing(variant, ear, audio, audio, [noise], 7)(1)[0][:40] - ear.bands(audio.samples(1))[:40]
    assert np.median(raised) > 1.0  # the silence is silence no more


def test_a_cache_of_other_clips_is_made_anew(ear: Ear, audio: AudioCache, tmp_path: Path) -> None:
    hear = hearing(WORD_VARIANTS[0], ear, audio, audio, [], 7)
    first = open_words(tmp_path / "words", ear, 3, [0], hear)
    assert [len(first.clip(i)[0]) > 0 for i in range(3)] == [True, False, False]
    second = open_words(tmp_path / "words", ear, 3, [1, 0], hear)
    assert [len(second.clip(i)[0]) > 0 for i in range(3)] == [True, True, False]
    np.testing.assert_allclose(second.clip(0)[0].astype(np.float32), first.clip(0)[0].astype(np.float32), atol=0.02)
