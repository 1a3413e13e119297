"""Sparse MERIT: whole clips, steps in torch and steps in ONNX Runtime must agree."""

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: the training kit cannot be tested")
pytest.importorskip("onnx", reason="onnx is not installed: the export cannot be tested")
onnxruntime = pytest.importorskip("onnxruntime")

from rtemo_models.systems.merit.export.enhancer import enhancer_graph, enhancer_macs  # noqa: E402
from rtemo_models.systems.merit.export.listener import listener_graph, listener_macs  # noqa: E402
from rtemo_models.systems.merit.net.enhancer import EnhancerConfig, cube  # noqa: E402
from rtemo_models.systems.merit.net.listener import Listener, ListenerConfig  # noqa: E402
from rtemo_models.systems.merit.net.merit import CONTEXT_LAG_STEPS, Merit, MeritConfig  # noqa: E402

pytestmark = pytest.mark.unit

N, STEPS, HOPS = 3, 12, 4
GATES = ("shared", "top1_scaled", "straight_through", "dense", "random_fixed")


def small(gate: str, local: bool = True) -> Merit:
    """A small network whose routers choose differently from frame to frame."""
    torch.manual_seed(1)
    torch.set_num_threads(1)
    listener = ListenerConfig(width=48, embedding=32, hidden=32, attention=16, context=8, expert_hidden=24, gate=gate)
    made = Merit(MeritConfig(listener, EnhancerConfig(width=32, context=8, local=local))).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
        for router in made.listener.routers.values():
            router.linear.weight.mul_(20)
    return made


def heard() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    torch.manual_seed(2)
    bands, bins = 2 * torch.randn(N, STEPS * HOPS, 64) - 8, 2 * torch.randn(N, STEPS * HOPS, 257) - 8
    bands[1, :20] = -23.0
    return bands, bins, (torch.rand(N, STEPS, HOPS) > 0.3).float()


class Running:
    """A graph whose states are carried by hand."""

    def __init__(self, model, part) -> None:
        self.session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        self.names = [o.name for o in self.session.get_outputs()]
        self.state = {k: v.numpy() for k, v in part.new_state(N).items()}

    def step(self, **inputs) -> dict[str, np.ndarray]:
        feeds = {k: v.numpy() if torch.is_tensor(v) else v for k, v in inputs.items()}
        out = dict(zip(self.names, self.session.run(None, {**feeds, **self.state}), strict=True))
        self.state = {k: out[f"next_{k}"] for k in self.state}
        return out


@pytest.mark.parametrize(("gate", "local"), [*((gate, True) for gate in GATES), ("top1_scaled", False)])
@torch.no_grad()
def test_whole_clip_equals_torch_steps_equals_onnx_steps(gate: str, local: bool) -> None:
    net = small(gate, local)
    bands, bins, weight = heard()
    _, said = net.listen(bands)
    logits, arousal, valence = net.listener.heads(net.listener.statistics(said.emotion, weight))
    gain = cube(net.enhance(bands, bins, said.context))
    listener = Running(listener_graph(net.listener, {}), net.listener)
    enhancer = Running(enhancer_graph(net.enhancer, {}), net.enhancer)
    state, hop_state = net.listener.new_state(N), net.enhancer.new_state(N)
    contexts = [torch.zeros(N, 8)] * CONTEXT_LAG_STEPS
    for t in range(STEPS):
        for hop in range(t * HOPS, (t + 1) * HOPS):
            one, hop_state = net.enhancer.step(bands[:, hop], bins[:, hop], contexts[t], hop_state)
            torch.testing.assert_close(one, gain[:, hop], atol=2e-5, rtol=1e-4)
            out = enhancer.step(bands=bands[:, hop], bins=bins[:, hop], context=contexts[t])
            np.testing.assert_allclose(out["gain"], gain[:, hop].numpy(), atol=2e-5)
        now = bands[:, t * HOPS : (t + 1) * HOPS]
        answers, words, state = net.listener.step(now, weight[:, t], state)
        out = listener.step(bands=now, weight=weight[:, t])
        for name, step, whole in zip(
            ("logits", "arousal", "valence"), answers, (logits, arousal, valence), strict=True
        ):
            torch.testing.assert_close(step, whole[:, t], atol=2e-5, rtol=1e-4)
            np.testing.assert_allclose(out[name], whole[:, t].numpy(), atol=2e-5)
        np.testing.assert_allclose(out["context"], said.context[:, t].numpy(), atol=2e-5)
        torch.testing.assert_close(words.emotion, said.emotion[:, t], atol=2e-5, rtol=1e-4)
        np.testing.assert_allclose(out["words"], said.emotion[:, t].numpy(), atol=2e-5)
        np.testing.assert_array_equal(out["experts"], said.experts[:, t].numpy())
        contexts.append(words.context)


