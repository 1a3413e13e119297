import json
from pathlib import Path

import numpy as np
import pytest

from rtemo_models.kit.audio.cache import AudioCache
from rtemo_models.kit.corpora.clip import Clip
from rtemo_models.systems.merit.data.batches import Sampler
from rtemo_models.systems.merit.data.mixing import MixtureMaker, NoiseMaker, active_power
from rtemo_models.systems.merit.data.recordings import Recordings
from rtemo_models.systems.merit.data.teacher import Panel, TeacherCache

pytestmark = pytest.mark.unit

COUNT = 6
EMOTIONS = ("angry", "happy", "sad")


def audio(stem: Path, seed: int, seconds: float) -> AudioCache:
    random = np.random.default_rng(seed)
    offsets, parts = [0], []
    for _ in range(COUNT):
        samples = (3000 * random.standard_normal(int(16_000 * seconds))).astype(np.int16)
        parts.append(samples)
        offsets.append(offsets[-1] + len(samples))
    stem.with_suffix(".i16").write_bytes(np.concatenate(parts).tobytes())
    stem.with_suffix(".json").write_text(json.dumps({"paths": [str(k) for k in range(COUNT)], "offsets": offsets}))
    return AudioCache(stem)


def teacher(stem: Path) -> TeacherCache:
    frames = np.random.default_rng(3).standard_normal((COUNT * 80, 288)).astype(np.float16)
    stem.with_suffix(".f16").write_bytes(frames.tobytes())
    stem.with_suffix(".json").write_text(json.dumps([80 * k for k in range(COUNT + 1)]))
    return TeacherCache(stem)


def maker(folder: Path, snr_db: tuple[float, float] = (3.0, 3.0), **changes: float) -> MixtureMaker:
    speech, noise = audio(folder / "speech", 1, 2.0), audio(folder / "noise", 2, 1.0)
    clips = [Clip(f"{k}", "ravdess", f"s{k}", "train", EMOTIONS[k % 3], "", 2.0) for k in range(COUNT)]
    settings = {"quiet_share": 0.0, "line_share": 0.0} | changes
    return MixtureMaker(
        clips,
        Sampler(clips, range(COUNT), {"ravdess": 1.0}),
        {"dry": speech},
        NoiseMaker(Recordings(noise, {"fan": range(3), "street": range(3, COUNT)}, {}), speech, range(COUNT)),
        {"normal": Panel([teacher(folder / "teacher")])},
        np.zeros(288, np.float32),
        np.ones(288, np.float32),
        delay_samples=2560,
        variant_shares={"dry": 1.0},
        hops_per_step=4,
        snr_db=snr_db,
        seed=5,
        **settings,
    )


def test_the_same_step_makes_the_same_mixtures_and_another_step_others(tmp_path: Path) -> None:
    made = maker(tmp_path)
    first, again, other = made.make(3, 4, 25), made.make(3, 4, 25), made.make(4, 4, 25)
    assert first.noisy.equal(again.noisy)
    assert first.clean.equal(again.clean)
    assert not first.noisy.equal(other.noisy)


def test_noise_stands_at_the_drawn_snr_against_the_active_speech(tmp_path: Path) -> None:
    batch = maker(tmp_path, (3.0, 3.0)).make(0, 8, 25)
    for noisy, clean in zip(batch.noisy.numpy(), batch.clean.numpy(), strict=True):
        added = noisy - clean
        snr_db = 10 * np.log10(active_power(clean) / np.mean(added.astype(np.float64) ** 2))
        assert snr_db == pytest.approx(3.0, abs=0.5)


def test_a_quiet_mixture_is_the_clean_speech_but_for_a_converters_hiss(tmp_path: Path) -> None:
    batch = maker(tmp_path, quiet_share=1.0).make(0, 4, 25)
    assert np.isinf(batch.snr_db.numpy()).all()
    assert float((batch.noisy - batch.clean).abs().max()) < 0.01


def test_a_line_takes_the_band_from_both_sides(tmp_path: Path) -> None:
    batch = maker(tmp_path, line_share=1.0).make(0, 4, 25)
    for side in (batch.noisy.numpy(), batch.clean.numpy()):
        power = np.abs(np.fft.rfft(side)) ** 2
        hz = np.fft.rfftfreq(side.shape[1], 1 / 16_000)
        assert power[:, hz > 4500].sum() < 0.02 * power.sum()


def test_nothing_exceeds_full_scale_and_shapes_are_whole_steps(tmp_path: Path) -> None:
    batch = maker(tmp_path, (-20.0, -20.0)).make(1, 6, 50)
    assert batch.noisy.shape == batch.clean.shape == (6, 50 * 4 * 160)
    assert float(batch.noisy.abs().max()) <= 1.0
    assert batch.teacher.shape == (6, 50, 288)
