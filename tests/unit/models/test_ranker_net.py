"""The ranker: a whole clip, steps in torch and steps in ONNX Runtime must agree; lists are drawn where they may be."""

from pathlib import Path

import msgspec
import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: the training kit cannot be tested")
pytest.importorskip("onnx", reason="onnx is not installed: the export cannot be tested")
onnxruntime = pytest.importorskip("onnxruntime")

from rtemo.api import ModelCard  # noqa: E402
from rtemo.api.errors import ConfigError  # noqa: E402
from rtemo_models.kit.corpora.clip import Clip  # noqa: E402
from rtemo_models.kit.recipe import read_recipe  # noqa: E402
from rtemo_models.systems.merit.net.listener import Listener, ListenerConfig  # noqa: E402
from rtemo_models.systems.ranker.data.batches import ListDraws, RankBatches, StatisticsBatches  # noqa: E402
from rtemo_models.systems.ranker.data.labels import ListSampler, RankLabels  # noqa: E402
from rtemo_models.systems.ranker.data.statistics import moment_steps, plain_statistics  # noqa: E402
from rtemo_models.systems.ranker.data.words import WordCache, open_words  # noqa: E402
from rtemo_models.systems.ranker.export.bundle import ranker_graph, write_bundle  # noqa: E402
from rtemo_models.systems.ranker.net import ATTRIBUTES, Ranker, RankerConfig, load_ranker  # noqa: E402
from rtemo_models.systems.ranker.train.objective import list_losses  # noqa: E402
from rtemo_models.systems.ranker.train.recipe import RankerRecipe  # noqa: E402
from rtemo_models.systems.ranker.train.run import RankCorpus, RankerRun, end_scores, fresh, standardise  # noqa: E402

pytestmark = pytest.mark.unit

N, STEPS = 4, 40
RECIPE = Path(__file__).parents[3] / "models/rtemo_models/systems/ranker/recipes/recipe.toml"
WIDTH = 16


def net(**changes) -> Ranker:
    torch.manual_seed(1)
    torch.set_num_threads(1)
    made = Ranker(RankerConfig(**{"memory_steps": 20.0} | changes)).eval()
    with torch.no_grad():
        for buffer in (made.shift, made.offset, made.anchors):
            buffer.add_(0.1 * torch.randn_like(buffer))
        made.error.copy_(torch.tensor([[0.2, 3.0], [0.3, 2.0], [0.1, 4.0]]))
        if made.pool.score is not None:
            made.pool.score.weight.mul_(20)
    return made


def heard(n: int = N, steps: int = STEPS) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(2)
    weight = (torch.rand(n, steps) * 1.5).clamp(max=1.0) * (torch.rand(n, steps) > 0.3)
    weight[0, :7] = 0.0
    return torch.randn(n, steps, 192), weight


@pytest.mark.parametrize("embedding", [0, 192])
@torch.no_grad()
def test_whole_clip_equals_torch_steps_equals_onnx_steps(embedding: int) -> None:
    made = net(embedding=embedding)
    words, weight = heard()
    scores, spread = made(words, weight, torch.arange(STEPS).expand(N, STEPS))
    session = onnxruntime.InferenceSession(ranker_graph(made, {}).SerializeToString())
    names = [o.name for o in session.get_outputs()]
    state = made.new_state(N)
    carried = {k: v.numpy() for k, v in state.items()}
    for t in range(STEPS):
        step, error, state = made.step(words[:, t], weight[:, t], state)
        out = dict(
            zip(
                names,
                session.run(None, {"words": words[:, t].numpy(), "weight": weight[:, t].numpy(), **carried}),
                strict=True,
            )
        )
        carried = {k: out[f"next_{k}"] for k in carried}
        said = weight[:, : t + 1].sum(1) > 0  # before that there is nothing to agree about but nought
        torch.testing.assert_close(step[said], scores[said, t], atol=2e-5, rtol=1e-4)
        torch.testing.assert_close(error, spread[:, t], atol=2e-5, rtol=1e-4)
        np.testing.assert_allclose(out["scores"], step.numpy(), atol=2e-5)
        np.testing.assert_allclose(out["spread"], error.numpy(), atol=2e-5)
        assert (step[~said] == 0).all()


