from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest
import tifffile

from biopsy_analyzer.errors import WrongStain
from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.settings import TissueSettings
from biopsy_analyzer.slide import open_slide
from biopsy_analyzer.stain import estimate_vectors, od_hue, optical_density, separate
from biopsy_analyzer.tissue import quality
from biopsy_analyzer.tissue.mask import Tissue, tissue_of
from biopsy_analyzer.tissue.quality import (
    assess,
    check_stain,
    close_ups,
    cover_flags,
    quality_flags,
    sharpness,
    stain_colours,
)

SETTINGS = TissueSettings()
HE = ((0.60, 0.74, 0.30), (0.15, 0.90, 0.38))
OTHERS = {  # OD directions of two dyes
    "DAB": ((0.65, 0.70, 0.29), (0.27, 0.57, 0.78)),
    "Masson red and blue": ((0.80, 0.59, 0.11), (0.10, 0.74, 0.67)),
    "light green": ((0.46, 0.83, 0.31), (0.95, 0.25, 0.20)),
    "Gomori": ((0.65, 0.70, 0.29), (0.75, 0.45, 0.48)),
    "haematoxylin alone": ((0.65, 0.70, 0.29), (0.65, 0.70, 0.29)),
    "NADH": ((0.70, 0.55, 0.40), (0.72, 0.60, 0.35)),
    "picrosirius": ((0.10, 0.80, 0.60), (0.10, 0.25, 0.90)),
}


def drawn(vectors: tuple[tuple[float, ...], tuple[float, ...]], strength: float = 1.0, pixels: int = 300) -> np.ndarray:
    """Muscle at 4 um/px on glass: rows of fibres in the second dye, nuclei in the first at their edges."""
    rng = np.random.default_rng(0)
    first, second = np.zeros((2, pixels, pixels))
    for top in range(20, pixels - 30, 17):
        for left in range(20, pixels - 30, 17):
            second[top : top + 15, left : left + 15] = rng.uniform(0.3, 0.45)
            first[top : top + 15, left : left + 15] = 0.05
            first[top : top + 3, left : left + 4] = 0.45
    od = first[..., None] * vectors[0] + second[..., None] * vectors[1]
    rgb = 245 * 10.0 ** (-strength * od) + rng.normal(0, 1.5, od.shape)
    return np.clip(rgb, 0, 255).astype(np.uint8)


def judged(rgb: np.ndarray) -> None:
    grid = PixelGrid(rgb.shape[:2], 4.0)
    check_stain(rgb, tissue_of(rgb, grid, SETTINGS), SETTINGS, "drawn.tif")


def flagged(rgb: np.ndarray) -> set[str]:
    return {flag.code for flag in quality_flags(rgb, tissue_of(rgb, PixelGrid(rgb.shape[:2], 4.0), SETTINGS), SETTINGS)}


def test_hues_of_pure_absorbers() -> None:
    hue, chroma = od_hue(np.eye(3, dtype=np.float32))
    assert hue.tolist() == pytest.approx([0, 120, 240])
    assert chroma.tolist() == pytest.approx([1, 1, 1])
    assert od_hue(np.full((1, 3), 0.7, np.float32))[1][0] == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("strength", [0.5, 1.0, 1.8])
def test_drawn_h_and_e_passes_without_a_flag(strength: float) -> None:
    rgb = drawn(HE, strength)
    judged(rgb)
    assert flagged(rgb) == set()


@pytest.mark.fault(30)
@pytest.mark.parametrize("name", OTHERS)
def test_other_stains_are_refused_with_the_measured_value(name: str) -> None:
    with pytest.raises(WrongStain, match=r"^drawn\.tif: \d.*% .*H&E section"):
        judged(drawn(OTHERS[name]))


def test_grey_and_fluorescence_are_refused() -> None:
    grey = drawn(HE).mean(axis=2, keepdims=True).repeat(3, axis=2).astype(np.uint8)
    with pytest.raises(WrongStain, match="grey"):
        judged(grey)
    with pytest.raises(WrongStain, match="fluorescence"):
        judged(np.where(np.arange(3) == 1, 255 - drawn(HE), 0).astype(np.uint8))


