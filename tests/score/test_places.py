from dataclasses import replace

import cv2
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import adjusted_rand_score

from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.measure.shape import measure_shape
from biopsy_analyzer.near import linked
from biopsy_analyzer.score.places import find_places, neighbours
from biopsy_analyzer.settings import SpaceSettings
from biopsy_analyzer.training.draw import draw_recipe
from biopsy_analyzer.training.draw import layout as lay
from made_tables import make_fibres, make_nuclei, two_fascicles

SETTINGS = SpaceSettings()


def test_a_wide_gap_is_perimysium_and_parts_fascicles() -> None:
    fibres = two_fascicles(60.0)
    nuclei = make_nuclei(["lymphocyte"] * 3, y_um=[150.0, 150.0, 150.0], x_um=[360.0, 30.0, 120.0])
    found = find_places(fibres, nuclei, SETTINGS)
    facing = np.isin(fibres["x_um"], (300.0, 420.0))
    np.testing.assert_array_equal(found.border[facing], True)
    assert found.border[~facing].sum() == 0
    assert found.in_gap.tolist() == [True, False, False]
    assert found.fascicles == 2


def test_a_row_of_narrow_gaps_is_a_septum_where_they_are_wider_than_the_others() -> None:
    fibres, nuclei = two_fascicles(15.0), make_nuclei(["lymphocyte"] * 2, y_um=150.0, x_um=[337.0, 120.0])
    found = find_places(fibres, nuclei, SETTINGS)
    facing = np.isin(fibres["x_um"], (300.0, 375.0))
    np.testing.assert_array_equal(found.border, facing)
    assert (found.fascicles, found.in_gap.tolist()) == (2, [True, False])


@pytest.mark.parametrize("gap_um", [0.0, 5.0])
def test_gaps_as_narrow_as_the_others_are_none(gap_um: float) -> None:
    found = find_places(two_fascicles(gap_um), make_nuclei(["lymphocyte"], y_um=150.0, x_um=332.0), SETTINGS)
    assert (found.fascicles, found.border.any(), found.in_gap.any()) == (0, False, False)


def test_wide_endomysium_is_no_septum() -> None:
    """Fibres that stand 15 um apart everywhere, as in fibrosis: what is usual is learned from the section."""
    apart = two_fascicles(0.0).assign(area_um2=np.pi * 22.5**2)
    found = find_places(apart, make_nuclei(["lymphocyte"], y_um=150.0, x_um=330.0), SETTINGS)
    assert (found.fascicles, found.border.any()) == (0, False)


def test_a_missed_fibre_is_no_perimysium() -> None:
    fibres = two_fascicles(0.0)
    kept = fibres[~((fibres["x_um"] == 300) & (fibres["y_um"] == 180))].reset_index(drop=True)
    found = find_places(kept, make_nuclei(["lymphocyte"], y_um=180.0, x_um=300.0), SETTINGS)
    assert (found.fascicles, found.in_gap.any()) == (0, False)


@pytest.mark.parametrize("rows", [0, 1])
def test_hardly_any_fibres(rows: int) -> None:
    found = find_places(make_fibres(["normal"] * rows), make_nuclei([]), SETTINGS)
    assert (len(found.border), len(found.in_gap), found.fascicles) == (rows, 0, 0)
    assert len(neighbours(make_fibres(["normal"] * rows), SETTINGS)) == 0


TURNS = {
    "mirrored": lambda t: t.assign(x_um=-t["x_um"]),
    "upside down": lambda t: t.assign(y_um=-t["y_um"]),
    "turned": lambda t: t.assign(y_um=t["x_um"], x_um=-t["y_um"]),
    "other diagonal": lambda t: t.assign(y_um=t["x_um"], x_um=t["y_um"]),
}


@pytest.mark.parametrize("turn", TURNS.values(), ids=TURNS)
def test_a_lattice_with_a_gap_is_the_same_however_it_lies(turn):
    """All is tied here: columns at the same gap, nuclei on lines of the raster."""
    fibres, nuclei = two_fascicles(60.0), make_nuclei(["lymphocyte"] * 40, y_um=np.linspace(0, 300, 40), x_um=np.linspace(0, 700, 40))
    straight, other = find_places(fibres, nuclei, SETTINGS), find_places(turn(fibres), turn(nuclei), SETTINGS)
    np.testing.assert_array_equal(other.border, straight.border)
    assert (other.in_gap != straight.in_gap).sum() <= 1  # on a line of the raster
    assert other.fascicles == straight.fascicles


