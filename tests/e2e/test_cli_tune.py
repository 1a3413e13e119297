"""`rtemo tune` on voices of classes of the user's own: from files to a bundle that the chain hears with."""

import csv
import json
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import soundfile
from onnx import numpy_helper

import rtemo
from rtemo.api import Emotion, SpeechEnd, SpeechStart, TunedTurn
from rtemo.cli.options import load
from rtemo.cli.tuning.layers import find_layers
from rtemo.cli.tuning.windows import Network
from rtemo.extensions import TUNERS, installed
from rtemo.extensions import load as load_tuner
from rtemo.runtime.onnx import OnnxHandle
from rtemo.runtime.store import Bundle, find
from tests.fakes.program import call, start
from tests.fakes.sounds import write_sound
from tests.fakes.voice import RATE_HZ, voice

pytestmark = pytest.mark.e2e

pytest.importorskip("scipy", reason="SciPy is not installed: nothing can be fitted")
if "merit" not in installed(TUNERS):
    pytest.skip("the installed package has no tuner", allow_module_level=True)

SPEEDS = {"brisk": 1.3, "slow": 0.75}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Eleven clips of each of two classes by eleven speakers; a class is how fast and high they speak."""
    root = tmp_path_factory.mktemp("clips")
    rows = []
    for speaker in range(11):
        for label, speed in SPEEDS.items():
            sound = voice(1.8, 10 * speaker + len(label))
            sound = np.interp(np.arange(0, len(sound) - 1, speed), np.arange(len(sound)), sound)[:24_000]
            path = write_sound(root / f"{label}-{speaker}.wav", sound.astype(np.float32), RATE_HZ)
            rows.append({"path": path.name, "label": label, "speaker": f"s{speaker}"})
    with (root / "clips.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return root / "clips.csv"


@pytest.mark.timeout(120)
def test_classes_of_ones_own_are_learnt_written_and_heard_live(capsys: Any, source: Path, tmp_path: Path) -> None:
    out, report = tmp_path / "pace", tmp_path / "report.json"
    done = call(capsys, "tune", "merit", "--data", source, "--out", out, "--json", report, "--quiet")
    assert done.code == 0, done.err
    assert "after minus before" in done.out
    before, after = json.loads(report.read_text())["systems"]
    assert after["scores"]["speakers"] >= 2
    assert after["scores"]["uar"]["value"] >= 0.75, "speed is easily heard"
    assert before["scores"]["uar"]["value"] == 0.0, "the bundle as it was does not know these classes"
    card = json.loads((out / "card.json").read_text())
    assert card["labels"] == ["brisk", "slow"]
    assert card["scores"]["held_out"]["accuracy_after"] == pytest.approx(after["scores"]["accuracy"]["value"], abs=1e-3)
    assert card["calibration"]["temperature"] > 0
    assert "clips.csv: " in card["training_data"][-1]
    checked = call(capsys, "card", out, "--check")
    assert checked.code == 0, checked.err
    chain = ("--chain", "level,vad,listener", "--set", f"plugins.listener.bundle={out}")
    with rtemo.Session(load(None, chain[3:], chain[1]), mode="freewheel") as session:
        stream = session.stream("call")
        stream.push(soundfile.read(source.parent / "slow-0.wav", dtype="float32")[0])
        stream.end()
        finals = [e.data for e in session.events() if isinstance(e.data, Emotion) and e.data.is_final]
    assert finals
    assert all(set(data.probabilities) == {"brisk", "slow"} for data in finals)
    assert finals[0].label in ("slow", "unsure")
    page = call(capsys, "report", source.parent / "slow-0.wav", *chain, "--out", tmp_path / "page.html")
    assert page.code == 0, page.err
    assert call(capsys, "tune", "merit", "--data", source, "--out", tmp_path).complaint.endswith("name a new folder")


def test_what_cannot_be_tuned_is_said_in_one_line(capsys: Any, source: Path, tmp_path: Path) -> None:
    def told(*words: object) -> str:
        done = call(capsys, "tune", "merit", "--out", tmp_path / "new", *words)
        assert done.code == 2
        return done.complaint

    assert "there is no tuner 'mreit' (installed: merit" in call(capsys, "tune", "mreit", "--data", source).complaint
    assert "has no clip whose label is known" in told("--data", tmp_path)
    assert "cannot be read" in told("--data", tmp_path / "nothing.csv")
    (tmp_path / "bare.csv").write_text("file,mood\na.wav,happy\n")
    assert "has no column 'path' (columns: file, mood)" in told("--data", tmp_path / "bare.csv")
    assert "all 11 clips are called 'slow'" in told("--data", source, "--label", "brisk=")
    assert "is no graph that tells logits of single windows" in told("--data", source, "--bundle", "merit-listen")
    assert "there is no such split" in told("--data", source, "--held-out", "dev")
    assert "lacks 'listener'" in told("--data", source, "--chain", "vad")
    assert "--layers and --rank say what --lora tunes" in told("--data", source, "--rank", "4")
    assert not (tmp_path / "new").exists()


@pytest.mark.timeout(300)
def test_upper_layers_are_tuned_with_the_last_and_the_bundle_is_heard_live_as_offline(
    capsys: Any, source: Path, tmp_path: Path
) -> None:
    pytest.importorskip("torch", reason="torch is not installed: no layer can be tuned")
    out, report = tmp_path / "pace", tmp_path / "report.json"
    words = ("--data", source, "--out", out, "--json", report, "--lora", "--rank", "4", "--quiet")
    done = call(capsys, "tune", "merit", *words)
    assert done.code == 0, done.err
    assert json.loads(report.read_text())["systems"][1]["scores"]["uar"]["value"] >= 0.75, "speed is easily heard"
    card = json.loads((out / "card.json").read_text())
    assert (
        "products of rank 4 that are added to their matrices, the encoder's layers 2 and 3" in card["training_data"][-1]
    )
    assert "arousal by 0." in card["limits"][1]
    assert {"LICENSE", "NOTICE"} <= {path.name for path in out.iterdir()}, "Whisper's licence asks for its notice"
    assert not (tmp_path / "pace.unfinished").exists()
    checked = call(capsys, "card", out, "--check")
    assert checked.code == 0, checked.err
    bundle = find(str(out))
    assert not np.array_equal(frames_of(bundle), frames_of(find("merit-large"))), "the layers are other ones"
    # A turn so short that its one window is all that is said of it: live as offline.
    short = soundfile.read(source.parent / "slow-0.wav", dtype="float32")[0][:14_000]
    (start, end), live = heard_live(short, out, packet=320)
    at_once = heard_live(short, out, packet=len(short))
    assert ((start, end), live) == at_once, "packets or all at once, the same is said"
    window = load_tuner(TUNERS, "merit")().windows(bundle.card, np.pad(short, (0, 16_000)), TunedTurn(0, start, end))[
        -1
    ]
    handle = OnnxHandle(bundle.card, bundle.read_weights())
    inputs = {name: values[None] for name, values in window.inputs.items()}
    logits = handle.run(inputs, handle.new_state(1), 1)["logits"][0].astype(np.float64)
    odds = np.exp((logits - logits.max()) / bundle.card.calibration["temperature"])
    assert list(live[-1].values()) == pytest.approx((odds / odds.sum()).tolist(), abs=2e-4)


def frames_of(bundle: Bundle) -> np.ndarray:
    """What the third layer's last matrix is."""
    network = Network(bundle)
    layers = find_layers(network.data, ("logits",), "there", 1, "it")
    graph = onnx.load_from_string(network.data).graph
    return next(
        numpy_helper.to_array(tensor) for tensor in graph.initializer if tensor.name == f"{layers.weights[-1]}.half"
    )