@torch.no_grad()
def test_weights_as_bytes_say_nearly_the_same_and_rows_do_not_touch_each_other() -> None:
    torch.manual_seed(1)
    listener = Listener(ListenerConfig()).eval()
    for router in listener.routers.values():
        router.linear.weight.mul_(20)
    graph = listener_graph(listener, {}, small_weights=True)
    assert sum(node.op_type == "MatMulNBits" for node in graph.graph.node) > 20
    whole = onnxruntime.InferenceSession(graph.SerializeToString(), providers=["CPUExecutionProvider"])
    bands, _, weight = heard()
    state = {k: v.numpy() for k, v in listener.new_state(N).items()}
    feeds = {"bands": bands[:, :HOPS].numpy(), "weight": weight[:, 0].numpy()}
    together = whole.run(["logits", "context"], {**feeds, **state})
    alone = whole.run(["logits", "context"], {k: v[1:2] for k, v in {**feeds, **state}.items()})
    for a, b in zip(together, alone, strict=True):
        np.testing.assert_array_equal(a[1:2], b)
    (logits, _, _), said, _ = listener.step(bands[:, :HOPS], weight[:, 0], listener.new_state(N))
    np.testing.assert_allclose(together[0], logits.numpy(), atol=0.05 * float(logits.std()) + 0.01)
    np.testing.assert_allclose(together[1], said.context.numpy(), atol=0.1 * float(said.context.std()))


@torch.no_grad()
def test_routers_choose_different_experts_for_different_frames_and_tasks() -> None:
    _, said = small("top1_scaled").listen(heard()[0])
    assert len(said.experts.flatten(0, 1).unique(dim=0)) > 3


@torch.no_grad()
def test_nothing_depends_on_a_later_hop() -> None:
    net = small("top1_scaled")
    bands, bins, _ = heard()
    changed, changed_bins = bands.clone(), bins.clone()
    changed[:, 28:] += 3.0
    changed_bins[:, 28:] += 3.0
    before, after = (net.enhance(a, b, net.listen(a)[1].context) for a, b in ((bands, bins), (changed, changed_bins)))
    torch.testing.assert_close(before[:, :28], after[:, :28])
    assert (before[:, 28:] - after[:, 28:]).abs().max() > 1e-3


@torch.no_grad()
def test_the_enhancer_hears_of_a_step_two_steps_later() -> None:
    net = small("top1_scaled")
    bands, bins, _ = heard()
    context = torch.zeros(N, STEPS, 8)
    told = context.clone()
    told[:, 5] = 3.0
    before, after = net.enhance(bands, bins, context), net.enhance(bands, bins, told)
    first = (5 + CONTEXT_LAG_STEPS) * HOPS
    torch.testing.assert_close(before[:, :first], after[:, :first])
    assert (before[:, first:] - after[:, first:]).abs().max() > 1e-3


def test_each_task_reaches_its_own_router_and_the_shared_experts() -> None:
    net = small("top1_scaled").train()
    bands, bins, weight = heard()
    for task, other in (("emotion", "enhance"), ("enhance", "emotion")):
        net.zero_grad()
        _, said = net.listen(bands)
        if task == "emotion":
            net.listener.heads(net.listener.statistics(said.emotion, weight))[0].square().sum().backward()
        else:
            net.enhance(bands, bins, said.context).sum().backward()
        assert net.listener.routers[task].linear.weight.grad.abs().sum() > 0
        unreached = net.listener.routers[other].linear.weight.grad
        assert unreached is None or unreached.abs().sum() == 0
        assert sum(e.widen.weight.grad.abs().sum() for e in net.listener.experts.experts) > 0


def test_the_full_network_keeps_to_its_budget() -> None:
    net = Merit()
    parameters = sum(p.numel() for p in net.parameters()) - sum(p.numel() for p in net.listener.distil.parameters())
    assert 0.5e6 < parameters < 2e6
    assert listener_macs(net.listener) * 25 + enhancer_macs(net.enhancer) * 100 < 60e6
