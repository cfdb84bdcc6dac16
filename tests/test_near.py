"""Neighbours and groups are those that scipy finds."""

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from scipy.spatial import cKDTree

from biopsy_analyzer.near import linked, pairs_within


def ordered(pairs: np.ndarray) -> list[list[int]]:
    return sorted(pairs.tolist())


@example(107, 96, 60.0, 1.0)  # a pair at the very reach, of places that lie off the lowest by what can't be written exactly
@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(0, 120), st.sampled_from([0.3, 1.0, 7.0, 60.0, 5000.0]), st.sampled_from([1.0, 300.0]))
def test_pairs_are_those_of_a_tree(seed: int, n: int, reach: float, longer: float) -> None:
    rng = np.random.default_rng(seed)
    yx = rng.uniform(-50, 50, (n, 2)) * (1.0, longer)
    yx[: n // 3] = np.rint(yx[: n // 3])  # the same place twice, and distances of exactly 1
    expected = cKDTree(yx).query_pairs(reach, output_type="ndarray") if n else np.empty((0, 2), int)
    assert ordered(pairs_within(yx, reach)) == ordered(expected)
    assert ordered(pairs_within(yx[:, ::-1], reach)) == ordered(expected)


def test_a_pair_at_the_very_reach_counts() -> None:
    yx = np.array([[0.0, 0.0], [3.0, 4.0], [3.0, 4.001], [1e6, 0.0]])
    assert ordered(pairs_within(yx, 5.0)) == [[0, 1], [1, 2]]
    assert pairs_within(yx[:1], 5.0).shape == pairs_within(yx[:0], 5.0).shape == (0, 2)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10_000), st.integers(1, 80), st.integers(0, 120))
def test_groups_are_those_of_the_graph(seed: int, n: int, k: int) -> None:
    pairs = np.random.default_rng(seed).integers(n, size=(k, 2))
    graph = coo_array((np.ones(k), (pairs[:, 0], pairs[:, 1])), shape=(n, n))
    assert linked(pairs, n).tolist() == connected_components(graph, directed=False)[1].tolist()


@pytest.mark.parametrize("order", ["along", "against", "shuffled"])
def test_a_long_chain_is_one_group(order: str) -> None:
    n = 20_000
    rows = {"along": np.arange(n), "against": np.arange(n)[::-1], "shuffled": np.random.default_rng(0).permutation(n)}[order]
    group = linked(np.stack([rows[:-1], rows[1:]], axis=1), n)
    assert group.max() == 0
    assert linked(np.empty((0, 2), int), 3).tolist() == [0, 1, 2]
