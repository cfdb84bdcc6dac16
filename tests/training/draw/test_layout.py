import numpy as np
import pytest

from biopsy_analyzer.training.draw.layout import border_distance, lattice, rounded, voronoi


def squares():
    labels = np.zeros((40, 80), np.int32)
    labels[5:35, 5:40], labels[5:35, 40:75] = 1, 2
    return labels


def test_border_distance_parts_touching_labels():
    distance = border_distance(squares())
    assert distance[20, 39] <= 1
    assert distance[20, 41] <= 2
    assert distance[20, 22] == pytest.approx(15, abs=1)
    assert distance[0, 0] == 0


def test_rounding_keeps_the_middle_and_cuts_the_corners():
    labels = squares()
    depth = rounded(labels, np.array([0, 0.8, 0.8], np.float32))
    assert depth[20, 20] > 10
    assert depth[5, 5] < 0  # corner
    assert depth[20, 6] > 0  # edge
    assert (depth[labels == 0] < 0).all()
    assert (depth <= np.maximum(border_distance(labels), 0) + 1e-5).all()


def test_voronoi_is_the_nearest_point_and_weights_widen_cells():
    points, shift = np.array([[10.0, 10.0], [10.0, 30.0]]), np.zeros((2, 21, 41), np.float32)
    equal = voronoi(points, np.zeros(2), (21, 41), shift)
    assert (equal[:, :19] == 1).all()
    assert (equal[:, 22:] == 2).all()
    heavy = voronoi(points, np.array([0.0, 200.0]), (21, 41), shift)
    assert (heavy == 2).sum() > (equal == 2).sum() + 50


def test_lattice_spacing():
    points = lattice(np.random.default_rng(0), (400, 400), 40, 0.0)
    inside = points[np.all((points > 0) & (points < 400), axis=1)]
    assert len(inside) == pytest.approx(400 * 400 / (40 * 40 * 0.866), rel=0.1)
