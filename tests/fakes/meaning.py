"""Small bundles that keep the meaning plugin's seam: loudness as the voice, and descriptions told by one word."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from onnx import helper

from rtemo.api import ModelCard, SentenceHandle, TensorSpec
from rtemo.runtime import ModelStore
from rtemo.runtime.store import find
from tests.fakes.bundles import card, onnx_bytes, write_bundle

FRAMES, BANDS = 150, 80


def meaning_bundles(folder: Path) -> dict[str, str]:
    """Options that name the bundles: words are the mean of the mel over the window and its negative."""
    constants = {"axes": np.array([1, 2], np.int64), "minus": np.array(-1.0, np.float32)}
    nodes = [
        helper.make_node("ReduceMean", ["mel"], ["mean"], axes=[1, 2], keepdims=0),
        helper.make_node("Unsqueeze", ["mean", "one"], ["a"]),
        helper.make_node("Mul", ["a", "minus"], ["b"]),
        helper.make_node("Concat", ["a", "b"], ["words"], axis=1),
        helper.make_node("ReduceMean", ["there"], ["unused"], axes=[1], keepdims=0),
    ]
    constants = {"one": np.array([1], np.int64), "minus": np.array(-1.0, np.float32)}
    graph = onnx_bytes(
        nodes,
        {"mel": ["n", 2 * FRAMES, BANDS], "there": ["n", FRAMES]},
        {"words": ["n", 2], "unused": ["n"]},
        constants,
    )
    described = card(
        name="ear",
        inputs={"mel": TensorSpec((2 * FRAMES, BANDS)), "there": TensorSpec((FRAMES,))},
        outputs={"words": TensorSpec((2,)), "unused": TensorSpec(())},
        front_end={"loudest": 1.5},
    )
    listen = write_bundle(folder / "ear", graph, described)
    nodes = [
        helper.make_node("LpNormalization", ["words"], ["voice"], axis=1, p=2),
        helper.make_node("LpNormalization", ["text"], ["description"], axis=1, p=2),
    ]
    shapes = {"words": ["n", 2], "text": ["n", 2]}
    graph = onnx_bytes(nodes, shapes, {"voice": ["n", 2], "description": ["n", 2]}, {})
    described = card(
        name="join",
        inputs={"words": TensorSpec((2,)), "text": TensorSpec((2,))},
        outputs={"voice": TensorSpec((2,)), "description": TensorSpec((2,))},
    )
    return {"listen_bundle": str(listen), "bundle": str(write_bundle(folder / "join", graph, described))}


class Reader:
    """Loud texts lie one way, quiet ones the other, all others between."""

    def __init__(self) -> None:
        self.card: ModelCard = find("minilm").card

    def embed(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """One row for each text."""
        rows = [(1.0, 0.0) if "loud" in text else (0.0, 1.0) if "quiet" in text else (0.7, 0.7) for text in texts]
        return np.array(rows, np.float32)


class FakeStore(ModelStore):
    """Lends the reader in place of every encoder of sentences."""

    def sentence(self, name: str) -> SentenceHandle:
        """Lend the fake."""
        return Reader()

    def card(self, name: str) -> ModelCard:
        """Read a card; that of the fake needs no files."""
        return Reader().card if name == "minilm" else super().card(name)
