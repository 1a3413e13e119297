"""The systems that are compared: peers on graphs that change nothing, the product, and functions by name."""

from pathlib import Path

import numpy as np
import pytest

from bench.quality.enhancement.metrics import lag_samples
from bench.quality.enhancement.peers import PEERS, Dtln, Gtcrn, SpectralPeer, UlUnas, stream_through
from bench.quality.enhancement.systems import Product, merit_config, open_system
from bench.sound import babble
from rtemo.api import RtemoError
from rtemo.config import Config
from rtemo.engine import registry
from tests.engine.plugins import delay

pytestmark = pytest.mark.unit

SOUND = babble(1.5, 4)


def write_graph(path: Path, nodes: list[tuple[str, str, str]], inputs: dict[str, list[int]]) -> None:
    """Write a graph of nodes (operation, input, output) whose outputs are all of theirs."""
    onnx = pytest.importorskip("onnx")
    from onnx import helper

    def tensor(name: str, shape: list[int]) -> object:
        return helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, shape)

    graph = helper.make_graph(
        [helper.make_node(operation, source.split(), [out]) for operation, source, out in nodes],
        "fake",
        [tensor(name, shape) for name, shape in inputs.items()],
        [tensor(out, inputs[source.split()[0]]) for _, source, out in nodes],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    path.write_bytes(model.SerializeToString())


@pytest.mark.parametrize("peer", [Gtcrn, UlUnas])
def test_a_spectral_peer_that_changes_nothing_gives_the_input_back_after_its_delay(
    peer: type[SpectralPeer], tmp_path: Path
) -> None:
    write_graph(
        tmp_path / peer.file,
        [("Identity", "mix", "enh"), ("Identity", "cache", "cache_out")],
        {"mix": [1, 257, 1, 2], "cache": [1, 4]},
    )
    out = stream_through(peer(tmp_path), SOUND)
    assert out.size == SOUND.size
    np.testing.assert_allclose(out[peer.delay_samples :], SOUND[: -peer.delay_samples], atol=2e-6)


def test_the_state_of_a_peer_goes_from_hop_to_hop_and_not_from_clip_to_clip(tmp_path: Path) -> None:
    write_graph(
        tmp_path / Gtcrn.file,
        [("Add", "mix cache", "enh"), ("Add", "cache mix", "cache_out")],
        {"mix": [1, 257, 1, 2], "cache": [1, 257, 1, 2]},
    )
    peer = Gtcrn(tmp_path)
    first = stream_through(peer, SOUND)
    np.testing.assert_array_equal(stream_through(peer, SOUND), first)
    assert lag_samples(SOUND, first) != peer.delay_samples or not np.allclose(first[256:], SOUND[:-256], atol=1e-3)


def test_dtln_with_masks_of_one_adds_up_the_overlapping_blocks_after_its_delay(tmp_path: Path) -> None:
    state = [1, 2, 128, 2]
    # a magnitude over itself: a mask of ones, for noise is never exactly zero
    write_graph(
        tmp_path / "dtln_1.onnx",
        [("Div", "input_2 input_2", "mask"), ("Identity", "input_3", "state")],
        {"input_2": [1, 1, 257], "input_3": state},
    )
    write_graph(
        tmp_path / "dtln_2.onnx",
        [("Identity", "input_4", "block"), ("Identity", "input_5", "state")],
        {"input_4": [1, 1, 512], "input_5": state},
    )
    noise = np.random.default_rng(0).normal(0, 0.1, 16_000).astype(np.float32)
    out = stream_through(Dtln(tmp_path), noise)
    np.testing.assert_allclose(out[384:], 4 * noise[:-384], atol=1e-4)


def test_webrtc_and_rnnoise_lag_by_what_is_declared() -> None:
    speech = babble(3.0, 8)
    for name, package in (("webrtc", "webrtc_noise_gain"), ("rnnoise", "pyrnnoise")):
        pytest.importorskip(package)
        peer = PEERS[name](Path())
        expected = peer.delay_samples * 16_000 // peer.rate_hz
        assert abs(lag_samples(speech, stream_through(peer, speech)) - expected) <= 2


def test_the_product_gives_what_its_session_gives_in_step_with_the_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    late = delay("late", 160)
    monkeypatch.setattr("rtemo.session.make", lambda name, options=None: late)
    monkeypatch.setattr(registry, "make", lambda name, options=None: late)
    monkeypatch.setattr("bench.quality.enhancement.systems.merit_config", lambda: Config(chain=("late",)))
    product = Product()
    try:
        assert product.latency_ms == 10.0
        for clip in (SOUND, SOUND[:12_345], SOUND[::-1].copy()):
            np.testing.assert_array_equal(product(clip), clip)
    finally:
        product.close()


def test_the_product_needs_its_plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(registry, "installed", dict)
    with pytest.raises(RtemoError, match="merit"):
        merit_config()


def late_by_100(samples: np.ndarray) -> np.ndarray:
    return np.concatenate([np.zeros(100, np.float32), samples])[: samples.size]


def test_a_function_is_a_system_by_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    import sys
    import types

    module = types.ModuleType("own_enhancer")
    module.enhance = late_by_100  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "own_enhancer", module)
    monkeypatch.setattr(late_by_100, "delay_samples", 100, raising=False)
    system = open_system("own_enhancer:enhance")
    assert system.fingerprint == ""
    np.testing.assert_array_equal(system.enhance(SOUND), SOUND)


@pytest.mark.parametrize("name", ["gtcrnn", "no_such_module:enhance", "numpy:no_such_function", "gtcrn"])
def test_a_system_that_is_not_there_is_refused_with_advice(name: str) -> None:
    with pytest.raises(RtemoError):
        open_system(name, peers=None)


def test_graphs_that_are_not_there_are_refused_with_advice(tmp_path: Path) -> None:
    with pytest.raises(RtemoError, match="gtcrn"):
        open_system("gtcrn", peers=tmp_path)
