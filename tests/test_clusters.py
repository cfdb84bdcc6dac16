import numpy as np
import pandas as pd
import pytest

from biopsy_analyzer.clusters import (
    distance_to_necrosis,
    find_clusters,
    inside_necrosis,
    necrotic_border,
    necrotic_border_by_window,
    necrotic_fibre_ids,
)
from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.settings import ClusterSettings
from biopsy_analyzer.tables import CLUSTERS

SETTINGS = ClusterSettings()
GRID = PixelGrid((200, 200), 1.0)


def one_fibre(state, fibres_of, top=50, left=50, edge=40):
    labels = np.zeros((200, 200), np.int32)
    labels[top : top + edge, left : left + edge] = 1
    return fibres_of([state]), labels


def border_of(fibres, labels, grid=GRID):
    return necrotic_border(necrotic_fibre_ids(fibres), labels, grid)


def row_of(nuclei_of, kinds, y, x0, step=10.0, **columns):
    return nuclei_of(kinds, y_um=y, x_um=x0 + step * np.arange(len(kinds)), **columns)


@pytest.mark.parametrize(("n", "found"), [(9, 0), (10, 1)])
def test_ten_cells_make_a_cluster(fibres_of, nuclei_of, n, found):
    fibres, labels = one_fibre("normal", fibres_of)
    clusters, of = find_clusters(row_of(nuclei_of, ["lymphocyte"] * n, 150.0, 10.0), fibres, border_of(fibres, labels), SETTINGS)
    assert len(clusters) == found
    assert (of == found).all()
    if found:
        row = clusters.iloc[0]
        assert (row["kind"], row["cells"], row["lymphocytes"], row["necrotic_fibres"]) == ("lymphocytic", 10, 10, 0)
        assert (row["y_um"], row["x_um"], row["area_um2"]) == (150.0, 55.0, 0.0)  # on one line: no area


@pytest.mark.parametrize(("state", "found"), [("necrotic", 1), ("pale-fragmented", 1), ("normal", 0), ("regenerating", 0)])
def test_three_macrophages_around_a_necrotic_fibre(fibres_of, nuclei_of, state, found):
    fibres, labels = one_fibre(state, fibres_of)
    clusters, _ = find_clusters(row_of(nuclei_of, ["macrophage"] * 3, 95.0, 60.0), fibres, border_of(fibres, labels), SETTINGS)
    assert len(clusters) == found
    if found:
        assert clusters.loc[0, "necrotic_fibres"] == 1


def test_unassessable_fibres_are_not_necrotic(fibres_of, nuclei_of):
    fibres, labels = one_fibre("necrotic", fibres_of)
    unsure = fibres.assign(assessable=False)
    clusters, _ = find_clusters(row_of(nuclei_of, ["macrophage"] * 3, 95.0, 60.0), unsure, border_of(unsure, labels), SETTINGS)
    assert clusters.empty


def test_cells_inside_necrosis_join_but_do_not_make_ten(fibres_of, nuclei_of):
    fibres, labels = one_fibre("necrotic", fibres_of, 0, 0, 200)
    inside = row_of(nuclei_of, ["macrophage"] * 12, 100.0, 10.0, fibre_id=1)
    clusters, _ = find_clusters(inside, fibres, border_of(fibres, labels), ClusterSettings(min_cells_at_necrosis=13))
    assert clusters.empty  # twelve cells, none of them outside
    clusters, _ = find_clusters(inside, fibres, border_of(fibres, labels), SETTINGS)
    assert clusters["cells"].tolist() == [12]
    assert clusters["necrotic_fibres"].tolist() == [1]


@pytest.mark.parametrize(("macrophages", "kind"), [(10, "macrophage"), (7, "macrophage"), (6, "mixed"), (4, "mixed"), (3, "lymphocytic")])
def test_kind_by_share(fibres_of, nuclei_of, macrophages, kind):
    fibres, labels = one_fibre("normal", fibres_of)
    cells = row_of(nuclei_of, ["macrophage"] * macrophages + ["lymphocyte"] * (10 - macrophages), 150.0, 10.0)
    assert find_clusters(cells, fibres, border_of(fibres, labels), SETTINGS)[0]["kind"].tolist() == [kind]


@pytest.mark.parametrize(("macrophages", "reason"), [(1, "1 macrophage, 9 lymphocytes"), (9, "9 macrophages, 1 lymphocyte")])
def test_the_reason_counts_in_words_that_agree(fibres_of, nuclei_of, macrophages, reason):
    fibres, labels = one_fibre("normal", fibres_of)
    cells = row_of(nuclei_of, ["macrophage"] * macrophages + ["lymphocyte"] * (10 - macrophages), 150.0, 10.0)
    assert find_clusters(cells, fibres, border_of(fibres, labels), SETTINGS)[0]["reason"].tolist() == [reason]


def test_area_of_a_square_far_from_the_origin(fibres_of, nuclei_of):
    fibres, labels = one_fibre("normal", fibres_of)
    y, x = np.repeat([0.0, 10, 20, 30], 4) + 90_000, np.tile([0.0, 10, 20, 30], 4) + 70_000
    clusters, _ = find_clusters(nuclei_of(["lymphocyte"] * 16, y_um=y, x_um=x), fibres, border_of(fibres, labels), SETTINGS)
    assert clusters["area_um2"].tolist() == pytest.approx([900.0])


