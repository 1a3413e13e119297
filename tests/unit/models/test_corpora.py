"""Readers of licensed corpora, on tiny folders of the same names and columns."""

import csv
import math
from dataclasses import replace
from pathlib import Path

import click
import numpy as np
import pytest
import soundfile

from rtemo.api import EMOTIONS
from rtemo.api.errors import AudioInputError
from rtemo_models.kit.cli import main
from rtemo_models.kit.corpora.clip import read_manifest
from rtemo_models.kit.corpora.iemocap import read_iemocap
from rtemo_models.kit.corpora.manifest import enter
from rtemo_models.kit.corpora.msp_improv import read_msp_improv
from rtemo_models.kit.corpora.msp_podcast import read_msp_podcast

pytestmark = pytest.mark.unit

PODCAST_HEAD = "FileName,EmoClass,EmoAct,EmoVal,EmoDom,SpkrID,Gender,Split_Set"
PODCAST_ROWS = (
    "MSP-PODCAST_0001_0008.wav,H,7.0,4.0,1.0,12,Female,Train",
    "MSP-PODCAST_0002_0001.wav,A,6.4,1.6,5.5,Unknown,Male,Train",
    "MSP-PODCAST_0003_0001.wav,C,3.0,3.0,3.0,77,Male,Development",
    "MSP-PODCAST_0003_0002.wav,N,4.0,4.0,4.0,Unknown,Male,Train",
    "MSP-PODCAST_0004_0001.wav,S,2.0,2.0,2.0,30,Female,Test1",
    "MSP-PODCAST_0005_0001.wav,X,2.0,2.0,2.0,30,Female,Test2",
    "MSP-PODCAST_0006_0001.wav,F,5.0,2.0,2.0,Unknown,Female,Test2",
    "MSP-PODCAST_0007_0001.wav,D,5.0,2.0,2.0,5,Female,Train",
)


