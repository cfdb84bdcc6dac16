import numpy as np
import pandas as pd
import pytest
from skimage.draw import ellipse, polygon
from skimage.measure import perimeter_crofton, regionprops

from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.measure.shape import measure_shape
from biopsy_analyzer.tables import SHAPE


def measured(labels: np.ndarray, um_per_px: float = 1.0, origin_um: tuple[float, float] = (0.0, 0.0)) -> pd.DataFrame:
    return measure_shape(labels, PixelGrid(labels.shape, um_per_px, origin_um))


def rectangle(height: int, width: int, top: int = 3, left: int = 5) -> np.ndarray:
    labels = np.zeros((top + height + 4, left + width + 4), np.int32)
    labels[top : top + height, left : left + width] = 1
    return labels


def blobs() -> np.ndarray:
    """Ellipses, polygons and a one-pixel-wide line, some touching."""
    rng = np.random.default_rng(0)
    labels = np.zeros((200, 220), np.int32)
    for k in range(1, 20):
        y, x = rng.uniform(20, 180, 2)
        shape = ellipse(y, x, *rng.uniform(3, 18, 2), shape=labels.shape, rotation=rng.uniform(0, 3))
        if k % 3 == 0:
            shape = polygon(y + rng.uniform(-20, 20, 5), x + rng.uniform(-20, 20, 5), labels.shape)
        labels[shape] = k
    labels[5, 30:60] = 20
    return np.unique(labels, return_inverse=True)[1].reshape(labels.shape).astype(np.int32)


def test_rectangle_by_hand_in_um_on_the_slide() -> None:
    row = measured(rectangle(4, 10), um_per_px=0.5, origin_um=(100.0, 200.0)).iloc[0]
    assert row["y_um"] == 100 + 0.5 * 5  # rows 3..6 cover 3 to 7
    assert row["x_um"] == 200 + 0.5 * 10
    assert row["area_um2"] == 40 * 0.25
    assert row["equivalent_diameter_um"] == pytest.approx(np.sqrt(4 * 10 / np.pi))
    assert row["min_feret_um"] == pytest.approx(2)
    # over the middles of the pixels' edges, not their corners
    assert row["max_feret_um"] == pytest.approx(0.5 * np.hypot(3, 10))
    assert row["eccentricity"] == pytest.approx(np.sqrt(1 - 16 / 100))
    assert row["solidity"] == 1
    # 4 rows, 10 columns and twice 13 diagonals, all crossed twice
    assert row["perimeter_um"] == pytest.approx(0.5 * np.pi / 8 * 2 * (4 + 10 + 2 * 13 * np.sqrt(0.5)))
    assert not row["touches_border"]


def test_disc_by_hand() -> None:
    y, x = np.indices((121, 121))
    row = measured((np.hypot(y - 60, x - 60) <= 50).astype(np.int32)).iloc[0]
    assert row["area_um2"] == pytest.approx(np.pi * 50**2, rel=0.005)
    assert row["perimeter_um"] == pytest.approx(2 * np.pi * 50, rel=0.02)
    assert row["min_feret_um"] == pytest.approx(100, abs=1.1)
    assert row["max_feret_um"] == pytest.approx(100, abs=1.1)
    assert row["circularity"] == pytest.approx(1, abs=0.03)
    assert row["solidity"] == pytest.approx(1, abs=0.02)
    assert row["eccentricity"] < 0.02
    assert row[["y_um", "x_um"]].tolist() == [60.5, 60.5]


def test_perimeter_is_right_on_average_over_orientations() -> None:
    ratios = []
    for degree in range(0, 90, 10):
        turn = np.radians(degree + 45 * np.arange(1, 8, 2))
        corners = polygon(200 + 100 * np.sqrt(2) * np.sin(turn), 200 + 100 * np.sqrt(2) * np.cos(turn))
        labels = np.zeros((400, 400), np.int32)
        labels[corners] = 1
        ratios.append(measured(labels)["perimeter_um"][0] / 800)
    assert np.mean(ratios) == pytest.approx(1, abs=0.01)
    assert np.abs(np.array(ratios) - 1).max() < 0.06


