"""Groups of voices: as published linkage makes them, and as many as are asked for."""

import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from rtemo_plugins.parties.clusters import groupings, likeness, refine, split, unit

pytestmark = pytest.mark.unit

WIDTH = 32


def around(centres, counts, spread, seed=0):
    random = np.random.default_rng(seed)
    rows = [
        centre + spread * random.standard_normal((count, WIDTH)) for centre, count in zip(centres, counts, strict=True)
    ]
    return unit(np.concatenate(rows).astype(np.float32))


def directions(count, seed=0):
    return unit(np.random.default_rng(seed).standard_normal((count, WIDTH)).astype(np.float32))


def partition(labels):
    return {frozenset(np.flatnonzero(labels == label).tolist()) for label in np.unique(labels)}


@pytest.mark.parametrize("seed", range(5))
def test_groupings_are_those_of_average_linkage(seed):
    vectors = around(directions(4, seed), (7, 5, 9, 3), 0.15, seed)
    distance = np.maximum(1.0 - vectors.astype(np.float64) @ vectors.T.astype(np.float64), 0.0)
    np.fill_diagonal(distance, 0.0)
    tree = linkage(squareform(distance, checks=False), "average")
    found = groupings(vectors, np.ones(len(vectors)), most=8)
    assert [len(np.unique(labels)) for labels in found] == list(range(8, 0, -1))
    for labels in found:
        count = len(np.unique(labels))
        assert partition(labels) == partition(fcluster(tree, count, "maxclust"))


def test_two_voices_are_found_though_a_few_windows_lie_far_from_both():
    centres = directions(3)
    vectors = around(centres, (20, 2, 20), 0.05)
    found = split(vectors, np.ones(42), 2)
    assert found.nearest[:20].tolist() == [0] * 20
    assert found.nearest[22:].tolist() == [1] * 20
    assert likeness(found.voices, centres[[0, 2]]).diagonal().min() > 0.9
    assert found.seconds.sum() == 42.0


def test_voices_are_numbered_by_when_they_are_first_heard():
    centres = directions(2)
    vectors = around(centres[::-1], (3, 30), 0.05)
    assert split(vectors, np.ones(33), 2).nearest.tolist() == [0] * 3 + [1] * 30


def test_more_voices_than_vectors_are_not_found():
    assert split(directions(1), np.ones(1), 2) is None
    assert split(directions(2), np.ones(2), 2).nearest.tolist() == [0, 1]


def test_a_voice_that_nothing_is_like_stays_as_it_was():
    vectors = around(directions(1), (10,), 0.05)
    voices = np.concatenate([vectors[:1], -vectors[:1]])
    np.testing.assert_array_equal(refine(vectors, np.ones(10), voices).voices[1], voices[1])
