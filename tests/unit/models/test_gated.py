import numpy as np
import pytest
import torch

from rtemo_models.kit.nets.gated import GatedBlock, gated_sum

pytestmark = pytest.mark.unit


def looped(forget: torch.Tensor, value: torch.Tensor) -> torch.Tensor:
    h, out = torch.zeros_like(value[:, 0]), []
    for t in range(value.shape[1]):
        h = forget[:, t] * h + value[:, t]
        out.append(h)
    return torch.stack(out, 1)


def test_gated_sum_and_its_gradients_are_those_of_the_loop() -> None:
    torch.manual_seed(0)
    forget = torch.rand(3, 17, 5, requires_grad=True)
    value = torch.randn(3, 17, 5, requires_grad=True)
    weight = torch.randn(3, 17, 5)
    wanted = torch.autograd.grad((looped(forget, value) * weight).sum(), [forget, value])
    found = torch.autograd.grad((gated_sum(forget, value) * weight).sum(), [forget, value])
    torch.testing.assert_close(gated_sum(forget, value), looped(forget, value))
    for a, b in zip(found, wanted, strict=True):
        torch.testing.assert_close(a, b)


def test_gated_block_gives_step_by_step_what_it_gives_for_the_whole_clip() -> None:
    torch.manual_seed(1)
    block = GatedBlock(12, 3, (2.0, 50.0)).eval()
    x = torch.randn(2, 40, 12)
    with torch.no_grad():
        whole = block(x)
        past, memory = torch.zeros(2, 2, 12), torch.zeros(2, 12)
        for t in range(x.shape[1]):
            y, past, memory = block.step(x[:, t], past, memory)
            torch.testing.assert_close(y, whole[:, t], atol=1e-5, rtol=1e-4)


def test_gated_block_does_not_look_ahead() -> None:
    torch.manual_seed(2)
    block = GatedBlock(8, 3, (2.0, 50.0)).eval()
    x = torch.randn(1, 20, 8)
    changed = x.clone()
    changed[:, 12:] += 1
    with torch.no_grad():
        torch.testing.assert_close(block(x)[:, :12], block(changed)[:, :12])
        assert not np.allclose(block(x)[:, 12:].numpy(), block(changed)[:, 12:].numpy())
