"""The spoof corpus: nothing leaks between folds, nothing but the voice tells the classes, batches are made again."""

import csv
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import soundfile

torch = pytest.importorskip("torch", reason="torch is not installed: the training kit cannot be tested")
pytest.importorskip("scipy")

from rtemo_models.kit.audio.channel import Channel  # noqa: E402
from rtemo_models.kit.audio.equalise import LEVEL_DBFS, active_blocks, equalise  # noqa: E402
from rtemo_models.kit.audio.programs import MOODS, speak  # noqa: E402
from rtemo_models.kit.audio.resynthesis import WAYS, resynthesise  # noqa: E402
from rtemo_models.systems.gem.data.batches import SpoofBatches  # noqa: E402
from rtemo_models.systems.gem.data.cache import TRACES, TraceCache, open_corpus, traces_of  # noqa: E402
from rtemo_models.systems.gem.data.clips import (  # noqa: E402
    FOLDS,
    IMITATIONS,
    SpoofClip,
    in_report,
    in_strict_report,
    in_training,
    refuse_shared,
    site_speaker,
)
from rtemo_models.systems.gem.data.gates import gate_matrix, label_gate  # noqa: E402
from rtemo_models.systems.gem.data.imitations import imitate  # noqa: E402
from rtemo_models.systems.gem.data.listing import write_listing  # noqa: E402
from rtemo_models.systems.gem.data.plan import CorpusRecipe, Counts, plan  # noqa: E402
from rtemo_models.systems.gem.data.trial_cache import BANDS, SECONDS, open_trials  # noqa: E402
from rtemo_models.systems.gem.data.views import Views, open_views  # noqa: E402
from rtemo_models.systems.gem.net import Gem, GemConfig  # noqa: E402
from rtemo_models.systems.gem.train.recipe import GemRecipe  # noqa: E402
from rtemo_models.systems.gem.train.run import GemRun  # noqa: E402
from rtemo_models.systems.gem.train.trials import MIXES, calibrate, score, seen_dev  # noqa: E402
from rtemo_plugins.gem.front_end import FrontEnd, TraceFormat  # noqa: E402

pytestmark = pytest.mark.unit

RATE_HZ = 16_000
CORPUS = CorpusRecipe(
    seed=3,
    human={"nemo": Counts(8, 4), "librispeech": Counts(2, 1)},
    most_of_a_system=2,
    resynthesis={"mel-phase": Counts(4, 2), "lpc": Counts(2, 2)},
    packages={},
    imitations={"split-phase": 2, "images": 2, "phase-vocoder": 2},
)
RECIPE = GemRecipe(
    seed=1,
    views=2,
    crop_steps=(10, 12),
    channel_strength=1.0,
    steps=6,
    batch=12,
    rate_peak=1e-3,
    weight_decay=0.0,
    average_decay=0.5,
    smoothing=0.05,
    expert_weight=0.5,
    pair_weight=0.5,
    replay=0.15,
    label_share=0.5,
    net={"lags": (1, 2), "width": 8, "hidden": 4},
    corpus=CORPUS,
)
SITES = {
    "tortoise": [("Tortoise", 3), ("human", 2)],
    "styletts2": [("VITS", 2), ("human", 1)],
    "vits": [("VITS", 2), ("human", 1)],
    "luo": [("EmotionTTS-prosody", 2)],
}


