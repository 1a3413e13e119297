"""`rtemo eval` on clips whose answers are known: the bundle of these tests hears how loud a voice is."""

import csv
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.fakes.program import call
from tests.fakes.sounds import write_sound
from tests.fakes.voice import RATE_HZ, voice
from tests.fakes.windowed import wave_bundle

pytestmark = pytest.mark.unit

LOUD, FAINT = 0.06, 0.006
"""Mean magnitudes that the bundle takes for angry, and for neutral."""


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return wave_bundle(tmp_path_factory.mktemp("bundle") / "wave")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two loud clips and one faint one called angry, two faint ones called neutral, and one that is silent."""
    root = tmp_path_factory.mktemp("clips")
    for name, level, seed in (
        ("anger/a1", LOUD, 1),
        ("anger/a2", LOUD, 2),
        ("anger/a3", FAINT, 3),
        ("neutral/n1", FAINT, 4),
        ("neutral/n2", FAINT, 5),
        ("neutral/n3", 0.0, 6),
    ):
        path = root / f"{name}.wav"
        path.parent.mkdir(exist_ok=True)
        sound = voice(1.6, seed)
        write_sound(path, np.clip(sound * level / np.abs(sound).mean(), -1, 1), RATE_HZ)
    return root


def options(bundle: Path, *more: object) -> tuple[object, ...]:
    return ("--chain", "vad,windowed", "--set", f"plugins.windowed.bundle={bundle}", "--quiet", *more)


def table(path: Path, rows: list[dict[str, Any]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return path


def test_a_folder_of_folders_is_scored_as_its_clips_were_told(capsys: Any, bundle: Path, folder: Path) -> None:
    out = folder.parent / "result.json"
    done = call(capsys, "eval", folder, *options(bundle, "--json", out))
    assert (done.code, done.err) == (0, "")
    for words in ("6 clips", "1 were given no estimate", "UAR          0.667", "accuracy     0.667", "chance 0.500"):
        assert words in done.out
    result = json.loads(out.read_text())
    (system,) = result["systems"]
    scores = system["scores"]
    assert system["chain"] == ["vad", "windowed"]
    assert str(bundle) in system["models"]
    assert {name: count for name, count in scores["confusion"]["angry"].items() if count} == {"angry": 2, "neutral": 1}
    assert {n: count for n, count in scores["confusion"]["neutral"].items() if count} == {"neutral": 2, "nothing": 1}
    assert scores["recall"] == pytest.approx({"angry": 2 / 3, "neutral": 2 / 3})
    assert scores["macro_f1"]["value"] == pytest.approx((2 * 2 / (3 + 2) + 2 * 2 / (3 + 3)) / 2)
    assert scores["uar"]["low"] < scores["uar"]["value"] < scores["uar"]["high"]
    assert scores["abstention"][0]["committed"] == 1.0
    assert scores["abstention"][0]["accuracy"] == pytest.approx(4 / 6)
    assert scores["abstention"][-1]["accuracy"] == 1.0
    assert len(result["answers"]["vad,windowed"]) == 5


def test_a_folder_within_that_of_a_label_is_a_speaker(capsys: Any, bundle: Path, folder: Path, tmp_path: Path) -> None:
    for path in sorted(folder.glob("*/*[12].wav")):
        place = tmp_path / path.parent.name / f"speaker {path.stem[1]}" / path.name
        place.parent.mkdir(parents=True)
        place.symlink_to(path)
    done = call(capsys, "eval", tmp_path, *options(bundle))
    assert done.code == 0
    assert "4 clips" in done.out
    assert "2 speakers" in done.out


def test_a_table_brings_speakers_corpora_splits_and_dimensions(
    capsys: Any, bundle: Path, folder: Path, tmp_path: Path
) -> None:
    names = ("anger/a1", "anger/a2", "anger/a3", "neutral/n1", "neutral/n2", "neutral/n3")
    rows = [
        {
            "path": folder / f"{name}.wav",
            "label": "ang" if "anger" in name else "neu",
            "speaker": f"s{index % 3}",
            "corpus": "one" if index % 3 else "two",
            "arousal": 6 if name in ("anger/a1", "anger/a2") else 2,
            "split": "train" if name == "neutral/n3" else "dev",
        }
        for index, name in enumerate(names)
    ]
    source = table(tmp_path / "clips.csv", rows)
    out = tmp_path / "result.json"
    done = call(capsys, "eval", source, *options(bundle, "--json", out, "--split", "dev", "--scale", "1:7"))
    assert (done.code, done.err) == (0, "")
    (system,) = json.loads(out.read_text())["systems"]
    assert system["scores"]["clips"] == 5
    assert system["scores"]["speakers"] == 3
    assert system["by_corpus"].keys() == {"one", "two"}
    assert system["scores"]["arousal_ccc"]["value"] > 0.2
    assert system["scores"]["valence_ccc"] is None
    assert "arousal CCC" in done.out
    (tmp_path / "elsewhere").mkdir()
    moved = table(tmp_path / "elsewhere" / "m.csv", [{**row, "path": row["path"].relative_to(folder)} for row in rows])
    words = options(bundle, "--root", folder, "--split", "dev", "--scale", "1:7")
    assert call(capsys, "eval", moved, *words).out == done.out
    told = call(capsys, "eval", source, *options(bundle, "--split", "test"))
    assert told.code == 2
    assert "there is no such split (dev, train)" in told.complaint
    told = call(capsys, "eval", source, *options(bundle))
    assert told.code == 2
    assert "arousal is '6', expected a number from -1 to 1; name the scale with --scale LOW:HIGH" in told.err


def test_annotators_stand_beside_the_constant_answer(capsys: Any, bundle: Path, folder: Path, tmp_path: Path) -> None:
    said = {
        "anger/a1": ("anger", "anger", "neutral"),
        "anger/a3": ("anger", "neutral", "anger"),
        "neutral/n1": ("neutral", "sad"),
    }
    rows = [
        {"path": folder / f"{name}.wav", "rater": f"r{k}", "label": label}
        for name, labels in said.items()
        for k, label in enumerate(labels)
    ]
    rows.append(dict(rows[-1]))  # an annotator who says it twice counts once
    source = table(tmp_path / "ratings.csv", rows)
    out = tmp_path / "result.json"
    done = call(capsys, "eval", source, *options(bundle, "--json", out))
    assert (done.code, done.err) == (0, "")
    (system,) = json.loads(out.read_text())["systems"]
    scores = system["scores"]
    assert scores["labels"] == {"angry": 2, "neutral": 1}
    found = scores["annotators"]
    assert found["ratings_per_clip"] == pytest.approx(8 / 3)
    assert (found["any_accuracy"], found["constant"], found["constant_any_accuracy"]) == (1.0, "neutral", 1.0)
    assert found["aa_macro_f1"] == 1.0
    assert found["soft_credit"] == pytest.approx((2 / 3 + 1 / 3 + 1 / 2) / 3)
    assert "always 'neutral'" in done.out
    beside = call(capsys, "eval", folder, *options(bundle, "--raters", source))
    assert beside.code == 1
    assert "3 clips have no rating of any annotator" in beside.complaint


def test_systems_are_compared_over_the_same_draws(capsys: Any, bundle: Path, folder: Path, tmp_path: Path) -> None:
    other = wave_bundle(tmp_path / "other", emotions={"boredom": "", "ang": "sad", "sad": "angry"})
    out, again = tmp_path / "one.json", tmp_path / "two.json"
    done = call(capsys, "eval", folder, *options(bundle, "--against", other, "--json", out))
    assert (done.code, done.err) == (0, "")
    (difference,) = json.loads(out.read_text())["differences"]
    assert (difference["system"], difference["against"]) == ("vad,windowed", str(other))
    assert difference["measures"]["uar"]["value"] == pytest.approx(1 / 3)
    assert difference["measures"]["uar"]["low"] >= 0
    assert "vad,windowed minus" in done.out
    saved = call(capsys, "eval", folder, *options(bundle, "--against", out, "--json", again))
    assert saved.code == 0
    measures = [entry["measures"]["uar"]["value"] for entry in json.loads(again.read_text())["differences"]]
    assert measures == pytest.approx([0.0, 1 / 3])
    setting = call(capsys, "eval", folder, *options(bundle, "--against", "plugins.windowed.unsure_below=0.99"))
    assert "committed    0% of the clips as configured" in setting.out


def test_clips_that_fail_are_named_and_the_others_are_scored(
    capsys: Any, bundle: Path, folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "broken.wav").write_bytes(b"RIFF no sound")
    rows = [
        {"path": folder / "anger/a1.wav", "label": "angry"},
        {"path": "broken.wav", "label": "sad"},
        {"path": "missing.wav", "label": "sad"},
        {"path": folder / "neutral/n1.wav", "label": "bored"},
        {"path": folder / "neutral/n2.wav", "label": ""},
        {"path": folder / "anger/a1.wav", "label": "sad"},
    ]
    done = call(capsys, "eval", table(tmp_path / "clips.csv", rows), *options(bundle))
    assert done.code == 1
    assert "1 clips, intervals by clip" in done.out
    assert "Traceback" not in done.err
    for words in (
        "broken.wav",
        "missing.wav",
        "the label 'bored' (1 times) is none of neutral",
        "line 6: there is no label",
        "is named twice",
    ):
        assert done.err.count(words) == 1, words


def test_labels_are_mapped_or_left_out_on_purpose(capsys: Any, bundle: Path, folder: Path, tmp_path: Path) -> None:
    rows = [
        {"path": folder / "anger/a1.wav", "label": "furious"},
        {"path": folder / "neutral/n1.wav", "label": "bored"},
    ]
    source = table(tmp_path / "clips.csv", rows)
    done = call(capsys, "eval", source, *options(bundle, "--label", "furious=angry", "--label", "bored="))
    assert (done.code, done.err) == (0, "")
    assert "UAR          1.000" in done.out
    assert "expected NAME=EMOTION" in call(capsys, "eval", source, *options(bundle, "--label", "bored=x")).complaint


def test_a_picture_is_drawn_in_every_format(capsys: Any, bundle: Path, folder: Path, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib", reason="matplotlib is an extra")
    for suffix, head in ((".png", b"\x89PNG"), (".svg", b"<?xml")):
        place = tmp_path / f"result{suffix}"
        done = call(
            capsys,
            "eval",
            folder,
            *options(bundle, "--picture", place, "--against", "plugins.windowed.window_s=1"),
        )
        assert (done.code, done.err) == (0, "")
        assert place.read_bytes().startswith(head)


def test_without_matplotlib_the_extra_is_named_before_anything_is_run(
    capsys: Any, bundle: Path, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rtemo.cli.evaluation.picture.find_spec", lambda name: None)
    done = call(capsys, "eval", folder, *options(bundle, "--picture", tmp_path / "a.png"))
    assert done.code == 2
    assert "install the extra: pip install 'rtemo[plots]'" in done.complaint


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["nowhere.csv"], "nowhere.csv cannot be read (No such file or directory)"),
        (["{folder}", "--split", "dev"], "--split is for a CSV file"),
        (["{folder}", "--picture", "a.bmp"], "--picture a.bmp is of no known format"),
        (["{folder}", "--scale", "7:1"], "--scale got '7:1', expected LOW:HIGH"),
        (["{folder}", "--against", "no-such-thing"], "is no chain of installed plugins, no setting"),
        (["{folder}", "--against", "vad,windowed"], "is what is measured already"),
        (["{folder}", "--against", "merit-enhance"], "which bundle for 'enhancement' of the chain it replaces"),
        (["{folder}/.."], "has no clip whose label is known"),
        (["{table}"], "has no column 'path' (columns: file, label)"),
        (["{unlabelled}"], "has no column label, arousal or valence"),
        (["{binary}"], "is no CSV file in UTF-8"),
    ],
)
def test_a_mistake_gets_one_line(
    capsys: Any, bundle: Path, folder: Path, tmp_path: Path, arguments: list[str], words: str
) -> None:
    places = {
        "folder": folder,
        "table": table(tmp_path / "t.csv", [{"file": "a.wav", "label": "sad"}]),
        "unlabelled": table(tmp_path / "u.csv", [{"path": "a.wav", "mood": "sad"}]),
        "binary": tmp_path / "b.csv",
    }
    places["binary"].write_bytes(b"path,label\n\xff\xfe,sad\n")
    done = call(capsys, "eval", *(argument.format(**places) for argument in arguments), *options(bundle))
    assert done.code == 2
    assert words in done.complaint


def test_a_chain_that_tells_no_emotion_is_told_apart(capsys: Any, folder: Path) -> None:
    done = call(capsys, "eval", folder, "--chain", "vad", "--quiet")
    assert done.code == 1
    assert "no plugin of the chain (vad) told an emotion" in done.complaint


def test_bench_quality_tells_the_scores_of_eval_and_names_no_clip(capsys: Any, bundle: Path, folder: Path) -> None:
    out = folder.parent / "beside.json"
    assert call(capsys, "eval", folder, *options(bundle, "--json", out)).code == 0
    done = call(capsys, "bench", "quality", folder, *options(bundle, "--json"))
    assert (done.code, done.err) == (0, "")
    told, beside = json.loads(done.out), json.loads(out.read_text())
    assert told["bench"] == "quality"
    assert told["systems"] == beside["systems"]
    assert not told["answers"]
    assert not [clip for clip in beside["answers"]["vad,windowed"] if Path(clip).name in done.out]
    assert "UAR          0.667" in call(capsys, "bench", "quality", folder, *options(bundle)).out
    assert "no-such" in call(capsys, "bench", "quality", folder / "no-such", *options(bundle)).complaint