def heard_live(sound: np.ndarray, bundle: Path, packet: int) -> tuple[tuple[int, int], list[dict[str, float]]]:
    """Of the one turn in a sound when its beginning was known and when it ended, and what was said of it."""
    settings = (f"plugins.listener.bundle={bundle}",)
    with rtemo.Session(load(None, settings, "level,vad,listener"), mode="freewheel") as session:
        stream = session.stream("call")
        for begin in range(0, len(sound), packet):
            stream.push(sound[begin : begin + packet])
        stream.push(np.zeros(16_000, np.float32))
        stream.end()
        events = list(session.events())
    (begun,) = (event for event in events if isinstance(event.data, SpeechStart))
    (ended,) = (event for event in events if isinstance(event.data, SpeechEnd))
    said = [event.data.probabilities for event in events if isinstance(event.data, Emotion) and event.data.is_final]
    return (begun.end_sample, ended.end_sample), said


def test_layers_are_not_tuned_without_torch_speakers_or_sense(
    capsys: Any, source: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("torch", reason="torch is not installed: no layer can be tuned")

    def told(*words: object) -> str:
        done = call(capsys, "tune", "merit", "--out", tmp_path / "new", "--lora", *words)
        assert done.code == 2
        return done.complaint

    assert "0 is not in the range" in told("--data", source, "--rank", "0")
    assert "--layers 9: the encoder of bundle 'merit-large' has 3" in told("--data", source, "--layers", "9")
    folder = tmp_path / "clips"
    for label in SPEEDS:
        (folder / label / "anna").mkdir(parents=True)
        for speaker in range(11):
            shutil.copy(source.parent / f"{label}-{speaker}.wav", folder / label / "anna")
    assert "--lora needs three speakers or more, known by name" in told("--data", folder)
    monkeypatch.setitem(sys.modules, "torch", None)  # as where it is not installed
    assert "cannot be tuned without torch; install the extra, as `pip install 'rtemo[lora]'`" in told("--data", source)
    assert list(tmp_path.iterdir()) == [folder]


@pytest.mark.timeout(120)
def test_a_clip_of_no_numbers_is_named_and_left_out(capsys: Any, source: Path, tmp_path: Path) -> None:
    clips = tmp_path / "clips"
    shutil.copytree(source.parent, clips)
    soundfile.write(clips / "slow-3.wav", np.full(24_000, np.nan, np.float32), RATE_HZ, subtype="FLOAT")
    done = call(capsys, "tune", "merit", "--data", clips / "clips.csv", "--out", tmp_path / "new")
    assert "Traceback" not in done.err
    assert (tmp_path / "new" / "card.json").exists(), done.err
    assert "in 1 of the clips to fit to the chain hears no speech" in done.err, done.err


@pytest.mark.timeout(300)
def test_a_run_that_is_interrupted_ends_cleanly_and_goes_on(source: Path, tmp_path: Path) -> None:
    pytest.importorskip("torch", reason="torch is not installed: no layer can be tuned")
    out = tmp_path / "pace"
    words = ("tune", "merit", "--data", source, "--out", out, "--lora", "--rank", "4")
    process = start(*words)
    assert process.stderr is not None
    said = []
    for line in process.stderr:
        said.append(line)
        if "after 1 passes" in line:
            process.send_signal(signal.SIGINT)
            break
    _, rest = process.communicate(timeout=60)
    assert process.returncode == 130, rest
    assert "stopped; the same command goes on from here" in rest
    assert "Traceback" not in rest
    assert not out.exists()
    again = start(*words)
    _, err = again.communicate(timeout=200)
    assert again.returncode == 0, err
    assert "after 0 passes" not in err, "it goes on"
    assert (out / "card.json").exists()
    assert not (tmp_path / "pace.unfinished").exists()
