"""The training kit on a corpus of a few synthetic voices: batches, losses, resuming; needs torch, no data."""

import csv
import json
from pathlib import Path

import numpy as np
import pytest
import soundfile

torch = pytest.importorskip("torch", reason="torch is not installed: the training kit cannot be tested")
pytest.importorskip("scipy")

from rtemo.api import EMOTIONS  # noqa: E402
from rtemo_models.kit.audio.augment import DB, Augment, active_frames, speech_level  # noqa: E402
from rtemo_models.kit.audio.resample import SPEEDS  # noqa: E402
from rtemo_models.kit.audio.rooms import mu_law_round_trip, scaled_noise, telephone  # noqa: E402
from rtemo_models.systems.merit.data.taught import Taught, open_taught  # noqa: E402
from rtemo_models.systems.merit.data.teacher import FRAME_HOP_SAMPLES, WIDTH  # noqa: E402
from rtemo_models.systems.merit.train.losses import accepted_cross_entropy, masked_cross_entropy, opinion_cross_entropy  # noqa: E402
from rtemo_models.systems.merit.train.pretrain import EmotionRun, make_batches  # noqa: E402
from rtemo_models.systems.merit.train.pretrain_recipe import EmotionRecipe  # noqa: E402

pytestmark = pytest.mark.unit

RECIPE = EmotionRecipe(
    seed=1,
    steps=3,
    batch_steps=200,
    crop_steps=(25,),
    rate_peak=1e-3,
    warmup_steps=2,
    weight_decay=0.0,
    average_decay=0.5,
    delay_samples=2560,
    smoothing=0.1,
    distil_weight=1.0,
    masked_weight=1.0,
    accepted_weight=0.2,
    dimensional_weight=0.4,
    opinion_weight=0.5,
    opinion_steps=5,
    augment_strength=1.0,
    hold_out=(),
    head_steps=2,
    head_rate=1e-3,
    head_accepted_weight=0.6,
    shares={"nemo": 0.6, "baved": 0.2, "clean": 0.2},
    variants={"dry": 0.5, "room": 0.5},
    net={"width": 16, "embedding": 16, "hidden": 8, "attention": 8, "dilations": (1, 2)},
)


EMOTION_KEYS = ("path", "corpus", "speaker", "emotion", "level", "split", "duration_s")


def write_corpus(folder: Path) -> None:
    """Twelve half-second to two-second voices of six speakers, two noises, one room."""
    random = np.random.default_rng(0)

    def sound(path: str, duration_s: float) -> str:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        time_s = np.arange(int(16_000 * duration_s)) / 16_000
        tone = 0.1 * np.sign(np.sin(2 * np.pi * random.uniform(90, 250) * time_s)) * (np.sin(9 * time_s) > -0.5)
        soundfile.write(folder / path, tone + 1e-3 * random.standard_normal(len(tone)), 16_000, subtype="PCM_16")
        return path

    def table(path: str, rows: list[dict[str, str]]) -> None:
        with (folder / path).open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)

    rows = []
    for k in range(10):
        corpus = "nemo" if k < 8 else "baved"
        path = sound(f"emotion/{k}.wav", random.uniform(0.5, 2.0))
        emotion, level = (EMOTIONS[(0, 2, 3, 4)[k % 4]], "") if corpus == "nemo" else ("", str(k % 3))
        split = "dev" if k in (6, 7, 9) else "train"
        speaker = f"{corpus}-{split}-{k // 4}"
        rows.append(dict(zip(EMOTION_KEYS, (path, corpus, speaker, emotion, level, split, "1"), strict=True)))
    table("emotion/manifest.csv", rows)
    keys = ("path", "corpus", "speaker", "split", "duration_s")
    read = [sound(f"clean/{k}.wav", 1.5) for k in range(2)]
    table(
        "clean/manifest.csv", [dict(zip(keys, (p, "librispeech", f"l-{p}", "train", "1"), strict=True)) for p in read]
    )
    noises = [sound(f"noise/{k}.wav", 1.0) for k in range(2)]
    table(
        "noise/manifest.csv", [{"path": p, "kind": "buzz", "split": ("train", "dev")[k]} for k, p in enumerate(noises)]
    )
    (folder / "rir").mkdir()
    soundfile.write(folder / "rir" / "room.flac", np.exp(-np.arange(1600) / 200) * 0.5, 16_000)


