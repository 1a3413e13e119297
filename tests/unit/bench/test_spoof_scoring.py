"""From clips to trials: manifests, functions and the product itself, and the peer that takes windows."""

import csv
import io
import json
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

from bench.quality.spoof import __main__ as command
from bench.quality.spoof import product
from bench.quality.spoof.aasist import WINDOW_SAMPLES, Aasist, score_peer, window
from bench.quality.spoof.clips import Clip, at_most, balanced, default_clips, in_band, read_audio, read_clips, strung
from bench.quality.spoof.heard import Heard
from bench.quality.spoof.product import Product
from bench.quality.spoof.report import write_tables
from bench.quality.spoof.score import FunctionDetector, open_detector, score_clips
from bench.quality.spoof.summary import summarise
from bench.quality.spoof.trials import read_trials, trials_of
from bench.sound import babble
from rtemo.api import Block, Emit, HopFlag, PluginSpec, RtemoError, Spoof, StateTable
from rtemo.engine import registry
from tests.engine.plugins import FakePlugin, FakeProcessor

pytestmark = pytest.mark.unit


def write_sounds(folder: Path, lengths_s: dict[str, float], rate_hz: int = 16_000) -> None:
    for k, (name, length_s) in enumerate(lengths_s.items()):
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        soundfile.write(path, babble(length_s, k, rate_hz), rate_hz)


def write_manifest(path: Path, rows: list[dict[str, object]]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)


def corpus(folder: Path) -> Path:
    """Three genuine and three synthetic clips of 1 to 3.5 s."""
    lengths_s = {f"{kind}{k}.wav": 1 + k + 0.5 * (kind == "s") for kind in "gs" for k in range(3)}
    write_sounds(folder, lengths_s)
    rows: list[dict[str, object]] = [
        {"path": name, "label": int(name[0] == "s"), "system": f"tts{name[1]}", "corpus": "c", "speaker": f"v{name[1]}"}
        for name in lengths_s
    ]
    write_manifest(folder / "manifest.csv", rows)
    return folder / "manifest.csv"


def test_manifests_of_both_kinds_are_understood(tmp_path: Path) -> None:
    write_manifest(
        tmp_path / "spoof" / "manifest.csv",
        [
            {"path": "spoof/a.opus", "source": "page", "system": "VITS", "bona_fide": 0, "emotion": "sad"},
            {"path": "spoof/b.opus", "source": "page", "system": "human", "bona_fide": 1, "emotion": ""},
        ],
    )
    write_manifest(
        tmp_path / "emotion" / "manifest.csv",
        [
            {"path": "emotion/x.opus", "corpus": "nemo", "speaker": "nemo-1", "emotion": "happy", "split": "dev"},
            {"path": "emotion/y.opus", "corpus": "nemo", "speaker": "nemo-2", "emotion": "happy", "split": "train"},
        ],
    )
    clips = default_clips(tmp_path)
    assert [(c.label, c.system, c.corpus, c.speaker, c.emotion) for c in clips] == [
        (1, "VITS", "page", "", "sad"),
        (0, "", "page", "", ""),
        (0, "", "nemo", "nemo-1", "happy"),
    ]
    assert [c.fold for c in default_clips(tmp_path, is_seen=True)] == ["seen", "seen", ""]
    with pytest.raises(RtemoError, match="label"):
        read_clips(tmp_path / "emotion" / "manifest.csv", tmp_path)


def test_few_clips_are_drawn_from_all_systems_and_corpora_alike() -> None:
    clips = [Clip(Path(), f"s{k}", 1, f"tts{k % 3}", "page") for k in range(300)]
    clips += [Clip(Path(), f"t{k}", 1, "rare", "page") for k in range(2)]
    clips += [Clip(Path(), f"g{k}", 0, "", f"c{k % 2}", f"v{k % 4}") for k in range(40)]
    drawn = balanced(clips, 20)
    assert sum(c.label for c in drawn) == 10
    assert [sum(c.system == s for c in drawn) for s in ("tts0", "tts1", "tts2")] == [3, 3, 2]
    assert sum(c.corpus == "c0" for c in drawn) == 5
    assert len({c.name for c in drawn}) == 20
    few = at_most(clips, 3)
    assert len(few) == 3 * 3 + 2 + 4 * 3
    assert at_most(clips, None) == clips


def test_a_call_is_clips_with_pauses_of_faint_noise(tmp_path: Path) -> None:
    write_sounds(tmp_path, {"a.wav": 2.0, "b.wav": 2.0, "c.wav": 1.0}, 8_000)
    calls = list(strung([tmp_path / f"{n}.wav" for n in "abc"], call_s=4.0))
    assert [len(c) / 16_000 for c in calls] == [5.0, 1.5]  # a call ends with the clip that fills it
    pause = calls[0][2 * 16_000 + 100 : int(2.5 * 16_000)]
    assert 0 < np.abs(pause).max() < 1e-3