@pytest.mark.fault(30)
def test_blank_is_no_tissue_but_no_wrong_stain() -> None:
    blank = np.full((100, 100, 3), 240, np.uint8)
    judged(blank)
    assert flagged(blank) == {"no-tissue"}


@pytest.mark.fault(30)
def test_each_fault_has_its_flag() -> None:
    good = drawn(HE)
    assert flagged(drawn(HE, 0.25)) == {"faded"}
    assert flagged(drawn(HE, pixels=120)) == {"small-tissue"}
    pen = good.copy()
    cv2.line(pen, (10, 250), (280, 285), (20, 40, 160), 8)
    assert flagged(pen) == {"pen"}
    black = good.copy()
    cv2.line(black, (10, 250), (280, 280), (15, 15, 15), 20)
    assert "pen" in flagged(black)
    fold = good.astype(float)
    fold[100:112, 40:240] = 245 * (fold[100:112, 40:240] / 245) ** 2.6
    assert flagged(fold.astype(np.uint8)) == {"folds"}


def test_the_black_round_what_was_scanned_is_no_pen() -> None:
    rgb = drawn(HE)
    rgb[:15], rgb[:, -15:] = 0, 0
    assert flagged(rgb) == set()


@pytest.mark.parametrize(
    "tint", [(0.0, 0.0, 0.12), (0.0, 0.02, 0.2), (0.1, 0.03, 0.0), (0.05, 0.0, 0.05)], ids=["yellowish", "amber", "cyan", "green"]
)
def test_real_h_and_e_on_tinted_glass_passes(tint: tuple[float, ...], real_rgb: np.ndarray) -> None:
    """Yellowed mounting medium and the like: the same tissue, the same colours, no flag but those without the tint."""
    tinted = (256 * (real_rgb + 1.0) / 256 * 10 ** -np.array(tint) - 1).clip(0, 255).round().astype(np.uint8)
    judged(tinted)
    assert flagged(tinted) == flagged(real_rgb)


@pytest.mark.parametrize("left", [0.33, 0.2])
def test_a_faded_section_is_flagged_or_refused_for_its_faintness(left: float, real_rgb: np.ndarray) -> None:
    faded = (256 * ((real_rgb + 1.0) / 256) ** left - 1).clip(0, 255).round().astype(np.uint8)
    judged(faded)
    assert flagged(faded) & {"faded", "no-tissue"}
    (message,) = (
        flag.message
        for flag in quality_flags(faded, tissue_of(faded, PixelGrid(faded.shape[:2], 4.0), SETTINGS), SETTINGS)
        if flag.code in ("faded", "no-tissue")
    )
    assert "faint" in message


def test_pen_and_folds_are_reported_where_they_lie() -> None:
    good = drawn(HE).astype(float)
    good[100:112, 40:240] = 245 * (good[100:112, 40:240] / 245) ** 2.6
    rgb = good.astype(np.uint8)
    (flag,) = quality_flags(rgb, tissue_of(rgb, PixelGrid(rgb.shape[:2], 4.0, (1000.0, 0.0)), SETTINGS), SETTINGS)
    tops, lefts, bottoms, rights = np.array(flag.boxes_um).T
    found = tops.min() - 1000, lefts.min(), bottoms.max() - 1000, rights.max()
    assert found == pytest.approx((400, 160, 448, 960), abs=40)  # opening and blur take and give up to 10 um, a gap of 2 fibres more
    assert len(flag.boxes_um) <= 12


def test_a_long_fold_hides_what_a_dense_fibre_does_not(tmp_path: Path) -> None:
    rgb = drawn(HE)
    rgb[100:112, 40:240] = (90, 20, 60)  # 48 x 800 um
    rgb[204:224, 105:120] = (90, 20, 60)  # a fibre of 80 x 60 um
    cv2.imwrite(str(tmp_path / "folded.png"), rgb[..., ::-1])
    with open_slide(tmp_path / "folded.png", um_per_px=4.0) as slide:
        tissue = tissue_of(slide.read(slide.grid(4.0)), slide.grid(4.0), SETTINGS)
        _, hidden = assess(slide, tissue, SETTINGS)
    either = hidden["ink"] | hidden["a fold"]
    assert either[103:109, 50:230].all()
    assert not either[190:].any()


