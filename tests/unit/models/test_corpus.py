"""Manifests, splits and targets of the training kit."""

from dataclasses import replace
from pathlib import Path

import pytest

from rtemo.api import EMOTIONS
from rtemo_models.kit.corpora.clip import CIRCUMPLEX, Clip, classes_of, read_clips, refuse_leaks

pytestmark = pytest.mark.unit

CLIP = Clip("a.wav", "ravdess", "ravdess-01", "train", "happy", "normal", 2.0)


def write_manifests(folder: Path, emotion: list[str], clean: list[str]) -> None:
    (folder / "emotion").mkdir(parents=True)
    (folder / "clean").mkdir()
    head = "path,corpus,language,speaker,gender,emotion,level,text,split,duration_s"
    (folder / "emotion" / "manifest.csv").write_text("\n".join([head, *emotion]) + "\n")
    (folder / "clean" / "manifest.csv").write_text("\n".join(["path,corpus,speaker,split,duration_s", *clean]) + "\n")


def test_manifests_are_read_with_splits_and_labels(tmp_path: Path) -> None:
    write_manifests(
        tmp_path,
        ["a.opus,nemo,pl,nemo-1,F,sad,,text,train,1.5", "b.opus,baved,ar,baved-2,M,,2,word,dev,0.9"],
        ["c.opus,librispeech,libri-3,train,3.0"],
    )
    sad, word, read = read_clips(tmp_path)
    assert EMOTIONS[sad.label] == "sad"
    assert word.label == -1
    assert word.valence_arousal[1] > 0
    assert (read.label, read.split) == (-1, "train")


def test_a_speaker_in_two_splits_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="ravdess-01"):
        refuse_leaks([CLIP, replace(CLIP, path="b.wav", split="dev")])


def test_a_leaking_manifest_is_refused_when_read(tmp_path: Path) -> None:
    rows = [f"{split}.opus,nemo,pl,nemo-1,F,sad,,text,{split},1.5" for split in ("train", "dev")]
    write_manifests(tmp_path, rows, [])
    with pytest.raises(ValueError, match="nemo-1"):
        read_clips(tmp_path)


def test_classes_of_a_corpus_are_those_it_has_labels_for() -> None:
    clips = [CLIP, replace(CLIP, emotion="calm"), replace(CLIP, corpus="baved", emotion="", level="0")]
    assert classes_of(clips) == {"ravdess": (EMOTIONS.index("calm"), EMOTIONS.index("happy"))}


def test_every_emotion_has_a_place_on_the_circumplex() -> None:
    assert tuple(CIRCUMPLEX) == EMOTIONS
    assert all(-1 <= v <= 1 and -1 <= a <= 1 for v, a in CIRCUMPLEX.values())


@pytest.mark.parametrize("emotion", [e for e in EMOTIONS if e != "neutral"])
def test_a_strong_rendering_lies_further_out_than_a_normal_one(emotion: str) -> None:
    strong, normal = (replace(CLIP, emotion=emotion, level=level).valence_arousal for level in ("strong", "normal"))
    assert abs(strong[1]) > abs(normal[1])
    assert strong[0] == normal[0]
