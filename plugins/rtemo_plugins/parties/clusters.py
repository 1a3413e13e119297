"""Clusters: groups of windows of one voice, without knowing whose."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

_MOST_GROUPS = 8
"""How finely what was heard is grouped at most; beyond that every voice falls to pieces."""
_ROUNDS = 5


class Split(NamedTuple):
    """Voices that were found in vectors.

    Attributes:
        voices: float32 [count, width], of length 1, in the order in which they are first heard.
        seconds: float64 [count], how much there is of each.
        nearest: int64 [n], the voice of each vector.
    """

    voices: Array
    seconds: NDArray[np.float64]
    nearest: NDArray[np.int64]


def unit(vectors: Array) -> Array:
    """Bring vectors [..., width] to length 1."""
    length = np.sqrt(np.einsum("...i,...i->...", vectors, vectors))
    return np.asarray(vectors / np.maximum(length, 1e-9)[..., None], np.float32)


def likeness(vectors: Array, voices: Array) -> NDArray[np.float64]:
    """Cosines of unit vectors, [n, width] and [count, width] → float64 [n, count].

    Not by a product of matrices, which would wake a thread of the linear algebra library on every processor.
    """
    return np.einsum("ni,ki->nk", vectors, voices).astype(np.float64)


def groupings(vectors: Array, seconds: NDArray[np.float64], most: int = _MOST_GROUPS) -> list[NDArray[np.int64]]:
    """Join unit vectors by average linkage; give the groupings into `most` and fewer groups, down to one.

    Args:
        vectors: float32 [n, width].
        seconds: float64 [n], what each weighs.
        most: Of groups.

    Returns:
        Of each grouping, the finest first, int64 [n]: the group of each vector, named by its first.
    """
    count = len(vectors)
    alike = likeness(vectors, vectors)
    np.fill_diagonal(alike, -np.inf)
    weight = seconds.astype(np.float64).copy()
    group = np.arange(count)
    found = [group.copy()] if count <= most else []
    for left in range(count - 1, 0, -1):
        one, other = sorted(divmod(int(alike.argmax()), count))
        row = (weight[one] * alike[one] + weight[other] * alike[other]) / (weight[one] + weight[other])
        row[[one, other]] = -np.inf
        alike[one], alike[:, one] = row, row
        alike[other], alike[:, other] = -np.inf, -np.inf
        weight[one] += weight[other]
        group[group == other] = one
        if left <= most:
            found.append(group.copy())
    return found


def split(vectors: Array, seconds: NDArray[np.float64], count: int) -> Split | None:
    """Find so many voices: of ever finer groupings, the one whose smallest of so many groups is largest.

    Two alike voices are one group until it is asked for more likeness. Every vector then goes to the nearest of the
    voices a few times over, which the means are made of (k-means).

    Args:
        vectors: float32 [n, width], of length 1, in order of time.
        seconds: float64 [n], what each weighs.
        count: Voices.

    Returns:
        None where there are fewer vectors.
    """
    if len(vectors) < count:
        return None
    best_s, chosen = -1.0, None
    for group in reversed(groupings(vectors, seconds)):
        total = np.bincount(group, seconds, len(vectors))
        largest = np.argsort(-total, kind="stable")[:count]
        if total[largest[-1]] > best_s:
            best_s, chosen = float(total[largest[-1]]), [group == label for label in largest]
    assert chosen is not None
    voices = np.stack([mean(vectors[rows], seconds[rows]) for rows in chosen])
    return refine(vectors, seconds, voices, in_order=True)


def refine(
    vectors: Array,
    seconds: NDArray[np.float64],
    voices: Array,
    rounds: int = _ROUNDS,
    least_lead: float = 0.0,
    in_order: bool = False,
) -> Split:
    """Give every vector to the nearest voice, and make each the mean of what went to it, a few times over.

    Args:
        vectors: float32 [n, width], of length 1.
        seconds: float64 [n], what each weighs.
        voices: float32 [count, width] to begin with; one that nothing went to stays as it is.
        rounds: How often.
        least_lead: What is not nearer to one voice than to the next by so much, as a difference of cosines, is made
            part of neither mean.
        in_order: Whether the voices are numbered by when they are first heard.
    """
    for _ in range(rounds):
        alike = likeness(vectors, voices)
        nearest, best = alike.argmax(axis=1), np.sort(alike, axis=1)
        is_clear = best[:, -1] - best[:, -2] >= least_lead if len(voices) > 1 else np.ones(len(vectors), np.bool_)
        rows = [is_clear & (nearest == voice) for voice in range(len(voices))]
        voices = np.stack(
            [mean(vectors[one], seconds[one]) if one.any() else voices[voice] for voice, one in enumerate(rows)]
        )
    nearest = likeness(vectors, voices).argmax(axis=1)
    if in_order:
        heard = [np.flatnonzero(nearest == voice) for voice in range(len(voices))]
        first = [int(one[0]) if len(one) else len(nearest) for one in heard]
        order = np.argsort(first, kind="stable")
        voices, nearest = voices[order], np.argsort(order, kind="stable")[nearest]
    return Split(voices, np.bincount(nearest, seconds, len(voices)), nearest)


def mean(vectors: Array, seconds: NDArray[np.float64]) -> Array:
    """Mean of vectors by their seconds, brought to length 1, float32 [width]."""
    return unit((vectors * seconds[:, None].astype(np.float32)).sum(axis=0))