def test_a_flag_says_value_and_threshold() -> None:
    rgb = drawn(HE, 0.25)
    (flag,) = quality_flags(rgb, tissue_of(rgb, PixelGrid(rgb.shape[:2], 4.0), SETTINGS), SETTINGS)
    assert flag.value < flag.threshold == SETTINGS.min_density
    assert f"{flag.value:.3g}" in flag.message


def test_little_tissue_under_fibres_is_flagged_with_the_bare_places() -> None:
    """1.2 x 1.2 mm of tissue: fibres of 8000 um2 every 100 um in all but the lower right quarter, and glass on the left."""
    mask = np.ones((300, 300), bool)
    mask[:, :50] = False
    tissue = Tissue(mask, PixelGrid((300, 300), 4.0, (1000.0, 0.0)), mask.sum() * 16e-6)
    y, x = (a.ravel() for a in np.mgrid[1050:2200:100, 250:1200:100])
    fibres = pd.DataFrame({"y_um": y.astype(float), "x_um": x.astype(float), "area_um2": 8000.0})
    assert cover_flags(fibres, tissue, tissue.area_mm2, 0.4) == cover_flags(fibres[:0], tissue, 0.0, 0.4) == []
    some = fibres[(fibres["y_um"] < 1600) | (fibres["x_um"] < 600)]
    (flag,) = cover_flags(some, tissue, tissue.area_mm2, 0.7)
    assert (flag.code, flag.threshold) == ("thin-cover", 0.7)
    assert flag.value == pytest.approx(len(some) * 0.008 / tissue.area_mm2)
    assert flag.message.startswith(f"Outlined fibres cover {100 * flag.value:.3g}% of the tissue, at least 70% is wanted")
    assert flag.boxes_um == ((1600.0, 600.0, 2200.0, 1200.0),)


def test_a_dark_scan_is_flagged() -> None:
    """What darkens everything, glass too, hides pale fibres: grey glass, too little light."""
    usual = drawn(HE)
    assert "dark-scan" not in flagged(usual)
    dark = (256 * 10 ** -(optical_density(usual).astype(float) + 0.45) - 1).clip(0, 255).astype(np.uint8)
    assert "dark-scan" in flagged(dark)


def test_sharpness_falls_with_blur_and_ignores_strength() -> None:
    rng = np.random.default_rng(0)
    field = cv2.GaussianBlur(rng.integers(60, 250, (256, 256, 3)).astype(np.uint8), (0, 0), 1)
    values = [sharpness(cv2.GaussianBlur(field, (0, 0), sigma)) for sigma in (0.5, 1, 2, 4)]
    assert values == sorted(values, reverse=True)
    assert sharpness(np.full((9, 9, 3), 100, np.uint8)) == 0
    weaker = np.clip(255 * (field / 255) ** 0.5, 0, 255).astype(np.uint8)
    assert sharpness(weaker) == pytest.approx(sharpness(field), rel=0.1)


REAL = ["mdx_fields/field_01.tif", "mdx_fields/field_04.tif", "toxin_injury/section.jpg", "lymphocyte_sheets/HE_example.tif"]


@pytest.fixture(params=REAL)
def real_rgb(request: pytest.FixtureRequest, real_images: Path) -> np.ndarray:
    um_per_px = {"mdx": 0.277, "tox": 0.65, "lym": 0.5}[request.param[:3]]
    with open_slide(real_images / request.param, um_per_px=um_per_px) as slide:
        return slide.read(slide.grid(SETTINGS.um_per_px))


def test_real_h_and_e_passes_with_margin(real_rgb: np.ndarray) -> None:
    tissue = tissue_of(real_rgb, PixelGrid(real_rgb.shape[:2], 4.0), SETTINGS)
    check_stain(real_rgb, tissue, SETTINGS)
    colours = stain_colours(real_rgb, tissue)
    assert colours.he > 0.97
    assert colours.eosin > 0.5
    assert colours.spread < 60
    assert flagged(real_rgb) <= {"small-tissue"}


