"""Score: how well detected speech agrees with the truth."""

from dataclasses import dataclass, field

import numpy as np

from bench.quality.vad.corpus import HOP, RATE_HZ, Mixture


@dataclass
class Detection:
    """What a back end said about one mixture."""

    spans: list[tuple[int, int]] = field(default_factory=list)
    known: list[int] = field(default_factory=list)
    """Sample at which the start of each span was announced."""
    probability: list[float] = field(default_factory=list)


@dataclass
class Score:
    """Sums over the mixtures of one condition."""

    hits: int = 0
    false_alarms: int = 0
    misses: int = 0
    minutes: float = 0.0
    turns: int = 0
    lost_turns: int = 0
    false_starts: int = 0
    onset_ms: list[float] = field(default_factory=list)
    offset_ms: list[float] = field(default_factory=list)
    known_ms: list[float] = field(default_factory=list)
    truth: list[np.ndarray] = field(default_factory=list)
    probability: list[np.ndarray] = field(default_factory=list)

    def add(self, mixture: Mixture, found: Detection) -> None:
        """Compare one mixture's detection with its truth."""
        truth = mixture.is_speech
        said = np.zeros(len(truth), bool)
        for start, end in found.spans:
            said[max(0, round(start / HOP)) : round(end / HOP)] = True
        self.hits += int(np.sum(said & truth))
        self.false_alarms += int(np.sum(said & ~truth))
        self.misses += int(np.sum(~said & truth))
        self.minutes += len(mixture.samples) / RATE_HZ / 60
        probability = np.array(found.probability[: len(truth)])
        known = np.isfinite(probability)
        self.truth.append(truth[known])
        self.probability.append(probability[known])
        self._add_turns(mixture.turns, found)

    def _add_turns(self, turns: list[tuple[int, int]], found: Detection) -> None:
        """A span that covers several turns gives the onset of the first and the offset of the last alone."""
        touched = [[k for k, (a, b) in enumerate(turns) if a < end and b > start] for start, end in found.spans]
        self.turns += len(turns)
        self.false_starts += sum(not turn for turn in touched)
        for k, (begin, finish) in enumerate(turns):
            mine = [s for s, covered in enumerate(touched) if k in covered]
            if not mine:
                self.lost_turns += 1
                continue
            first, last = mine[0], mine[-1]
            if touched[first][0] == k:
                self.onset_ms.append((found.spans[first][0] - begin) * 1000 / RATE_HZ)
                self.known_ms.append((found.known[first] - begin) * 1000 / RATE_HZ)
            if touched[last][-1] == k:
                self.offset_ms.append((found.spans[last][1] - finish) * 1000 / RATE_HZ)

    @property
    def f1(self) -> float:
        """Frame F1 of the announced spans."""
        return 2 * self.hits / max(1, 2 * self.hits + self.false_alarms + self.misses)

    @property
    def auc(self) -> float:
        """Area under the ROC curve of the mark `vad.probability`, as delivered with each hop."""
        truth, probability = np.concatenate(self.truth), np.concatenate(self.probability)
        _, inverse, counts = np.unique(probability, return_inverse=True, return_counts=True)
        rank = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
        positives = int(truth.sum())
        negatives = len(truth) - positives
        return float((rank[truth].sum() - positives * (positives + 1) / 2) / (positives * negatives))

    def row(self) -> str:
        """Give the figures of a table row."""

        def spread(errors: list[float]) -> str:
            return f"{np.median(errors):+.0f} / {np.percentile(np.abs(errors), 90):.0f}" if errors else "-"

        return (
            f"{self.f1:.3f} | {self.auc:.3f} | {spread(self.onset_ms)} | {spread(self.offset_ms)} | "
            f"{np.median(self.known_ms):.0f} | {100 * self.lost_turns / self.turns:.1f} | "
            f"{100 * len(self.onset_ms) / self.turns:.0f} | {self.false_starts / self.minutes:.1f}"
        )