def test_touching_squares_are_measured_apart() -> None:
    labels = np.repeat(rectangle(6, 6), 1, axis=0)
    labels[3:9, 8:11] = 2
    table = measured(labels)
    assert table["area_um2"].tolist() == [18, 18]
    assert table["x_um"].tolist() == [6.5, 9.5]
    assert table["perimeter_um"][0] == table["perimeter_um"][1]
    assert table["min_feret_um"].tolist() == [3, 3]


def test_as_regionprops_measures() -> None:
    labels = blobs()
    table = measured(labels)
    slow = regionprops(labels)
    assert len(table) == len(slow)
    for row, props in zip(table.itertuples(), slow, strict=True):
        assert row.area_um2 == props.area
        assert (row.y_um, row.x_um) == pytest.approx(np.add(props.centroid, 0.5))
        assert row.perimeter_um == pytest.approx(perimeter_crofton(np.pad(props.image, 1)))
        # regionprops draws the convex hull in pixels first, which adds up to one
        assert row.max_feret_um == pytest.approx(props.feret_diameter_max, abs=1)
        # regionprops takes pixels as points; as squares they spread by 1/12 more
        spread = np.sort(np.linalg.eigvalsh(props.inertia_tensor)) + 1 / 12
        assert row.eccentricity == pytest.approx(np.sqrt(1 - spread[0] / spread[1]), abs=1e-6)
        if props.area > 200:
            assert row.solidity == pytest.approx(props.solidity, abs=0.03)


def test_feret_diameters_as_turning_in_small_steps_finds_them() -> None:
    labels = blobs()
    table = measured(labels)
    angles = np.linspace(0, np.pi, 2000)
    for k, (narrowest, widest) in enumerate(zip(table["min_feret_um"], table["max_feret_um"], strict=True), start=1):
        y, x = np.nonzero(labels == k)
        ends = np.concatenate([np.stack([y + dy, x + dx]) for dy, dx in ((0.5, 0), (-0.5, 0), (0, 0.5), (0, -0.5))], axis=1)
        along = np.sin(angles)[:, None] * ends[0] + np.cos(angles)[:, None] * ends[1]
        widths = np.ptp(along, axis=1)
        assert narrowest == pytest.approx(widths.min(), rel=0.005, abs=0.05)
        assert widest == pytest.approx(widths.max(), rel=0.001)


def test_far_from_the_origin_nothing_is_lost() -> None:
    near = measured(rectangle(9, 7))
    labels = np.zeros((30, 90_000), np.int32)
    labels[10:19, 89_900:89_907] = 1
    far = measured(labels)
    assert far.drop(columns=["y_um", "x_um"]).equals(near.drop(columns=["y_um", "x_um"]))
    assert far["x_um"][0] == 89_903.5


@pytest.mark.parametrize("turn", [1, 2, 3])
def test_turning_changes_positions_only(turn: int) -> None:
    labels = blobs()
    turned = measured(np.rot90(labels, turn))
    columns = [name for name in SHAPE if name not in ("y_um", "x_um")]
    pd.testing.assert_frame_equal(turned[columns], measured(labels)[columns])


def test_one_pixel_has_a_form() -> None:
    row = measured(rectangle(1, 1)).iloc[0]
    assert row["area_um2"] == 1
    assert row["eccentricity"] == 0
    assert row["max_feret_um"] == 1
    assert row["min_feret_um"] == pytest.approx(np.sqrt(0.5))
    assert row["solidity"] == 1
    assert np.isfinite(row.drop("touches_border").astype(float)).all()


@pytest.mark.parametrize("edge", [np.s_[0:2, 5:7], np.s_[-2:, 5:7], np.s_[5:7, 0:2], np.s_[5:7, -2:]])
def test_objects_at_each_edge_are_known_to_be_cut(edge: tuple[slice, slice]) -> None:
    labels = np.zeros((20, 20), np.int32)
    labels[9:11, 9:11] = 1
    labels[edge] = 2
    table = measured(labels)
    assert table["touches_border"].tolist() == [False, True]
    assert table["perimeter_um"][0] == table["perimeter_um"][1]


def test_no_labels_give_an_empty_typed_table() -> None:
    table = measured(np.zeros((5, 6), np.int32))
    assert table.empty
    assert dict(table.dtypes.astype(str)) == SHAPE
