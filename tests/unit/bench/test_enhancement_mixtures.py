"""The evaluation set of enhancement, from a folder of recordings made here."""

import csv
from pathlib import Path

import numpy as np
import pytest
import soundfile

from bench.quality.enhancement.active_level import active_power
from bench.quality.enhancement.mixtures import CORPORA, KINDS, SNRS_DB, mix, mixtures
from bench.sound import babble

pytestmark = pytest.mark.unit


def write(folder: Path, table: str, rows: list[dict[str, str]]) -> None:
    (folder / table).mkdir(parents=True, exist_ok=True)
    with (folder / table / "manifest.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("data")
    seed = 0
    tables: dict[str, list[dict[str, str]]] = {"emotion": [], "clean": [], "noise": []}
    for corpus in CORPORA:
        table = "clean" if corpus in ("librispeech", "speechocean762") else "emotion"
        for split, speakers in (("dev", "abcd"), ("train", "wxyz")):
            for speaker in speakers:
                seed += 1
                path = f"{table}/{corpus}-{speaker}.flac"
                (folder / table).mkdir(exist_ok=True)
                soundfile.write(folder / path, babble(2.0, seed), 16_000)
                row = {"path": path, "corpus": corpus, "speaker": f"{corpus}-{speaker}", "split": split}
                more = {"language": "xx", "emotion": "sad"} if table == "emotion" else {}
                tables[table].append({**row, **more, "duration_s": "2.0"})
    random = np.random.default_rng(5)
    for kind, split in (("rain", "dev"), ("rain", "train"), ("dog_bark", "dev"), ("airport", "dev"), ("car", "train")):
        (folder / "noise").mkdir(exist_ok=True)
        path = f"noise/{kind}-{split}.flac"
        sound = random.normal(0, 0.05, 32_000) * (np.arange(32_000) < 24_000)  # the rest is digital silence
        soundfile.write(folder / path, sound, 16_000)
        tables["noise"].append({"path": path, "kind": kind, "split": split, "duration_s": "2.0"})
    for table, rows in tables.items():
        write(folder, table, rows)
    return folder


def test_every_clip_is_at_every_snr_and_corpora_and_kinds_are_crossed(data: Path) -> None:
    made = list(mixtures(data, 24))
    assert len(made) == 24 * len(SNRS_DB)
    assert {(m.corpus, m.noise) for m in made} == {(c, k) for c in CORPORA for k in KINDS}
    assert all(m.clean.size == m.noisy.size >= 48_000 for m in made)


def test_the_set_is_the_same_every_time_and_a_longer_one_begins_with_it(data: Path) -> None:
    first = [m.digest for m in mixtures(data, 4)]
    assert first == [m.digest for m in mixtures(data, 6)][: len(first)]
    assert len(set(first)) == len(first)
    assert first[0] != next(mixtures(data, 1, seed=1)).digest


def test_dev_noise_and_train_noise_stay_apart_while_the_talker_is_the_same(data: Path) -> None:
    for dev, train in zip(mixtures(data, 12), mixtures(data, 12, noise_split="train"), strict=True):
        assert (dev.clip, dev.speaker, dev.noise) == (train.clip, train.speaker, train.noise)
        assert dev.speaker[-1] in "abcd"
        if dev.noise.startswith("talker"):
            assert all(name[-1] in "abcd" for name in dev.noise_class.split("+"))
            assert all(name[-1] in "wxyz" for name in train.noise_class.split("+"))
            assert dev.speaker not in dev.noise_class.split("+")
        if dev.noise == "place":
            assert (dev.noise_class, train.noise_class) == ("airport", "car")


def test_the_snr_is_that_of_active_speech(data: Path) -> None:
    for mixture in mixtures(data, 1):
        noise = mixture.noisy - mixture.clean
        power, _ = active_power(mixture.clean)
        assert 10 * np.log10(power / np.mean(noise**2)) == pytest.approx(mixture.snr_db, abs=0.1)
        assert np.abs(mixture.noisy).max() <= 1.0


def test_what_would_clip_is_scaled_down_with_its_truth() -> None:
    speech, noise = babble(2.0, 7), np.random.default_rng(0).normal(0, 1, 32_000).astype(np.float32)
    clean, noisy = mix(speech, noise, -10.0, -6.0)
    assert np.abs(noisy).max() == pytest.approx(0.99, abs=1e-3)
    power, _ = active_power(clean)
    assert 10 * np.log10(power / np.mean((noisy - clean) ** 2)) == pytest.approx(-10.0, abs=0.1)


def test_silence_cannot_be_mixed() -> None:
    with pytest.raises(ValueError, match="no speech"):
        mix(np.zeros(16_000, np.float32), np.ones(16_000, np.float32), 0.0)
