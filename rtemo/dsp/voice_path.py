"""Which of a few voices is heard when, from how much windows of speech are like each of them."""

import numpy as np
from numpy.typing import NDArray


def frame_scores(
    centres: NDArray[np.floating], middles: NDArray[np.floating], likeness: NDArray[np.floating], window_samples: int
) -> NDArray[np.float64]:
    """Spread likenesses of windows over frames: each frame is the mean of the windows around it, the near ones most.

    Args:
        centres: float64 [frames], middle of each frame, in samples.
        middles: float64 [windows], middle of each window, in samples.
        likeness: float [windows, voices].
        window_samples: Length of a window.

    Returns:
        float64 [frames, voices].
    """
    away = np.abs(centres[:, None] - middles[None, :])
    weight = np.maximum(1.0 - away / (window_samples / 2), 0.0)
    weight[np.arange(len(centres)), away.argmin(axis=1)] += 1e-3
    return np.asarray((weight[:, :, None] * likeness[None]).sum(axis=1) / weight.sum(axis=1, keepdims=True))


def best_path(scores: NDArray[np.floating], switch_cost: float) -> NDArray[np.int64]:
    """Find the row of states with the highest sum of scores [frames, states], less a price for each change."""
    best = scores[0].astype(np.float64)
    came = np.zeros(scores.shape, np.int64)
    for frame in range(1, len(scores)):
        top = int(best.argmax())
        stays = best >= best[top] - switch_cost
        came[frame] = np.where(stays, np.arange(scores.shape[1]), top)
        best = np.where(stays, best, best[top] - switch_cost) + scores[frame]
    path = np.zeros(len(scores), np.int64)
    path[-1] = int(best.argmax())
    for frame in range(len(scores) - 1, 0, -1):
        path[frame - 1] = came[frame, path[frame]]
    return path