@pytest.mark.parametrize("turn", [-9, -5, 5, 9])
@pytest.mark.parametrize("gamma", [0.6, 1.6])
def test_real_h_and_e_with_varied_colours_passes(real_rgb: np.ndarray, turn: int, gamma: float) -> None:
    """Hue turned by up to 18 degrees on the colour wheel (OpenCV counts in twos), stains 0.6 to 1.6 times as strong."""
    hsv = cv2.cvtColor(real_rgb, cv2.COLOR_RGB2HSV)
    hsv[..., 0] = (hsv[..., 0].astype(int) + turn) % 180
    judged(np.clip(255 * (cv2.cvtColor(hsv, cv2.COLOR_HSV2RGB) / 255) ** gamma, 0, 255).astype(np.uint8))


@pytest.mark.parametrize("name", ["DAB", "light green", "Gomori", "haematoxylin alone", "NADH", "Masson red and blue"])
def test_real_muscle_in_other_dyes_is_refused_or_for_review(real_rgb: np.ndarray, name: str) -> None:
    stained = optical_density(real_rgb).max(axis=2) > 0.15
    haematoxylin, eosin = separate(real_rgb, estimate_vectors(real_rgb, stained))
    if haematoxylin[stained].mean() > eosin[stained].mean():
        pytest.skip("no muscle: mostly nuclei, which keep their dye")
    first, second = (np.array(v) / np.linalg.norm(v) for v in OTHERS[name])
    od = haematoxylin[..., None] * first + eosin[..., None] * second
    rgb = np.clip(256 * 10**-od - 1, 0, 255).astype(np.uint8)
    if "unusual-stain" in flagged(rgb) and name == "Masson red and blue":
        return
    with pytest.raises(WrongStain):
        judged(rgb)


def test_real_picrosirius_red_is_refused(real_images: Path) -> None:
    path = real_images / "wrong_stain" / "picrosirius_red.tif"
    judged_rgb = tifffile.imread(path)
    with pytest.raises(WrongStain):
        judged(cv2.resize(judged_rgb, None, fx=0.25, fy=0.25, interpolation=cv2.INTER_AREA))


@pytest.mark.fault(30)
def test_assess_reads_a_real_slide_and_sees_blur(real_images: Path, tmp_path: Path) -> None:
    with open_slide(real_images / "mdx_fields" / "field_01.tif", um_per_px=0.277) as slide:
        tissue = tissue_of(slide.read(slide.grid(4.0)), slide.grid(4.0), SETTINGS)
        assert [flag.code for flag in assess(slide, tissue, SETTINGS)[0]] == ["small-tissue"]
        assert close_ups(slide, tissue, SETTINGS)[0][0].shape == (256, 256, 3)
        blurred = cv2.GaussianBlur(slide.read(slide.grid()), (0, 0), 2.5 / 0.277)
    cv2.imwrite(str(tmp_path / "blurred.png"), blurred[..., ::-1])
    with open_slide(tmp_path / "blurred.png", um_per_px=0.277) as slide:
        (small, blur), _ = assess(slide, tissue, SETTINGS)
        assert (small.code, small.boxes_um, blur.code) == ("small-tissue", (), "blur")
        fields = [tuple(grid.to_um(np.array([[0, 0], grid.shape])).ravel().round(1)) for _, grid in close_ups(slide, tissue, SETTINGS)]
        assert set(blur.boxes_um) == set(fields)


def test_a_very_large_raster_is_judged_coarser(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    rgb = drawn(HE)
    cv2.line(rgb, (10, 150), (280, 185), (20, 40, 160), 20)
    path = tmp_path / "inked.png"
    cv2.imwrite(str(path), rgb[..., ::-1])
    with open_slide(path, um_per_px=4.0) as slide:
        tissue = tissue_of(rgb, slide.grid(), SETTINGS)
        fine, hidden = assess(slide, tissue, SETTINGS)
        monkeypatch.setattr(quality, "MOST_RASTER_PX", rgb.shape[0] * rgb.shape[1] // 3)
        coarse, hidden_coarse = assess(slide, tissue, SETTINGS)
    assert {flag.code for flag in coarse} == {flag.code for flag in fine} >= {"pen"}
    assert hidden["ink"].shape == hidden_coarse["ink"].shape
    assert (hidden["ink"] != hidden_coarse["ink"]).mean() < 0.03