def test_groups_are_those_of_a_slow_flood(fibres_of, nuclei_of):
    rng = np.random.default_rng(3)
    at = rng.uniform(0, 300, (200, 2))
    fibres, labels = one_fibre("normal", fibres_of)
    nuclei = nuclei_of(["lymphocyte"] * 200, y_um=at[:, 0], x_um=at[:, 1])
    _, of = find_clusters(nuclei, fibres, border_of(fibres, labels), SETTINGS)
    groups, left = [], set(range(200))
    while left:
        group, front = set(), {left.pop()}
        while front:
            group |= front
            front = {j for i in front for j in left if np.hypot(*(at[i] - at[j])) <= SETTINGS.reach_um}
            left -= front
        groups.append(group)
    expected = {frozenset(g) for g in groups if len(g) >= SETTINGS.min_cells}
    assert {frozenset(np.flatnonzero(of == k)) for k in range(1, of.max() + 1)} == expected
    assert len(expected) > 1


def test_order_of_rows_changes_no_cluster(fibres_of, nuclei_of):
    rng = np.random.default_rng(4)
    fibres, labels = one_fibre("necrotic", fibres_of)
    nuclei = nuclei_of(
        rng.choice(["macrophage", "lymphocyte", "other"], 200).tolist(), y_um=rng.uniform(0, 200, 200), x_um=rng.uniform(0, 200, 200)
    )
    order = rng.permutation(200)
    one, of_one = find_clusters(nuclei, fibres, border_of(fibres, labels), SETTINGS)
    other, of_other = find_clusters(nuclei.iloc[order].reset_index(drop=True), fibres, border_of(fibres, labels), SETTINGS)
    pd.testing.assert_frame_equal(one, other)
    np.testing.assert_array_equal(of_one[order], of_other)


def test_distance_to_necrosis_by_hand(fibres_of, nuclei_of):
    fibres, labels = one_fibre("necrotic", fibres_of)  # pixel centres 50.5 .. 89.5
    nuclei = nuclei_of(["other"] * 3, y_um=[70.0, 70.5, 99.5], x_um=[70.0, 40.5, 70.5], fibre_id=[1, 0, 0])
    np.testing.assert_allclose(distance_to_necrosis(nuclei, fibres, border_of(fibres, labels)), [0.0, 10.0, 10.0])
    healthy = fibres.assign(state="normal")
    assert np.isnan(distance_to_necrosis(nuclei, healthy, border_of(healthy, labels))).all()


def test_on_the_border_is_not_inside(fibres_of, nuclei_of):
    nuclei = nuclei_of(["macrophage"] * 4, fibre_id=[1, 1, 1, 0], depth_um=[1.9, 2.0, np.nan, np.nan])
    assert inside_necrosis(nuclei, fibres_of(["necrotic"])).tolist() == [False, True, True, False]
    assert not inside_necrosis(nuclei, fibres_of(["normal"])).any()


def test_nothing_gives_empty_typed_tables(fibres_of, nuclei_of):
    fibres, labels = one_fibre("normal", fibres_of)
    for nuclei in (nuclei_of([]), nuclei_of(["other"] * 5)):
        clusters, of = find_clusters(nuclei, fibres, border_of(fibres, labels), SETTINGS)
        assert list(clusters.columns) == list(CLUSTERS)
        assert len(clusters) == 0
        assert of.tolist() == [0] * len(nuclei)
    none = fibres_of([])
    nowhere = border_of(none, np.zeros((0, 0), np.int32), PixelGrid((0, 0), 1.0))
    assert find_clusters(nuclei_of(["macrophage"]), none, nowhere, SETTINGS)[0].empty
    assert np.isnan(distance_to_necrosis(nuclei_of(["macrophage"]), none, border_of(none, np.zeros((5, 5), np.int32)))).all()


def test_a_border_may_be_read_from_windows(fibres_of):
    """Each fibre's points are the same from its own window as from the whole image, also where fibres touch."""
    labels = np.zeros((200, 200), np.int32)
    labels[0:40, 0:50], labels[0:40, 50:90], labels[150:200, 30:70] = 1, 2, 3
    points, owner = border_of(fibres_of(["necrotic", "pale-fragmented", "necrotic"]), labels)
    window = np.s_[0:60, 20:120]
    apart, _ = necrotic_border(np.array([2]), labels[window], GRID.crop(0, 20, 60, 100))
    np.testing.assert_array_equal(apart, points[owner == 2])
    assert len(points) == sum(2 * (h + w) - 4 for h, w in ((40, 50), (40, 40), (50, 40)))


def test_the_border_by_windows_is_that_of_the_whole(fibres_of):
    rng = np.random.default_rng(4)
    grid = PixelGrid((400, 500), 10.0)  # 4 x 5 mm: several windows
    labels, rows = np.zeros(grid.shape, np.int32), []
    for number in range(1, 41):
        y, x = divmod(number - 1, 8)
        top, left = 80 * y + int(rng.integers(0, 30)), 60 * x + int(rng.integers(0, 20))
        labels[top : top + 45, left : left + 35] = number
        rows.append(((top + 22.5) * 10, (left + 17.5) * 10))
    fibres = fibres_of(["necrotic", "normal", "pale-fragmented", "regenerating"] * 10).assign(max_feret_um=570.0)
    fibres[["y_um", "x_um"]] = rows
    whole, windows = border_of(fibres, labels, grid), necrotic_border_by_window(fibres, labels, grid)
    for points, owners in (whole, windows):
        assert len(points) == len(owners) == 20 * (2 * 45 + 2 * 35 - 4)
    assert set(map(tuple, np.column_stack([*whole]))) == set(map(tuple, np.column_stack([*windows])))
    assert len(necrotic_border_by_window(fibres.assign(state="normal"), labels, grid)[0]) == 0
