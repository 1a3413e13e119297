"""Communities of speakers: voices of one emotion that are alike, over languages."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from rtemo_models.systems.sapa.settings import CLASSES, Graph

KINDS = ("louvain", "kmeans", "one")


def communities(
    styles: NDArray[np.float32],
    label: NDArray[np.int64],
    speaker: Sequence[str],
    settings: Graph,
    kind: str,
    seed: int,
) -> NDArray[np.int64]:
    """Say to which community of its emotion every clip belongs, int64 [n]; -1 where its label is not known.

    A node is a speaker with enough clips of the emotion, an edge joins two that are among each other's nearest, and its
    weight is their cosine. Speakers with fewer clips, and those of communities that are too small, go to the nearest.

    Args:
        styles: float32 [n, k].
        label: int64 [n], of `CLASSES`, -1 where it is not known.
        speaker: Of every clip.
        settings: Of the graph.
        kind: One of `KINDS`.
        seed: Of the search.
    """
    found = np.full(len(label), -1)
    names = np.asarray(speaker)
    for emotion in range(len(CLASSES)):
        rows = np.flatnonzero(label == emotion)
        if not len(rows):
            continue
        nodes, inverse, counts = np.unique(names[rows], return_inverse=True, return_counts=True)
        means = np.stack([unit(styles[rows[inverse == node]].mean(0)) for node in range(len(nodes))])
        strong = np.flatnonzero(counts >= settings.least_clips)
        if kind == "one" or len(strong) < 2 * settings.least_speakers:
            found[rows] = 0
            continue
        parts = louvain(means[strong], settings.near, seed)
        parts = [part for part in parts if len(part) >= settings.least_speakers] or [np.arange(len(strong))]
        if kind == "kmeans":
            parts = k_means(means[strong], len(parts), seed)
        centres = np.stack([unit(means[strong[part]].mean(0)) for part in parts])
        found[rows] = (means @ centres.T).argmax(1)[inverse]
    return found


def louvain(vectors: NDArray[np.float32], near: int, seed: int) -> list[NDArray[np.int64]]:
    """Communities of a graph of mutual neighbours (Blondel et al. 2008), the largest first."""
    import networkx

    cosine = vectors @ vectors.T
    np.fill_diagonal(cosine, -np.inf)
    nearest = np.argsort(-cosine, axis=1)[:, : min(near, len(vectors) - 1)]
    graph = networkx.Graph()
    graph.add_nodes_from(range(len(vectors)))
    for one, others in enumerate(nearest.tolist()):
        for other in others:
            if one in nearest[other] and cosine[one, other] > 0:
                graph.add_edge(one, other, weight=float(cosine[one, other]))
    parts = networkx.community.louvain_communities(graph, resolution=1.0, seed=seed)
    return sorted((np.array(sorted(part)) for part in parts), key=lambda part: (-len(part), int(part[0])))


def k_means(vectors: NDArray[np.float32], count: int, seed: int, rounds: int = 30) -> list[NDArray[np.int64]]:
    """As many groups by Lloyd's algorithm; none is empty."""
    random = np.random.default_rng(seed)
    centres = vectors[random.choice(len(vectors), count, replace=False)]
    for _ in range(rounds):
        nearest = (vectors @ centres.T).argmax(1)
        centres = np.stack(
            [unit(vectors[nearest == k].mean(0)) if (nearest == k).any() else centres[k] for k in range(count)]
        )
    nearest = (vectors @ centres.T).argmax(1)
    return [np.flatnonzero(nearest == k) for k in range(count) if (nearest == k).any()]


def unit(vector: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same direction, length one."""
    return vector / max(float(np.linalg.norm(vector)), 1e-9)
