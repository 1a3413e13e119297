"""The large GEM: what is trained on, how experts are grafted on the listener's graph, and what its scores mean."""

from pathlib import Path

import numpy as np
import onnxruntime
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: nothing can be trained")
pytest.importorskip("onnx")

from rtemo.runtime.graph import check_graph  # noqa: E402
from rtemo_models.kit.corpora.made_up import voice  # noqa: E402
from rtemo_models.systems.gem_large.clips import (  # noqa: E402
    SpoofClip,
    copies,
    page_folds,
    plain_name,
    said_clips,
    trained_on,
)
from rtemo_models.systems.gem_large.export import graft_of, listener_graph, make_card  # noqa: E402
from rtemo_models.systems.gem_large.features import VALUES, Encoder  # noqa: E402
from rtemo_models.systems.gem_large.folds import equal_error  # noqa: E402
from rtemo_models.systems.gem_large.net import GemLarge, NetConfig, gate_of  # noqa: E402
from rtemo_models.systems.gem_large.project import Projection, fit_projection  # noqa: E402
from rtemo_models.systems.gem_large.train import TEMPERATURE, Settings, loss_of  # noqa: E402
from rtemo_models.systems.gem_large.trials import fit_affine  # noqa: E402
from rtemo_models.systems.gem_large.windows import EACH, pooled  # noqa: E402

pytestmark = pytest.mark.unit


def pages() -> list[SpoofClip]:
    made = []
    for page, systems in {"a": ("x", "y"), "b": ("y", "z"), "c": ("w",), "d": ("v",), "e": ("u",)}.items():
        made += [SpoofClip(f"{page}/{k}", page) for k in range(3)]
        made += [SpoofClip(f"{page}/{system}{k}", page, system) for system in systems for k in range(2)]
    return made


def test_a_fold_is_trained_on_none_of_its_pages_and_none_of_their_systems() -> None:
    clips = pages()
    folds = page_folds(clips)
    assert set(folds) == {"a", "b", "c", "d", "e"}
    for fold in set(folds.values()):
        unseen = {page for page, number in folds.items() if number == fold}
        systems = {c.system for c in clips if c.source in unseen and c.system}
        taken = [clips[k] for k in trained_on(clips, unseen)]
        assert taken
        assert not {c.source for c in taken} & unseen
        assert not {c.system for c in taken} & systems


def test_a_copy_is_synthetic_stays_with_its_page_and_is_never_of_an_unseen_system() -> None:
    clips = pages()
    made = copies(clips, 1)
    assert len(made) == 15
    assert all(c.is_synthetic and c.family == "copy" for c in made)
    taken = trained_on(clips + made, {"a"})
    assert len([k for k in taken if k >= len(clips)]) == 12
    assert plain_name("VALL-E") == plain_name("VallE") == "valle"


def test_what_was_said_is_read_from_its_folder_and_left_out_where_its_system_is_to_be_unheard(tmp_path: Path) -> None:
    assert said_clips(tmp_path) == []
    manifest = "path,source,system,family,bona_fide,emotion,speaker,language,pair,duration_s\n"
    for k, system in enumerate(("x", "espeak-ng")):
        manifest += f"{k}.flac,said-{system},{system},said,0,happy,voice-{k},en,,2.0\n"
    (tmp_path / "manifest.csv").write_text(manifest)
    said = said_clips(tmp_path)
    assert [(c.system, c.emotion, c.is_synthetic, c.is_page, c.is_said) for c in said] == [
        ("x", "happy", True, False, True),
        ("espeakng", "happy", True, False, True),
    ]
    clips = pages() + said
    assert set(page_folds(clips)) == {"a", "b", "c", "d", "e"}, "it is of no fold"
    taken = [clips[k] for k in trained_on(clips, {"a"}) if clips[k].is_said]
    assert [c.system for c in taken] == ["espeakng"], "page a holds speech of x"


