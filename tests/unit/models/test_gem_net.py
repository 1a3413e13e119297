"""GEM's network: running equals training, rows are strangers, the pool forgets; needs torch, no data."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="torch is not installed: networks cannot be tested")
onnxruntime = pytest.importorskip("onnxruntime")

from rtemo.api import EXPERTS  # noqa: E402
from rtemo_models.kit.run_folder import save_net  # noqa: E402
from rtemo_models.systems.gem.export import gem_graph, gem_macs, write_bundle  # noqa: E402
from rtemo_models.systems.gem.net import (  # noqa: E402
    Gem,
    GemConfig,
    Measures,
    load_gem,
    mixed,
    mixed_probability,
    modulation_matrices,
)
from rtemo_models.systems.gem.train.losses import expert_loss, mixed_loss, one_class_loss, pair_loss, training_gate  # noqa: E402
from rtemo_models.systems.gem.train.trials import logistic_fit  # noqa: E402

pytestmark = pytest.mark.unit

SMALL = GemConfig(lags=(1, 3), width=16, hidden=4)


def net_of(config: GemConfig = SMALL, seed: int = 0) -> Gem:
    torch.manual_seed(seed)
    net = Gem(config).eval()
    with torch.no_grad():
        net.trunk.weight.mul_(4)
    net.scale.fill_(0.8)
    net.shift.fill_(0.1)
    net.calibration[:] = torch.tensor([[1.5, 0.2], [0.7, -0.1], [1.1, 0.3], [0.9, 0.0]][: len(net.calibration)])
    return net


def clip_of(n: int, steps: int, seed: int = 1) -> tuple["torch.Tensor", "torch.Tensor", "torch.Tensor"]:
    random = torch.Generator().manual_seed(seed)
    traces = -9 + 2 * torch.randn(n, steps, 4, 36, generator=random)
    weight = (torch.rand(n, steps, 4, generator=random) > 0.4).float()
    gate = torch.softmax(3 * torch.randn(n, steps, 4, generator=random), -1)
    return traces, weight, gate


@pytest.mark.parametrize("kind", ["ensemble", "single"])
def test_step_by_step_is_the_same_as_the_whole_clip(kind: str) -> None:
    net = net_of(replace(SMALL, kind=kind))
    traces, weight, gate = clip_of(3, 30)
    with torch.no_grad():
        score, experts = net(traces, weight, gate, list(range(30)))
        state = net.new_state(3)
        for t in range(30):
            now, said, state = net.step(traces[:, t], weight[:, t], gate[:, t], state)
            torch.testing.assert_close(now, score[:, t], atol=2e-4, rtol=1e-4)
            torch.testing.assert_close(said, experts[:, t], atol=2e-4, rtol=1e-4)


def streams(net: Gem, n: int) -> tuple["onnxruntime.InferenceSession", dict[str, np.ndarray]]:
    graph = gem_graph(net, {"task": "spoof"}).SerializeToString()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    return session, {name: value.numpy() for name, value in net.new_state(n).items()}


def test_exported_graph_says_step_by_step_what_torch_says() -> None:
    net = net_of()
    traces, weight, gate = clip_of(5, 40)
    session, state = streams(net, 5)
    with torch.no_grad():
        score, experts = net(traces, weight, gate, list(range(40)))
    for t in range(40):
        feeds = {"traces": traces[:, t].numpy(), "weight": weight[:, t].numpy(), "gate": gate[:, t].numpy()}
        names = [o.name for o in session.get_outputs()]
        out = dict(zip(names, session.run(None, {**feeds, **state}), strict=True))
        state = {name: out[f"next_{name}"] for name in state}
        np.testing.assert_allclose(out["score"], score[:, t], atol=5e-4, rtol=1e-3)
        np.testing.assert_allclose(out["experts"], experts[:, t], atol=5e-4, rtol=1e-3)


def test_a_row_does_not_hear_the_others() -> None:
    net = net_of()
    traces, weight, gate = (x.numpy() for x in clip_of(6, 12))
    together, alone = [], []
    session, state = streams(net, 6)
    _, one = streams(net, 1)
    for t in range(12):
        feeds = {"traces": traces[:, t], "weight": weight[:, t], "gate": gate[:, t]}
        names = [o.name for o in session.get_outputs()]
        out = dict(zip(names, session.run(None, {**feeds, **state}), strict=True))
        state = {name: out[f"next_{name}"] for name in state}
        together.append(out["score"][4])
        out = dict(zip(names, session.run(None, {**{k: v[4:5] for k, v in feeds.items()}, **one}), strict=True))
        one = {name: out[f"next_{name}"] for name in one}
        alone.append(out["score"][0])
    np.testing.assert_allclose(together, alone, atol=1e-4)


def test_statistics_forget_with_speech_and_not_with_silence() -> None:
    measures = Measures(GemConfig(memory_steps=10.0))
    traces, _, _ = clip_of(1, 40)
    traces[:, 20:, :, 32:] += 3  # another residual
    speech, pause = torch.ones(1, 40, 4), torch.ones(1, 40, 4)
    pause[:, 20:] = 0
    spoken, silent = measures(traces, speech, [19, 39]), measures(traces, pause, [19, 39])
    torch.testing.assert_close(silent[:, 0], silent[:, 1])
    residual = slice(measures.config.pairs + 48, measures.config.pairs + 52)
    moved = (spoken[0, 1, residual] - spoken[0, 0, residual]).mean()
    assert moved == pytest.approx(3 * (1 - np.exp(-2)), abs=0.4)


def test_before_speech_the_score_does_not_depend_on_what_is_heard() -> None:
    net = net_of()
    traces, _, gate = clip_of(2, 5)
    with torch.no_grad():
        score, _ = net(traces, torch.zeros(2, 5, 4), gate[:1].expand(2, -1, -1), [4])
    assert score[0, 0] == pytest.approx(score[1, 0].item(), abs=1e-5)


def test_gain_does_not_matter() -> None:
    net = net_of()
    traces, weight, gate = clip_of(1, 60)
    louder = traces.clone()
    louder[..., :32] += 3
    with torch.no_grad():
        torch.testing.assert_close(
            net(traces, weight, gate[:, -1:], [59])[0], net(louder, weight, gate[:, -1:], [59])[0], atol=2e-3, rtol=1e-3
        )


def test_modulation_is_found_in_the_band_of_its_rate() -> None:
    transform, groups = modulation_matrices(GemConfig())
    frame_s = 0.005
    for rate_hz, band in ((4.2, 0), (8.3, 1), (25.0, 3), (88.0, 6)):
        wave = 7 + np.cos(2 * np.pi * rate_hz * frame_s * np.arange(48))
        assert int(np.argmax((wave @ transform) ** 2 @ groups)) == band
    assert np.abs(np.ones(48) @ transform).max() < 1e-4


def test_quiet_frames_between_loud_ones_do_not_count() -> None:
    measures = Measures(GemConfig())
    traces, _, _ = clip_of(1, 40)
    noisy = traces.clone()
    noisy[:, 20:30] = -25 + 3 * torch.randn(1, 10, 4, 36)
    speech, known = torch.ones(1, 40, 4), torch.ones(1, 40, 4)
    known[:, 20:30] = 0
    torch.testing.assert_close(measures(noisy, speech, [29]), measures(noisy, known, [29]))


def test_a_gate_that_says_nothing_trusts_all_experts_alike() -> None:
    said = torch.tensor([[1.0, 2.0, 3.0, 6.0]])
    assert mixed(said, torch.zeros(1, 4)).item() == pytest.approx(3.0)
    assert mixed(said, torch.tensor([[0.0, 0.0, 0.0, 1.0]])).item() == pytest.approx(6.0, abs=1e-4)


def test_mixing_probabilities_lets_one_sure_expert_decide_and_log_odds_let_it_argue() -> None:
    said, gate = torch.tensor([[-8.0, 8.0, 8.0, 8.0]]), torch.full((1, 4), 0.25)
    assert mixed_probability(said, gate).item() == pytest.approx(np.log(3), abs=0.01)
    assert mixed(said, gate).item() == pytest.approx(4.0, abs=1e-4)


def test_single_network_has_as_many_parameters_as_the_ensemble() -> None:
    ensemble, single = (sum(p.numel() for p in Gem(GemConfig(kind=k)).parameters()) for k in ("ensemble", "single"))
    assert abs(ensemble - single) < 0.02 * ensemble


def test_network_is_within_its_budget() -> None:
    net = Gem()
    assert sum(p.numel() for p in net.parameters()) < 500_000
    assert 25 * gem_macs(net) < 20_000_000


def test_saved_network_scores_as_before(tmp_path: Path) -> None:
    net = net_of()
    save_net(net, tmp_path / "net.pt")
    again = load_gem(tmp_path / "net.pt")
    traces, weight, gate = clip_of(2, 8)
    with torch.no_grad():
        torch.testing.assert_close(net(traces, weight, gate[:, :1], [7])[0], again(traces, weight, gate[:, :1], [7])[0])


def test_bundle_is_written_with_card_and_a_single_network_is_refused(tmp_path: Path) -> None:
    card = write_bundle(net_of(), tmp_path, "0.0.1", {})
    assert (tmp_path / "gem" / card.weights).stat().st_size == card.weights_bytes
    assert card.labels == EXPERTS
    assert any(name.startswith("pool_") for name in card.states)
    with pytest.raises(ValueError, match="only an ensemble"):
        write_bundle(net_of(replace(SMALL, kind="single")), tmp_path, "0.0.1", {})


def test_an_expert_learns_from_its_own_emotion_and_a_little_from_the_others() -> None:
    said = torch.zeros(1, 4, requires_grad=True)
    gate = torch.tensor([[0.0, 0.0, 1.0, 0.0]])
    expert_loss(said, gate, torch.ones(1), replay=0.2, smoothing=0.0).backward()
    pull = -said.grad[0]
    assert pull[2] == pytest.approx(0.5 * 0.85, abs=1e-3)
    assert pull[0] == pytest.approx(0.5 * 0.05, abs=1e-3)


def test_losses_fall_when_synthetic_scores_rise_above_genuine_ones() -> None:
    gate, label = torch.full((4, 4), 0.25), torch.tensor([0.0, 0.0, 1.0, 1.0])
    right = torch.tensor([-3.0, -3.0, 3.0, 3.0])[:, None].expand(4, 4)
    assert mixed_loss(right, gate, label, 0.0) < mixed_loss(-right, gate, label, 0.0)
    assert pair_loss(mixed(right, gate), 2) < 0.01 < pair_loss(mixed(-right, gate), 2)
    assert pair_loss(mixed(right, gate), 0) == 0


def test_one_class_loss_leaves_alone_what_is_beyond_its_margin_and_pulls_genuine_scores_more() -> None:
    label = torch.tensor([0.0, 1.0])

    def pull(genuine: float, synthetic: float) -> tuple[float, float]:
        score = torch.tensor([genuine, synthetic], requires_grad=True)
        one_class_loss(score, label).backward()
        return score.grad[0].item(), -score.grad[1].item()

    assert pull(0.0, -0.5)[0] == pytest.approx(2 * pull(0.0, -0.5)[1], rel=0.01)  # as far from its margin each
    assert max(pull(-6.0, 6.0)) < 1e-3
    assert one_class_loss(torch.zeros(2), torch.ones(2)).isfinite()


def test_training_gates_of_the_arms_sum_to_one() -> None:
    gate = torch.softmax(torch.randn(3, 4), -1)
    for kind in ("emotion", "uniform", "random"):
        torch.testing.assert_close(training_gate(gate, kind).sum(-1), torch.ones(3))
    assert torch.equal(training_gate(gate, "emotion"), gate)


def test_calibration_finds_the_log_odds_that_made_the_labels() -> None:
    random = np.random.default_rng(0)
    x = random.normal(0, 2, 20_000)
    y = random.random(20_000) < 1 / (1 + np.exp(-(0.6 * x - 0.4)))
    assert logistic_fit(x, y, np.ones(20_000)) == pytest.approx((0.6, -0.4), abs=0.06)