@pytest.fixture(scope="module")
def caches(tmp_path_factory: pytest.TempPathFactory) -> Taught:
    """Taught of the small corpus; the teacher's frames are random numbers, since its file is not shipped."""
    torch.set_num_threads(1)
    folder = tmp_path_factory.mktemp("corpus")
    write_corpus(folder)
    work = folder / "cache"
    open_taught(folder, work, variants=())
    random = np.random.default_rng(1)
    durations = np.diff(json.loads((work / "speech.json").read_text())["offsets"])
    for speed in SPEEDS:
        counts = [int(d) // FRAME_HOP_SAMPLES for d in durations]
        (work / f"teacher-{speed}.f16").write_bytes(
            random.standard_normal((sum(counts), WIDTH)).astype(np.float16).tobytes()
        )
        (work / f"teacher-{speed}.json").write_text(json.dumps([0, *np.cumsum(counts).tolist()]))
    return open_taught(folder, work, variants=RECIPE.variants)


def test_the_same_step_always_makes_the_same_batch(caches: Taught) -> None:
    first, again = (make_batches(caches, RECIPE, 4).make(3, 8, 25) for _ in range(2))
    torch.testing.assert_close(first.logmel, again.logmel, rtol=0, atol=0)
    assert first.clip.tolist() == again.clip.tolist()
    other = make_batches(caches, RECIPE, 4).make(4, 8, 25)
    assert not torch.equal(first.logmel, other.logmel)


def test_batches_hold_no_dev_speaker(caches: Taught) -> None:
    maker = make_batches(caches, RECIPE, 4)
    seen = {caches.clips[i].split for step in range(20) for i in maker.make(step, 8, 25).clip.tolist()}
    assert seen == {"train"}


def test_padding_counts_neither_as_speech_nor_for_the_teacher(caches: Taught) -> None:
    batch = make_batches(caches, RECIPE, 4).make(0, 32, 75)
    lengths = np.array([len(caches.frames["dry"].frames(i)) for i in batch.clip.tolist()])
    assert (lengths < 300).all()
    assert (batch.weight.sum((1, 2)).numpy() <= lengths).all()
    assert (batch.teacher_valid.sum(1).numpy() <= lengths / 4 + 1).all()


def test_a_run_that_was_stopped_goes_on_to_the_same_weights(caches: Taught, tmp_path: Path) -> None:
    EmotionRun(RECIPE, caches, tmp_path / "whole").train()
    EmotionRun(RECIPE, caches, tmp_path / "halves").train(until=2)
    EmotionRun(RECIPE, caches, tmp_path / "halves").train()
    whole, halves = (torch.load(tmp_path / n / "average.pt", weights_only=True)["weights"] for n in ("whole", "halves"))
    for name, values in whole.items():
        torch.testing.assert_close(values, halves[name], msg=name)


def test_augmentation_meets_the_noise_level_it_was_asked_for() -> None:
    torch.manual_seed(0)
    random = np.random.default_rng(0)
    speech = torch.full((64, 200, 64), -23.0)
    speech[:, 50:150] = torch.randn(64, 100, 64) - 6
    active = active_frames(speech)
    level = speech_level(speech, active)
    noisy = Augment([np.full((300, 64), -5, np.float16)])._with_noise(speech, level, random)
    quiet = noisy[:, 10:30].exp().mean((1, 2)).log()
    snr_db = (level - quiet) / DB
    assert -1 < snr_db.min() < 3
    assert 25 < snr_db.max() < 29


def test_no_augmentation_leaves_the_frames_alone_but_for_the_hiss() -> None:
    logmel = torch.randn(4, 100, 64) - 5
    same = Augment([np.zeros((100, 64), np.float16)], strength=0)(logmel, torch.ones(4, 100), np.random.default_rng(0))
    torch.testing.assert_close(same, logmel, atol=1e-3, rtol=0)


def test_cross_entropy_ignores_emotions_the_corpus_does_not_know() -> None:
    logits = torch.zeros(1, 1, 8)
    allowed = torch.zeros(1, 8, dtype=torch.bool)
    allowed[0, [0, 3]] = True
    before = masked_cross_entropy(logits, torch.tensor([3]), allowed, 0.0)
    logits[0, 0, 5] = 10.0
    assert masked_cross_entropy(logits, torch.tensor([3]), allowed, 0.0) == pytest.approx(float(before))
    assert float(before) == pytest.approx(np.log(2))


def test_any_accepted_emotion_satisfies_the_loss() -> None:
    accepted = torch.zeros(1, 8, dtype=torch.bool)
    accepted[0, :2] = True
    logits = torch.full((1, 1, 8), -20.0)
    logits[0, 0, 1] = 0.0
    assert float(accepted_cross_entropy(logits, accepted)) == pytest.approx(0, abs=1e-6)


def test_opinions_count_where_no_label_exists_and_only_there_where_one_was_formed() -> None:
    opinion = torch.tensor([[5.0] + [0.0] * 7, [float("nan")] * 8])
    nothing = torch.zeros(2, 8, dtype=torch.bool)
    agree, differ = torch.zeros(2, 1, 8), torch.zeros(2, 1, 8)
    agree[0, 0, 0] = differ[0, 0, 1] = 5.0
    assert opinion_cross_entropy(agree, opinion, nothing) < opinion_cross_entropy(differ, opinion, nothing)
    differ[1] = 100.0
    assert torch.isfinite(opinion_cross_entropy(differ, opinion, nothing))


def test_telephone_keeps_its_band_and_loses_the_rest() -> None:
    time_s = np.arange(16_000) / 16_000

    def kept_db(hz: float) -> float:
        tone = (0.2 * np.sin(2 * np.pi * hz * time_s)).astype(np.float32)
        return 10 * np.log10(np.mean(telephone(tone)[2000:-2000] ** 2) / np.mean(tone**2))

    assert kept_db(1000) > -1
    assert kept_db(80) < -25
    assert kept_db(6000) < -25


def test_mu_law_errs_by_a_constant_share_of_the_level() -> None:
    tone = np.sin(np.arange(16_000) * 0.37).astype(np.float32)
    for gain in (0.5, 0.05):
        error = mu_law_round_trip(gain * tone) - gain * tone
        assert 32 < 10 * np.log10(np.mean((gain * tone) ** 2) / np.mean(error**2)) < 42


def test_noise_is_scaled_against_the_active_part_of_the_speech() -> None:
    speech = np.zeros(32_000, np.float32)
    speech[8000:16_000] = 0.1
    noise = np.random.default_rng(0).standard_normal(32_000).astype(np.float32)
    scaled = scaled_noise(speech, noise, 10.0)
    assert 10 * np.log10(0.01 / np.mean(scaled**2)) == pytest.approx(10, abs=0.1)