@settings(max_examples=12, deadline=None)
@given(st.integers(0, 2**32 - 1), st.sampled_from(list(TURNS.values())))
def test_law_places_do_not_depend_on_how_a_section_lies(seed, turn):
    """Sections of fascicles with narrow and wide septa, sizes and gaps at random: every fibre and nucleus keeps its place."""
    rng = np.random.default_rng(seed)
    y, x = np.divmod(np.arange(400), 20)
    at = {"y_um": y * 70.0 + y // 7 * rng.uniform(5, 50) + rng.normal(0, 6, 400), "x_um": x * 75.0 + x // 6 * 30.0 + rng.normal(0, 6, 400)}
    fibres = make_fibres(["normal"] * 400, **at, area_um2=np.pi * (32 * rng.lognormal(0, 0.2, 400)) ** 2)
    nuclei = make_nuclei(["lymphocyte"] * 300, y_um=rng.uniform(0, 1500, 300), x_um=rng.uniform(0, 1500, 300))
    one, other = find_places(fibres, nuclei, SETTINGS), find_places(turn(fibres), turn(nuclei), SETTINGS)
    assert one.border.any()
    np.testing.assert_array_equal(other.border, one.border)
    np.testing.assert_array_equal(other.in_gap, one.in_gap)
    np.testing.assert_array_equal(other.facing, one.facing)
    np.testing.assert_allclose(other.gap_um, one.gap_um, atol=1e-6)
    assert adjusted_rand_score(one.fascicle, other.fascicle) == 1
    assert other.fascicles == one.fascicles


def drawn(seed: int, **changes: float) -> lay.Layout:
    """1000 x 1000 px of 0.5 um."""
    rng = np.random.default_rng(seed)
    recipe = draw_recipe(rng, "clean", "normal")
    usual = {"fibre_px": 90.0, "gap_px": 4.0, "fat_share": 0.0, "infiltrate_share": 0.0, "missing_share": 0.0, "oblique": 0.9}
    recipe = replace(recipe, glass_edge=False, structures={}, **(usual | changes))
    return lay.lay_out(rng, (1000, 1000), recipe)


@pytest.mark.parametrize(("perimysium_px", "least"), [(24.0, 0.5), (60.0, 0.85)])
def test_drawn_fascicles_are_found(perimysium_px: float, least: float) -> None:
    """Septa of 12 and 30 um: pairs of fibres that lie in one fascicle or in two are told so, corrected for chance (Rand index)."""
    scores = []
    for seed in (1, 2, 3):
        plan = drawn(seed, perimysium_px=perimysium_px, fascicle_px=600.0)
        fibres = measure_shape(plan.fibres, PixelGrid(plan.fibres.shape, 0.5))
        _, truth = cv2.connectedComponents((plan.zone == lay.ENDOMYSIUM).astype(np.uint8), connectivity=4)
        at = [np.bincount(truth[plan.fibres == k]).argmax() for k in range(1, len(fibres) + 1)]
        scores.append(adjusted_rand_score(at, fascicles_of(fibres)))
    assert np.mean(scores) > least


def test_a_drawn_field_without_septa_is_one_fascicle() -> None:
    for seed in (1, 2, 3):
        plan = drawn(seed, perimysium_px=0.0)
        assert len(np.unique(fascicles_of(measure_shape(plan.fibres, PixelGrid(plan.fibres.shape, 0.5))))) == 1


def fascicles_of(fibres: pd.DataFrame) -> np.ndarray:
    """The fascicle of each fibre."""
    found = find_places(fibres, make_nuclei([]), SETTINGS)
    assert (found.fascicles > 1) == (len(np.unique(found.fascicle)) > 1)
    return found.fascicle


def test_drawn_perimysium_is_found() -> None:
    """Of drawn sections the zones are known: what lies in the perimysium, 12 um and more from any fibre's edge, is found there."""
    hit = wrong = places = inside = 0
    for seed in (1, 2, 3):
        rng, plan = np.random.default_rng(seed), drawn(seed, perimysium_px=100.0, fascicle_px=600.0)
        fibres = measure_shape(plan.fibres, PixelGrid(plan.fibres.shape, 0.5))
        clear = cv2.distanceTransform((plan.fibres == 0).astype(np.uint8), cv2.DIST_L2, 5) * 0.5 > 12
        for zone, wanted in ((lay.PERIMYSIUM, True), (lay.ENDOMYSIUM, False)):
            at = np.argwhere((plan.zone == zone) & (clear | (zone == lay.ENDOMYSIUM)))
            at = at[rng.permutation(len(at))[:400]] * 0.5
            at = at[((at > 60) & (at < 440)).all(axis=1)]  # at the image's edge nobody knows what lies beyond
            found = find_places(fibres, make_nuclei(["lymphocyte"] * len(at), y_um=at[:, 0], x_um=at[:, 1]), SETTINGS).in_gap
            hit, places = hit + found.sum() * wanted, places + len(at) * wanted
            wrong, inside = wrong + found.sum() * (not wanted), inside + len(at) * (not wanted)
    assert places > 300
    assert hit / places > 0.85
    assert wrong / inside < 0.15


def test_neighbours_of_a_lattice_are_its_sides() -> None:
    pairs = neighbours(make_fibres(["normal"] * 36), SETTINGS)  # 6 x 6, 70 um apart, radius 35.7
    assert len(pairs) == 2 * 6 * 5
    assert (np.ptp(linked(pairs, 36)), len(np.unique(linked(pairs[:0], 36)))) == (0, 36)


def test_neighbours_are_those_of_a_slow_search_with_giants_among_them() -> None:
    rng = np.random.default_rng(0)
    yx, area = rng.uniform(0, 1500, (150, 2)), rng.lognormal(8, 0.5, 150)
    area[7] = 200_000.0
    fibres = make_fibres(["normal"] * 150, y_um=yx[:, 0], x_um=yx[:, 1], area_um2=area)
    radius = np.sqrt(area / np.pi)
    slow = {
        (i, j) for i in range(150) for j in range(i + 1, 150) if np.hypot(*(yx[i] - yx[j])) - radius[i] - radius[j] <= SETTINGS.neighbour_um
    }
    found = neighbours(fibres, SETTINGS)
    assert {(min(p), max(p)) for p in found.tolist()} == slow
    assert len(found) == len(slow)
