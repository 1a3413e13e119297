"""A model without a network: its outputs are sums of what it was given, so a test can reckon them."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from rtemo.api import EMOTIONS, ModelCard, StateTable, TensorSpec


def emotion_card(**changes: object) -> ModelCard:
    """Make the card of the fake emotion model."""
    facts: dict[str, object] = {
        "name": "fake-emotion",
        "version": "0",
        "task": "emotion",
        "weights": "none",
        "sha256": "0" * 64,
        "licence": "none",
        "sample_rate_hz": 16_000,
        "hop_samples": 160,
        "hops_per_step": 4,
        "lookahead_samples": 0,
        "latency_samples": 0,
        "parameters": 0,
        "macs_per_s": 0,
        "inputs": {"logmel": TensorSpec((4, 64)), "weight": TensorSpec((4,))},
        "states": {"pool_weight": TensorSpec(()), "steps": TensorSpec(())},
        "outputs": {"logits": TensorSpec((8,)), "arousal": TensorSpec(()), "valence": TensorSpec(())},
        "labels": EMOTIONS,
        "calibration": {"temperature": 1.0, "unsure_below": 0.5},
    }
    return ModelCard(**(facts | changes))  # type: ignore[arg-type]


class FakeEmotionModel:
    """Pools the weight it is given: `angry` grows with the pooled speech, arousal is the mean log-mel of the step."""

    def __init__(self, card: ModelCard | None = None) -> None:
        self.card = card or emotion_card()
        self.rows_per_call: list[int] = []

    def new_state(self, capacity: int) -> StateTable:
        table = StateTable(capacity)
        for name, spec in self.card.states.items():
            table.add(name, spec.shape, spec.dtype, spec.fill)
        return table

    def run(
        self, inputs: Mapping[str, NDArray[np.generic]], state: StateTable, rows: NDArray[np.int64] | int
    ) -> dict[str, NDArray[np.generic]]:
        where = np.arange(rows) if isinstance(rows, int) else rows
        self.rows_per_call.append(len(where))
        state["pool_weight"][where] += inputs["weight"].sum(axis=1)
        state["steps"][where] += 1
        logits = np.zeros((len(where), len(EMOTIONS)), np.float32)
        logits[:, EMOTIONS.index("angry")] = state["pool_weight"][where] / 25.0
        return {
            "logits": logits,
            "arousal": inputs["logmel"].mean(axis=(1, 2)),
            "valence": state["pool_weight"][where].astype(np.float32),
        }
