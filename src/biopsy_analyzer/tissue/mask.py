"""Where the tissue is, on a coarse raster."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace

import cv2
import numpy as np
from skimage.draw import polygon2mask

from biopsy_analyzer.errors import SlideError
from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.settings import TissueSettings
from biopsy_analyzer.slide import Slide
from biopsy_analyzer.stain import od_hue, optical_density

GLASS_OD = 0.35  # glass is bright. Prior.
HE_TINT, PALE_TINT, FOREIGN_TINT = 0.05, 0.03, 0.25
"""OD between the colours: most of glass's brightest pixels and of its middle in the hues of H&E, beyond which it is pale tissue; and of
its tint in other hues (yellowed mounting medium, greenish glass), which tissue has not. Priors."""
HE_HUES = (30.0, 165.0)  # OD hue, degrees: haematoxylin lies near 66, eosin near 122-140; DAB at 205, picrate at 230, light green at 0
GLASS_SPREAD, GLASS_TINT, GLASS_ROUGHNESS = 0.06, 0.02, 0.015  # OD: it differs by vignetting, not in tint, and is smooth. Prior.
OPEN_HOLE_SHARE = 0.1
MAX_PX = 150_000_000  # of the raster: 49 x 49 mm at 4 um/px, more than a glass slide has
BAND_PX = 4_000_000
BLACK, BLACK_RIM_UM = 9, 24.0  # of 256: pixels darker in all colours, joined to the image's edge, were never scanned. Prior.
MIN_GLASS_SHARE = 0.002  # of the image; less and no glass is taken to be in view


@dataclass(frozen=True)
class Tissue:
    """Tissue on a coarse raster.

    mask           bool (H, W), on `grid`; clefts between fibres belong to the tissue
    area_mm2       its area; 0 for a blank slide
    background_od  OD (R, G, B) of the empty glass, to be taken off before colours are judged
    """

    mask: np.ndarray
    grid: PixelGrid
    area_mm2: float
    background_od: tuple[float, float, float] = (0.0, 0.0, 0.0)


def find_tissue(slide: Slide, settings: TissueSettings) -> Tissue:
    """The tissue of a slide at `settings.um_per_px`; an empty mask where there is only glass. SlideError for an absurdly large slide."""
    grid = slide.grid(settings.um_per_px)
    if grid.shape[0] * grid.shape[1] > MAX_PX:
        size = " x ".join(f"{n * slide.um_per_px / 1000:.0f}" for n in slide.shape)
        raise SlideError(f"{slide.file_name}: its {size} mm are larger than any slide. Check the file, and its pixel size with --mpp.")
    return tissue_of(slide.read(grid), grid, settings)


def tissue_of(rgb: np.ndarray, grid: PixelGrid, settings: TissueSettings) -> Tissue:
    """The tissue in RGB uint8 (H, W, 3) that lies on `grid`.

    Tissue differs from the glass in colour or is darker; grey vignetting, dust and pen-free glass differ in neither enough.
    Clefts and small holes are closed, then specks and small pieces dropped.
    """
    smooth = cv2.GaussianBlur(rgb, (0, 0), 0.8)
    background = glass_od(smooth)
    stained = np.concatenate([_stained(optical_density(smooth[band]) - background, settings) for band in _bands(smooth)])
    stained &= ~unscanned(rgb, grid.um_per_px)
    mask = _pieces(_closed(stained, grid.um_per_px, settings), grid.um_per_px, settings)
    area = float(np.count_nonzero(mask)) * grid.um_per_px**2 / 1e6
    return Tissue(mask, grid, area, (float(background[0]), float(background[1]), float(background[2])))


def _bands(raster: np.ndarray) -> list[slice]:
    """Rows of a raster in bands of some BAND_PX: floats of a whole slide at 4 um/px would take gigabytes."""
    rows = max(1, BAND_PX // raster.shape[1])
    return [slice(top, top + rows) for top in range(0, raster.shape[0], rows)]


def within(tissue: Tissue, region_um: np.ndarray | None) -> Tissue:
    """The tissue inside a polygon, corners (k, 2) (y, x) in um; None: all of it."""
    if region_um is None:
        return tissue
    corners = tissue.grid.to_px(np.asarray(region_um, dtype=np.float64)) - 0.5  # a pixel is inside if its centre is
    mask = tissue.mask & polygon2mask(tissue.mask.shape, corners)
    return replace(tissue, mask=mask, area_mm2=float(np.count_nonzero(mask)) * tissue.grid.um_per_px**2 / 1e6)


def to_glass_um(tissue: Tissue, yx_um: np.ndarray) -> np.ndarray:
    """um from positions (n, 2) in the tissue to the nearest glass, a large tear's too: float64 (n,), right to a pixel of the mask.

    0 outside the tissue. The edge of the image is no glass. Without glass in view all are infinitely far.
    """
    if tissue.mask.all():
        return np.full(len(yx_um), np.inf)
    distance = cv2.distanceTransform(tissue.mask.astype(np.uint8), cv2.DIST_L2, 5)
    return tissue.grid.at(distance * tissue.grid.um_per_px, yx_um, beyond=0.0)


def without(tissue: Tissue, hidden: Iterable[np.ndarray]) -> float:
    """mm2 of the tissue that none of the masks `hidden`, each bool (H, W) on its grid, covers."""
    seen = tissue.mask.copy()
    for mask in hidden:
        seen &= ~mask
    return float(np.count_nonzero(seen)) * tissue.grid.um_per_px**2 / 1e6


def glass_od(rgb: np.ndarray) -> np.ndarray:
    """OD (3,) of the empty glass in RGB uint8 (H, W, 3), whatever its tint; the grey of the brightest pixels where none is in view."""
    brightest = _brightest(rgb)
    foreign = _is_foreign(brightest)
    if np.ptp(brightest) > (FOREIGN_TINT if foreign else HE_TINT) or brightest.mean() > GLASS_OD:
        return np.zeros(3)
    unseen = brightest if foreign and np.ptp(brightest) > HE_TINT else np.full(3, brightest.min())  # a weaker tint may be tissue's
    counts = np.zeros((3, 256), np.int64)
    for band in _bands(rgb):
        first = max(0, band.start - 2)  # for the local mean
        part = rgb[first : band.stop + 2]
        kept = slice(band.start - first, band.start - first + len(rgb[band]))
        smooth = _smooth_glass(optical_density(part) - brightest)[kept]
        counts += [np.bincount(part[kept][smooth][:, k], minlength=256) for k in range(3)]
    if counts[0].sum() < max(MIN_GLASS_SHARE * rgb[..., 0].size, 9):
        return unseen
    glass = _percentile_od(counts, 50)
    return glass if np.ptp(glass) <= (FOREIGN_TINT if _is_foreign(glass) else PALE_TINT) else unseen


def unscanned(rgb: np.ndarray, um_per_px: float) -> np.ndarray:
    """The black that a scanner puts round what it scanned, with its rim, bool (H, W), in RGB uint8 (H, W, 3).

    Black that is joined to the image's edge, in a bright field; in fluorescence black is the glass.
    """
    black = np.all([rgb[..., k] < BLACK for k in range(3)], axis=0).astype(np.uint8)
    if not any(edge.any() for edge in _edges(black)) or _brightest(rgb).mean() > GLASS_OD:
        return np.zeros(black.shape, bool)
    _, pieces = cv2.connectedComponents(black, connectivity=8, ltype=cv2.CV_32S)
    outer = np.zeros(int(pieces.max()) + 1, np.uint8)
    outer[np.concatenate(_edges(pieces))] = 1
    outer[0] = 0
    return cv2.dilate(outer[pieces], _disc(BLACK_RIM_UM / um_per_px)).astype(bool)


def _edges(raster: np.ndarray) -> list[np.ndarray]:
    return [raster[0], raster[-1], raster[:, 0], raster[:, -1]]


def _brightest(rgb: np.ndarray) -> np.ndarray:
    """OD (3,) that one pixel in a hundred is below, of each colour."""
    counts = np.stack([np.bincount(rgb[..., k].ravel(), minlength=256) for k in range(3)])
    return _percentile_od(counts, 1).astype(np.float32)


def _is_foreign(od: np.ndarray) -> bool:
    """Whether OD (3,) has a hue that H&E has not."""
    return not HE_HUES[0] < float(od_hue(od)[0]) < HE_HUES[1]


def _smooth_glass(od: np.ndarray) -> np.ndarray:
    """Which pixels look like glass, bool (H, W); od (H, W, 3) is that above the brightest pixels."""
    mean, tint = _mean_and_tint(od)
    local = cv2.blur(mean, (5, 5))
    roughness = np.sqrt(np.maximum(cv2.blur(mean * mean, (5, 5)) - local * local, 0))
    return np.asarray((mean < GLASS_SPREAD) & (tint < GLASS_TINT) & (roughness < GLASS_ROUGHNESS))


def _percentile_od(counts: np.ndarray, percent: float) -> np.ndarray:
    """The percentile of OD, float64 (3,), of pixels of which `counts` (3, 256) tells how many have each value."""
    od = optical_density(np.arange(255, -1, -1, dtype=np.uint8)).astype(np.float64)  # rises as the value falls
    below = np.cumsum(counts[:, ::-1], axis=1)
    at = (below[:, -1] - 1) * percent / 100
    low, high = (
        np.array([od[np.searchsorted(b, rank, side="right")] for b, rank in zip(below, ranks, strict=True)])
        for ranks in (np.floor(at), np.ceil(at))
    )
    return np.asarray(low + (high - low) * (at - np.floor(at)))


def _mean_and_tint(od: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean of OD (H, W, 3) over the colours, and its standard deviation over them: 0 for grey."""
    mean = colour_mean(od)
    return mean, np.sqrt(np.maximum(colour_mean(od * od) - mean * mean, 0))