@torch.no_grad()
def test_it_starts_with_the_embedding_and_attention_of_the_listener_and_pools_words_evenly() -> None:
    listener, made = Listener(ListenerConfig()).eval(), Ranker(RankerConfig(memory_steps=1e9)).eval()
    made.start_as(listener.state_dict())
    words, weight = heard()
    found, _ = made.pool(made.embedded(words), weight, torch.full((N, 1), STEPS - 1))
    mean, deviation = found[:, 0].chunk(2, -1)
    its = listener.statistics(words, weight[..., None], [STEPS - 1])[:, 0].chunk(2, -1)
    torch.testing.assert_close(mean[:, :192], its[0], atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(deviation[:, :192], its[1], atol=1e-4, rtol=1e-4)
    share = weight / weight.sum(1, keepdim=True)
    torch.testing.assert_close(mean[:, 192:], (share[..., None] * words).sum(1), atol=1e-4, rtol=1e-4)
    with pytest.raises(ValueError, match="other sizes"):
        made.start_as(Listener(ListenerConfig(embedding=96)).state_dict())


@torch.no_grad()
def test_silence_changes_nothing_and_speech_fades_with_speech() -> None:
    made = net()
    words, weight = heard(1)
    state = made.new_state(1)
    for t in range(STEPS):
        before, error, state = made.step(words[:, t], weight[:, t], state)
    for _ in range(500):
        after, error_after, state = made.step(torch.randn(1, 192), torch.zeros(1), state)
    torch.testing.assert_close(after, before, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(error_after, error)
    other = made.new_state(1)
    for _ in range(400):  # twenty times the memory: what was heard before is gone
        x = torch.randn(1, 192)
        late, _, state = made.step(x, torch.ones(1), state)
        fresh, _, other = made.step(x, torch.ones(1), other)
    torch.testing.assert_close(late, fresh, atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_the_spread_narrows_with_speech_down_to_what_stays() -> None:
    made = net()
    state = made.new_state(1)
    found = []
    for _ in range(200):
        _, error, state = made.step(torch.randn(1, 192), torch.ones(1), state)
        found.append(error[0])
    spreads = torch.stack(found)
    assert (spreads.diff(dim=0) <= 1e-6).all()
    torch.testing.assert_close(spreads[0], made.error.sum(1).sqrt())
    assert (spreads[-1] ** 2 > made.error[:, 0]).all()


@torch.no_grad()
def test_a_long_call_keeps_the_states_finite() -> None:
    made = net()
    with torch.no_grad():
        made.pool.score.weight.mul_(5)
    state = made.new_state(2)
    x = 5 * torch.randn(50, 2, 192)
    for t in range(1500):
        scores, _, state = made.step(x[t % 50], torch.ones(2), state)
    assert all(v.isfinite().all() for v in state.values())
    assert scores.isfinite().all()


def test_standardised_scores_have_mean_nought_and_deviation_one_and_rising_anchors() -> None:
    made = net()
    random = np.random.default_rng(0)
    raw = random.normal(3, 2, (500, 3)).astype(np.float32)
    shares = random.dirichlet(np.ones(500))
    statistics = torch.randn(8, 768)
    with torch.no_grad():
        before = made.scores(statistics)
        standardise(made, raw, shares)
        after = made.scores(statistics)
    mean, deviation = shares @ raw, np.sqrt(shares @ (raw - shares @ raw) ** 2)
    np.testing.assert_allclose(after, (before.numpy() - mean) / deviation, atol=1e-4)
    assert (made.anchors.diff(dim=1) >= 0).all()
    assert abs(float(made.anchors[0, 50])) < 0.3
    assert float(made.anchors[0, 90]) > 0.8


def test_the_bundle_carries_anchors_spread_and_its_own_hash(tmp_path: Path) -> None:
    results = {"error": {a: [0.04, 0.5] for a in ATTRIBUTES}, "scores": {"clean": {"tau": 0.5}}}
    card = write_bundle(net(), tmp_path, "9.9.9", results)
    read = msgspec.json.decode((tmp_path / "ranker" / "card.json").read_bytes(), type=ModelCard)
    assert read == card
    assert card.labels == ATTRIBUTES
    assert sum(name.startswith("anchors_valence_") for name in card.calibration) == 101
    session = onnxruntime.InferenceSession(str(tmp_path / "ranker" / card.weights))
    feeds = {k: np.full((1, *s.shape), s.fill, np.float32) for k, s in card.states.items()}
    feeds |= {"words": np.zeros((1, 192), np.float32), "weight": np.ones(1, np.float32)}
    (spread,) = session.run(["spread"], feeds)
    np.testing.assert_allclose(spread, np.sqrt(0.54), rtol=1e-5)


def clips() -> list[Clip]:
    """Two corpora: speakers with emotions and levels, and speakers with activation levels."""
    made = []
    for speaker in range(3):
        for emotion in ("neutral", "happy", "sad", "calm"):
            for level in ("normal",) if emotion == "neutral" else ("normal", "strong"):
                made += [Clip("", "ravdess", f"r{speaker}", "train", emotion, level, 2.0)] * 2
        made += [Clip("", "baved", f"b{speaker}", "train", "", str(k % 3), 1.0) for k in range(7)]
    return [*made, Clip("", "librispeech", "l0", "train", "", "", 3.0)]


def test_a_list_never_crosses_speakers_or_corpora_and_holds_a_clip_once() -> None:
    made = clips()
    labels = RankLabels.of(made, range(len(made)))
    sampler = ListSampler(labels, {"ravdess": 0.5, "baved": 0.5}, 6)
    random = np.random.default_rng(0)
    for attribute in range(3):
        found = set()
        for row in sampler.draw(attribute, 200, random):
            some = row[row >= 0]
            assert len({made[i].speaker for i in some}) == 1
            assert len(set(some.tolist())) == len(some)
            assert np.ptp(labels.values[some, attribute]) > 0
            found.add(made[some[0]].corpus)
        assert found == ({"ravdess"} if ATTRIBUTES[attribute] == "valence" else {"ravdess", "baved"})


def test_intensity_is_compared_within_an_emotion_and_against_neutral_only() -> None:
    made = clips()
    labels = RankLabels.of(made, range(len(made)))
    kinds = {
        frozenset(made[i].emotion for i in g)
        for g, c in zip(labels.groups[2], labels.corpora[2], strict=True)
        if c == "ravdess"
    }
    assert kinds == {frozenset({"neutral", "happy"}), frozenset({"neutral", "sad"}), frozenset({"calm"})}


def test_ratings_of_listeners_go_before_the_point_of_the_category() -> None:
    rated = Clip("", "msp_podcast", "m1", "train", "angry", "", 2.0, rating=(0.25, -0.5, 0.0))
    unrated = Clip("", "iemocap", "m1", "train", "", "", 2.0, rating=(float("nan"), 0.5, 0.0))
    values = RankLabels.of([rated, unrated], [0, 1]).values
    np.testing.assert_allclose(values[0], [-0.5, 0.25, 0.8])
    np.testing.assert_allclose(values[1], [0.5, np.nan, np.nan])


NET = {"width": WIDTH, "embedding": 0, "heads": 4, "hidden": 8, "dropout": 0.0}
"""A small network on the words of the ear below."""


class FakeEar:
    """Says of each step how much power there was, so that a network can learn to rank by it."""

    sha256, width = "none", WIDTH

    def words(self, heard):
        return [
            np.repeat(b.reshape(-1, 4, b.shape[1]).mean((1, 2))[:, None], WIDTH, 1).astype(np.float16) for b in heard
        ]


def corpus(folder: Path) -> RankCorpus:
    """A corpus in which arousal is loudness."""
    made = clips()

    def hear(i: int) -> tuple[np.ndarray, np.ndarray]:
        arousal = np.nan_to_num(made[i].valence_arousal[1])
        noise = np.random.default_rng(i).normal(0, 0.3, (120 + 4 * i, 8))
        return (arousal + noise).astype(np.float32), np.ones(120 + 4 * i, np.float32)

    chosen = range(len(made) - 1)
    words = open_words(folder / "words", FakeEar(), len(made), chosen, hear)
    return RankCorpus(made, {"dry": words}, {"dry": plain_statistics(words, chosen, (1.0, 2.0, 4.0), 125.0)})


def test_words_are_kept_and_made_anew_for_another_listener(tmp_path: Path) -> None:
    made = corpus(tmp_path).words["dry"]
    said, speech = made.clip(2)
    assert said.shape == (32, WIDTH)
    assert (speech == 1).all()
    assert len(made.clip(len(made) - 1)[0]) == 0  # was not wanted
    np.testing.assert_array_equal(WordCache(tmp_path / "words").clip(2)[0], said)
    again = open_words(
        tmp_path / "words", FakeEar(), len(made), range(len(made) - 1), lambda i: pytest.fail("heard again")
    )
    np.testing.assert_array_equal(again.clip(2)[0], said)


def test_plain_statistics_are_those_of_the_pool_without_attention(tmp_path: Path) -> None:
    made = corpus(tmp_path)
    words = made.words["dry"]
    pool = Ranker(RankerConfig(width=WIDTH, embedding=0, attention=0)).pool
    said, speech = (torch.from_numpy(np.array(v, np.float32)) for v in words.clip(5))
    ends = torch.from_numpy(moment_steps(words.clip(5)[1], (1.0, 2.0, 4.0)))
    found, _ = pool(said[None], speech[None], ends[None])
    np.testing.assert_allclose(made.statistics["dry"][5], found[0], atol=2e-3)


@pytest.mark.parametrize(("attention", "pool_rate"), [(0, 1.0), (8, 1.0), (8, 0.0)])
def test_a_short_run_learns_to_rank_and_goes_on_where_it_stopped(
    tmp_path: Path, attention: int, pool_rate: float
) -> None:
    made = corpus(tmp_path)
    changes = ["steps=40", "lists=4", "length=5", "rate_peak=0.01", "warmup_steps=5", "average_decay=0.9", "start="]
    recipe = msgspec.structs.replace(
        read_recipe(RECIPE, RankerRecipe, [*changes, f"pool_rate={pool_rate}"]),
        variants={"dry": 1.0},
        net=NET | {"attention": attention},
    )
    RankerRun(recipe, made, fresh(recipe, tmp_path), tmp_path / "run").train()
    run = RankerRun(recipe, made, fresh(recipe, tmp_path), tmp_path / "run")
    assert run.step == 40
    scores = end_scores(load_ranker(tmp_path / "run" / "average.pt"), made.words["dry"], run.chosen)
    arousal = np.array([made.clips[i].valence_arousal[1] for i in run.chosen])
    known = ~np.isnan(arousal)
    still = [
        torch.equal(a, b)
        for a, b in zip(fresh(recipe, tmp_path).pool.parameters(), run.average.pool.parameters(), strict=True)
    ]
    assert all(still) == (pool_rate == 0 or not attention)
    assert np.corrcoef(scores[known, 0], arousal[known])[0, 1] > 0.7


def test_the_same_step_gives_the_same_batch_and_lists_are_cut_at_one_moment(tmp_path: Path) -> None:
    made = corpus(tmp_path)
    labels = RankLabels.of(made.clips, range(len(made.clips)))
    draws = ListDraws(labels, ListSampler(labels, {}, 5), {"dry": 1.0}, 3, 3, 7)
    first, again = (RankBatches(draws, made.words, (5, 10, 20), 30).make(4) for _ in range(2))
    torch.testing.assert_close(first.words, again.words)
    torch.testing.assert_close(first.ends, again.ends)
    assert first.words.shape[0] == 3 * 3 * 5
    early = first.ends[:, 0].reshape(9, 5)
    known = ~first.labels.reshape(9, 5).isnan()
    assert all(len(set(e[k].tolist())) == 1 for e, k in zip(early, known, strict=True))
    plain = StatisticsBatches(draws, made.statistics).make(4)
    torch.testing.assert_close(plain.labels, first.labels, equal_nan=True)
    assert plain.statistics.shape == (45, 2, 2 * WIDTH)


@pytest.mark.parametrize(
    "loss",
    ["rank_list", "rank_net", "all_pairs", "adjacent_pairs", "list_net", "list_mle", "lambda_loss", "approx_ndcg"],
)
def test_every_loss_of_the_recipe_prefers_the_right_order(loss: str) -> None:
    recipe = read_recipe(RECIPE, RankerRecipe, [f"loss={loss}"])
    labels = torch.tensor([[-0.7, 0.0, 0.7, 0.5]])
    right, wrong = (list_losses(sign * 3 * labels, labels, 0.1, recipe, 0.5) for sign in (1, -1))
    assert (right < wrong).all()


@pytest.mark.parametrize("curriculum", ["near_first", "far_first"])
def test_curricula_are_chosen_by_name(curriculum: str) -> None:
    recipe = read_recipe(RECIPE, RankerRecipe, [f"curriculum={curriculum}"])
    labels, scores = torch.tensor([[3.0, 2.0, 1.0]]), torch.tensor([[0.0, 1.0, 5.0]])
    early, late = (list_losses(scores, labels, 0.0, recipe, done) for done in (0.0, 1.0))
    assert (early != late).all()


def test_an_unknown_setting_is_refused_with_its_name() -> None:
    with pytest.raises(ConfigError, match="unknown field `lenght`"):
        read_recipe(RECIPE, RankerRecipe, ["lenght=4"])
