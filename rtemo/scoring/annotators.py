"""Annotator-aware scores: several people have labelled a clip, and they need not agree.

After the annotator-aware scoring of Su et al. (2025, "Reasoning Beyond Majority Vote", arXiv:2509.24187): an answer
gets credit where any annotator gave it. The formulas are ours where the paper leaves them open. A classifier that
always says the commonest label collects much of such credit, so every figure stands beside that of the constant answer.
"""

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rtemo.scoring.classes import macro_f1_of, one_hot


class AnnotatorScores(NamedTuple):
    """Scores of one system, or of a constant answer."""

    any_accuracy: float
    """Share of clips whose answer some annotator gave."""
    aa_macro_f1: float
    """Macro-F1 against the answer itself where some annotator gave it, against the majority where none did."""
    soft_credit: float
    """Mean share of a clip's annotators who gave the answer."""


def majority(ratings: Sequence[Sequence[int]], classes: int) -> NDArray[np.int64]:
    """The label that most annotators gave each clip; of several, the one that is commonest over all ratings."""
    prior = np.bincount([label for given in ratings for label in given], minlength=classes)
    votes = [Counter(given) for given in ratings]
    return np.array([max(vote, key=lambda label: (vote[label], prior[label], -label)) for vote in votes], np.int64)


def annotator_scores(said: NDArray[np.int64], ratings: Sequence[Sequence[int]], classes: int) -> AnnotatorScores:
    """Score answers, -1 where there was none, against all labels that each clip was given."""
    top = majority(ratings, classes)
    is_given = np.array([answer in given for answer, given in zip(said.tolist(), ratings, strict=True)])
    reference = np.where(is_given, said, top)
    credit = [given.count(answer) / len(given) for answer, given in zip(said.tolist(), map(list, ratings), strict=True)]
    counts = one_hot(reference, said, classes).sum(0)
    return AnnotatorScores(float(is_given.mean()), float(macro_f1_of(counts)), float(np.mean(credit)))


def constant_scores(ratings: Sequence[Sequence[int]], classes: int) -> tuple[int, AnnotatorScores]:
    """The one label with the most credit from any annotator, and what it scores for every clip."""
    scores = {
        label: annotator_scores(np.full(len(ratings), label), ratings, classes)
        for label in sorted({label for given in ratings for label in given})
    }
    best = max(scores, key=lambda label: scores[label].any_accuracy)
    return best, scores[best]


def cross_entropy(probabilities: NDArray[np.float64], ratings: Sequence[Sequence[int]]) -> float:
    """Mean cross-entropy in nats of probabilities [n, classes] to the share of annotators who gave each label."""
    shares = np.zeros_like(probabilities)
    for row, given in zip(shares, ratings, strict=True):
        np.add.at(row, list(given), 1 / len(given))
    return float(-(shares * np.log(np.maximum(probabilities, 1e-12))).sum(-1).mean())
