"""Write Silero's network as a lean graph for batches: `python -m rtemo_models.systems.silero_vad.export --out FOLDER`.

The published graph takes samples, chooses its branches at run time and computes taps that meet nothing but padding.
Here the same weights stand in one straight graph on magnitude spectra: every convolution is a matrix product over just
the frames that it sees, and the recurrent layer is one product. What is left is 0.35 M multiplications of 0.68 M; the
rest is a Fourier transform, which the caller does.
"""

import hashlib
from importlib.util import find_spec
from pathlib import Path

import click
import numpy as np
import onnx
from numpy.typing import NDArray
from onnx import numpy_helper

from rtemo.api.model import ModelCard, TensorSpec
from rtemo_models.kit.command import PATH, task
from rtemo_models.kit.export.folder import write_folder
from rtemo_models.kit.export.graph import GraphBuilder

SOURCE = "data/silero_vad_16k_op15.onnx"
SOURCE_SHA256 = "7ed98ddbad84ccac4cd0aeb3099049280713df825c610a8ed34543318f1b2c49"
"""Of that file in the package silero-vad 6.2.3."""

FRAMES, BINS, WIDTH = 4, 129, 128
_FRAME_SAMPLES = 256


def published() -> Path:
    """Find the published graph in the package silero-vad.

    Raises:
        SystemExit: The package is missing, or holds another file.
    """
    spec = find_spec("silero_vad")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("the weights come from the package silero-vad: run pip install silero-vad==6.2.3")
    path = Path(next(iter(spec.submodule_search_locations)), SOURCE)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != SOURCE_SHA256:
        raise SystemExit(f"{path} has sha256 {digest[:12]}…, expected {SOURCE_SHA256[:12]}…: install silero-vad==6.2.3")
    return path


def read_weights(path: Path) -> dict[str, NDArray[np.float32]]:
    """Read the weights by name; check that the first layer is the Fourier transform that callers do instead."""
    weights = {one.name: numpy_helper.to_array(one) for one in onnx.load(path).graph.initializer}
    basis = weights["model.stft.forward_basis_buffer"][:, 0]
    turns = np.arange(BINS)[:, None] * np.arange(_FRAME_SAMPLES) / _FRAME_SAMPLES
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_FRAME_SAMPLES) / _FRAME_SAMPLES)
    expected = np.concatenate([hann * np.cos(2 * np.pi * turns), -hann * np.sin(2 * np.pi * turns)])
    if np.abs(basis - expected).max() > 1e-6:
        raise SystemExit(f"{path} does not begin with a Fourier transform under a Hann window")
    return weights


