"""The shipped graph is the published network: same weights, same outputs."""

import numpy as np
import pytest

from rtemo.runtime.store import find

pytestmark = pytest.mark.unit

onnxruntime = pytest.importorskip("onnxruntime")
pytest.importorskip("silero_vad", reason="the published graph comes with the package silero-vad")


def test_graph_of_the_bundle_is_the_one_that_the_recipe_writes():
    from rtemo_models.systems.silero_vad import export as silero

    weights = silero.read_weights(silero.published())
    graph = silero.build_graph(weights).SerializeToString(deterministic=True)
    bundle = find("silero-vad")
    card = silero.card_of(graph, weights)
    assert (card.parameters, card.macs_per_s, card.inputs, card.states) == (
        bundle.card.parameters, bundle.card.macs_per_s, bundle.card.inputs, bundle.card.states
    )  # fmt: skip
    assert "Silero Team" in (bundle.folder / "LICENSE").read_text()
    if __import__("onnx").__version__ == "1.23.2":  # others may write the same graph in other bytes
        assert graph == bundle.read_weights()


def test_shipped_graph_equals_the_published_one():
    from rtemo_models.systems.silero_vad import export as silero

    ours = onnxruntime.InferenceSession(find("silero-vad").read_weights())
    published = onnxruntime.InferenceSession(silero.published())
    random = np.random.default_rng(0)
    hidden = cell = np.zeros((5, 128), np.float32)
    state = np.zeros((2, 5, 128), np.float32)
    hann = np.hanning(257)[:-1]
    for _ in range(60):
        window = (random.normal(0, 0.1, (5, 576)) * random.random((5, 1))).astype(np.float32)
        expected, state = published.run(None, {"input": window, "state": state, "sr": np.array(16_000)})
        mirrored = np.pad(window, ((0, 0), (0, 64)), mode="reflect")
        frames = np.lib.stride_tricks.sliding_window_view(mirrored, 256, axis=1)[:, ::128]
        spectrum = np.abs(np.fft.rfft(frames * hann)).astype(np.float32).reshape(5, -1)
        got, hidden, cell = ours.run(
            ["probability", "next_hidden", "next_cell"], {"spectrum": spectrum, "hidden": hidden, "cell": cell}
        )
        np.testing.assert_allclose(got, expected, atol=1e-5)
        np.testing.assert_allclose(np.stack([hidden, cell]), state, atol=1e-4)
