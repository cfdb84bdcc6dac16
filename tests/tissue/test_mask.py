from pathlib import Path

import numpy as np
import pytest
import tifffile
from PIL import Image, ImageDraw

from biopsy_analyzer.errors import SlideError
from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.settings import TissueSettings
from biopsy_analyzer.slide import open_slide
from biopsy_analyzer.tissue import mask
from biopsy_analyzer.tissue.mask import Tissue, find_tissue, tissue_of, to_glass_um, unscanned, within, without

SETTINGS = TissueSettings()
TINTED = {"yellowed": (250, 248, 188), "cyan": (200, 235, 250), "green glass": (200, 250, 225)}
GLASS = {**TINTED, "white": (255, 255, 255), "green": (219, 226, 212), "grey": (200, 200, 203), "pink": (245, 236, 240)}


def section(glass: tuple[int, int, int], fibre: tuple[int, int, int] = (215, 110, 160), noise: float = 2.0) -> np.ndarray:
    """1000 x 1200 um at 4 um/px: a piece of 600 x 480 um of fibres of 60 um with clefts of 12 um; the glass darker to one side."""
    image = np.empty((250, 300, 3), np.float64)
    image[:] = glass
    for top in range(50, 200, 18):
        for left in range(60, 180, 18):
            image[top : top + 15, left : left + 15] = fibre
    image *= np.linspace(1.0, 0.94, 300)[None, :, None]
    return np.clip(image + np.random.default_rng(0).normal(0, noise, image.shape), 0, 255).astype(np.uint8)


def found(rgb: np.ndarray) -> Tissue:
    return tissue_of(rgb, PixelGrid(rgb.shape[:2], 4.0), SETTINGS)


