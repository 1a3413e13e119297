"""Small bundles that keep the ranker's seam, and a plugin that makes up words: scores that a test can steer."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

import msgspec
import numpy as np

from rtemo.api import Block, Emit, Mark, PluginContext, PluginSpec, TensorSpec
from rtemo_models.kit.export.graph import GraphBuilder
from tests.fakes.bundles import card
from tests.fakes.plugins import FakeProcessor, NoOptions

WORDS, STEP_HOPS = 192, 4
ATTRIBUTES = ("arousal", "valence", "intensity")


def ranker_graph(memory_s: float, seed: int | None, spread: float) -> bytes:
    """Mean of the words over voice that forgets; scores are its first three numbers, or a random mixture of all."""
    g = GraphBuilder()
    words, weight = g.input("words", (WORDS,)), g.input("weight", ())
    mass, total = g.input("pool_mass", (1,)), g.input("pool_sum", (WORDS,))
    column = g.add("Unsqueeze", weight, g.weight("axis_1", np.array([1], np.int64)))
    left = g.add("Pow", g.scalar(float(np.exp(-0.04 / memory_s))), column)
    next_mass = g.add("Add", g.add("Mul", mass, left), column)
    next_total = g.add("Add", g.add("Mul", total, left), g.add("Mul", words, column))
    mean = g.add("Div", next_total, g.add("Max", next_mass, g.scalar(1e-6)))
    if seed is None:
        mixture = np.eye(len(ATTRIBUTES), WORDS)
    else:
        mixture = np.random.default_rng(seed).standard_normal((len(ATTRIBUTES), WORDS)) * 0.3
    g.output(
        g.linear(mean, "scores", mixture.astype(np.float32), np.zeros(len(ATTRIBUTES), np.float32)), "scores", (3,)
    )
    ones = g.weight("ones", np.ones((1, len(ATTRIBUTES)), np.float32))
    grown = g.add("Sqrt", g.add("Add", g.scalar(1.0), g.add("Div", g.scalar(10.0), next_mass)))
    g.output(g.add("Mul", g.add("Mul", grown, g.scalar(spread)), ones), "spread", (3,))
    g.output(next_mass, "next_pool_mass", (1,))
    g.output(next_total, "next_pool_sum", (WORDS,))
    return g.model("ranker", {}).SerializeToString()


def anchors(low: float = -2.0, high: float = 2.0) -> dict[str, float]:
    """A calibration in which scores are evenly spread between two values, for every attribute."""
    return {
        f"anchors_{name}_{percent}": low + (high - low) * percent / 100 for name in ATTRIBUTES for percent in range(101)
    }


def ranker_bundle(
    folder: Path,
    *,
    memory_s: float = 2.0,
    seed: int | None = None,
    spread: float = 0.25,
    calibration: Mapping[str, float] | None = None,
    **facts: object,
) -> str:
    """Write a bundle; give its folder.

    Args:
        folder: Where to.
        memory_s: Of the mean over voice.
        seed: Of a mixture of all words; None scores the first three as they are.
        spread: Of every score after much speech.
        calibration: Of the card; evenly spread anchors by default.
        **facts: What else the card says.
    """
    weights = ranker_graph(memory_s, seed, spread)
    described: dict[str, object] = {
        "name": "ranker",
        "weights": "ranker.onnx",
        "sha256": hashlib.sha256(weights).hexdigest(),
        "hops_per_step": STEP_HOPS,
        "inputs": {"words": TensorSpec((WORDS,)), "weight": TensorSpec(())},
        "states": {"pool_mass": TensorSpec((1,)), "pool_sum": TensorSpec((WORDS,))},
        "outputs": {"scores": TensorSpec((3,)), "spread": TensorSpec((3,))},
        "labels": ATTRIBUTES,
        "calibration": anchors() if calibration is None else dict(calibration),
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "ranker.onnx").write_bytes(weights)
    (folder / "card.json").write_bytes(msgspec.json.encode(card(**(described | facts))))
    return str(folder)


class WordsPlugin:
    """Cheap words in the place of the emotion network's: they follow level and brightness of each step of four hops."""

    options_type: ClassVar[type[msgspec.Struct]] = NoOptions
    spec = PluginSpec(
        name="words",
        summary="Makes up words.",
        provides=(Mark("merit.words", shape=(WORDS,)), Mark("merit.voiced"), Mark("merit.is_fresh", "uint8", (), 0)),
        requires=("vad.voice",),
    )

    def __init__(self, options: NoOptions) -> None:
        pass

    def open(self, context: PluginContext, capacity: int) -> FakeProcessor:
        return _Words(capacity)


class _Words(FakeProcessor):
    def __init__(self, capacity: int) -> None:
        super().__init__(capacity)
        self._hops = self.state.add("hops", (), np.int64)
        self._heard = self.state.add("heard", (3,), np.float32)
        self._words = self.state.add("words", (WORDS,), np.float32, np.nan)
        self._voiced = self.state.add("voiced", (), np.float32, np.nan)
        self._mixture = np.random.default_rng(9).standard_normal((2, WORDS)).astype(np.float32)

    def work(self, block: Block, emit: Emit) -> None:
        n = block.n
        sound = np.clip(np.nan_to_num(block.samples), -1, 1).astype(np.float64)
        energy = np.square(sound).mean(axis=1) + 1e-9
        edge = np.square(np.diff(sound, axis=1)).mean(axis=1) + 1e-10
        self._heard[:n, 0] += np.log10(energy) / 4
        self._heard[:n, 1] += np.log10(edge / energy) / 4
        self._heard[:n, 2] += (block.marks["vad.voice"] == 1) / STEP_HOPS
        self._hops[:n] += 1
        is_fresh = self._hops[:n] % STEP_HOPS == 0
        rows = np.flatnonzero(is_fresh)
        self._words[rows] = np.tanh(self._heard[rows, :2] @ self._mixture)
        self._voiced[rows] = self._heard[rows, 2]
        self._heard[rows] = 0.0
        block.marks["merit.words"][:] = self._words[:n]
        block.marks["merit.voiced"][:] = self._voiced[:n]
        block.marks["merit.is_fresh"][:] = is_fresh
