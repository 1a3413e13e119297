"""The emotion network: whole clips and steps must agree."""

import math
from itertools import pairwise

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: the training kit cannot be tested")

from rtemo_models.kit.nets.streaming import AttentivePool, RunningLevel, leaky_sum  # noqa: E402
from rtemo_models.systems.merit.net.emotion import EmotionNet, EmotionNetConfig  # noqa: E402

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def net() -> EmotionNet:
    torch.manual_seed(1)
    torch.set_num_threads(1)
    made = EmotionNet(EmotionNetConfig(width=48, embedding=32, hidden=32, attention=16)).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
    return made


@pytest.fixture(scope="module")
def heard() -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(2)
    logmel = 2 * torch.randn(3, 60, 4, 64) - 8
    logmel[1, :20] = -23.0
    weight = (torch.rand(3, 60, 4) > 0.3).float()
    weight[:, :5] = 0
    return logmel, weight


@torch.no_grad()
def test_whole_clip_equals_step_by_step(net: EmotionNet, heard: tuple[torch.Tensor, torch.Tensor]) -> None:
    logmel, weight = heard
    whole = net(logmel, weight)
    state = net.new_state(3)
    for t in range(logmel.shape[1]):
        said, state = net.step(logmel[:, t], weight[:, t], state)
        for one, all_of_them in zip(said, whole, strict=True):
            torch.testing.assert_close(one, all_of_them[:, t], atol=2e-5, rtol=1e-4)


@torch.no_grad()
def test_a_step_depends_on_no_later_frame(net: EmotionNet, heard: tuple[torch.Tensor, torch.Tensor]) -> None:
    logmel, weight = heard
    changed = logmel.clone()
    changed[:, 40:] += 3.0
    before, after = net(logmel, weight)[0], net(changed, weight)[0]
    torch.testing.assert_close(before[:, :40], after[:, :40])
    assert (before[:, 40:] - after[:, 40:]).abs().max() > 1e-3


@torch.no_grad()
def test_pooling_at_chosen_steps_equals_pooling_at_every_step() -> None:
    torch.manual_seed(3)
    pool = AttentivePool(16, 4, 8)
    x, weight = torch.randn(2, 30, 16), torch.rand(2, 30)
    torch.testing.assert_close(pool(x, weight, [7, 29]), pool(x, weight)[:, [7, 29]], atol=1e-5, rtol=1e-4)


@torch.no_grad()
def test_online_softmax_equals_the_weighted_mean_it_stands_for() -> None:
    torch.manual_seed(4)
    pool = AttentivePool(8, 2, 4).double()
    x, weight = torch.randn(1, 50, 8, dtype=torch.float64), torch.rand(1, 50, dtype=torch.float64)
    state = [torch.full((1, 2, 1), -1e30), torch.zeros(1, 2, 1), torch.zeros(1, 2, 4), torch.zeros(1, 2, 4)]
    state = [s.double() for s in state]
    for t in range(50):
        statistics, *state = pool.step(x[:, t], weight[:, t : t + 1], *state)
    share = weight[..., None] * torch.exp(pool.scores(x))
    share = (share / share.sum(1, keepdim=True)).repeat_interleave(4, -1)
    mean = (share * x).sum(1)
    deviation = ((share * x * x).sum(1) - mean * mean).clamp_min(1e-5).sqrt()
    torch.testing.assert_close(statistics, torch.cat([mean, deviation], -1), atol=1e-12, rtol=1e-9)


def test_leaky_sum_forgets_as_its_recurrence_does() -> None:
    x = torch.randn(2, 40, 3, 5)
    decay = torch.tensor([0.5, 0.9, 1.0])
    y = torch.zeros(2, 3, 5)
    for t, found in enumerate(leaky_sum(x, decay).unbind(1)):
        y = decay[:, None] * y + x[:, t]
        torch.testing.assert_close(found, y, atol=1e-4, rtol=1e-4)


def test_running_level_takes_out_gain() -> None:
    level = RunningLevel(0.995, math.log(1e-5), 3.0, -9.0, 5.0, 0.3)
    logmel = torch.randn(1, 100, 4, 64) - 6
    outcomes = [level(logmel + shift)[:, -1] for shift in (-3.0, 0.0, 3.0)]
    for one, other in pairwise(outcomes):
        assert (one - other).abs().mean() < 0.06
