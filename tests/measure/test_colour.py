import numpy as np
import pytest
from scipy import ndimage

from biopsy_analyzer.measure.colour import FAINTEST_OD, MOTTLING_UM, measure_colour, pool_maps
from biopsy_analyzer.segment.runs import Runs
from biopsy_analyzer.stain import RUIFROK, separate
from biopsy_analyzer.tables import COLOUR


def picture() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Labels of two squares and a line, random colours and their stains."""
    rng = np.random.default_rng(0)
    labels = np.zeros((40, 50), np.int32)
    labels[2:18, 2:18] = 1
    labels[2:18, 18:40] = 2
    labels[30, 5:45] = 3
    rgb = rng.integers(60, 220, (40, 50, 3), dtype=np.uint8)
    return labels, rgb, *separate(rgb)


def test_means_and_spreads_as_a_mask_per_label_gives_them() -> None:
    labels, rgb, haematoxylin, eosin = picture()
    table = measure_colour(labels, rgb, None, 0.5)
    assert dict(table.dtypes.astype(str)) == COLOUR
    for k, row in enumerate(table.itertuples(), start=1):
        mask = labels == k
        assert row.haematoxylin_od == pytest.approx(haematoxylin[mask].mean(), rel=1e-5)
        assert row.eosin_od == pytest.approx(eosin[mask].mean(), rel=1e-5)
        assert row.haematoxylin_sd == pytest.approx(haematoxylin[mask].std(), rel=1e-3)
        assert row.eosin_sd == pytest.approx(eosin[mask].std(), rel=1e-3)


def test_stains_are_those_of_the_section() -> None:
    labels, rgb, _, _ = picture()
    stains = RUIFROK[:, ::-1]
    haematoxylin, eosin = separate(rgb, stains)
    table = measure_colour(labels, rgb, stains, 0.5)
    assert table["haematoxylin_od"][0] == pytest.approx(haematoxylin[labels == 1].mean(), rel=1e-5)
    assert table["eosin_od"][0] == pytest.approx(eosin[labels == 1].mean(), rel=1e-5)


def test_runs_of_labels_are_measured_as_the_labels() -> None:
    labels, rgb, _, _ = picture()
    assert measure_colour(Runs(labels), rgb, None, 0.5).equals(measure_colour(labels, rgb, None, 0.5))
    assert np.array_equal(pool_maps(Runs(labels), rgb.transpose(2, 0, 1) / 255), pool_maps(labels, rgb.transpose(2, 0, 1) / 255))


@pytest.mark.parametrize(
    ("um_per_px", "within"), [(0.8, 0.02), (0.5, 0.15)]
)  # a wide blur is coarser, noise of single pixels the hardest case
def test_mottling_as_scipy_smooths_inside_the_labels_only(um_per_px: float, within: float) -> None:
    labels, rgb, _, eosin = picture()
    table = measure_colour(labels, rgb, None, um_per_px)
    weight = (labels > 0).astype(float)
    sigma = MOTTLING_UM / um_per_px
    smooth = ndimage.gaussian_filter(eosin * weight, sigma, mode="mirror") / ndimage.gaussian_filter(weight, sigma, mode="mirror")
    for k, row in enumerate(table.itertuples(), start=1):
        assert row.mottling == pytest.approx(smooth[labels == k].std() / eosin[labels == k].mean(), rel=within)


def test_even_stain_has_no_spread_and_a_white_gap_beside_it_does_not_shine_in() -> None:
    labels, rgb, _, _ = picture()
    rgb[:] = np.where(labels > 0, 120, 255)[..., None] - np.array([0, 60, 0], np.uint8) * (labels > 0)[..., None]
    table = measure_colour(labels, rgb, None, 0.5)
    assert table["eosin_od"].to_numpy() == pytest.approx(separate(rgb)[1][5, 5])
    assert table["eosin_od"][0] > 0.2
    assert table["mottling"].to_numpy() == pytest.approx(0, abs=1e-3)
    assert table["haematoxylin_sd"].to_numpy() == pytest.approx(0, abs=1e-3)


def test_noise_of_an_unstained_object_is_no_mottling() -> None:
    labels, rgb, _, _ = picture()
    faint = 253 + rgb % 3
    table = measure_colour(labels, faint, None, 0.5)
    assert (table["mottling"] < 0.003 / FAINTEST_OD).all()


def test_white_needs_all_three_channels() -> None:
    labels, rgb, _, _ = picture()
    rgb[2:18, 2:6] = 250
    rgb[2:18, 20:25] = (255, 180, 255)
    table = measure_colour(labels, rgb, None, 0.5)
    assert table["white_fraction"].tolist() == [0.25, 0, 0]


def test_excluded_pixels_count_nowhere() -> None:
    labels, rgb, haematoxylin, _ = picture()
    exclude = np.zeros(labels.shape, bool)
    exclude[5:9, 5:9] = True
    dark = np.where(exclude[..., None], 5, rgb).astype(np.uint8)
    table = measure_colour(labels, dark, None, 0.5, exclude)
    clean = measure_colour(labels, rgb, None, 0.5, exclude)
    assert table.equals(clean)
    assert table["haematoxylin_od"][0] == pytest.approx(haematoxylin[(labels == 1) & ~exclude].mean(), rel=1e-5)


@pytest.mark.parametrize("covered", [1, 3])
def test_an_object_wholly_excluded_is_unknown(covered: int) -> None:
    labels, rgb, _, _ = picture()
    table = measure_colour(labels, rgb, None, 0.5, labels == covered)
    assert table.isna().all(axis=1).tolist() == [k == covered for k in (1, 2, 3)]


def test_no_labels_give_an_empty_typed_table() -> None:
    _, rgb, _, _ = picture()
    table = measure_colour(np.zeros((40, 50), np.int32), rgb, None, 0.5)
    assert table.empty
    assert dict(table.dtypes.astype(str)) == COLOUR


def test_maps_are_pooled_per_label() -> None:
    labels, _, first, second = picture()
    pooled = pool_maps(labels, np.stack([first, second]))
    assert pooled.shape == (3, 2)
    for k in (1, 2, 3):
        assert pooled[k - 1] == pytest.approx([first[labels == k].mean(), second[labels == k].mean()], rel=1e-5)
    assert pool_maps(np.zeros((40, 50), np.int32), np.stack([first, second])).shape == (0, 2)
