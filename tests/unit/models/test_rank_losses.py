"""RankList and the losses beside it, on lists small enough to be worked out by hand or by brute force."""

import itertools
import math

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: the training kit cannot be tested")

from rtemo_models.systems.ranker.train import baselines as rank_baselines  # noqa: E402
from rtemo_models.systems.ranker.train.losses import comparisons, levels, rank_list, rank_list_running, skip_wise  # noqa: E402

pytestmark = pytest.mark.unit

NAN = float("nan")


def ordered(n: int, seed: int = 0, lists: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
    """Random scores and labels that fall by 1 from item to item."""
    torch.manual_seed(seed)
    return torch.randn(lists, n, dtype=torch.float64), torch.arange(n, 0, -1, dtype=torch.float64).expand(lists, n)


def test_the_sum_is_the_expansion_of_the_local_likelihood_without_products_of_runs_that_do_not_touch() -> None:
    scores, labels = ordered(6)
    d = (scores[0, 1:] - scores[0, :-1]).tolist()
    subsets = [s for k in range(6) for s in itertools.combinations(range(5), k)]
    product = math.prod(1 + math.exp(x) for x in d)
    assert math.isclose(sum(math.exp(sum(d[i] for i in s)) for s in subsets), product, rel_tol=1e-12)
    runs = [s for s in subsets if not s or s[-1] - s[0] == len(s) - 1]
    kept = math.log(sum(math.exp(sum(d[i] for i in s)) for s in runs))
    assert math.isclose(float(rank_list(scores, labels)), kept, rel_tol=1e-12)


@pytest.mark.parametrize("n", [2, 5, 9])
def test_the_loss_is_at_most_the_local_one_and_that_at_most_the_one_of_all_pairs(n: int) -> None:
    scores, labels = ordered(n, n, 50)
    loss, near = rank_list(scores, labels), rank_baselines.adjacent_pairs(scores, labels)
    assert (loss <= near + 1e-12).all()
    assert (near <= rank_baselines.all_pairs(scores, labels) + 1e-12).all()
    if n == 2:
        torch.testing.assert_close(loss, near)


@pytest.mark.parametrize(("gap", "temperature", "margin"), [(0.0, 1.0, 0.0), (0.4, 2.0, 0.0), (0.25, 0.5, 0.7)])
def test_the_running_form_gives_the_same_values_and_gradients_as_all_comparisons(gap, temperature, margin) -> None:
    torch.manual_seed(3)
    scores = (3 * torch.randn(40, 9, dtype=torch.float64)).requires_grad_()
    labels = (4 * torch.rand(40, 9, dtype=torch.float64)).round() / 3  # many ties and near ties
    labels[::3, 4:7] = NAN
    labels[5] = NAN
    whole = rank_list(scores, labels, gap, temperature, margin)
    (slope,) = torch.autograd.grad(whole.sum(), scores)
    running = rank_list_running(scores, labels, gap, temperature, margin)
    (running_slope,) = torch.autograd.grad(running.sum(), scores)
    torch.testing.assert_close(running, whole)
    torch.testing.assert_close(running_slope, slope)
    assert whole[5] == 0
    assert (slope[5] == 0).all()


def test_both_forms_stay_finite_with_scores_of_any_size() -> None:
    scores = torch.tensor([[900.0, -900.0, 0.0], [-900.0, 900.0, 0.0]])
    labels = torch.tensor([[3.0, 1.0, 2.0]] * 2)
    for form in (rank_list, rank_list_running):
        torch.testing.assert_close(form(scores, labels), torch.tensor([0.0, 1800.0]))


def test_the_gradient_is_a_softmax_over_violations_and_vanishes_where_all_pairs_are_far_apart() -> None:
    scores, labels = ordered(4, 1)
    scores.requires_grad_()
    (slope,) = torch.autograd.grad(rank_list(scores, labels).sum(), scores)
    s = scores.detach()[0]
    pairs = [(i, j) for i in range(4) for j in range(i + 1, 4)]
    total = 1 + sum(math.exp(s[j] - s[i]) for i, j in pairs)
    expected = torch.zeros_like(s)
    for i, j in pairs:
        share = math.exp(s[j] - s[i]) / total
        expected[i] -= share
        expected[j] += share
    torch.testing.assert_close(slope[0], expected)
    right = (40 * labels).requires_grad_()
    assert rank_list(right, labels).item() < 1e-15


def test_a_margin_asks_for_a_distance_that_grows_with_the_labels() -> None:
    labels = torch.tensor([[3.0, 1.0]])
    scores = torch.tensor([[1.0, 0.0]])
    assert math.isclose(rank_list(scores, labels, margin=0.5).item(), math.log(1 + math.exp(-1 + 1.0)), rel_tol=1e-6)


def test_a_temperature_nears_the_worst_violation() -> None:
    scores, labels = torch.tensor([[0.0, 2.0, 1.0]]), torch.tensor([[3.0, 2.0, 1.0]])
    assert math.isclose(rank_list(scores, labels, temperature=200.0).item(), 2.0, abs_tol=1e-3)


def test_ties_and_near_ties_and_missing_items_carry_no_constraint() -> None:
    labels = torch.tensor([[0.7, 0.6, 0.1, NAN]])
    found = comparisons(labels, 0.25)[0]
    assert found.nonzero().tolist() == [[0, 2], [1, 2]]
    moved = torch.zeros(1, 4, requires_grad=True)
    (slope,) = torch.autograd.grad(rank_list(moved, labels, 0.25).sum(), moved)
    assert slope[0, 3] == 0
    torch.testing.assert_close(slope[0, 0], slope[0, 1])


def test_levels_count_distinct_labels_from_below() -> None:
    assert levels(torch.tensor([[0.5, -1.0, 0.5, NAN, 2.0]])).tolist() == [[1, 0, 1, -1, 2]]
    assert levels(torch.tensor([[NAN, NAN]])).tolist() == [[-1, -1]]


def test_the_curriculum_begins_at_its_end_of_the_list_and_comes_to_all_distances() -> None:
    scores, labels = ordered(5, 2)

    def at(k: int) -> float:
        return math.log(1 + sum(math.exp(scores[0, i + k] - scores[0, i]) for i in range(5 - k)))

    assert math.isclose(skip_wise(scores, labels, 0.0, "near_first").item(), at(1))
    assert math.isclose(skip_wise(scores, labels, 0.0, "far_first").item(), at(4))
    assert math.isclose(skip_wise(scores, labels, 0.4, "near_first").item(), (at(1) + at(2)) / 2)
    assert math.isclose(skip_wise(scores, labels, 0.4, "far_first").item(), (at(3) + at(4)) / 2)
    for direction in ("near_first", "far_first"):
        whole = skip_wise(scores, labels, 1.0, direction).item()
        assert math.isclose(whole, sum(map(at, range(1, 5))) / 4)


def test_ranknet_of_a_pair_is_the_logistic_loss_of_its_difference() -> None:
    scores, labels = torch.tensor([[0.3, 1.0]]), torch.tensor([[2.0, 1.0]])
    assert math.isclose(rank_baselines.rank_net(scores, labels).item(), math.log(1 + math.exp(0.7)), rel_tol=1e-6)
    assert math.isclose(rank_baselines.all_pairs(scores, labels).item(), math.log(1 + math.exp(0.7)), rel_tol=1e-6)
    assert rank_baselines.rank_net(scores, torch.ones(1, 2)).item() == 0


def test_ranknet_compares_every_item_of_a_list_once() -> None:
    torch.manual_seed(0)
    labels = torch.arange(8.0)[None].expand(300, 8)
    scores = torch.zeros(300, 8, requires_grad=True)
    (slope,) = torch.autograd.grad(rank_baselines.rank_net(scores, labels).sum(), scores)
    torch.testing.assert_close(slope.abs(), torch.full((300, 8), 0.5 / 4))  # one of four pairs each, half a slope


def test_adjacent_pairs_leave_out_what_is_further_apart() -> None:
    scores, labels = torch.tensor([[0.0, 1.0, 5.0]]), torch.tensor([[3.0, 2.0, 1.0]])
    expected = math.log(1 + math.e) + math.log(1 + math.exp(4))
    assert math.isclose(rank_baselines.adjacent_pairs(scores, labels).item(), expected, rel_tol=1e-6)


def test_listnet_is_the_cross_entropy_of_being_first() -> None:
    labels, scores = torch.tensor([[math.log(3), 0.0, NAN]]), torch.tensor([[0.0, 0.0, 7.0]])
    assert math.isclose(rank_baselines.list_net(scores, labels).item(), math.log(2), rel_tol=1e-6)
    scores = torch.tensor([[math.log(3), 0.0, 7.0]])
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert math.isclose(rank_baselines.list_net(scores, labels).item(), entropy, rel_tol=1e-6)


def test_listmle_is_the_likelihood_of_drawing_the_order_and_ties_come_in_any_order() -> None:
    scores, labels = torch.tensor([[1.0, 0.0, -1.0, 9.0]]), torch.tensor([[1.0, 3.0, 2.0, NAN]])
    weights = [math.exp(0.0), math.exp(-1.0), math.exp(1.0)]  # in the order of the labels
    expected = -sum(math.log(weights[k] / sum(weights[k:])) for k in range(3))
    assert math.isclose(rank_baselines.list_mle(scores, labels).item(), expected, rel_tol=1e-5)
    torch.manual_seed(0)
    tied = torch.ones(400, 2)
    values = rank_baselines.list_mle(torch.tensor([[0.0, 2.0]]).expand(400, 2), tied)
    assert 0.4 < (values > 1).float().mean() < 0.6


def test_lambda_loss_weighs_a_pair_by_what_swapping_it_changes() -> None:
    scores, labels = torch.tensor([[0.0, 1.0]]), torch.tensor([[1.0, 0.0]])
    change = 1 - 1 / math.log2(3)  # the gain of the only item with one, first or second
    assert math.isclose(rank_baselines.lambda_loss(scores, labels).item(), change * math.log(1 + math.e), rel_tol=1e-5)


def test_approx_ndcg_is_nought_for_a_clear_right_order_and_what_ndcg_lacks_for_a_wrong_one() -> None:
    labels = torch.tensor([[2.0, 1.0, 0.0, NAN]])
    assert rank_baselines.approx_ndcg(torch.tensor([[9.0, 0.0, -9.0, 30.0]]), labels).item() < 1e-5
    wrong = (3 / 2 + 1 / math.log2(3)) / (3 + 1 / math.log2(3))
    found = rank_baselines.approx_ndcg(torch.tensor([[-9.0, 0.0, 9.0, 0.0]]), labels).item()
    assert math.isclose(found, 1 - wrong, rel_tol=1e-4)


LOSSES = {
    "rank_list": rank_list,
    "rank_list_running": rank_list_running,
    "near_first": lambda s, y: skip_wise(s, y, 1.0, "near_first"),
    "far_first": lambda s, y: skip_wise(s, y, 1.0, "far_first"),
    "rank_net": rank_baselines.rank_net,
    "all_pairs": rank_baselines.all_pairs,
    "adjacent_pairs": rank_baselines.adjacent_pairs,
    "list_net": rank_baselines.list_net,
    "list_mle": rank_baselines.list_mle,
    "lambda_loss": rank_baselines.lambda_loss,
    "approx_ndcg": rank_baselines.approx_ndcg,
}


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_brings_a_shuffled_list_into_order_and_leaves_missing_items_alone(name: str) -> None:
    torch.manual_seed(1)
    labels = torch.tensor([[0.0, 2.0, 1.0, 3.0, NAN], [1.0, 0.0, NAN, 2.0, 3.0]])
    scores = torch.randn(2, 5).requires_grad_()
    start = scores.detach().clone()
    optimiser = torch.optim.Adam([scores], 0.05)
    for _ in range(400):
        optimiser.zero_grad()
        LOSSES[name](scores, labels).sum().backward()
        optimiser.step()
    known = ~labels.isnan()
    for row in range(2):
        found, right = scores.detach()[row][known[row]], labels[row][known[row]]
        assert found.argsort().tolist() == right.argsort().tolist()
    torch.testing.assert_close(scores.detach()[~known], start[~known])


@pytest.mark.parametrize("name", LOSSES)
def test_a_list_without_comparisons_moves_nothing(name: str) -> None:
    scores = torch.randn(2, 3).requires_grad_()
    loss = LOSSES[name](scores, torch.tensor([[NAN, NAN, NAN], [1.0, NAN, NAN]]))
    torch.testing.assert_close(loss, torch.zeros(2))
    (slope,) = torch.autograd.grad(loss.sum(), scores, allow_unused=True)
    assert slope is None or (slope == 0).all()
