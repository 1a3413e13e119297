"""EmotionRankCLAP: the loss against its definition, training on made-up clips, captions, metrics, and the graph."""

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: the training kit cannot be tested")

from rtemo.runtime.onnx import OnnxHandle  # noqa: E402
from rtemo_models.kit.corpora.clip import Clip  # noqa: E402
from rtemo_models.systems.emotion_rank_clap import metrics  # noqa: E402
from rtemo_models.systems.emotion_rank_clap.arms import Table, by_speaker, figures, train_arm  # noqa: E402
from rtemo_models.systems.emotion_rank_clap.captions import LANGUAGES, Place, captions  # noqa: E402
from rtemo_models.systems.emotion_rank_clap.export import make_card, make_graph  # noqa: E402
from rtemo_models.systems.emotion_rank_clap.loss import naive, rank_n_contrast, symmetric  # noqa: E402
from rtemo_models.systems.emotion_rank_clap.net import Clap  # noqa: E402
from rtemo_models.systems.emotion_rank_clap.train import Settings, distances, places_of  # noqa: E402

pytestmark = pytest.mark.unit


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


@pytest.mark.parametrize("labels", ["va", "v", "a"])
@pytest.mark.parametrize("weights", [(1.0, 1.0), (1.0, 0.0), (0.5, 2.0)])
def test_sorted_form_equals_the_definition_and_so_do_its_gradients(labels: str, weights: tuple[float, float]) -> None:
    torch.manual_seed(3)
    for n in (1, 2, 9, 24):
        places = torch.tensor([[0.5, -0.5], [-0.5, 0.7], [0.0, 0.0]], dtype=torch.float64)[torch.randint(3, (n,))]
        places = places + (torch.randint(2, (n, 2)) * 0.1)  # many are alike, as categories are
        logits = (5 * torch.randn(n, n, dtype=torch.float64)).requires_grad_()
        distance = distances(places, labels)
        fast, slow = rank_n_contrast(logits, distance, *weights), naive(logits, distance, *weights)
        if n == 1:
            assert fast.item() == pytest.approx(0.0, abs=1e-12)
            continue
        assert fast.item() == pytest.approx(slow.item(), rel=1e-9)
        one, other = (torch.autograd.grad(loss, logits)[0] for loss in (fast, slow))
        torch.testing.assert_close(one, other, rtol=1e-8, atol=1e-10)


def test_without_order_it_is_clip() -> None:
    torch.manual_seed(0)
    u, t = (torch.nn.functional.normalize(torch.randn(12, 8), dim=1) for _ in range(2))
    distance = distances(torch.randn(12, 2), "va")
    logits = 10 * u @ t.T
    want = torch.arange(12)
    clip = 0.5 * (torch.nn.functional.cross_entropy(logits, want) + torch.nn.functional.cross_entropy(logits.T, want))
    assert symmetric(u, t, torch.tensor(10.0), distance, 1.0, 0.0).item() == pytest.approx(clip.item(), rel=1e-5)


def clip_of(k: int, emotion: str, split: str = "train") -> Clip:
    return Clip(f"{k}.opus", "made-up", f"s{k % 6}", split, emotion, "", 2.0)


def made_up(count: int, seed: int) -> Table:
    """Voices and texts that are each a map of the same place, and noise."""
    maps = np.random.default_rng(0)
    voice, text = maps.normal(size=(2, 24)), maps.normal(size=(2, 384))
    random = np.random.default_rng(seed)
    emotions = ["happy", "sad", "angry", "calm", "neutral", "fear"]
    clips = [clip_of(k, emotions[k % 6]) for k in range(count)]
    places = np.array([clip.valence_arousal for clip in clips], np.float32)
    audio = places @ voice + 0.3 * random.normal(size=(count, 24))
    texts = (places @ text)[:, None] + 0.3 * random.normal(size=(count, 2, 384))
    return Table(clips, np.repeat(audio[:, None], 3, 1).astype(np.float32), texts.astype(np.float32), places)


