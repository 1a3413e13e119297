"""How well two clouds of points lie in one another, and whether what is near is alike."""

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]


def mmd(a: Array, b: Array) -> float:
    """Maximum mean discrepancy, the root of the (biased) square, Gaussian kernel, the median distance as bandwidth."""
    both = np.concatenate([a, b])
    square = np.maximum(((both[:, None] - both[None]) ** 2).sum(-1) if len(both) < 300 else _squares(both), 0.0)
    kernel = np.exp(-square / (2 * np.median(square[square > 0])))
    n = len(a)
    return float(np.sqrt(max(0.0, kernel[:n, :n].mean() + kernel[n:, n:].mean() - 2 * kernel[:n, n:].mean())))


def wasserstein(a: Array, b: Array) -> float:
    """First Wasserstein distance of two clouds of as many points, exact: the cheapest pairing."""
    from scipy.optimize import linear_sum_assignment

    cost = np.sqrt(np.maximum(2 - 2 * a @ b.T, 0.0))
    rows, columns = linear_sum_assignment(cost)
    return float(cost[rows, columns].mean())


def gap(a: Array, b: Array) -> float:
    """Distance of the two centroids."""
    return float(np.linalg.norm(a.mean(0) - b.mean(0)))


def taus(queries: Array, items: Array, of_queries: Array, of_items: Array) -> Array:
    """Kendall's tau-b of each query: order of the items by cosine against order by nearness of an attribute."""
    from scipy.stats import kendalltau

    similar = queries @ items.T
    return np.array(
        [kendalltau(row, -np.abs(of_items - own)).statistic for row, own in zip(similar, of_queries, strict=True)]
    )


def recall(queries: Array, items: Array, of_queries: NDArray[np.int64], of_items: NDArray[np.int64], k: int) -> float:
    """Share of queries that have an item of their own kind among the k nearest."""
    near = np.argsort(-(queries @ items.T), 1)[:, :k]
    return float((of_items[near] == of_queries[:, None]).any(1).mean())


def uar(said: NDArray[np.int64], true: NDArray[np.int64]) -> float:
    """Unweighted average recall."""
    return float(np.mean([(said[true == label] == label).mean() for label in np.unique(true)]))


def _squares(x: Array) -> Array:
    own = (x**2).sum(1)
    made: Array = own[:, None] + own[None] - 2 * x @ x.T
    return made