@pytest.mark.parametrize("glass", GLASS.values(), ids=GLASS)
@pytest.mark.parametrize("fibre", [(215, 110, 160), (232, 190, 214), (150, 90, 170)], ids=["usual", "pale", "basophilic"])
def test_clefts_belong_to_the_tissue_and_glass_does_not(glass: tuple[int, int, int], fibre: tuple[int, int, int]) -> None:
    seen = (fibre[0] * glass[0] // 255, fibre[1] * glass[1] // 255, fibre[2] * glass[2] // 255)  # glass tints what lies on it
    tissue = found(section(glass, seen))
    assert tissue.mask[52:208, 62:181].mean() > 0.99
    outside = tissue.mask.copy()
    outside[46:216, 56:190] = False
    assert not outside.any()
    assert tissue.area_mm2 == pytest.approx(tissue.mask.sum() * 16e-6)


@pytest.mark.parametrize("glass", [*GLASS.values(), (128, 128, 128)])
def test_a_blank_slide_has_no_tissue(glass: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(0)
    blank = np.clip(np.array(glass) + rng.normal(0, 2, (200, 200, 3)), 0, 255).astype(np.uint8)
    tissue = found(blank)
    assert tissue.area_mm2 == 0
    assert not tissue.mask.any()
    assert tissue.background_od == pytest.approx(-np.log10((np.array(glass) + 1) / 256), abs=0.03)


@pytest.mark.fault(30)
@pytest.mark.parametrize("side", [1, 8, 16, 40])
@pytest.mark.parametrize("glass", GLASS.values(), ids=GLASS)
def test_a_blank_image_has_no_tissue_however_small(glass: tuple[int, int, int], side: int) -> None:
    """All of it would be a hole small enough to be filled."""
    assert not found(np.tile(np.array(glass, np.uint8), (side, side, 1))).mask.any()


def test_dust_and_hairs_are_dropped() -> None:
    image = Image.fromarray(np.full((250, 300, 3), 240, np.uint8))
    draw = ImageDraw.Draw(image)
    draw.line((5, 5, 290, 200), fill=(60, 60, 60), width=1)
    for x in range(20, 280, 40):
        draw.ellipse((x, 200, x + 6, 206), fill=(90, 70, 60))
    assert found(np.asarray(image)).area_mm2 == 0


def test_a_large_hole_stays_a_hole() -> None:
    rgb = np.full((250, 300, 3), 240, np.uint8)
    rgb[30:220, 30:270] = (215, 110, 160)
    rgb[80:170, 100:200] = 240
    mask = found(rgb).mask
    assert not mask[100:150, 120:180].any()
    assert mask[40:70, 40:260].all()


def test_tissue_without_any_glass_is_all_tissue() -> None:
    rgb = np.random.default_rng(0).normal((215, 110, 160), 8, (60, 60, 3)).clip(0, 255).astype(np.uint8)
    assert found(rgb).mask.all()


@pytest.mark.parametrize("name", ["field_01", "field_04"])
def test_real_fields_are_all_tissue(name: str, real_images: Path) -> None:
    with open_slide(real_images / "mdx_fields" / f"{name}.tif", um_per_px=0.277) as slide:
        assert find_tissue(slide, SETTINGS).mask.mean() > 0.98


def test_pale_tissue_is_not_the_glass_of_a_field_without_glass() -> None:
    """The clefts of a faded section are pink and smooth: taken for glass, they would take the paler fibres with them."""
    rgb = np.full((80, 80, 3), (232, 180, 214), np.float64)
    for top in range(0, 80, 20):
        rgb[top : top + 8] = (238, 205, 222)
        rgb[top + 3 : top + 5, :40] = (246, 228, 236)
    noisy = rgb + np.random.default_rng(0).normal(0, 1, rgb.shape)
    tissue = found(noisy.clip(0, 255).astype(np.uint8))
    assert tissue.mask.all()
    assert np.ptp(tissue.background_od) == 0


@pytest.mark.parametrize("name", ["field_01", "field_04"])
@pytest.mark.parametrize("left", [0.5, 0.33])
def test_a_faded_real_field_is_all_tissue(name: str, left: float, real_images: Path) -> None:
    rgb = tifffile.imread(real_images / "mdx_fields" / f"{name}.tif")[..., :3]
    faded = (256 * ((rgb + 1.0) / 256) ** left - 1).clip(0, 255).astype(np.uint8)  # half of every optical density, or a third
    small = np.asarray(Image.fromarray(faded).resize((70, 70), Image.Resampling.BOX))
    assert found(small).mask.mean() > 0.98


def test_a_real_section_on_greenish_glass(real_images: Path) -> None:
    """Looked at by eye: the piece with its clefts, without dust; the glass right and below is out."""
    with open_slide(real_images / "toxin_injury" / "section.jpg", um_per_px=0.65) as slide:
        tissue = find_tissue(slide, SETTINGS)
    assert 2.5 < tissue.area_mm2 < 2.9
    height, width = tissue.mask.shape
    assert tissue.mask[int(0.3 * height) : int(0.7 * height), int(0.1 * width) : int(0.7 * width)].mean() > 0.99
    assert not tissue.mask[:, int(0.88 * width) :].any()
    assert not tissue.mask[int(0.93 * height) :].any()


def test_a_real_core_on_grey_glass(real_images: Path) -> None:
    with open_slide(real_images / "lymphocyte_sheets" / "HE_example.tif") as slide:
        core = find_tissue(slide, SETTINGS).mask
    assert 0.68 < core.mean() < 0.78
    assert not core[:15, :15].any()
    assert core[60:120, 50:120].all()


@pytest.mark.parametrize("rim", [(0, 0, 0), (5, 3, 6)])
def test_the_black_round_what_was_scanned_is_no_tissue(rim: tuple[int, int, int]) -> None:
    """A border of 160 um at two sides, 80 um from the tissue; a black fibre in the tissue stays, and so does fluorescence."""
    rgb = section((240, 240, 240))
    rgb[100:115, 60:75] = 0
    without_rim = found(rgb)
    rgb[:40], rgb[:, :40] = rim, rim
    mask = found(rgb).mask
    assert np.array_equal(mask[50:, 50:], without_rim.mask[50:, 50:])
    assert not mask[:44].any()
    assert mask[102:113, 62:73].all()
    assert not unscanned(255 - rgb, 4.0).any()


def test_a_slide_that_claims_to_be_huge_is_refused_before_it_is_read(tmp_path: Path) -> None:
    """A file of a few kilobytes, with one tile of 200,000 x 200,000 px."""
    tiles = (np.zeros((1024, 1024, 3), np.uint8) if i == 0 else None for i in range(196 * 196))
    options = {"shape": (200_000, 200_000, 3), "dtype": np.uint8, "tile": (1024, 1024), "photometric": "rgb", "compression": "zlib"}
    tifffile.imwrite(tmp_path / "huge.tif", tiles, metadata=None, bigtiff=True, **options)
    with open_slide(tmp_path / "huge.tif", um_per_px=0.5) as slide, pytest.raises(SlideError, match="100 x 100 mm"):
        find_tissue(slide, SETTINGS)


def test_a_region_counts_pixels_by_their_centre() -> None:
    everywhere = Tissue(np.ones((100, 120), bool), PixelGrid((100, 120), 4.0, (40.0, 0.0)), 0.192)
    part = within(everywhere, np.array([[101.0, 51.0], [101.0, 251.0], [301.0, 251.0], [301.0, 51.0]]))  # 200 x 200 um
    assert part.area_mm2 == pytest.approx(0.04)
    assert part.mask[15:65, 13:63].all()
    assert part.mask.sum() == 2500
    assert within(everywhere, None) is everywhere
    assert not within(everywhere, np.array([[0.0, 0.0], [0.0, 9.0], [9.0, 0.0]])).mask.any()


def test_the_way_to_the_glass_by_hand() -> None:
    """Glass left of 40 um, and a tear of 40 um at (200, 200); the edge of the image is no glass."""
    mask = np.ones((100, 100), bool)
    mask[:, :10] = False
    mask[45:55, 45:55] = False
    tissue = Tissue(mask, PixelGrid((100, 100), 4.0, (0.0, 1000.0)), 0.0)
    at = np.array([[2.0, 1062.0], [398.0, 1398.0], [202.0, 1282.0], [10.0, 1010.0], [-5.0, 1100.0]])
    expected = [24.0, np.hypot(182, 182), 64.0, 0.0, 0.0]
    np.testing.assert_allclose(to_glass_um(tissue, at), expected, atol=6.0)
    everywhere = Tissue(np.ones((10, 10), bool), tissue.grid, 0.0)
    assert np.isinf(to_glass_um(everywhere, at)).all()
    assert to_glass_um(tissue, at[:0]).shape == (0,)


def test_what_hides_tissue_is_taken_off_once() -> None:
    tissue = Tissue(np.arange(100).reshape(10, 10) >= 20, PixelGrid((10, 10), 100.0), 0.8)
    ink, fold = np.zeros((2, 10, 10), bool)
    ink[:3], fold[2:5, :5] = True, True
    assert without(tissue, []) == pytest.approx(0.8)
    assert without(tissue, [ink, fold]) == pytest.approx(0.6)  # a row under ink, ten pixels more under the fold


def test_bands_leave_no_seams(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    rgb = np.full((230, 170, 3), (244, 246, 243), np.float64) + rng.normal(0, 2, (230, 170, 3))
    rgb[40:190, 30:140] -= (20, 90, 40) * rng.uniform(0.5, 1.5, (150, 110, 1))
    rgb = rgb.clip(0, 255).astype(np.uint8)
    whole = found(rgb)
    monkeypatch.setattr(mask, "BAND_PX", 170 * 7)
    banded = found(rgb)
    assert np.array_equal(banded.mask, whole.mask)
    assert banded.background_od == whole.background_od
    assert whole.area_mm2 == pytest.approx(150 * 110 * 16e-6, rel=0.1)
