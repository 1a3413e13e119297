"""What is tuned beside the frozen encoder: a layer of low rank, experts, and the loop that trains them."""

import json
from pathlib import Path

import msgspec
import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from rtemo.api import EMOTIONS
from rtemo.runtime.torch_graph import TorchGraph
from rtemo_models.kit.corpora.clip import Clip
from rtemo_models.systems.gem_large.features import LAYER_OUTPUTS
from rtemo_models.systems.merit_large.branch import KEPT, Branch, pooled
from rtemo_models.systems.merit_large.experts import Experts
from rtemo_models.systems.merit_large.export import Committee, listener_graph
from rtemo_models.systems.merit_large.features import LAYERS, open_windows
from rtemo_models.systems.merit_large.heads import Heads
from rtemo_models.systems.merit_large.listener import OUTPUTS, Listener
from rtemo_models.systems.merit_large.low_rank import learnt, low_rank
from rtemo_models.systems.merit_large.net import Layer, load_encoder
from rtemo_models.systems.merit_large.train import Part, Settings, Table, fit_scale, train
from rtemo_models.systems.merit_large.trial import group_of, parts_of
from rtemo_models.systems.merit_large.tune import Frames, Tuning, hear_branch, tune, used
from rtemo_models.systems.merit_large.voices import Voices
from rtemo_models.systems.merit_large.weights import read_variables
from tests.fakes.whisper import model_bin

pytestmark = pytest.mark.unit

FRAMES = 20
SETTINGS = Settings(layers=(1, 2, 3), hidden=16, batch=8, steps=2, seeds=1, copies=1)


def fake_encode(mel: np.ndarray, there: np.ndarray) -> np.ndarray:
    """Frames that grow with the layer and tell of the sound's level."""
    level = mel.mean(2).reshape(len(mel), -1, 2).mean(2)[..., None]
    return np.stack([np.tile(level * (k + 1), (1, 1, 512)) for k in range(LAYERS)]).astype(np.float32)


def sound(k: int) -> np.ndarray:
    random = np.random.default_rng(k)
    return (0.1 * (1 + k % 3) * random.standard_normal(4000 + 640 * k)).astype(np.float32)


@pytest.fixture
def table(tmp_path: Path) -> Table:
    """Two corpora of two speakers, two moods, clean and in one copy."""
    clips = [
        Clip(f"{corpus}/{speaker}-{mood}-{take}.wav", corpus, f"{corpus}-{speaker}", "train", mood, "", 1.0)
        for corpus in ("ravdess", "crema")
        for speaker in range(3)
        for mood in ("happy", "sad")
        for take in range(2)
    ]
    parts = []
    for name in ("clean", "1"):
        cache = open_windows(tmp_path / name, fake_encode, len(clips), sound, at_once=5, keep=KEPT)
        parts.append(Part(cache, clips, np.ones(len(clips), bool), list(range(len(clips)))))
    return Table(parts, (1, 2, 3))


def layer() -> Layer:
    torch.manual_seed(3)
    return Layer().eval()


def test_frames_that_are_kept_are_those_whose_statistics_are_kept(table: Table) -> None:
    items = np.array([3, 30])
    frames, there = Frames(table).batch(items)
    assert frames.shape == (2, int(there.sum(1).max()), 2, 512)
    for k, kept in enumerate(KEPT):
        mean, deviation = pooled(frames[:, :, k], there)
        values = table.window(items).reshape(2, 2, LAYERS, 512)[:, :, kept - 1]
        np.testing.assert_allclose(mean, values[:, 0], atol=2e-3)
        np.testing.assert_allclose(deviation, values[:, 1].clamp_min(1e-3), atol=2e-3)
    half, some = Frames(table).batch(items, 2, np.random.default_rng(1))
    for b, count in enumerate(some.sum(1).int().tolist()):
        assert any(torch.equal(half[b, :count], frames[b, first : int(there[b].sum()) : 2]) for first in (0, 1))


def test_a_cache_that_was_stopped_goes_on_where_it_was(tmp_path: Path) -> None:
    def stopping(k: int) -> np.ndarray:
        if k == 7:
            raise KeyboardInterrupt
        return sound(k)

    with pytest.raises(KeyboardInterrupt):
        open_windows(tmp_path / "a", fake_encode, 9, stopping, at_once=3, keep=KEPT)
    assert len(json.loads((tmp_path / "a.progress2").read_text())) == 6
    stopped = open_windows(tmp_path / "a", fake_encode, 9, sound, at_once=3, keep=KEPT)
    whole = open_windows(tmp_path / "b", fake_encode, 9, sound, at_once=9, keep=KEPT)
    np.testing.assert_array_equal(stopped.kept, whole.kept)
    np.testing.assert_array_equal(stopped.values, whole.values)
    values_alone = open_windows(tmp_path / "b", fake_encode, 9, sound)
    assert values_alone.kept is None


