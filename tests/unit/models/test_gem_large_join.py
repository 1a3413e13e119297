"""A graft joined again behind the listener's graph: what was measured of it is kept, and the joined graph runs."""

import hashlib
from importlib import resources

import msgspec
import numpy as np
import pytest

pytest.importorskip("torch", reason="torch is not installed: nothing can be trained")

from rtemo.api.model import ModelCard
from rtemo_models.systems.gem_large.export import GRAFT, listener_graph
from rtemo_models.systems.gem_large.join import drift, joined_card

pytestmark = pytest.mark.unit


@pytest.fixture(scope="module")
def shipped() -> tuple[ModelCard, bytes]:
    """The card and the graft that are installed."""
    folder = resources.files("rtemo_weights.gem_large")
    card = msgspec.json.decode((folder / "card.json").read_bytes(), type=ModelCard)
    return card, (folder / GRAFT).read_bytes()


def test_a_card_that_is_joined_again_names_the_graph_that_comes_out(shipped: tuple[ModelCard, bytes]) -> None:
    old, graft = shipped
    card = joined_card(old, graft)
    assert card.sha256 == hashlib.sha256(listener_graph() + graft).hexdigest()
    assert card.weights_bytes == len(listener_graph()) + len(graft)
    assert card.scores == old.scores
    assert card.calibration["threshold_at_1_per_hour"] == old.calibration["threshold_at_1_per_hour"]
    assert card == old, "what ships is joined behind the listener that ships"


def test_a_graft_hears_the_same_behind_the_same_graph_and_otherwise_where_the_emotion_is_another(
    shipped: tuple[ModelCard, bytes],
) -> None:
    import onnx

    _, graft = shipped
    random = np.random.default_rng(0)
    feeds = {
        "mel": random.standard_normal((6, 300, 80)).astype(np.float32),
        "there": np.ones((6, 150), np.float32),
    }
    graph = listener_graph()
    same = drift(graph + graft, graph + graft, feeds)
    assert same.correlation == pytest.approx(1.0)
    assert same.largest == 0.0
    other = onnx.load_from_string(graph)
    bias = next(w for w in other.graph.initializer if w.name == "heads.heads.0.emotion.bias")
    values = onnx.numpy_helper.to_array(bias) + 9.0 * np.eye(8, dtype=np.float32)[4]
    bias.CopyFrom(onnx.numpy_helper.from_array(values.astype(np.float32), bias.name))
    assert drift(graph + graft, other.SerializeToString() + graft, feeds).largest > 1e-3
