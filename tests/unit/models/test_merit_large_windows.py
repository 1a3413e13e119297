"""Windows of the large listener's training: cut where the engine cuts, drawn evenly; and words that outlive it."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from rtemo_models.kit.corpora.clip import Clip
from rtemo_models.systems.merit_large.data import WINDOW_SAMPLES, coloured, degraded
from rtemo_models.systems.merit_large.export import WEIGHTS, Committee, listener_graph, read_first
from rtemo_models.systems.merit_large.features import WindowCache
from rtemo_models.systems.merit_large.heads import Heads
from rtemo_models.systems.merit_large.listener import Listener
from rtemo_models.systems.merit_large.net import load_encoder
from rtemo_models.systems.merit_large.train import Part, Table
from rtemo_models.systems.merit_large.weights import read_variables
from rtemo_models.systems.merit_large.windows import (
    Item,
    Window,
    file_of,
    moved,
    read_windows,
    stretch_of,
    write_windows,
)
from tests.fakes.whisper import model_bin

pytestmark = pytest.mark.unit


def clip(corpus: str, speaker: str, emotion: str, number: int) -> Clip:
    return Clip(f"{corpus}/{speaker}-{number}.wav", corpus, speaker, "train", emotion, "", 2.0)


def table_of(clips: list[Clip], tmp_path: Path) -> Table:
    """One window of three layers for each clip, and a degraded copy of every other one."""
    parts = []
    for name, rows in (("clean", list(range(len(clips)))), ("1", list(range(0, len(clips), 2)))):
        values = np.random.default_rng(0).standard_normal((len(clips), 3, 2, 512)).astype(np.float16)
        (tmp_path / f"{name}.f16").write_bytes(values.tobytes())
        index = {"layers": 3, "frames": [50] * len(clips)}
        (tmp_path / f"{name}.json").write_text(json.dumps(index))
        parts.append(Part(WindowCache(tmp_path / name), clips, np.ones(len(clips), bool), rows))
    return Table(parts, (2, 3))


def test_windows_are_read_back_as_they_were_written(tmp_path: Path) -> None:
    found = {"a.wav": [Window(160, 16_160, 160, False), Window(480, 20_000, 160, True)], "b.wav": []}
    write_windows(file_of(tmp_path, "clean"), found)
    assert read_windows(file_of(tmp_path, "clean")) == found


def test_a_moved_window_stays_within_what_the_network_hears() -> None:
    random = np.random.default_rng(0)
    for window in (Window(0, 4000, 0, True), Window(10_000, 10_000 + WINDOW_SAMPLES, 0, False)):
        for _ in range(50):
            begin, end, *_ = moved(window, random)
            assert begin >= 0
            assert 4000 <= end - begin <= WINDOW_SAMPLES
            assert abs(end - window.end) <= 1600 or end - begin == 4000


def test_a_faster_copy_is_heard_where_the_same_words_are() -> None:
    ramp = np.arange(16_000, dtype=np.float32)
    clean = stretch_of(Item(0, 8000, 12_000, True), ramp, 16_000)
    faster = stretch_of(Item(0, 8000, 12_000, True), ramp[::2], 16_000)
    np.testing.assert_array_equal(clean, ramp[8000:12_000])
    np.testing.assert_array_equal(faster, ramp[8000:12_000:2])


def test_a_degraded_copy_is_the_same_every_time_and_another_for_another_number() -> None:
    sound = np.random.default_rng(0).standard_normal(16_000).astype(np.float32) * 0.1
    noise = [np.random.default_rng(1).standard_normal(8000).astype(np.float32)]
    copies = [degraded(sound, np.random.default_rng((number, 5)), noise, []) for number in (1, 1, 2)]
    np.testing.assert_array_equal(copies[0], copies[1])
    assert len(copies[0]) != len(copies[2]) or np.abs(copies[0] - copies[2]).max() > 1e-3
    for copy in copies:
        assert np.isfinite(copy).all()
        assert np.abs(copy).max() <= 1.0


def test_another_microphone_changes_the_balance_of_the_bands_and_not_the_time() -> None:
    click = np.zeros(4000, np.float32)
    click[2000] = 1.0
    heard = coloured(click, np.random.default_rng(3))
    assert int(np.abs(heard).argmax()) == 2000
    assert np.abs(np.fft.rfft(heard)).std() > 0.05


def test_classes_of_a_corpus_are_drawn_alike_and_clean_windows_as_often_as_asked(tmp_path: Path) -> None:
    clips = [clip("ravdess", f"s{k % 3}", "happy", k) for k in range(30)]
    clips += [clip("ravdess", "s0", "sad", k) for k in range(30, 34)]
    clips += [clip("nemo", "n0", "angry", k) for k in range(6)]
    table = table_of(clips, tmp_path)
    share = table.weights(0.4)
    assert share.sum() == pytest.approx(1.0)
    assert share[table.copy == 0].sum() == pytest.approx(0.4)
    clean = (table.copy == 0) & (table.corpus == "ravdess")
    happy, sad = (share[clean & (table.label == label)].sum() for label in (2, 3))
    assert happy == pytest.approx(sad)


def test_speakers_with_many_clips_are_drawn_less_often_each(tmp_path: Path) -> None:
    clips = [clip("nemo", "often", "happy", k) for k in range(16)] + [
        clip("nemo", "seldom", "happy", k) for k in range(4)
    ]
    share = table_of(clips, tmp_path).weights(1.0)
    often, seldom = share[:16].sum(), share[16:20].sum()
    assert often / seldom == pytest.approx(2.0), "by the root: four times the clips, twice the draws"


def test_the_head_of_an_older_bundle_goes_on_to_speak_and_to_give_the_words(tmp_path: Path) -> None:
    torch.manual_seed(0)
    encoder = load_encoder(read_variables(model_bin(2)), 2, 10).eval()
    first, new = Heads(1024, 32), Heads(2048, 16)
    for head in (first, new):
        head.mean.normal_()
    older = Listener(encoder, (2,), Committee([first.eval()])).eval()
    (tmp_path / WEIGHTS).write_bytes(listener_graph(older, 10))
    both = Listener(encoder, (1, 2), Committee([new.eval()], read_first(tmp_path))).eval()
    alone = Listener(encoder, (1, 2), Committee([new.eval()])).eval()
    (tmp_path / WEIGHTS).write_bytes(listener_graph(both, 10))
    again = Listener(encoder, (2,), Committee([Heads(1024, 16)], read_first(tmp_path))).eval()
    mel, there = torch.randn(2, 20, 80), torch.ones(2, 10)
    with torch.no_grad():
        said = {name: net(mel, there) for name, net in zip("oban", (older, both, alone, again), strict=True)}
    for kept in "bn":
        torch.testing.assert_close(said[kept][3], said["o"][3], atol=5e-3, rtol=5e-3)
    for k in range(3):
        torch.testing.assert_close(said["b"][k], (said["o"][k] + said["a"][k]) / 2, atol=5e-3, rtol=5e-3)


def test_a_bundle_of_another_kind_is_refused(tmp_path: Path) -> None:
    import onnx

    empty = onnx.helper.make_model(onnx.helper.make_graph([], "none", [], []))
    (tmp_path / WEIGHTS).write_bytes(empty.SerializeToString())
    with pytest.raises(ValueError, match="give a bundle of merit_large"):
        read_first(tmp_path)
