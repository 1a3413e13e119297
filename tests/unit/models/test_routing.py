"""Routers and experts: what a gate does to results and to gradients."""

import math

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: networks cannot be tested")

from rtemo_models.kit.nets.routing import GATES, ExpertPool, Router, balance_loss, z_loss  # noqa: E402

pytestmark = pytest.mark.unit


@pytest.fixture
def frames():
    torch.manual_seed(0)
    return torch.randn(3, 20, 12)


def task_gradient(router, pool, frames):
    """Gradient of a task's loss at the router, None where none arrives."""
    router.linear.requires_grad_(True)
    weights, _, _ = router(frames)
    result = pool(frames, weights)
    if result.requires_grad:
        result.square().mean().backward()
    return router.linear.weight.grad


@pytest.mark.parametrize("gate", ["top1_scaled", "straight_through", "dense"])
def test_the_task_teaches_the_router(gate, frames):
    gradient = task_gradient(Router(12, 3, gate), ExpertPool(12, 16, 5, 3), frames)
    assert gradient is not None
    assert gradient.abs().max() > 1e-6


def test_a_scattered_mask_teaches_the_router_nothing(frames):
    # The mask as the published training script makes it: an untrained, fixed random partition is what remains.
    linear, pool = torch.nn.Linear(12, 3), ExpertPool(12, 16, 5, 3)
    logits = linear(frames)
    mask = torch.zeros_like(logits).scatter(-1, logits.argmax(-1, keepdim=True), 1.0)
    pool(frames, mask).square().mean().backward()
    assert linear.weight.grad is None
    assert pool.experts[0].widen.weight.grad is not None


def test_a_random_fixed_router_gets_no_gradient_even_when_it_asks_for_one(frames):
    router = Router(12, 3, "random_fixed")
    assert not router.linear.weight.requires_grad
    assert task_gradient(router, ExpertPool(12, 16, 5, 3), frames) is None
    assert not any(loss.requires_grad for loss in router(frames.requires_grad_()).losses.values())


@pytest.mark.parametrize("gate", GATES)
def test_running_only_the_chosen_experts_gives_what_running_all_gives(gate, frames):
    router, pool = Router(12, 4, gate).eval(), ExpertPool(12, 16, 5, 4).eval()
    weights, index, _ = router(frames)
    assert len(index.unique()) > 1
    assert torch.allclose(pool(frames, weights), pool.every(frames, weights), atol=1e-6)


def test_a_sparse_gate_runs_one_expert_per_frame(frames):
    router, pool = Router(12, 4).eval(), ExpertPool(12, 16, 5, 4).eval()
    rows = []
    for expert in pool.experts:
        expert.register_forward_hook(lambda _module, inputs, _output: rows.append(len(inputs[0])))
    pool(frames, router(frames).weights)
    assert sum(rows) == frames.shape[0] * frames.shape[1]


@pytest.mark.parametrize("gate", ["top1_scaled", "random_fixed"])
def test_sparse_training_has_the_gradients_of_training_on_all_experts(gate, frames):
    router, pool = Router(12, 4, gate), ExpertPool(12, 16, 5, 4)
    parameters = [p for p in (*router.parameters(), *pool.parameters()) if p.requires_grad]
    found = []
    for pool.sparse_training in (False, True):
        loss = pool(frames, router(frames).weights).square().sum()
        found.append(torch.autograd.grad(loss, parameters))
    assert all(torch.allclose(a, b, atol=1e-5) for a, b in zip(*found, strict=True))


def test_an_expert_that_nobody_chose_has_a_gradient_of_zero(frames):
    pool = ExpertPool(12, 16, 5, 2, sparse_training=True)
    weights = torch.tensor([1.0, 0.0]).expand(*frames.shape[:-1], 2)
    pool(frames, weights).sum().backward()
    assert pool.experts[1].widen.weight.grad is not None
    assert pool.experts[1].widen.weight.grad.abs().max() == 0


def test_each_gate_weighs_as_it_is_defined(frames):
    p = torch.softmax(torch.randn(2, 3), -1)
    results = {}
    for gate in GATES:
        router = Router(3, 3, gate)
        with torch.no_grad():
            router.linear.weight.copy_(torch.eye(3))
            router.linear.bias.zero_()
        results[gate] = router(p.log())
    best = p.argmax(-1)
    hard = torch.nn.functional.one_hot(best, 3).float()
    expected = {"top1_scaled": p * hard, "straight_through": hard, "dense": p, "random_fixed": hard}
    for gate, route in results.items():
        assert torch.equal(route.index, best)
        assert torch.allclose(route.weights, expected[gate], atol=1e-6), gate


def test_balance_is_one_when_even_and_the_number_of_experts_when_one_takes_all():
    even = torch.eye(4).repeat(5, 1)
    alone = torch.eye(4)[[2]].repeat(20, 1)
    assert balance_loss(torch.full((20, 4), 0.25), even) == pytest.approx(1.0)
    assert balance_loss(alone, alone) == pytest.approx(4.0)


def test_balance_loss_pushes_frames_towards_the_experts_that_are_left_out(frames):
    router = Router(12, 3)
    with torch.no_grad():
        router.linear.bias.copy_(torch.tensor([3.0, 0.0, 0.0]))
    optimiser = torch.optim.SGD(router.parameters(), 1.0)
    before = (router(frames).index == 0).float().mean()
    for _ in range(100):
        optimiser.zero_grad()
        router(frames).losses["balance"].backward()
        optimiser.step()
    assert before > 0.8
    assert (router(frames).index == 0).float().mean() < 0.5


def test_z_loss_is_the_square_of_the_log_partition():
    assert z_loss(torch.zeros(7, 4)) == pytest.approx(math.log(4) ** 2)


def test_padding_does_not_count_in_the_losses(frames):
    router = Router(12, 3)
    valid = torch.zeros(3, 20)
    valid[:, :8] = 1
    whole, cut = router(frames, valid).losses, router(frames[:, :8]).losses
    assert all(torch.allclose(whole[name], cut[name]) for name in cut)


def test_an_unknown_gate_is_refused_by_name():
    with pytest.raises(ValueError, match="'top2'; expected one of top1_scaled"):
        Router(4, 2, "top2")
