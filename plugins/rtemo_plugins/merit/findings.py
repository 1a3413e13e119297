"""Findings: what the network makes of each stream, as marks and as events."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtemo.api import EMOTIONS, Block, Emotion, Mark, ModelCard, ModelError, StateTable
from rtemo.api.emotions import committed
from rtemo_plugins.merit.turns import Estimate

MARKS = (
    Mark("emotion.posterior", shape=(len(EMOTIONS),), meaning="probability of each emotion in the present turn"),
    Mark("emotion.arousal", meaning="-1 calm to 1 excited"),
    Mark("emotion.valence", meaning="-1 negative to 1 positive"),
)

_AROUSAL, _VALENCE = len(EMOTIONS), len(EMOTIONS) + 1


class Findings:
    """Keeps posterior, arousal and valence of each stream: the newest, those that hold now, and those of late audio.

    Args:
        card: Of the network; its calibration gives temperature and threshold.
        unsure_below: Confidence below which the label is `unsure`; None for the card's own.
        hop_s: Duration of a hop.
        late_hops: By how many hops the audio leaves late, and with it the marks.
        capacity: Most streams.

    Raises:
        ModelError: The network speaks of other labels.
    """

    def __init__(
        self, card: ModelCard, unsure_below: float | None, hop_s: float, late_hops: int, capacity: int
    ) -> None:
        if tuple(card.labels) != EMOTIONS:
            raise ModelError(
                f"bundle {card.name!r} knows {', '.join(card.labels) or 'no labels'}, not the eight emotions",
                "choose another `listen_bundle`",
            )
        self._temperature = card.calibration.get("temperature", 1.0)
        self._unsure_below = card.calibration.get("unsure_below", 0.0) if unsure_below is None else unsure_below
        self._hop_s = hop_s
        self._table = table = StateTable(capacity)
        size = (len(EMOTIONS) + 2,)
        self._newest = table.add("newest", size, np.float32, np.nan)
        self._holding = table.add("holding", size, np.float32, np.nan)
        self._late = table.add("late", (late_hops, *size), np.float32, np.nan)
        self.admit, self.retire, self.reset = table.admit, table.retire, table.reset

    def settle(self, rows: NDArray[np.int64], outputs: dict[str, NDArray[Any]], heard: NDArray[np.bool_]) -> None:
        """Take what the network gave for `rows`; outside a turn (`heard` is false) the last finding stays."""
        logits = outputs["logits"] / self._temperature
        odds = np.exp(logits - logits.max(axis=1, keepdims=True))
        found = np.empty((len(rows), self._newest.shape[1]), np.float32)
        found[:, :_AROUSAL] = odds / odds.sum(axis=1, keepdims=True)
        found[:, _AROUSAL] = outputs["arousal"]
        found[:, _VALENCE] = outputs["valence"]
        self._newest[rows[heard]] = found[heard]

    def publish(self, rows: NDArray[np.int64]) -> None:
        """Let the newest findings of `rows` hold from this hop on."""
        self._holding[rows] = self._newest[rows]

    def show(self, block: Block) -> None:
        """Write the marks of the hop that leaves."""
        shown, late = self._holding[: block.n], self._late[: block.n]
        if late.shape[1]:
            due = late[:, 0].copy()
            late[:, :-1] = late[:, 1:]
            late[:, -1] = shown
            shown = due
        block.marks["emotion.posterior"][:] = shown[:, :_AROUSAL]
        block.marks["emotion.arousal"][:] = shown[:, _AROUSAL]
        block.marks["emotion.valence"][:] = shown[:, _VALENCE]

    def describe(self, estimate: Estimate) -> Emotion:
        """Word the newest finding as an event."""
        found = self._newest[estimate.row].tolist()
        probabilities = dict(zip(EMOTIONS, found, strict=False))
        label, confidence = committed(probabilities)
        return Emotion(
            label=label if confidence >= self._unsure_below else "unsure",
            probabilities={name: round(value, 4) for name, value in probabilities.items()},
            arousal=round(found[_AROUSAL], 4),
            valence=round(found[_VALENCE], 4),
            confidence=round(confidence, 4),
            speech_s=round(estimate.spoken_hops * self._hop_s, 3),
            trigger=estimate.trigger,
            is_final=estimate.is_final,
        )