def sound(path: Path, rate_hz: int = 16_000, channels: int = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    tone = 0.1 * np.sin(2 * np.pi * 440 * np.arange(rate_hz // 4) / rate_hz)
    soundfile.write(path, np.stack([tone] * channels, 1), rate_hz)


def write_msp_podcast(root: Path, rows: tuple[str, ...] = PODCAST_ROWS, head: str = PODCAST_HEAD) -> Path:
    (root / "Labels").mkdir(parents=True)
    (root / "Transcripts").mkdir()
    (root / "Labels" / "labels_consensus.csv").write_text("\n".join([head, *rows]) + "\n")
    for row in rows[:-1]:
        sound(root / "Audios" / row.split(",")[0])
    (root / "Transcripts" / "MSP-PODCAST_0001_0008.txt").write_text("good\nmorning\n")
    return root


def write_iemocap(root: Path, code: str = "exc") -> Path:
    for session in range(1, 6):
        dialog = f"Ses{session:02d}F_impro01"
        folder = root / f"Session{session}"
        (folder / "dialog" / "EmoEvaluation").mkdir(parents=True)
        (folder / "dialog" / "transcriptions").mkdir()
        (folder / "dialog" / "EmoEvaluation" / f"{dialog}.txt").write_text(
            "% [START_TIME - END_TIME] TURN_NAME EMOTION [V, A, D]\n\n"
            f"[6.2901 - 8.2357]\t{dialog}_F000\tneu\t[2.5000, 2.5000, 2.5000]\n"
            "C-E2:\tNeutral;\t()\nA-E3:\tval 3; act 2; dom  2;\t()\n\n"
            f"[10.0100 - 11.3925]\t{dialog}_M000\t{code}\t[5.0000, 4.0000, 1.0000]\n"
            f"[12.0100 - 13.3925]\t{dialog}_M001\tfro\t[1.0000, 5.5000, 3.0000]\n"
        )
        (folder / "dialog" / "transcriptions" / f"{dialog}.txt").write_text(
            f"{dialog}_F000 [006.2901-008.2357]: Excuse me.\n{dialog}_M000 [010.0100-011.3925]: Yeah!\n"
        )
        for turn in ("F000", "M000", "M001"):
            sound(folder / "sentences" / "wav" / dialog / f"{dialog}_{turn}.wav")
    return root


def write_msp_improv(root: Path, angry: float = 4.5, sad: float = 2.0, name: str = "Evalution.txt") -> Path:
    root.mkdir(parents=True, exist_ok=True)
    blocks = []
    for session in range(1, 7):
        for gender in "FM":
            for k in range(4):
                letter, arousal = ("A", angry) if k % 2 else ("S", sad)
                turn = f"S0{k + 1}{letter}-{gender}{session:02d}-P-FM0{k + 1}"
                blocks.append(
                    f"UTD-IMPROV-{turn}.avi; {letter}; A:{arousal}00000; V:2.000000; D:NaN ; N:3.800000;\n"
                    "20130312_aaa; Angry; Angry,Frustrated; A:4.000000; V:2.000000; D:NaN; N:4.000000;\n"
                    "20130312_bbb; Sad; Sad,; A:4.000000; V:2.000000; D:NaN; N:3.000000;\n"
                    "20130312_ccc; Other; Bored,; A:4.000000; V:2.000000; D:NaN; N:3.000000;\n"
                )
                sound(root / f"session{session}" / turn[:4] / "P" / f"MSP-IMPROV-{turn}.wav", 44_100)
    (root / name).write_text("\n".join(blocks))
    return root


def test_msp_podcast_is_read_with_labels_ratings_and_its_own_partitions(tmp_path):
    corpus = read_msp_podcast(write_msp_podcast(tmp_path))
    first = corpus.clips[0]
    assert (first.emotion, first.split, first.partition, first.gender) == ("happy", "train", "Train", "F")
    assert first.rating == (0.0, 1.0, -1.0)
    assert first.valence_arousal == (0.0, 1.0)
    assert first.text == "good morning"
    assert first.duration_s == pytest.approx(0.25)
    assert {c.partition: (c.split, c.emotion) for c in corpus.clips if c.split != "train"} == {
        "Development": ("dev", ""),
        "Test1": ("test", "sad"),
        "Test2": ("test", ""),
    }
    assert corpus.left_out["without audio"] == 1


def test_an_unknown_speaker_cannot_leak(tmp_path):
    corpus = read_msp_podcast(write_msp_podcast(tmp_path))
    unknown = [c for c in corpus.clips if "unknown" in c.speaker]
    assert [(c.speaker, c.split) for c in unknown] == [("msp_podcast-unknown-0002", "train")]
    # One turn of Test2, and one of Train whose podcast is in Development too.
    assert corpus.left_out["of unknown speakers who might be in another split"] == 2


def test_a_known_speaker_in_two_splits_is_refused(tmp_path):
    rows = (*PODCAST_ROWS[:1], PODCAST_ROWS[2].replace(",77,", ",12,"), PODCAST_ROWS[-1])
    with pytest.raises(ValueError, match="msp_podcast-12"):
        read_msp_podcast(write_msp_podcast(tmp_path, rows))


@pytest.mark.parametrize(
    "table",
    [
        "FileName,WorkerID,EmoClass_Major\n{0},W1,Happy\n{0},W2,Happy\n{0},W3,Contempt\n{0},W4,Sad\n",
        'FileName,EmoDetail\n{0},"WORKER01; Happy; Happy,Excited; A:5.0; V:6.0; D:4.0;"\n'
        '{0},"WORKER02; Happy; ; A:5.0; V:6.0; D:4.0;"\n{0},"WORKER03; Sad; ; A:5.0; V:6.0; D:4.0;"\n',
    ],
)
def test_votes_of_listeners_are_counted_in_both_forms_of_the_table(tmp_path, table):
    write_msp_podcast(tmp_path)
    (tmp_path / "Labels" / "labels_detailed.csv").write_text(table.format("MSP-PODCAST_0001_0008.wav"))
    votes = read_msp_podcast(tmp_path).clips[0].votes
    assert dict(zip(EMOTIONS, votes, strict=True)) == dict.fromkeys(EMOTIONS, 0) | {"happy": 2, "sad": 1}


def test_a_missing_folder_and_a_missing_column_are_named(tmp_path):
    with pytest.raises(AudioInputError, match=r"holds no Labels/labels_consensus\.csv"):
        read_msp_podcast(tmp_path / "nowhere")
    rows = tuple(r.rsplit(",", 1)[0] for r in PODCAST_ROWS)
    with pytest.raises(AudioInputError, match="no column Split_Set; found FileName"):
        read_msp_podcast(write_msp_podcast(tmp_path / "old", rows, PODCAST_HEAD.rsplit(",", 1)[0]))
    (tmp_path / "mute").mkdir()
    (write_msp_podcast(tmp_path / "mute") / "Audios").rename(tmp_path / "mute" / "elsewhere")
    with pytest.raises(AudioInputError, match="holds no Audios or Audio"):
        read_msp_podcast(tmp_path / "mute")


def test_iemocap_is_split_by_session_and_excited_is_happy(tmp_path):
    corpus = read_iemocap(write_iemocap(tmp_path / "IEMOCAP_full_release").parent)
    assert len(corpus.clips) == 15
    assert {c.partition: c.split for c in corpus.clips} == {
        **{f"Session{k}": "train" for k in (1, 2, 3)},
        "Session4": "dev",
        "Session5": "test",
    }
    neutral, excited, frustrated = corpus.clips[:3]
    assert (neutral.emotion, neutral.speaker, neutral.text) == ("neutral", "iemocap-Ses01F", "Excuse me.")
    assert (excited.emotion, excited.speaker, excited.rating) == ("happy", "iemocap-Ses01M", (1.0, 0.5, -1.0))
    assert frustrated.label == -1
    assert frustrated.rating[1] == 1.0  # a few published means lie beyond the scale


def test_an_unknown_code_of_iemocap_is_named(tmp_path):
    with pytest.raises(AudioInputError, match="Ses01F_impro01_M000 is 'joy'"):
        read_iemocap(write_iemocap(tmp_path, "joy"))


@pytest.mark.parametrize("name", ["Evalution.txt", "Evaluation.txt"])
def test_msp_improv_is_read_from_its_blocks(tmp_path, name):
    corpus = read_msp_improv(write_msp_improv(tmp_path, name=name))
    assert len(corpus.clips) == 48
    angry = next(c for c in corpus.clips if c.emotion == "angry")
    assert angry.speaker == "msp_improv-F01"
    assert angry.rating[:2] == (-0.5, 0.75)
    assert math.isnan(angry.rating[2])
    assert sum(angry.votes) == 2
    assert {c.speaker[-2:]: c.split for c in corpus.clips} == {f"0{k}": "train" for k in (1, 2, 3, 4)} | {
        "05": "dev",
        "06": "test",
    }


def test_an_arousal_scale_that_starts_excited_is_turned_over(tmp_path):
    corpus = read_msp_improv(write_msp_improv(tmp_path, angry=1.5, sad=4.0))
    rated = {c.emotion: c.rating[1] for c in corpus.clips}
    assert rated == {"angry": 0.75, "sad": -0.5}


def test_a_damaged_line_of_msp_improv_is_named_by_number(tmp_path):
    write_msp_improv(tmp_path)
    (tmp_path / "Evalution.txt").write_text("\nUTD-IMPROV-S01A-F01-P-FM01.avi; N; A:much;\n")
    with pytest.raises(AudioInputError, match=r"line 2 of Evalution\.txt"):
        read_msp_improv(tmp_path)


def test_a_corpus_enters_the_manifest_beside_the_others_and_comes_back_the_same(tmp_path):
    data = tmp_path / "data"
    (data / "emotion").mkdir(parents=True)
    old = (
        "path,corpus,language,speaker,gender,emotion,level,text,split,duration_s\na.opus,nemo,pl,n1,F,sad,,oh,train,1\n"
    )
    (data / "emotion" / "manifest.csv").write_text(old)
    corpus = read_iemocap(write_iemocap(tmp_path / "iemocap"))
    for _ in range(2):  # entering it again replaces its rows
        enter(corpus, data / "emotion" / "manifest.csv")
    first, *rest = read_manifest(data / "emotion" / "manifest.csv")
    assert (first.path, first.rating, first.votes) == ("a.opus", None, ())
    assert [replace(c, duration_s=0.25) for c in rest] == [replace(c, duration_s=0.25) for c in corpus.clips]
    with (data / "emotion" / "manifest.csv").open(newline="") as file:
        assert {r["language"] for r in csv.DictReader(file)} == {"pl", "en"}


def test_the_command_converts_other_rates_and_says_what_it_did(tmp_path, capsys):
    pytest.importorskip("scipy")
    write_msp_improv(tmp_path / "improv")
    out = str(tmp_path / "data" / "emotion" / "manifest.csv")
    main.main(["corpus", "msp_improv", str(tmp_path / "improv"), "--out", out], standalone_mode=False)
    clips = read_manifest(tmp_path / "data" / "emotion" / "manifest.csv")
    assert "48 clips of msp_improv, train 32, dev 8, test 8" in capsys.readouterr().out
    assert all(soundfile.info(c.path).samplerate == 16_000 for c in clips)
    assert "data/emotion/msp_improv" in clips[0].path


def test_the_command_says_in_one_line_what_is_missing(tmp_path):
    line = ["corpus", "iemocap", str(tmp_path), "--out", str(tmp_path / "manifest.csv")]
    with pytest.raises(click.ClickException, match=r" holds no Session1"):
        main.main(line, standalone_mode=False)
