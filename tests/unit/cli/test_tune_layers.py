"""What `rtemo tune --lora` takes out of a shipped graph, fits, and puts back: nothing else may change on the way."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed: no layer can be tuned")

import msgspec
import torch

from rtemo.api import ConfigError, ModelError, TensorSpec, TunedTurn
from rtemo.cli.evaluation.clips import Clip
from rtemo.cli.tuning.adapters import ALPHA, LastLayer, Upper
from rtemo.cli.tuning.bundle import tuned_graph
from rtemo.cli.tuning.head import Head, fit_head, start_of
from rtemo.cli.tuning.kept import Windows, Workplace, key_of, open_windows
from rtemo.cli.tuning.layers import Layers, find_layers, with_weights
from rtemo.cli.tuning.lora import Learner, Problem, tune_layers
from rtemo.cli.tuning.recipe import Recipe
from rtemo.cli.tuning.turns import FoundTurn
from rtemo.cli.tuning.windows import Network
from rtemo.extensions import TUNERS, installed, load
from rtemo.runtime.onnx import OnnxHandle
from rtemo.runtime.store import find
from tests.fakes.listener import FEATURES, WIDTH, listener_bundle
from tests.fakes.pace import SPEEDS, paced
from tests.fakes.processors import one_processor
from tests.fakes.sounds import write_sound
from tests.fakes.voice import RATE_HZ
from tests.unit.runtime.test_graph_head import graph, pooling

pytestmark = pytest.mark.unit

if "merit" not in installed(TUNERS):
    pytest.skip("the installed package has no tuner", allow_module_level=True)

TUNER = load(TUNERS, "merit")()
RANDOM = np.random.default_rng(5)
CLASSES = tuple(SPEEDS)


class Kept(NamedTuple):
    network: Network
    layers: Layers
    windows: Windows
    clips: list[Clip]
    turns: dict[str, list[FoundTurn]]


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> str:
    return str(listener_bundle(tmp_path_factory.mktemp("small")))


@pytest.fixture
def _alone() -> Iterator[None]:
    with one_processor():
        yield


def clips_in(folder: Path, speakers: int, longest_s: float) -> tuple[list[Clip], dict[str, list[FoundTurn]]]:
    """Clips of two classes by speakers, of which every third is a twin; a class is how fast they speak."""
    folder.mkdir(exist_ok=True)
    clips, turns = [], {}
    for speaker in range(speakers):
        for label in CLASSES:
            seconds = 0.6 + (longest_s - 0.6) * (speaker % 3) / 2
            sound = paced(speaker % 3, label, seconds)
            path = write_sound(folder / f"{label}-{speaker}.wav", sound, RATE_HZ)
            clips.append(Clip(path=path, label=label, speaker=f"s{speaker}"))
            turns[clips[-1].key] = [FoundTurn(0, TunedTurn(0, 4800, len(sound)))]
    return clips, turns


def keep(folder: Path, bundle: str, count: int, speakers: int, longest_s: float = 1.8) -> Kept:
    network = Network(find(bundle))
    layers = find_layers(network.data, (network.features, "logits", *network.others), "there", count, bundle)
    network.keep(layers.frozen, "there")
    clips, turns = clips_in(folder, speakers, longest_s)
    place = Workplace(folder / "out", key_of(network, layers.frozen, clips, turns))
    return Kept(network, layers, open_windows(place, network, TUNER, clips, turns, lambda done: None), clips, turns)


def upper_of(kept: Kept, head: Head, rank: int = 4) -> Upper:
    width = len(head.from_features)
    last = LastLayer(head, np.zeros(head.from_logits.shape), 0.1, np.zeros(width, "f4"), np.ones(width, "f4"))
    return Upper(kept.network, kept.layers, "there", rank, last, torch.device("cpu"), 1)


def own_logits(network: Network) -> Head:
    """A last layer that says what the network says."""
    labels = len(network.card.labels)
    width = kept_width(network)
    return Head(np.zeros((width, labels), "f4"), np.eye(labels, dtype="f4"), np.zeros(labels, "f4"))


def kept_width(network: Network) -> int:
    return int(network.hear(TUNER, [], {}, lambda done: None).table.features.shape[1])


def says_the_same(kept: Kept) -> Upper:
    upper = upper_of(kept, own_logits(kept.network))
    for window in (0, len(kept.windows.counts) - 1):
        rows = np.array([window])
        with torch.no_grad():
            said = upper(*kept.windows.frames(rows, upper.length(int(kept.windows.counts[window]))))
        np.testing.assert_allclose(said.logits.numpy(), kept.windows.table.logits[rows], atol=0.02)
        for name, values in said.others.items():
            np.testing.assert_allclose(values.numpy(), kept.windows.others[name][rows], atol=0.03, err_msg=name)
    return upper


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_upper_layers_in_torch_say_what_the_graph_says(small: str, tmp_path: Path, count: int) -> None:
    kept = keep(tmp_path, small, count, 3)
    assert kept.layers.numbers == tuple(range(3 - count, 3))
    assert len(kept.layers.weights) == 4 * count
    says_the_same(kept)


@pytest.mark.parametrize(("bundle", "frames"), [("merit-large", 31), ("gem-large", 150)])
def test_so_do_those_of_the_bundles_that_ship_filled_up_where_a_length_is_written_down_in_them(
    tmp_path: Path, bundle: str, frames: int
) -> None:
    upper = says_the_same(keep(tmp_path, bundle, 2, 1))
    assert upper.length(31) == frames, "the experts of gem-large count changes by the block"


def test_what_was_learnt_in_torch_is_what_the_exported_graph_says(small: str, tmp_path: Path) -> None:
    kept = keep(tmp_path, small, 2, 2)
    network, windows = kept.network, kept.windows
    head = Head(*(RANDOM.standard_normal(shape).astype("f4") / 50 for shape in ((FEATURES, 2), (8, 2), (2,))))
    upper = upper_of(kept, head)
    with torch.no_grad():
        for up in upper.adapters.up:
            up.copy_(0.2 * torch.randn(up.shape, generator=torch.Generator().manual_seed(3)))
    rows = np.arange(len(windows.counts))
    with torch.no_grad():
        said = upper(*windows.frames(rows, upper.length(150)))
    made = tuned_graph(network.data, network.features, network.card, upper.last.head(), upper.weights())
    card = msgspec.structs.replace(
        network.card, outputs={**network.card.outputs, "logits": TensorSpec((2,))}, labels=("a", "b")
    )
    inputs = [
        window.inputs
        for clip in kept.clips
        for found in kept.turns[clip.key]
        for window in TUNER.windows(network.card, sound_of(clip), found.turn)
    ]
    handle = OnnxHandle(card, made)
    given = {name: np.stack([one[name] for one in inputs]) for name in ("mel", "there")}
    outputs = handle.run(given, handle.new_state(len(inputs)), len(inputs))
    np.testing.assert_allclose(said.logits.numpy(), outputs["logits"], atol=0.02)
    assert np.abs(outputs["words"] - windows.others["words"]).max() > 0.1, "the layers below have changed"
    assert len(made) < len(network.data) + 8 * FEATURES + 2000, "weights are kept as float16, as they were"


def sound_of(clip: Clip) -> Any:
    import soundfile

    return soundfile.read(clip.path, dtype="float32")[0]


def test_matrices_that_nothing_was_added_to_are_kept_to_the_bit(small: str, tmp_path: Path) -> None:
    kept = keep(tmp_path, small, 2, 1)
    same = with_weights(kept.network.data, upper_of(kept, own_logits(kept.network)).weights())
    before, after = (OnnxHandle(kept.network.card, data) for data in (kept.network.data, same))
    given = {"mel": RANDOM.standard_normal((1, 300, 80)).astype("f4"), "there": np.ones((1, 150), "f4")}
    one, other = (handle.run(given, handle.new_state(1), 1)["logits"].copy() for handle in (before, after))
    np.testing.assert_array_equal(one, other)


def test_more_layers_than_there_are_and_graphs_without_layers_are_refused(small: str) -> None:
    with pytest.raises(ConfigError, match="--layers 4: the encoder of bundle 'small' has 3; give at most 3"):
        find_layers(find(small).read_weights(), ("logits",), "there", 4, "small")
    with pytest.raises(ModelError, match="'own' has no encoder layers that can be told apart"):
        find_layers(graph(pooling()), ("logits",), "there", 1, "own")


def test_a_weight_that_float16_cannot_keep_is_refused(small: str) -> None:
    data = find(small).read_weights()
    layers = find_layers(data, ("logits",), "there", 1, "small")
    with pytest.raises(ModelError, match="grown beyond what the bundle can keep"):
        with_weights(data, {layers.weights[1]: np.full((WIDTH, WIDTH), 1e6, "f4")})


def test_what_is_added_is_the_product_of_two_thin_matrices_by_alpha_over_rank(small: str, tmp_path: Path) -> None:
    kept = keep(tmp_path, small, 1, 1)
    upper = upper_of(kept, own_logits(kept.network), rank=2)
    before = upper.weights()
    with torch.no_grad():
        upper.adapters.up[0][:] = 0.5
    name = kept.layers.weights[0]
    added = ALPHA / 2 * (upper.adapters.down[0].detach().numpy() @ np.full((2, 3 * WIDTH), 0.5, "f4"))
    assert np.abs(added).max() > 0.1
    np.testing.assert_allclose(upper.weights()[name], before[name] + added, atol=1e-5)


def problem_of(kept: Kept) -> Problem:
    labels = np.array([CLASSES.index(clip.label) for clip in kept.clips])
    start = start_of(kept.network.card.labels, CLASSES, 1.0)
    return Problem(kept.network, kept.layers, "there", kept.windows, labels, start, 0.1)


RECIPE = Recipe(layers=1, rank=4, passes=2, patience=2, batch=8, least_steps=4, rate=5e-3)


def learner_of(folder: Path, kept: Kept) -> Learner:
    everybody = np.ones(len(kept.windows.counts), np.bool_)
    return Learner(problem_of(kept), RECIPE, everybody, Workplace(folder, "key"), "it")


def no_step(step: int, of: int) -> None:
    pass


def stop(step: int, of: int) -> None:
    raise KeyboardInterrupt


@pytest.mark.usefixtures("_alone")
def test_a_run_that_was_stopped_within_a_pass_ends_as_one_that_was_not(small: str, tmp_path: Path) -> None:
    kept = keep(tmp_path, small, 1, 3, longest_s=1.0)
    whole = learner_of(tmp_path / "one", kept)
    before = whole.upper.weights()
    for _ in range(2):
        whole.go_through(no_step)
    stopped = learner_of(tmp_path / "other", kept)
    stopped.go_through(no_step)
    stopped.save()
    with pytest.raises(KeyboardInterrupt):
        stopped.go_through(stop)
    again = learner_of(tmp_path / "other", kept)
    assert again.passes == 1
    again.go_through(no_step)
    np.testing.assert_array_equal(again.upper.last.head().from_features, whole.upper.last.head().from_features)
    for name, values in whole.upper.weights().items():
        np.testing.assert_array_equal(again.upper.weights()[name], values)
        assert np.abs(values - before[name]).max() > 1e-4, "it has learnt"


@pytest.mark.usefixtures("_alone")
def test_layers_that_gain_nothing_for_voices_kept_apart_stay_as_they_are(small: str, tmp_path: Path) -> None:
    kept = keep(tmp_path, small, 1, 6, longest_s=1.0)
    other = {"brisk": "slow", "slow": "brisk"}
    twins = [msgspec.structs.replace(clip, label=other[clip.label]) for clip in kept.clips[6:]]
    kept = kept._replace(clips=[*kept.clips[:6], *twins])  # whatever is learnt is wrong of those that are kept apart
    held = np.array([clip.speaker in ("s3", "s4", "s5") for clip in kept.clips])
    problem = problem_of(kept)
    found = tune_layers(problem, RECIPE, held, Workplace(tmp_path / "one", "key"), lambda text: None, no_step)
    assert found.passes == 0
    assert found.weights == {}
    everybody = np.ones(len(kept.windows.table.turn), np.bool_)
    alone = fit_head(kept.windows.table, problem.labels, problem.start, problem.strength, everybody)
    np.testing.assert_allclose(found.head.from_features, alone.from_features, atol=1e-5)


def test_frames_are_read_back_as_they_were_kept_and_nothing_is_encoded_twice(small: str, tmp_path: Path) -> None:
    kept = keep(tmp_path, small, 1, 20, longest_s=0.8)  # more clips than one file holds
    (tmp_path / "out.unfinished" / "windows-1.npz").unlink()
    heard: list[int] = []
    place = Workplace(tmp_path / "out", key_of(kept.network, kept.layers.frozen, kept.clips, kept.turns))
    again = open_windows(place, kept.network, TUNER, kept.clips, kept.turns, heard.append)
    assert heard[0] == 32, "the first 32 clips are there"
    rows = np.array([0, 5, len(again.counts) - 1])
    for one, other in zip(again.frames(rows, 150)[0].values(), kept.windows.frames(rows, 150)[0].values(), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(again.table.clip, kept.windows.table.clip)
    assert (tmp_path / "out.unfinished").stat().st_mode & 0o077 == 0, "voices are nobody else's business"


def test_what_was_kept_of_other_clips_is_thrown_away_and_a_strange_folder_left_alone(tmp_path: Path) -> None:
    place = Workplace(tmp_path / "out", "one")
    place.write("windows-0.npz", b"")
    assert list(Workplace(tmp_path / "out", "other").folder.glob("*.npz")) == []
    (tmp_path / "mine.unfinished").mkdir()
    (tmp_path / "mine.unfinished" / "thesis.txt").write_text("x")
    with pytest.raises(ConfigError, match="is there and not from here"):
        Workplace(tmp_path / "mine", "one")
    assert (tmp_path / "mine.unfinished" / "thesis.txt").exists()
