"""The gains from a bin's surroundings: one pass over a clip gives the sum of the hops and its gradients."""

import pytest
import torch

from rtemo_models.systems.merit.net.local import LOCAL_BINS, LocalGains

pytestmark = pytest.mark.unit

BATCH, HOPS, WIDTH = 2, 40, 12


def hop_by_hop(net: LocalGains, logs: torch.Tensor, whole: torch.Tensor) -> torch.Tensor:
    state = {name: torch.zeros(BATCH, *shape) for name, shape in net.state_shapes().items()}
    out = []
    for t in range(HOPS):
        views, state = net.step(logs[:, t], state)
        out.append(net(views, whole[:, t]))
    return torch.stack(out, 1)


def test_one_pass_gives_the_sum_and_the_gradients_of_the_hops() -> None:
    torch.manual_seed(0)
    net = LocalGains(WIDTH)
    torch.nn.init.normal_(net.own)
    logs = torch.randn(BATCH, HOPS, LOCAL_BINS)
    whole = torch.randn(BATCH, HOPS, WIDTH, requires_grad=True)
    asked = [whole, *net.parameters()]
    wanted, found = hop_by_hop(net, logs, whole), net.clip(logs, whole)
    torch.testing.assert_close(found, wanted, atol=1e-4, rtol=1e-4)
    upstream = torch.randn_like(wanted)
    for a, b in zip(
        torch.autograd.grad((found * upstream).sum(), asked),
        torch.autograd.grad((wanted * upstream).sum(), asked),
        strict=True,
    ):
        torch.testing.assert_close(a, b, atol=2e-2, rtol=1e-3)