def voice(duration_s: float, seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    time_s = np.arange(int(RATE_HZ * duration_s)) / RATE_HZ
    pitch_hz = random.uniform(110, 220) * (1 + 0.1 * np.sin(2 * np.pi * random.uniform(0.5, 2) * time_s))
    buzz = sum(np.sin(2 * np.pi * k * np.cumsum(pitch_hz) / RATE_HZ) / k for k in range(1, 25))
    syllables = np.clip(np.sin(2 * np.pi * random.uniform(3, 6) * time_s), 0.05, 1)
    return (0.1 * buzz * syllables + 1e-3 * random.standard_normal(len(time_s))).astype(np.float32)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve emotional clips of six speakers, three of read speech, clips of four sites."""
    folder = tmp_path_factory.mktemp("data")
    seeds = iter(range(1000))

    def sound(path: str) -> str:
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        seed = next(seeds)
        soundfile.write(folder / path, voice(1.2 + 0.1 * (seed % 5), seed), RATE_HZ, subtype="PCM_16")
        return path

    def table(path: str, rows: list[dict[str, str]]) -> None:
        with (folder / path).open("w", newline="") as file:
            writer = csv.DictWriter(file, rows[0])
            writer.writeheader()
            writer.writerows(rows)

    emotional = [
        {
            "path": sound(f"emotion/{k}.wav"),
            "corpus": "nemo",
            "speaker": f"nemo-{k // 2}",
            "emotion": ("neutral", "happy", "angry", "sad")[k // 2 % 4],
            "level": "",
            "split": "dev" if k >= 8 else "train",
            "duration_s": "1.5",
        }
        for k in range(12)
    ]
    table("emotion/manifest.csv", emotional)
    read = [
        {
            "path": sound(f"clean/{k}.wav"),
            "corpus": "librispeech",
            "speaker": f"librispeech-{k}",
            "split": "dev" if k == 2 else "train",
            "duration_s": "1.5",
        }
        for k in range(3)
    ]
    table("clean/manifest.csv", read)
    spoof = [
        {
            "path": sound(f"spoof/{site}/{system}/{site}_LJSpeech_{system}_{k}.wav"),
            "source": site,
            "system": system,
            "bona_fide": str(int(system == "human")),
            "emotion": "",
            "duration_s": "1.5",
        }
        for site, systems in SITES.items()
        for system, count in systems
        for k in range(count)
    ]
    table("spoof/manifest.csv", spoof)
    return folder


@pytest.fixture(scope="module")
def corpus(data: Path, tmp_path_factory: pytest.TempPathFactory) -> TraceCache:
    return open_corpus(data, tmp_path_factory.mktemp("work") / "cache", CORPUS)


@pytest.fixture(scope="module")
def gates(corpus: TraceCache) -> list[np.ndarray]:
    random = np.random.default_rng(0)
    return [random.dirichlet(np.ones(4), len(corpus.traces(i)) // 4).astype(np.float32) for i in range(len(corpus))]


@pytest.fixture(scope="module")
def views(corpus: TraceCache, gates: list[np.ndarray]) -> Views:
    measures = Gem(GemConfig(**RECIPE.net)).measures
    return open_views(corpus.folder / "views", corpus, gates, Channel([]), measures, 2, RECIPE.crop_steps, 5)


def batches_of(corpus: TraceCache, views: Views) -> SpoofBatches:
    chosen = [i for i, c in enumerate(corpus.clips) if c.split == "train"]
    return SpoofBatches(corpus.clips, views, chosen, seed=5)


def test_no_system_speaker_or_recording_is_trained_on_and_reported(data: Path) -> None:
    clips = plan(data, CORPUS, data)
    for fold in range(FOLDS):
        train, report = in_training(clips, fold), in_report(clips, fold)
        assert train
        assert report
        refuse_shared(train, report)


def test_a_system_that_two_sites_show_is_unseen_in_both(data: Path) -> None:
    clips = plan(data, CORPUS, data)
    assert {c.corpus for c in clips if c.system == "VITS"} == {"styletts2", "vits"}
    for fold in (2, 3):
        assert not [c for c in in_training(clips, fold) if c.system == "VITS"]


def test_a_leak_is_refused_by_name() -> None:
    clip = SpoofClip("a", "a.wav", "", "", "", "nemo", "nemo-1", "sad", "train")
    other = replace(clip, name="b", source="b.wav")
    with pytest.raises(ValueError, match="1 speakers are trained on and reported: nemo-1"):
        refuse_shared([clip], [other])
    with pytest.raises(ValueError, match="systems"):
        refuse_shared([replace(clip, system="X")], [replace(other, system="X", speaker="z")])


def test_copies_stay_with_the_split_and_speaker_of_their_original(data: Path) -> None:
    clips = {c.name: c for c in plan(data, CORPUS, data)}
    made = [c for c in clips.values() if c.twin]
    assert made
    for copy in made:
        original = clips[copy.twin]
        assert (copy.speaker, copy.split, copy.emotion) == (original.speaker, original.split, original.emotion)


def test_voices_of_public_corpora_are_known_across_sites() -> None:
    assert site_speaker("spoof/styletts2/human/styletts2_wavs_LibriTTS_Ref_4077-13754-0000.opus", "styletts2") == (
        "librispeech-4077"
    )
    for path, site in (("styletts2_wavs_LJSpeech_OOD_GT_00003.opus", "styletts2"), ("vits_wavs_ss_02_gt.opus", "vits")):
        assert site_speaker(path, site) == "ljspeech"
    assert site_speaker("autovc_audios_ground_truth2_p261_002.opus", "autovc") == "vctk-261"


@pytest.mark.parametrize("is_coded", [False, True])
def test_equalised_clips_share_level_margins_and_band(is_coded: bool) -> None:
    quiet, loud = 0.01 * voice(3.0, 1), voice(5.0, 2)
    loud = np.concatenate([np.zeros(9000, np.float32), loud, np.zeros(20_000, np.float32)])
    for samples in (quiet, loud):
        made = equalise(samples.astype(np.float32), is_coded, np.random.default_rng(0))
        active = np.repeat(active_blocks(made), 320)
        level = 10 * np.log10(np.mean(made[: len(active)][active].astype(np.float64) ** 2))
        assert level == pytest.approx(LEVEL_DBFS, abs=1.0)
        spectrum = np.abs(np.fft.rfft(made)) ** 2
        hz = np.fft.rfftfreq(len(made), 1 / RATE_HZ)
        assert spectrum[hz > 7800].sum() < 1e-3 * spectrum.sum()
        assert np.argmax(active) < 0.2 * RATE_HZ


def test_silence_makes_no_clip() -> None:
    assert not len(equalise(np.zeros(RATE_HZ, np.float32), True, np.random.default_rng(0)))


@pytest.mark.parametrize(("system", "way"), [(s, w) for s in ("griffin-lim", "mel-phase", "lpc") for w in WAYS[s]])
def test_a_resynthesis_keeps_words_and_level_and_makes_another_wave(system: str, way: str) -> None:
    clip = voice(1.0, 4)
    made = resynthesise(clip, system, way, np.random.default_rng(0))
    assert made.shape == clip.shape
    assert made.dtype == np.float32
    envelope = [np.sqrt(np.mean(x[: 16000 // 320 * 320].reshape(-1, 320) ** 2, 1)) for x in (clip, made)]
    assert np.corrcoef(*envelope)[0, 1] > 0.8
    assert 0.4 < made.std() / clip.std() < 2
    assert np.abs(made - clip).max() > 0.01


def test_world_moves_the_pitch_only_where_it_is_asked_to() -> None:
    pytest.importorskip("pyworld", reason="pyworld is not installed")
    clip = voice(1.0, 5)
    for way in WAYS["world"]:
        made = resynthesise(clip, "world", way, np.random.default_rng(1))
        assert np.isfinite(made).all()
        assert 0.3 < made.std() / clip.std() < 3


@pytest.mark.parametrize("system", ["espeak-ng", "flite"])
def test_a_sad_voice_takes_longer_than_an_angry_one(system: str) -> None:
    if shutil.which(system) is None:
        pytest.skip(f"{system} is not installed")
    voice_name = {"espeak-ng": "en-us", "flite": "slt"}[system]
    assert {"sad", "angry"} <= set(MOODS)
    said = {
        e: speak(system, voice_name, e, "This is said in a mood.", np.random.default_rng(0)) for e in ("sad", "angry")
    }
    assert len(said["sad"]) > 1.2 * len(said["angry"])


def test_traces_of_a_clip_are_those_that_the_plugin_makes() -> None:
    clip = voice(0.5, 6)
    front_end = FrontEnd(TraceFormat(), 1)
    front_end.admit(0)
    made = traces_of(clip)
    assert made.shape == (len(clip) // 640 * 4, TRACES)
    for hop in range(len(made)):
        heard = front_end.process(clip[None, hop * 160 : (hop + 1) * 160])[0]
        np.testing.assert_allclose(made[hop], heard, atol=2e-2)


def test_a_pair_goes_through_the_same_channel() -> None:
    clip, channel = voice(1.0, 7), Channel([], strength=1.0)
    changed = 0
    for seed in range(8):
        heard = [channel(clip, np.random.default_rng(seed)) for _ in range(2)]
        np.testing.assert_array_equal(*heard)
        assert heard[0].shape == clip.shape
        assert heard[0].dtype == np.float32
        changed += int(np.abs(heard[0] - clip).max() > 1e-3)
    assert changed >= 6
    np.testing.assert_array_equal(Channel([], strength=0.0)(clip, np.random.default_rng(0)), clip)


def test_batches_are_balanced_hold_pairs_and_are_made_again(corpus: TraceCache, views: Views) -> None:
    batches = batches_of(corpus, views)
    one, again = batches.make(3, 40), batches.make(3, 40)
    torch.testing.assert_close(one.statistics, again.statistics)
    assert one.pairs == 7
    for k in range(one.pairs):
        original, copy = corpus.clips[one.clip[k]], corpus.clips[one.clip[one.pairs + k]]
        assert copy.twin == original.name
    assert one.label[: one.pairs].sum() == 0
    assert one.label[one.pairs : 2 * one.pairs].min() == 1
    assert 0.4 < one.label.mean() < 0.6
    assert batches.make(4, 40).clip.tolist() != one.clip.tolist()
    assert not {corpus.clips[i].split for i in one.clip} - {"train"}


def test_a_strict_run_does_without_the_corpora_that_it_reports(data: Path) -> None:
    clips = plan(data, CORPUS, data)
    for fold, corpus in ((0, "librispeech"), (1, "nemo")):
        assert corpus in {c.corpus for c in in_training(clips, fold)}
        train, report = in_training(clips, fold, is_strict=True), in_strict_report(clips, fold)
        assert corpus not in {c.corpus for c in train}
        assert corpus in {c.corpus for c in report if not c.is_synthetic}
        assert not {c.corpus for c in train} & {c.corpus for c in report}
        assert not any(c.twin for c in report)


@pytest.mark.parametrize("system", IMITATIONS)
def test_an_imitation_keeps_the_words_and_makes_another_wave(system: str) -> None:
    if system == "source-filter":
        pytest.importorskip("pyworld", reason="pyworld is not installed")
    clip = voice(1.0, 4)
    for seed in range(3):
        made = imitate(clip, system, np.random.default_rng(seed))
        assert made.shape == clip.shape
        assert made.dtype == np.float32
        assert np.isfinite(made).all()
        assert np.abs(made / made.std() - clip / clip.std()).max() > 0.05
        if system != "phase-vocoder":  # which ends elsewhere
            loud = [np.log(np.mean(x[:15_680].reshape(-1, 320) ** 2, 1) + 1e-6) for x in (clip, made)]
            assert np.corrcoef(*loud)[0, 1] > 0.7


def test_imitations_are_trained_on_and_never_reported(data: Path) -> None:
    clips = plan(data, CORPUS, data)
    assert {c.system for c in clips if c.is_imitation} == set(CORPUS.imitations)
    assert {c.split for c in clips if c.is_imitation} == {"train"}
    assert any(c.is_imitation for c in in_training(clips, None))
    for fold in range(FOLDS):
        assert not any(c.is_imitation for c in in_report(clips, fold))
    assert not {"split-phase", "images"} & {c.system for c in in_training(clips, 3)}
    unseen = {c.source for c in in_report(clips, 0)}
    assert not unseen & {c.source for c in in_training(clips, 0) if c.is_imitation}


def test_gates_of_labels_are_those_of_their_experts() -> None:
    assert gate_matrix().sum(1).tolist() == [1.0] * 8
    assert label_gate("calm").tolist() == [1, 0, 0, 0]
    assert label_gate("surprise").tolist() == [0, 1, 0, 0]
    assert label_gate("disgust").tolist() == [0, 0, 1, 0]
    assert label_gate("fear").tolist() == [0, 0, 0, 1]
    assert label_gate("") is None


def test_a_run_that_is_stopped_goes_on_as_if_it_had_not_been(corpus: TraceCache, views: Views, tmp_path: Path) -> None:
    batches = batches_of(corpus, views)
    GemRun(RECIPE, batches, tmp_path / "whole").train()
    GemRun(RECIPE, batches, tmp_path / "parts").train(until=2)
    GemRun(RECIPE, batches, tmp_path / "parts").train()
    whole, parts = (torch.load(tmp_path / n / "average.pt", weights_only=True) for n in ("whole", "parts"))
    for name, value in whole["weights"].items():
        torch.testing.assert_close(parts["weights"][name], value)


def test_trials_are_lengthened_by_the_same_voice_and_scored_in_every_way(
    corpus: TraceCache, gates: list[np.ndarray], views: Views, tmp_path: Path
) -> None:
    net = GemRun(RECIPE, batches_of(corpus, views), tmp_path).average
    trials = open_trials(tmp_path / "trials.npz", corpus, gates, net.measures)
    assert len(trials.clips) == len({c.name for c in trials.clips})
    seen = trials.places(seen_dev(corpus.clips, None))
    found = calibrate(net, trials, seen)
    assert set(found) == {"slope", "offset"}
    assert len(set(map(tuple, net.calibration.tolist()))) == 1
    rows = score(net, trials, seen, "0", MIXES)
    assert {r["arm"] for r in rows} == set(MIXES)
    assert len(rows) == len(seen) * len(BANDS) * len(SECONDS) * len(MIXES)
    assert all(np.isfinite(r["score"]) for r in rows)


def test_a_listing_holds_every_clip_and_says_what_a_fold_was_trained_on(
    corpus: TraceCache, data: Path, tmp_path: Path
) -> None:
    assert write_listing(corpus, data, tmp_path, fold=0) == len(corpus)
    with (tmp_path / "after.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {r["fold"] for r in rows if r["corpus"] == "tortoise"} == {"0"}
    assert {r["fold"] for r in rows if r["corpus"] == "nemo" and r["split"] == "train"} == {"seen"}
    assert {r["fold"] for r in rows if r["corpus"] == "nemo" and not r["system"] and r["split"] == "dev"} == {"-1"}
    samples, rate_hz = soundfile.read(rows[3]["path"])
    assert rate_hz == RATE_HZ
    assert len(samples) == len(corpus.audio.samples(3))