def test_the_telephone_takes_the_high_band_away_and_sets_the_level() -> None:
    random = np.random.default_rng(0)
    noise = random.normal(0, 0.01, 32_000).astype(np.float32)
    heard = in_band(noise, "telephone")
    power = np.abs(np.fft.rfft(heard)) ** 2
    assert heard.size == noise.size
    assert power[8_500:].sum() < 1e-3 * power.sum()  # above 4.25 kHz
    assert in_band(noise, "full") is noise


def test_a_score_is_the_first_after_so_much_speech_or_the_last() -> None:
    heard = Heard(np.array([0.5, 1.0, 1.5, 2.0, 3.0]), np.array([np.nan, 1.0, 2.0, 3.0, 4.0]))
    assert heard.at("1") == 1.0
    assert heard.at("2") == 3.0
    assert heard.at("4") == 4.0
    assert heard.at("end") == 4.0


def test_a_score_that_comes_too_late_or_never_is_none() -> None:
    late = Heard(np.array([1.6, 2.6]), np.array([1.0, 2.0]))
    assert late.at("1") is None
    assert late.at("2") is None
    assert late.at("end") == 2.0
    assert Heard(np.zeros(0), np.zeros(0)).at("end") is None


def test_functions_may_tell_speech_or_leave_it_to_be_counted() -> None:
    sound = babble(3.0, 1)
    timed = FunctionDetector(lambda x: (np.array([1.0, 2.0]), np.array([1.0, 4.0]))).hear([("a", sound)])["a"]
    assert (timed.at("1"), timed.at("4")) == (1.0, 2.0)
    whole = FunctionDetector(lambda x: 7.0).hear([("a", sound)])["a"]
    assert (whole.at("1"), whole.at("4"), whole.at("end")) == (None, 7.0, 7.0)
    with pytest.raises(RtemoError, match="as many"):
        FunctionDetector(lambda x: (np.zeros(2), np.zeros(3))).hear([("a", sound)])


def test_steps_of_40_ms_are_given_their_speech() -> None:
    pytest.importorskip("webrtcvad")
    sound = babble(3.0, 1)
    steps = FunctionDetector(lambda x: np.arange(75.0)).hear([("a", sound)])["a"]
    assert steps.at("1") is not None
    assert 0 < steps.total_speech_s <= 3.0
    assert np.all(np.diff(steps.speech_s) >= 0)


