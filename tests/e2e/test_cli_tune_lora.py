"""`rtemo tune --lora` on a small bundle of the kind that ships: from a folder to a bundle that the chain hears with."""

import json
import shutil
import signal
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

pytest.importorskip("torch", reason="torch is not installed: no layer can be tuned")
pytest.importorskip("scipy", reason="SciPy is not installed: nothing can be fitted")

import torch

import rtemo
from rtemo.api import Emotion
from rtemo.cli.options import load
from rtemo.cli.tuning.layers import find_layers
from rtemo.extensions import TUNERS, installed
from rtemo.runtime.store import find
from rtemo.runtime.torch_graph import TorchGraph
from tests.fakes.listener import listener_bundle
from tests.fakes.pace import SPEEDS, paced
from tests.fakes.processors import one_processor
from tests.fakes.program import call, start
from tests.fakes.sounds import write_sound
from tests.fakes.voice import RATE_HZ

pytestmark = pytest.mark.e2e

if "merit" not in installed(TUNERS):
    pytest.skip("the installed package has no tuner", allow_module_level=True)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return listener_bundle(tmp_path_factory.mktemp("bundle") / "small")


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip of each of two classes by each of eight speakers."""
    return write_clips(tmp_path_factory.mktemp("clips"), 8)


@pytest.fixture(autouse=True)
def _alone() -> Iterator[None]:
    with one_processor():
        yield


def write_clips(folder: Path, speakers: int, sounds_like: str = "") -> Path:
    """Write CLASS/SPEAKER/clip.wav; the class is the pace, or all sound like one of them."""
    for speaker in range(speakers):
        for label in SPEEDS:
            (folder / label / f"s{speaker}").mkdir(parents=True)
            write_sound(folder / label / f"s{speaker}" / "clip.wav", paced(speaker, sounds_like or label, 1.5), RATE_HZ)
    return folder


def matrices(bundle: Path) -> list[dict[str, np.ndarray]]:
    """Matrices of every layer of a bundle, the lowest first."""
    data = find(str(bundle)).read_weights()
    constants = TorchGraph(data, torch.device("cpu")).constants
    every = find_layers(data, ("logits",), "there", 3, "it").weights
    return [{name: constants[name] for name in every[begin : begin + 4]} for begin in (0, 4, 8)]


def is_same(one: dict[str, np.ndarray], other: dict[str, np.ndarray]) -> bool:
    return all(np.array_equal(one[name], other[name]) for name in one)


@pytest.mark.timeout(120)
def test_upper_layers_are_tuned_with_the_last_and_the_bundle_is_heard_live_as_offline(
    capsys: Any, small: Path, clips: Path, tmp_path: Path
) -> None:
    out, report = tmp_path / "pace", tmp_path / "report.json"
    words = ("--data", clips, "--bundle", small, "--out", out, "--json", report, "--lora", "--rank", "4", "--quiet")
    done = call(capsys, "tune", "merit", *words)
    assert done.code == 0, done.err
    before, after = json.loads(report.read_text())["systems"]
    assert before["scores"]["uar"]["value"] == 0.0, "the bundle as it was does not know these classes"
    assert after["scores"]["uar"]["value"] >= 0.75, "speed is easily heard"
    assert "after minus before" in done.out
    changed = [not is_same(*pair) for pair in zip(matrices(small), matrices(out), strict=True)]
    assert changed == [False, True, True], "two layers are tuned, and what lies below them is not"
    card = json.loads((out / "card.json").read_text())
    assert "products of rank 4 that are added to their matrices, the encoder's layers 2 and 3" in str(card)
    assert "arousal by 0." in card["limits"][1]
    assert (out / "NOTICE").read_text() == (small / "NOTICE").read_text(), "Whisper's licence asks for its notice"
    assert not (tmp_path / "pace.unfinished").exists()
    checked = call(capsys, "card", out, "--check")
    assert checked.code == 0, checked.err

    clip, events = clips / "slow" / "s0" / "clip.wav", tmp_path / "events.jsonl"
    chain = ("--chain", "level,vad,listener", "--set", f"plugins.listener.bundle={out}")
    analyzed = call(capsys, "analyze", clip, *chain, "--events", events, "--quiet")
    assert analyzed.code == 0, analyzed.err
    assert set(json.loads(analyzed.out)["emotion"]) == set(SPEEDS)
    lines = [json.loads(line) for line in events.read_text().splitlines()]
    offline = [line["data"]["probabilities"] for line in lines if line["kind"] == "emotion"]
    live = heard_live(clip, chain)
    assert len(live) == len(offline) >= 2
    for one, other in zip(live, offline, strict=True):
        assert one == pytest.approx(other, abs=1e-5)


def heard_live(clip: Path, chain: tuple[str, ...]) -> list[dict[str, float]]:
    """What is said of a clip that comes in packets of 20 ms."""
    sound = soundfile.read(clip, dtype="float32")[0]
    with rtemo.Session(load(None, chain[3:], chain[1]), mode="freewheel") as session:
        stream = session.stream("call")
        for begin in range(0, len(sound), 320):
            stream.push(sound[begin : begin + 320])
        stream.end()
        return [event.data.probabilities for event in session.events() if isinstance(event.data, Emotion)]


@pytest.mark.timeout(120)
def test_layers_that_help_no_voice_kept_apart_stay_as_they_ship_and_that_is_said(
    capsys: Any, small: Path, tmp_path: Path
) -> None:
    clips = write_clips(tmp_path / "clips", 8, sounds_like="slow")  # both classes sound alike: nothing can be gained
    out = tmp_path / "new"
    done = call(capsys, "tune", "merit", "--data", clips, "--bundle", small, "--out", out, "--lora")
    assert done.code == 0, done.err
    assert "the layers stay as they are: voices that were kept from tuning gain nothing by it" in done.err
    assert all(is_same(*pair) for pair in zip(matrices(small), matrices(out), strict=True))
    assert json.loads((out / "card.json").read_text())["training_data"][-1].endswith("for the last layer alone")


def test_layers_are_not_tuned_without_torch_speakers_or_sense(
    capsys: Any, clips: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def told(*words: object) -> str:
        done = call(capsys, "tune", "merit", "--out", tmp_path / "new", "--lora", *words)
        assert done.code == 2
        return done.complaint

    assert "0 is not in the range" in told("--data", clips, "--rank", "0")
    assert "--layers 9: the encoder of bundle 'merit-large' has 3" in told("--data", clips, "--layers", "9")
    one = tmp_path / "one"
    for label in SPEEDS:
        (one / label / "anna").mkdir(parents=True)
        for speaker in range(8):
            shutil.copy(clips / label / f"s{speaker}" / "clip.wav", one / label / "anna" / f"{speaker}.wav")
    assert "--lora needs three speakers or more, known by name" in told("--data", one)
    few = write_clips(tmp_path / "few", 1)
    assert "every class needs 8 clips or more, too few are of: brisk 1, slow 1" in told("--data", few)
    monkeypatch.setitem(sys.modules, "torch", None)  # as where it is not installed
    assert "cannot be tuned without torch; install the extra, as `pip install 'rtemo[lora]'`" in told("--data", clips)
    assert sorted(tmp_path.iterdir()) == [few, one]


@pytest.mark.timeout(120)
def test_a_run_that_is_interrupted_ends_cleanly_and_goes_on(small: Path, clips: Path, tmp_path: Path) -> None:
    out = tmp_path / "pace"
    words = ("tune", "merit", "--data", clips, "--bundle", small, "--out", out, "--lora", "--rank", "4")
    process = start(*words)
    assert process.stderr is not None
    for line in process.stderr:
        if "after 1 passes" in line:
            process.send_signal(signal.SIGINT)
            break
    _, rest = process.communicate(timeout=60)
    assert process.returncode == 130, rest
    assert "stopped; the same command goes on from here" in rest
    assert "Traceback" not in rest
    assert not out.exists()
    again = start(*words)
    _, err = again.communicate(timeout=100)
    assert again.returncode == 0, err
    assert "after 0 passes" not in err, "it goes on"
    assert (out / "card.json").exists()
    assert not (tmp_path / "pace.unfinished").exists()