def test_a_layer_of_low_rank_says_what_the_layer_says_until_it_learns_and_leaves_the_layer_alone() -> None:
    frozen = layer()
    before = {name: p.clone() for name, p in frozen.named_parameters()}
    tuned = low_rank(frozen, 4)
    x = torch.randn(2, 7, 512)
    torch.testing.assert_close(tuned(x, 7, None), frozen(x, 7, None), atol=1e-5, rtol=1e-5)
    assert not any("weight" in name and "norm" not in name for name in learnt(tuned))
    optimiser = torch.optim.Adam([p for p in tuned.parameters() if p.requires_grad], 0.01)
    for _ in range(2):
        optimiser.zero_grad()
        tuned(x, 7, None).square().sum().backward()
        optimiser.step()
    assert (tuned(x, 7, None) - frozen(x, 7, None)).abs().max() > 1e-2
    for name, p in frozen.named_parameters():
        torch.testing.assert_close(p, before[name], rtol=0, atol=0)


@pytest.mark.parametrize("kind", ["sparse", "shared", "random", "dense", "single"])
def test_experts_hear_the_frames_that_are_there_alone_and_their_routers_are_one_a_task(kind: str) -> None:
    torch.manual_seed(0)
    experts = Experts(kind).eval()
    frames = [torch.randn(2, 12, 512) for _ in KEPT]
    there = torch.ones(2, 12)
    there[1, 8:] = 0
    with torch.no_grad():
        both, _ = experts(frames, there)
        alone, _ = experts([each[1:, :8] for each in frames], there[1:, :8])
    for one, other in zip(both, alone, strict=True):
        torch.testing.assert_close(one[1:], other, atol=1e-4, rtol=1e-4)
    assert len(both) == 2
    assert len(experts.routers) == {"shared": 1, "single": 0}.get(kind, 2)
    sizes = {k: sum(p.numel() for p in Experts(k).pool.parameters()) for k in ("sparse", "single")}
    assert sizes["single"] == pytest.approx(sizes["sparse"], rel=0.01), "as many parameters"
    experts.train()
    heard, loss = experts(frames, there)
    (sum(one.square().sum() for one in heard) + loss).backward()
    learns = [router.linear.weight.grad is not None for router in experts.routers]
    assert all(learn == (kind != "random") for learn in learns)


@pytest.mark.parametrize(("rank", "experts"), [(2, "none"), (0, "sparse"), (2, "dense")])
def test_a_branch_begins_with_what_its_heads_say_and_learns(table: Table, rank: int, experts: str) -> None:
    torch.manual_seed(0)
    heads = Heads(3072, 16).eval()
    rows = np.arange(len(table.clips))
    begun = Branch(heads, layer(), rank, experts).eval()
    if experts == "none":
        values, frozen = table.window(rows), heads.hear(table.window(rows))[1]
        frames, there = Frames(table).batch(rows)
        plain = Branch(heads, layer(), 0, "none").eval()
        x, _ = plain(values, frames[:, :, 0], frames[:, :, 1], there)
        torch.testing.assert_close(plain.said(x)[1], frozen)
    tuning = Tuning(rank=rank, experts=experts, steps=3, batch=8, stride=2, average=0.5)
    branch = tune(table, rows, heads, layer(), SETTINGS, tuning, 0)
    said = hear_branch(branch, table, rows)
    assert said["logits"].shape == (len(rows), len(EMOTIONS))
    if experts != "none":
        shares = used(branch, table, rows)
        assert [sum(of) for of in shares] == pytest.approx([1.0, 1.0], abs=0.01), "a router for each task"
    assert np.abs(said["logits"] - hear_branch(begun, table, rows)["logits"]).max() > 1e-3
    some = np.array([40, 2, 17])
    np.testing.assert_allclose(hear_branch(branch, table, some)["logits"], said["logits"][some], atol=1e-4)