def colour_mean(values: np.ndarray) -> np.ndarray:
    """``values.mean(axis=2)`` of (H, W, 3), which takes numpy nine times as long."""
    return (values[..., 0] + values[..., 1] + values[..., 2]) / 3


def _stained(od: np.ndarray, settings: TissueSettings) -> np.ndarray:
    """Pixels that differ from the glass, bool (H, W); `od` is that above the glass."""
    mean, colour = _mean_and_tint(od)
    return (colour > settings.min_colour_od) | (mean > settings.min_grey_od)


def _closed(stained: np.ndarray, um_per_px: float, settings: TissueSettings) -> np.ndarray:
    """Specks opened away, clefts closed, small holes filled: uint8 (H, W)."""
    opened = cv2.morphologyEx(stained.astype(np.uint8), cv2.MORPH_OPEN, _disc(settings.speck_um / um_per_px))
    closed = cv2.morphologyEx(opened, cv2.MORPH_CLOSE, _disc(settings.cleft_um / um_per_px))
    if not closed.any():  # all of a small image of glass would be one small hole
        return closed
    _, holes, stats, _ = cv2.connectedComponentsWithStats((closed == 0).astype(np.uint8), connectivity=4, ltype=cv2.CV_32S)
    areas = stats[:, cv2.CC_STAT_AREA] * um_per_px**2
    fill = areas <= settings.max_hole_um2
    edge = np.unique(np.concatenate(_edges(holes)))
    fill[edge] = areas[edge] <= OPEN_HOLE_SHARE * settings.max_hole_um2  # at the image's edge it is more likely glass
    fill[0] = False
    return (closed.astype(bool) | fill[holes]).astype(np.uint8)


def _pieces(mask: np.ndarray, um_per_px: float, settings: TissueSettings) -> np.ndarray:
    """The pieces large enough, bool (H, W); in a small image a piece may be small, as it is cut off by the image."""
    _, labels, stats, _ = cv2.connectedComponentsWithStats(mask, connectivity=8, ltype=cv2.CV_32S)
    areas = stats[:, cv2.CC_STAT_AREA] * um_per_px**2
    keep = areas >= min(settings.min_piece_um2, 0.1 * mask.size * um_per_px**2)
    keep[0] = False
    return keep[labels]


def _disc(radius_px: float) -> np.ndarray:
    size = 2 * round(radius_px) + 1
    return cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
