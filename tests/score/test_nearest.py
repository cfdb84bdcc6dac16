import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from biopsy_analyzer.score.nearest import nearest_disc

SHAPE = (40, 52)


def discs(seed: int, n: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    return rng.uniform((-4, -4), (44, 56), (n, 2)), rng.lognormal(0.5, 0.9, n)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60), st.sampled_from([0.5, 2.0, 7.5, 100.0]))
def test_every_pixel_gets_the_nearest_of_all_discs(seed, n, reach):
    """Against all distances of all pixels: discs that overlap, lie within others, and beyond the raster, too."""
    yx, radius = discs(seed, n)
    distance, row = nearest_disc(yx, radius, SHAPE, reach)
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]] + 0.5
    all_ = np.hypot(y[..., None] - yx[:, 0], x[..., None] - yx[:, 1]) - radius
    within = all_.min(axis=-1) <= reach
    np.testing.assert_allclose(distance[within], all_.min(axis=-1)[within], atol=1e-9)
    np.testing.assert_array_equal(row[within], all_.argmin(axis=-1)[within])
    assert np.isinf(distance[~within]).all()


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 60))
def test_mirrored_and_turned_discs_give_the_mirrored_and_turned_map(seed, n):
    yx, radius = discs(seed, n)
    distance, row = nearest_disc(yx, radius, SHAPE, 9.0)
    mirrored = nearest_disc(np.column_stack([yx[:, 0], SHAPE[1] - yx[:, 1]]), radius, SHAPE, 9.0)
    turned = nearest_disc(np.column_stack([SHAPE[1] - yx[:, 1], yx[:, 0]]), radius, SHAPE[::-1], 9.0)
    for found, back in ((mirrored, np.fliplr), (turned, lambda a: np.rot90(a, -1))):
        np.testing.assert_allclose(back(found[0]), distance, atol=1e-9)
        np.testing.assert_array_equal(back(found[1]), row)


def test_of_two_equally_near_the_order_of_rows_does_not_decide():
    yx, radius = np.array([[5.0, 2.0], [5.0, 8.0]]), np.array([1.0, 1.0])
    _, row = nearest_disc(yx, radius, (10, 11), 20.0)
    _, other = nearest_disc(yx[::-1], radius, (10, 11), 20.0)
    np.testing.assert_array_equal(row, 1 - other)


def test_no_discs_reach_nothing():
    distance, row = nearest_disc(np.empty((0, 2)), np.empty(0), (3, 4), 5.0)
    assert np.isinf(distance).all()
    assert not row.any()


@pytest.mark.parametrize("reach", [0.0, 1e-9])
def test_hardly_any_reach_leaves_what_lies_inside(reach):
    distance, _ = nearest_disc(np.array([[5.0, 5.0]]), np.array([2.0]), (10, 10), reach)
    assert np.isfinite(distance).sum() == 12  # 4 x 4 pixel middles within 2 px but for the corners