def test_training_puts_what_is_alike_together_in_the_order_of_the_labels() -> None:
    table, dev = made_up(240, 1), made_up(60, 2)
    prompts = np.random.default_rng(3).normal(size=(8, 2, 384)).astype(np.float32)
    before, _ = figures(Clap(24).eval(), dev, prompts)
    found, each = figures(train_arm(table, Settings(steps=60, batch=64), 0), dev, prompts)
    for name in ("tau V", "tau A", "tau V, text to voice"):
        assert found[name] > before[name] + 0.2
        assert found[name] > 0.35
    assert found["MMD"] < before["MMD"]
    assert found["gap"] < before["gap"]
    assert found["recall@5"] > 0.8
    mean, low, high = by_speaker(each["V"], each["V"] - 0.1, dev.clips)
    assert mean == pytest.approx(0.1)
    assert low - 1e-9 <= mean <= high + 1e-9


def test_captions_say_the_label_or_its_place_in_five_languages_and_never_what_was_said() -> None:
    places = [Place("angry", -0.6, 0.7, (1, 1, 1)), Place("calm", 0.4, -0.7)]
    angry, calm = captions(places, 200, seed=1)
    assert len(set(angry)) > 60
    assert any("losing patience" in one for one in angry)
    assert any("wütend" in one for one in angry)
    assert any("złością" in one for one in angry)
    assert any("very unpleasant" in one or "unpleasant" in one for one in angry)
    assert any("loud" in one or "fast" in one for one in angry)
    assert not any("loud" in one or "fast" in one for one in calm)
    assert not any("{" in one for one in angry + calm)
    assert captions(places, 5, seed=1) == captions(places, 5, seed=1)
    assert len(LANGUAGES) == 5


def test_cues_are_held_against_the_speaker() -> None:
    clips = [clip_of(6 * k, "sad") for k in range(5)]
    cues = np.array([[-30, 100, 4], [-31, 110, 4], [-30, 105, 4], [-29, 100, 4], [-10, 260, math.nan]], np.float32)
    assert places_of(clips, cues)[-1].cues == (1, 1, 0)
    assert places_of(clips, cues)[0].cues[0] == 0


def test_metrics_on_clouds_that_are_known() -> None:
    random = np.random.default_rng(0)
    a = random.normal(size=(80, 6))
    a /= np.linalg.norm(a, axis=1, keepdims=True)
    assert metrics.mmd(a, a) == pytest.approx(0.0, abs=1e-6)
    assert metrics.wasserstein(a, a[::-1]) == pytest.approx(0.0, abs=1e-6)
    assert metrics.gap(a, a) == 0.0
    moved = a + np.array([2.0, 0, 0, 0, 0, 0])
    moved /= np.linalg.norm(moved, axis=1, keepdims=True)
    assert metrics.mmd(a, moved) > 0.3
    assert metrics.wasserstein(a, moved) > 0.3
    angle = np.linspace(0, np.pi, 20)
    ring = np.stack([np.cos(angle), np.sin(angle)], 1)
    assert metrics.taus(ring[:1], ring, angle[:1], angle)[0] == pytest.approx(1.0)
    kinds = np.arange(20) // 10
    assert metrics.recall(ring, ring, kinds, kinds, 1) == 1.0
    assert metrics.uar(np.array([0, 0, 1]), np.array([0, 1, 1])) == 0.75


def test_the_graph_says_what_the_network_says() -> None:
    torch.manual_seed(1)
    clap = Clap(16).eval()
    graph = make_graph(clap)
    handle = OnnxHandle(make_card(clap, graph, {}), graph)
    words, text = np.random.default_rng(0).normal(size=(3, 16)), np.random.default_rng(1).normal(size=(3, 384))
    given = {"words": words.astype(np.float32), "text": text.astype(np.float32)}
    said = handle.run(given, handle.new_state(3), 3)
    with torch.no_grad():
        voice, description = clap(*(torch.from_numpy(one) for one in given.values()))
    np.testing.assert_allclose(said["voice"], voice.numpy(), atol=1e-5)
    np.testing.assert_allclose(said["description"], description.numpy(), atol=1e-5)
    np.testing.assert_allclose(np.linalg.norm(said["voice"], axis=1), 1.0, atol=1e-5)