def test_the_joined_graph_says_what_the_networks_say_and_the_emotion_as_before() -> None:
    torch.manual_seed(0)
    random = np.random.default_rng(0)
    windows = [voice(s, 150, 4.0, random) for s in (3.0, 1.3)]
    encoder = Encoder()
    blocks, frames, said = encoder(windows)
    values = pooled(blocks.astype(np.float32), frames.astype(np.float32)).reshape(2, VALUES)
    basis = (random.standard_normal((VALUES, 8)) / values.std(0).mean() / VALUES).astype(np.float32)
    projection = Projection(values.mean(0), basis)
    nets = [GemLarge(NetConfig(components=8, hidden=6, expert=3)).eval() for _ in range(2)]
    graft = graft_of(nets, projection, 1.5, -0.25)
    graph = listener_graph() + graft
    check_graph(graph)
    gate = gate_of(torch.from_numpy(said[:, :8]), TEMPERATURE)
    with torch.no_grad():
        experts = torch.stack([n.experts(torch.from_numpy(projection(values)), gate) for n in nets]).mean(0)
    wanted = 1.5 * experts - 0.25
    session = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"])
    mel, there = encoder.prepared(windows)
    names = ["logits", "gate", "shares", "score"]
    logits, found_gate, shares, score = session.run(names, {"mel": mel, "there": there})
    np.testing.assert_allclose(logits, said[:, :8], atol=1e-4)
    np.testing.assert_allclose(found_gate, gate.numpy(), atol=1e-5)
    np.testing.assert_allclose(shares, (gate * wanted).numpy(), atol=5e-3)
    np.testing.assert_allclose(score, (gate * wanted).sum(1).numpy(), atol=1e-2)
    assert score[0] != score[1]
    card = make_card(graft, 10, {}, {})
    assert card.weights_bytes == len(graph)
    assert card.outputs.keys() >= {"logits", "arousal", "valence", "score", "shares"}


def test_a_projection_gives_components_of_like_size_whatever_the_values_are() -> None:
    random = np.random.default_rng(0)
    values = (random.standard_normal((400, 6)) @ random.standard_normal((6, 40)) * 100 + 7).astype(np.float32)
    made = fit_projection(values, 6, 1e-4)(values)
    np.testing.assert_allclose(made.std(0), 1, atol=0.05)
    np.testing.assert_allclose(np.corrcoef(made.T), np.eye(6), atol=0.02)


def test_the_loss_asks_for_the_order_within_a_page_and_passes_over_what_is_not_there() -> None:
    settings = Settings(pairs=1.0)
    is_there = torch.ones(2 * EACH, dtype=torch.bool)
    gate = torch.full((2 * EACH, 4), 0.25)
    right = torch.cat([torch.full((EACH,), -2.0), torch.full((EACH,), 2.0)])

    def loss(score: torch.Tensor, there: torch.Tensor) -> float:
        return float(loss_of(score, score[:, None].expand(-1, 4), gate, there, settings))

    assert loss(right, is_there) < loss(torch.zeros(2 * EACH), is_there) < loss(-right, is_there)
    only = is_there.clone()
    only[:EACH] = False
    wrong_where_nothing_is = right.clone()
    wrong_where_nothing_is[:EACH] = 50.0
    assert loss(wrong_where_nothing_is, only) == pytest.approx(loss(right, only))


def test_equal_error_and_affine_calibration_of_known_scores() -> None:
    score = np.array([0.0, 1.0, 2.0, 3.0])
    assert equal_error(score, np.array([False, False, True, True])) == 0.0
    assert equal_error(score, np.array([False, True, False, True])) == 0.5
    random = np.random.default_rng(0)
    truth = random.random(4000) < 0.5
    log_odds = random.standard_normal(4000) + np.where(truth, 0.5, -0.5)  # of deviation 1: log-odds are the score
    slope, offset = fit_affine(3 * log_odds + 5, truth, np.ones(4000))
    assert slope == pytest.approx(1 / 3, abs=0.05)
    assert offset == pytest.approx(-5 / 3, abs=0.2)