def test_clips_become_trials_in_both_bands(tmp_path: Path) -> None:
    clips = read_clips(corpus(tmp_path), tmp_path)
    detector = FunctionDetector(lambda x: (np.arange(x.size // 8_000), 0.5 + 0.5 * np.arange(x.size // 8_000)))
    rows, cost = score_clips(detector, clips, "own")
    trials = trials_of(rows)
    assert set(trials.arm) == {"own"}
    assert len(trials) == 6 * 2 * 4  # every clip in both bands, short ones at their end
    assert trials.system[trials.label == 0].tolist() == [""] * 24
    assert cost["full"]["never_scored"] == 0
    assert cost["telephone"]["audio_s"] == pytest.approx(13.5)


@pytest.mark.parametrize("name", ["gemm", "no_such_module:score", "numpy:no_such_function"])
def test_a_detector_that_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(RtemoError, match="module:function"):
        open_detector(name)


class Suspicious(FakeProcessor):
    """Says after every half second what the loudest sample so far was, and calls 0.5 a spoof."""

    def __init__(self, capacity: int) -> None:
        table = StateTable(capacity)
        self._hops = table.add("hops", (), np.int64)
        self._peak = table.add("peak", (), np.float32)
        self.admit = table.admit  # type: ignore[method-assign]
        self.retire = table.retire  # type: ignore[method-assign]

    def process(self, block: Block, emit: Emit) -> None:
        n = block.n
        self._hops[:n] += 1
        self._peak[:n] = np.maximum(self._peak[:n], np.abs(block.samples).max(1))
        for row in np.flatnonzero(self._hops[:n] % 50 == 0).tolist():
            end, peak = int(self._hops[row]) * 160, float(self._peak[row])
            verdict = "spoof" if peak >= 0.5 else "bona_fide"
            said = Spoof(score=peak, verdict=verdict, speech_s=end / 16_000, trigger="refresh", is_alarmed=peak > 0.6)
            emit(row, said, 0, end)
        for row in np.flatnonzero(block.flags & HopFlag.LAST).tolist():
            speech_s = 0.5 * (int(self._hops[row]) // 50)
            emit(row, Spoof(score=-1.0, verdict="unknown", speech_s=speech_s, trigger="stream_end"), 0, 0)


@pytest.fixture
def suspicious(monkeypatch: pytest.MonkeyPatch) -> None:
    def make(name: str, options: object = None) -> FakePlugin:
        return FakePlugin(PluginSpec(name=name), lambda context, capacity: Suspicious(capacity))

    monkeypatch.setattr("rtemo.session.make", make)
    monkeypatch.setattr(registry, "installed", lambda: {"gem": None})
    monkeypatch.setitem(product.CHAINS, "gem", ("gem",))


@pytest.mark.usefixtures("suspicious")
def test_the_product_hears_many_clips_side_by_side_and_mixes_none_up() -> None:
    rise: NDArray[np.float32] = np.linspace(0, 1, 40_000, dtype=np.float32)
    clips = [(f"clip-{k}", rise[: 8_000 * (k % 5 + 1)] * (0.2 + 0.02 * k)) for k in range(20)]
    heard = Product(parallel=3).hear(clips)
    assert list(heard) == [name for name, _ in clips]
    for name, samples in clips:
        steps = samples.size // 8_000
        expected = [float(samples[: 8_000 * (s + 1)].max()) for s in range(steps)]
        np.testing.assert_allclose(heard[name].score, [*expected, -1.0], rtol=1e-6)
        assert heard[name].speech_s.tolist() == [*(0.5 * (s + 1) for s in range(steps)), 0.5 * steps]
        assert heard[name].duration_s == pytest.approx(samples.size / 16_000)
        assert heard[name].total_speech_s == 0.5 * steps
        assert heard[name].is_final.tolist() == [False] * steps + [True]
        assert heard[name].is_alarmed.tolist() == [*(e > 0.6 for e in expected), False]
        assert heard[name].is_spoof.tolist() == [*(e >= 0.5 for e in expected), False]


@pytest.mark.usefixtures("suspicious")
def test_a_clip_that_cannot_be_read_ends_the_run_with_its_reason(tmp_path: Path) -> None:
    clips = [Clip(tmp_path / "gone.wav", "gone", 0)]
    with pytest.raises(RtemoError, match=r"gone\.wav"):
        score_clips(Product(), clips, "gem", ["full"])


def test_the_product_needs_its_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "installed", dict)
    with pytest.raises(RtemoError, match="gem"):
        Product()


MODEL = """
import torch

class Model(torch.nn.Module):
    def __init__(self, config):
        super().__init__()
        self.scale = torch.nn.Parameter(torch.zeros(config["width"]))

    def forward(self, x):
        loud = x.abs().mean(1, keepdim=True) * self.scale
        return x, torch.cat([torch.zeros_like(loud), loud], 1)
"""


def checkout(folder: Path) -> Path:
    torch = pytest.importorskip("torch")
    (folder / "config").mkdir(parents=True)
    (folder / "models" / "weights").mkdir(parents=True)
    config = {"model_path": "./models/weights/AASIST.pth", "model_config": {"width": 1}}
    (folder / "config" / "AASIST.conf").write_text(json.dumps(config))
    (folder / "models" / "AASIST.py").write_text(MODEL)
    torch.save({"scale": torch.tensor([2.0])}, folder / "models" / "weights" / "AASIST.pth")
    return folder


def test_a_window_is_cut_or_repeated() -> None:
    sound = np.arange(50_000, dtype=np.float32)
    assert window(sound).size == WINDOW_SAMPLES
    np.testing.assert_array_equal(window(sound)[50_000:], sound[: WINDOW_SAMPLES - 50_000])
    np.testing.assert_array_equal(window(np.arange(90_000, dtype=np.float32)), np.arange(WINDOW_SAMPLES))


def test_the_peer_stands_beside_what_was_scored_after_four_seconds(tmp_path: Path) -> None:
    peer = Aasist(checkout(tmp_path / "aasist"))
    clips = read_clips(corpus(tmp_path), tmp_path)
    rows, window_ms = score_peer(peer, clips)
    assert window_ms > 0
    loud = [-2 * np.abs(window(read_audio(clip.path))).mean() for clip in clips]
    np.testing.assert_allclose([row["score"] for row in rows], loud, rtol=1e-4)
    own, cost = score_clips(FunctionDetector(lambda x: float(x.max())), clips, "gem", ["full"])
    result = summarise(trials_of(own + rows), 10) | {"cost": {"gem": cost, "aasist": {"ms_per_window": window_ms}}}
    out = io.StringIO()
    write_tables(out, result)
    assert result["arms"]["aasist"]["over_gem"]["trials"] == 6
    assert "per window of 4.04 s" in out.getvalue()


def test_a_checkout_that_is_not_whole_is_refused(tmp_path: Path) -> None:
    folder = checkout(tmp_path)
    (folder / "models" / "weights" / "AASIST.pth").unlink()
    with pytest.raises(RtemoError, match="checkout"):
        Aasist(folder)


def test_one_command_scores_and_reports(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    manifest = corpus(tmp_path)
    module = types.ModuleType("own_detector")
    module.score = lambda x: float(x.size)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "own_detector", module)
    work = tmp_path / "work"
    places = ["--data", str(tmp_path), "--work", str(work), "--manifest", str(manifest)]
    monkeypatch.setattr(command.os, "nice", lambda step: 0)
    monkeypatch.setattr(sys, "argv", ["spoof", *places, "--system", "own_detector:score", "--draws", "10"])
    command.main()
    assert "| full, 4 |" in capsys.readouterr().out
    assert len(read_trials([work / "gem.csv"])) > 6
    assert json.loads((work / "report.json").read_text())["conditions"]["telephone, 4"]["genuine"] == 3
    monkeypatch.setattr(sys, "argv", ["spoof", "--trials", str(work / "gem.csv"), "--draws", "10"])
    command.main()
    assert "| full, 4 |" in capsys.readouterr().out
