"""What the gem plugin costs: `python -m bench.speed.gem`.

The whole plugin, one thread, hop by hop on noisy speech that its VAD marks call speech throughout, so that every step
counts. A step is four hops, so each of four ticks has its own median: their mean per stream is the cost, the dearest
shows whether a tick is a spike when all streams began together. Medians of the clock bear a busy machine. Two
networks with random weights: one so small that what is left is the plugin, and one of the size of a real ensemble.
"""

import argparse
import hashlib
import tempfile
import time
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from bench.lending import Lending
from bench.sound import babble
from rtemo.api import EXPERTS, Block, ModelCard, TensorSpec
from rtemo_models.kit.export.graph import GraphBuilder
from rtemo_plugins.gem.options import GemOptions
from rtemo_plugins.gem.plugin import GemPlugin
from rtemo_plugins.gem.step import STEP_HOPS

TRACES, HOP = 36, 160
COUNTS = (1, 16, 64)
NETWORKS = {"none to speak of": (1, 0), "of 0.2 M parameters": (192, 3)}
"""Name → width and further layers of the network."""
_WARM_UP_HOPS = 100


def graph(width: int, layers: int) -> tuple[bytes, int]:
    """A network of plain layers that keeps the seam, and how many parameters it has."""
    g, random, parameters = GraphBuilder(), np.random.default_rng(0), 0

    def linear(x: str, name: str, inputs: int, outputs: int) -> str:
        nonlocal parameters
        parameters += (inputs + 1) * outputs
        weight = (random.standard_normal((outputs, inputs)) / np.sqrt(inputs)).astype(np.float32)
        return g.linear(x, name, weight, np.zeros(outputs, np.float32))

    traces, weight = g.input("traces", (STEP_HOPS, TRACES)), g.input("weight", (STEP_HOPS,))
    gate, pool = g.input("gate", (len(EXPERTS),)), g.input("pool_sum", (width,))
    x = g.add("Reshape", traces, g.weight("flat", np.array([0, STEP_HOPS * TRACES], np.int64)))
    x = g.add("Tanh", linear(x, "stem", STEP_HOPS * TRACES, width))
    for layer in range(layers):
        x = g.add("Tanh", linear(x, f"layer_{layer}", width, width))
    share = g.add("ReduceMean", weight, axes=[1], keepdims=1)
    pooled = g.add("Add", g.add("Mul", pool, g.scalar(0.99)), g.add("Mul", x, share))
    experts = linear(pooled, "experts", width, len(EXPERTS))
    mixed = g.add("Mul", experts, gate)
    g.output(g.add("ReduceSum", mixed, g.weight("all", np.array([1], np.int64)), keepdims=0), "score", ())
    g.output(experts, "experts", (len(EXPERTS),))
    g.output(pooled, "next_pool_sum", (width,))
    return g.model("gem", {}).SerializeToString(), parameters


def write_bundle(folder: Path, width: int, layers: int) -> tuple[str, int]:
    """Write such a network as a bundle; give its folder and its number of parameters."""
    weights, parameters = graph(width, layers)
    card = ModelCard(
        name="gem",
        version="0",
        task="spoof",
        weights="gem.onnx",
        sha256=hashlib.sha256(weights).hexdigest(),
        licence="Apache-2.0",
        sample_rate_hz=16_000,
        hop_samples=HOP,
        hops_per_step=STEP_HOPS,
        lookahead_samples=0,
        latency_samples=0,
        parameters=parameters,
        macs_per_s=25 * parameters,
        inputs={
            "traces": TensorSpec((STEP_HOPS, TRACES)),
            "weight": TensorSpec((STEP_HOPS,)),
            "gate": TensorSpec((len(EXPERTS),)),
        },
        states={"pool_sum": TensorSpec((width,))},
        outputs={"score": TensorSpec(()), "experts": TensorSpec((len(EXPERTS),))},
        labels=EXPERTS,
    )
    folder.mkdir(parents=True)
    (folder / card.weights).write_bytes(weights)
    (folder / "card.json").write_bytes(msgspec.json.encode(card))
    return str(folder), parameters


def run(bundle: str, n: int, ticks: int) -> NDArray[np.float64]:
    """Run n streams that began together; give the time of every tick, in us."""
    plugin: Any = GemPlugin(GemOptions(bundle=bundle))
    processor = plugin.open(Lending(), n)
    for row in range(n):
        processor.admit(row)
    sound = babble(10.0, 1, 16_000) + np.random.default_rng(2).normal(0, 0.03, 160_000)
    hops = np.stack([np.roll(sound, 1117 * row) for row in range(n)]).astype(np.float32).reshape(n, -1, HOP)
    marks: dict[str, Any] = {
        "vad.speech": np.ones(n, np.uint8),
        "vad.voice": np.ones(n, np.uint8),
        "emotion.posterior": np.full((n, 8), 0.125, np.float32),
        "spoof.score": np.zeros(n, np.float32),
        "spoof.verdict": np.zeros(n, np.uint8),
    }
    samples, start = np.zeros((n, HOP), np.float32), np.zeros(n, np.int64)
    heard = samples.copy()
    block = Block(0, samples, np.arange(n), start, np.zeros(n, np.uint8), marks, heard)
    taken_us = np.zeros(ticks)
    for tick in range(-_WARM_UP_HOPS, ticks):
        heard[:] = hops[:, tick % hops.shape[1]]
        begun_ns = time.perf_counter_ns()
        processor.process(block, lambda *event: None)
        if tick >= 0:
            taken_us[tick] = (time.perf_counter_ns() - begun_ns) / 1e3
        block.tick += 1
        start += HOP
    return taken_us


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=10.0, help="of audio, per network and number of streams")
    parser.add_argument("--bundle", action="append", default=[], help="name or folder of a bundle to measure too")
    options = parser.parse_args()
    ticks = STEP_HOPS * max(1, round(25 * options.seconds))
    with tempfile.TemporaryDirectory() as folder:
        bundles = {}
        for name, size in NETWORKS.items():
            path, parameters = write_bundle(Path(folder) / name, *size)
            bundles[f"{name} ({parameters})"] = path
        print("| network | streams | us per stream and hop | dearest of the four ticks, us | cheapest, us |")
        print("|---|---|---|---|---|")
        for name, path in (bundles | {name: name for name in options.bundle}).items():
            for n in COUNTS:
                tick_us = np.median(run(path, n, ticks).reshape(-1, STEP_HOPS), axis=0)
                print(
                    f"| {name} | {n} | {tick_us.mean() / n:.1f} | {tick_us.max():.0f} | {tick_us.min():.0f} |",
                    flush=True,
                )


if __name__ == "__main__":
    main()
