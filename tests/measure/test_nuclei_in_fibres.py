import numpy as np
import pandas as pd
import pytest
from scipy import ndimage

from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.measure import nuclei_in_fibres
from biopsy_analyzer.measure.nuclei_in_fibres import AT_OUTLINE_UM, assign, nuclear_mask
from biopsy_analyzer.segment.stored_labels import StoredLabels

SQUARES = np.zeros((60, 100), np.int32)
SQUARES[10:50, 10:50] = 1
SQUARES[10:50, 50:90] = 2


def nuclei(*centres_um: tuple[float, float]) -> pd.DataFrame:
    return pd.DataFrame(np.array(centres_um, dtype=float).reshape(-1, 2), columns=["y_um", "x_um"])


def test_depth_by_hand_in_um_also_at_the_border_to_a_neighbour() -> None:
    grid = PixelGrid(SQUARES.shape, 0.5, (1000.0, 2000.0))
    found = assign(nuclei((1015, 2015), (1015.25, 2024), (1015.25, 2026)), SQUARES, grid)
    assert found["fibre_id"].tolist() == [1, 1, 2]
    assert found["depth_um"].tolist() == pytest.approx([10, 1, 1], abs=0.01)
    assert found["fibre_distance_um"].tolist() == [0, 0, 0]
    assert found["fibre_id"].dtype == np.int32


def test_just_outside_is_at_the_outline_and_further_is_between_the_fibres() -> None:
    grid = PixelGrid(SQUARES.shape, 1.0)
    found = assign(nuclei((30.5, 10 - AT_OUTLINE_UM + 0.1), (30.5, 10 - AT_OUTLINE_UM - 0.5), (5, 95)), SQUARES, grid)
    assert found["fibre_id"].tolist() == [1, 0, 0]
    assert found["depth_um"][0] == 0
    assert found["depth_um"][1:].isna().all()
    assert found["fibre_distance_um"].tolist() == pytest.approx([0, AT_OUTLINE_UM + 0.5, np.hypot(5, 5)], abs=0.4)


def test_the_edge_of_the_image_is_no_outline() -> None:
    labels = np.zeros((40, 40), np.int32)
    labels[:, :20] = 1
    found = assign(nuclei((20.5, 1), (45, 10)), labels, PixelGrid(labels.shape, 1.0))
    assert found["depth_um"][0] == pytest.approx(19)
    # beyond the image, where nothing is known
    assert found["fibre_id"][1] == 0


def test_as_a_distance_transform_per_fibre_finds_it() -> None:
    rng = np.random.default_rng(0)
    y, x = np.indices((120, 130))
    seeds = rng.uniform(0, 130, (12, 2))
    labels = (np.argmin([np.hypot(y - sy, x - sx) for sy, sx in seeds], axis=0) + 1).astype(np.int32)
    labels[ndimage.gaussian_filter(rng.normal(size=labels.shape), 4) > 0.05] = 0
    px = rng.integers(0, 120, (200, 2))
    found = assign(nuclei(*(px + 0.5)), labels, PixelGrid(labels.shape, 1.0))
    for (row, column), fibre, depth, away in zip(px, found["fibre_id"], found["depth_um"], found["fibre_distance_um"], strict=True):
        label = labels[row, column]
        if label > 0:
            assert fibre == label
            # repeated beyond the edge, which is no outline; half a pixel from the last centre inside to the outline
            inside = ndimage.distance_transform_edt(np.pad(labels == label, 60, mode="edge"))[60:-60, 60:-60]
            assert depth == pytest.approx(inside[row, column] - 0.5, abs=0.51)
        else:
            outside = ndimage.distance_transform_edt(labels == 0)[row, column]
            assert (away if fibre == 0 else AT_OUTLINE_UM / 2) == pytest.approx(outside - 0.5, abs=0.51)


def test_shift_by_37_px_and_another_index_change_nothing() -> None:
    rng = np.random.default_rng(1)
    centres = rng.uniform(0, 60, (50, 2)) * (1, 100 / 60)
    found = assign(nuclei(*centres), SQUARES, PixelGrid(SQUARES.shape, 1.0))
    shifted = nuclei(*(centres + 37)).set_index(np.arange(50) + 7)
    moved = assign(shifted, np.pad(SQUARES, ((37, 3), (37, 3))), PixelGrid((100, 140), 1.0))
    assert moved.index.tolist() == shifted.index.tolist()
    pd.testing.assert_frame_equal(found, moved.reset_index(drop=True))


def test_without_fibres_nuclei_or_outline() -> None:
    grid = PixelGrid((20, 20), 1.0)
    alone = assign(nuclei((5, 5)), np.zeros((20, 20), np.int32), grid)
    assert alone["fibre_id"].tolist() == [0]
    assert alone[["depth_um", "fibre_distance_um"]].isna().all(axis=None)
    filled = assign(nuclei((5, 5)), np.ones((20, 20), np.int32), grid)
    assert filled["fibre_id"].tolist() == [1]
    assert filled["depth_um"].isna().all()
    assert filled["fibre_distance_um"].tolist() == [0]
    none = assign(nuclei(), SQUARES, PixelGrid(SQUARES.shape, 1.0))
    assert none.empty
    assert none.dtypes.astype(str).to_dict() == {"fibre_id": "int32", "depth_um": "float64", "fibre_distance_um": "float64"}


def test_nuclear_mask_finds_pixel_centres_on_another_grid() -> None:
    labels = np.zeros((12, 12), np.int32)
    labels[4:8, 4:8] = 3
    fine = PixelGrid((12, 12), 0.5, (10.0, 10.0))  # the nucleus covers 12 to 14 um
    coarse = PixelGrid((6, 8), 1.0, (9.0, 8.0))
    expected = np.zeros((6, 8), bool)
    expected[3:5, 4:6] = True
    assert np.array_equal(nuclear_mask(labels, fine, coarse), expected)
    assert np.array_equal(nuclear_mask(labels, fine, fine), labels > 0)
    assert not nuclear_mask(labels, fine, PixelGrid((6, 8), 1.0, (500.0, -500.0))).any()


def test_windows_give_what_the_whole_image_gives(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nuclei_in_fibres, "WINDOW_PX", 200)
    monkeypatch.setattr(nuclei_in_fibres, "NEAR_UM", 12.0)
    monkeypatch.setattr(nuclei_in_fibres, "FAR_UM", 150.0)
    rng = np.random.default_rng(2)
    grid = PixelGrid((700, 900), 0.5, (30.0, 70.0))
    labels = np.zeros(grid.shape, np.int32)
    for number, (y, x) in enumerate(rng.integers(20, 380, (60, 2)), start=1):
        labels[y : y + 90, x : x + 70] = number
    cells = nuclei(*grid.to_um(rng.uniform(0, 1, (400, 2)) * grid.shape)).iloc[::-1]
    stored = StoredLabels(grid.shape)
    stored.write(0, 0, labels)
    whole, windows = assign(cells, labels, grid), nuclei_in_fibres.assign_by_window(cells, stored, grid)
    far = whole["fibre_distance_um"] > 150
    assert 0 < far.sum() < 200
    assert windows["fibre_distance_um"][far].isna().all()
    pd.testing.assert_frame_equal(windows[~far], whole[~far])
    assert len(nuclei_in_fibres.assign_by_window(cells[:0], stored, grid)) == 0
    none = nuclei_in_fibres.assign_by_window(cells, StoredLabels(grid.shape), grid)
    assert (none["fibre_id"] == 0).all()
    assert none["fibre_distance_um"].isna().all()
