"""What runs say of themselves on dev clips."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rtemo_models.kit.corpora.clip import Clip, classes_of


def dev_rows(clips: Sequence[Clip]) -> list[int]:
    """Clips of dev speakers that `dev_scores` can score: those with an emotion, and those of BAVED."""
    return [i for i, c in enumerate(clips) if c.split == "dev" and (c.label >= 0 or c.corpus == "baved")]


def dev_scores(
    clips: Sequence[Clip], chosen: Sequence[int], logits: NDArray[np.float32], arousal: NDArray[np.float32]
) -> dict[str, float]:
    """`recalls`, and as `baved_rho` `rank_correlation`, to four places."""
    scores = recalls(clips, chosen, logits) | {"baved_rho": rank_correlation(clips, chosen, arousal)}
    return {name: round(value, 4) for name, value in scores.items()}


def recalls(clips: Sequence[Clip], chosen: Sequence[int], logits: NDArray[np.float32]) -> dict[str, float]:
    """Unweighted average recall of each corpus, over its own classes, and the mean of the corpora.

    Args:
        clips: All clips; which classes a corpus has is told by all of them.
        chosen: Those that were heard; of corpora without labels none is counted.
        logits: float32 [chosen, 8].
    """
    scores: dict[str, float] = {}
    for corpus, classes in classes_of(clips).items():
        rows = [k for k, i in enumerate(chosen) if clips[i].corpus == corpus and clips[i].label >= 0]
        if rows:
            best = np.array(classes)[logits[rows][:, list(classes)].argmax(1)]
            truth = np.array([clips[chosen[k]].label for k in rows])
            scores[corpus] = float(np.mean([np.mean(best[truth == c] == c) for c in np.unique(truth)]))
    return scores | {"mean": float(np.mean(list(scores.values()))) if scores else float("nan")}


def rank_correlation(clips: Sequence[Clip], chosen: Sequence[int], arousal: NDArray[np.float32]) -> float:
    """Spearman's correlation of arousal, float32 [chosen], with the level of BAVED's clips; NaN without any."""
    from scipy.stats import spearmanr

    rows = [k for k, i in enumerate(chosen) if clips[i].corpus == "baved"]
    if len(rows) < 2:
        return float("nan")
    return float(spearmanr([float(clips[chosen[k]].level) for k in rows], arousal[rows]).statistic)