@pytest.mark.parametrize(("rank", "experts"), [(2, "none"), (0, "dense"), (2, "sparse"), (0, "random"), (0, "single")])
def test_the_graph_with_a_branch_says_what_the_network_says_and_keeps_the_words_of_the_older_head(
    rank: int, experts: str
) -> None:
    torch.manual_seed(0)
    encoder = load_encoder(read_variables(model_bin(3)), 3, FRAMES)
    older, heads = Heads(2048, 24).eval(), Heads(3072, 16).eval()
    branch = Branch(heads, encoder.layers[-1], rank, experts).eval()
    for name, values in learnt(branch).items():
        if "up" in name or "scores" in name:
            values = torch.randn_like(values) * 0.05
            branch.load_state_dict({**branch.state_dict(), name: values})
    listener = Listener(encoder, (1, 2, 3), Committee([older], layers=3), branch).eval()
    graph = listener_graph(listener, FRAMES)
    there = (torch.arange(FRAMES)[None] < torch.tensor([20, 9, 14])[:, None]).float()
    mel = torch.randn(3, 2 * FRAMES, 80)
    with torch.no_grad():
        wanted = listener(mel, there)
        plain = Listener(encoder, (2, 3), Committee([older])).eval()(mel, there)
        alone = Listener(encoder, (1, 2, 3), None, branch).eval()(mel, there)
    torch.testing.assert_close(wanted[3], plain[3])
    torch.testing.assert_close(wanted[0], (plain[0] + alone[0]) / 2)
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    given = {"mel": mel.numpy(), "there": there.numpy()}
    got = session.run(list(OUTPUTS), given)
    by_torch = TorchGraph(graph, torch.device("cpu"))({"mel": mel, "there": there}, list(OUTPUTS))
    for theirs, ours, other in zip(wanted, got, by_torch, strict=True):
        scale = max(1.0, float(theirs.abs().max()))
        assert np.abs(theirs.numpy() - ours).max() < 5e-3 * scale, "weights are rounded to float16"
        assert np.abs(other.numpy() - ours).max() < 1e-3 * scale
    names = {output for node in onnx.load_from_string(graph).graph.node for output in node.output}
    assert set(LAYER_OUTPUTS) <= names, "what gem_large is grafted on"
    frozen = session_of(graph, LAYER_OUTPUTS[-1]).run([LAYER_OUTPUTS[-1]], given)[0]
    with torch.no_grad():
        np.testing.assert_allclose(frozen[0], encoder(mel, there)[-1][0], atol=1e-3)


def session_of(graph: bytes, output: str) -> onnxruntime.InferenceSession:
    """A graph with one more output."""
    model = onnx.load_from_string(graph)
    model.graph.output.append(onnx.helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, ["n", "t", 512]))
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])


def test_what_a_run_is_scored_on_was_not_trained_on(table: Table) -> None:
    assert group_of(["ravdess", "crema", "a", "b"]) == {"ravdess": 0, "crema": 1, "a": 0, "b": 1}
    for run in range(3):
        rows, scored = parts_of(table, run)
        assert len(rows)
        trained = {table.clips[i].speaker for i in rows}
        corpora = {table.clips[i].corpus for i in rows}
        for row, is_corpus in zip(scored.rows, scored.is_corpus, strict=True):
            assert table.clips[row].speaker not in trained
            assert (table.clips[row].corpus not in corpora) == is_corpus


def test_another_voice_is_a_speaker_of_the_same_line_and_moods_weigh_the_same_in_it(table: Table) -> None:
    heads = Heads(3072, 16)
    fit_scale(heads, table, table.weights(0.4), np.random.default_rng(0))
    rows = np.flatnonzero([clip.speaker != "crema-2" for clip in table.clips])
    voices = Voices(table, rows, heads, 0.0)
    items = rows[table.corpus[rows] == "crema"][[0, 0, 0, 0, -1]]
    assert not voices.offsets(items, 0.0, np.random.default_rng(0)).any()
    offsets = torch.cat([voices.offsets(items, 1.0, np.random.default_rng(k)) for k in range(20)])
    clean = offsets.reshape(20, 5, -1)[:, :4].reshape(80, -1)
    means = {
        speaker: torch.stack(
            [
                heads.standardised(table.window(np.flatnonzero(of & (table.label == label)))).mean(0)
                for label in np.unique(table.label[of])
            ]
        ).mean(0)
        for speaker in ("crema-0", "crema-1")
        for of in [(table.copy == 0) & np.array([clip.speaker == speaker for clip in table.clips])]
    }
    way = means["crema-1"] - means["crema-0"]
    moved = clean[clean.abs().sum(1) > 0]
    assert 5 < len(moved) < 80, "the speaker itself is drawn, too"
    along = nn.functional.cosine_similarity(moved, way[None])
    assert along.min() > 0.999
    assert 0 < (moved.norm(dim=1) / way.norm()).max() < 1


def test_heads_that_hear_other_voices_are_other_heads(table: Table) -> None:
    rows = np.arange(len(table.clips))
    plain, moved = (
        train(table, rows, msgspec.structs.replace(SETTINGS, voices=share, steps=4), 0) for share in (0.0, 0.5)
    )
    assert (plain.emotion.weight - moved.emotion.weight).abs().max() > 1e-5