def build_graph(weights: dict[str, NDArray[np.float32]]) -> onnx.ModelProto:
    """Build the graph: spectrum [n, 4 · 129], hidden and cell [n, 128] → probability [n, 1] and the next two."""
    g = GraphBuilder()
    spectrum = g.input("spectrum", (FRAMES * BINS,))
    hidden, cell = g.input("hidden", (WIDTH,)), g.input("cell", (WIDTH,))
    axis = g.weight("axis_1", np.array([1], np.int64))

    def frames(first: int, end: int) -> str:
        bounds = [g.weight(f"at_{k}", np.array([k * BINS], np.int64)) for k in (first, end)]
        return g.add("Slice", spectrum, *bounds, axis)

    def convolve(x: str, layer: int, taps: tuple[int, ...]) -> str:
        """The frame that a convolution of width 3 makes of those beside it, of which there are as many as taps."""
        kernel = weights[f"model.encoder.{layer}.reparam_conv.weight"]
        flat = np.concatenate([kernel[:, :, tap] for tap in taps], axis=1)
        name = f"encoder_{layer}_{''.join(map(str, taps))}"
        return g.add("Relu", g.linear(x, name, flat, weights[f"model.encoder.{layer}.reparam_conv.bias"]))

    first = [
        convolve(frames(max(0, k - 1), min(FRAMES, k + 2)), 0, tuple(t for t in range(3) if 0 <= k + t - 1 < FRAMES))
        for k in range(FRAMES)
    ]
    early = convolve(g.add("Concat", *first[:2], axis=1), 1, (1, 2))
    late = convolve(g.add("Concat", *first[1:], axis=1), 1, (0, 1, 2))
    narrow = convolve(g.add("Concat", early, late, axis=1), 2, (1, 2))
    heard = g.add("Concat", convolve(narrow, 3, (1,)), hidden, axis=1)
    rnn = {name: weights[f"model.decoder.rnn.{name}"] for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")}
    gates = g.linear(
        heard, "gates", np.concatenate([rnn["weight_ih"], rnn["weight_hh"]], axis=1), rnn["bias_ih"] + rnn["bias_hh"]
    )
    parts = g.add("Split", gates, g.weight("quarters", np.full(4, WIDTH, np.int64)), outputs=4, axis=1)
    take, keep, show = (g.add("Sigmoid", part) for part in (parts, f"{parts}.1", f"{parts}.3"))
    taken = g.add("Mul", take, g.add("Tanh", f"{parts}.2"))
    next_cell = g.add("Add", g.add("Mul", keep, cell), taken)
    next_hidden = g.add("Mul", show, g.add("Tanh", next_cell))
    weight, bias = (weights[f"model.decoder.decoder.2.{name}"] for name in ("weight", "bias"))
    probability = g.add("Sigmoid", g.linear(g.add("Relu", next_hidden), "decide", weight[:, :, 0], bias))
    g.output(probability, "probability", (1,))
    g.output(next_hidden, "next_hidden", (WIDTH,))
    g.output(next_cell, "next_cell", (WIDTH,))
    return g.model("silero-vad", {"source": f"silero-vad 6.2.3, {SOURCE}", "licence": "MIT"})


def card_of(graph: bytes, weights: dict[str, NDArray[np.float32]]) -> ModelCard:
    """Describe the bundle."""
    used = sum(array.size for name, array in weights.items() if "stft" not in name) - 4 * WIDTH
    macs_per_window = 128 * 10 * BINS + 64 * 5 * 128 + 64 * 2 * 64 + 128 * 64 + 4 * WIDTH * 2 * WIDTH + WIDTH
    return ModelCard(
        name="silero-vad",
        version="6.2.3",
        task="voice activity",
        weights="silero-vad.onnx",
        weights_bytes=len(graph),
        sha256=hashlib.sha256(graph).hexdigest(),
        licence="MIT, (c) 2020-present Silero Team; the notice lies beside the weights",
        sample_rate_hz=16_000,
        hop_samples=512,
        hops_per_step=1,
        lookahead_samples=0,
        latency_samples=0,
        parameters=used,
        macs_per_s=round(macs_per_window * 16_000 / 512),
        inputs={"spectrum": TensorSpec((FRAMES * BINS,))},
        states={"hidden": TensorSpec((WIDTH,)), "cell": TensorSpec((WIDTH,))},
        outputs={"probability": TensorSpec((1,))},
        training_data=("not published; its authors state corpora of over 6000 languages",),
        limits=(
            "16 kHz, windows of 512 samples with the 64 before them and 64 mirrored at the end",
            "its memory must be cleared after long silence",
            "singing and speech of a loudspeaker are speech to it",
        ),
        recipe="python -m rtemo_models.systems.silero_vad.export, from the weights of the package silero-vad 6.2.3",
    )


@task(
    __doc__,
    click.option("--out", type=PATH, required=True, help="Folder of the bundle."),
)
def main(out: Path) -> None:
    """Command line."""
    path = published()
    weights = read_weights(path)
    graph = build_graph(weights).SerializeToString(deterministic=True)
    write_folder(out, card_of(graph, weights), graph)
    [licence] = path.parents[2].glob("silero_vad-*.dist-info/licenses/LICENSE")
    (out / "LICENSE").write_text(licence.read_text())
    print(f"{out}: {len(graph)} bytes, sha256 {hashlib.sha256(graph).hexdigest()}")


if __name__ == "__main__":
    main()
