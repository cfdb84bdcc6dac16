"""Is this section H&E, and good enough to be scored? Wrong stains are refused, faults are reported with what was measured."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import cv2
import numpy as np
import pandas as pd
from scipy import ndimage

from biopsy_analyzer.errors import WrongStain
from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.settings import TissueSettings
from biopsy_analyzer.slide import Slide
from biopsy_analyzer.stain import od_hue, optical_density
from biopsy_analyzer.tissue.flags import Flag, above, below, percent
from biopsy_analyzer.tissue.mask import HE_HUES, Tissue, colour_mean, unscanned

SMALL = "{found} mm2 of tissue was found, at least {wanted} mm2 is wanted: damage comes in patches, so shares are uncertain."
DARK = "The lightest places have an optical density of {found}, at most {wanted} is usual: a dark scan hides glass and pale fibres."
FADED = "The tissue has an optical density of {found} in the middle, at least {wanted} is wanted: the stain is faint."
OTHER_COLOURS = "{found} of the colour is that of H&E, at least {wanted} is usual: check the stain."
MANY_HUES = "Hues lie {found} degrees apart, at most {wanted} is usual of two dyes: check the stain."
PEN = "{found} of the tissue is inked, at most {wanted} is accepted: what lies under ink isn't judged. Remove pen marks."
FOLDS = "{found} of the tissue is folded or far too dense, at most {wanted} is accepted: what lies under long folds isn't judged."
BLUR = "Sharpness is {found} in the middle, at least {wanted} is wanted: the section is out of focus."
DAMAGED = "{found} tiles can't be decoded and were read as white: copy the slide again."
THIN = "Outlined fibres cover {found} of the tissue, at least {wanted} is wanted: fibres were missed, or it is hardly muscle."
NO_TISSUE = "No tissue was found, or its stain is too faint to be told from glass."
EOSIN_HUES = (95.0, 165.0)
PALE_OD, DARK_OD = 0.06, 1.8  # fainter pixels have no hue, darker ones clipped channels
MIN_COLOUR = 0.08  # colour over density: 0 for grey; H&E 0.15-0.56 measured
MIN_LIT = 0.3  # share of the tissue's pixels that are not black: a bright field
CLOSE_UP_PX = 256
MOST_BOXES = 12
MOST_RASTER_PX = 16_000_000  # 16 x 16 mm at 4 um/px
HIDES_UM = 200.0  # diagonal of a fold's or a stroke's box: longer than any fibre is wide, 30-100 um. Prior
COVER_UM = 200.0  # edge of the squares in which bare tissue is looked for: some four fibres across. Prior


def assess(slide: Slide, tissue: Tissue, settings: TissueSettings) -> tuple[list[Flag], dict[str, np.ndarray]]:
    """Reads what is needed and returns the faults found, and what hides fibres, and where; WrongStain if the section is not H&E.

    What hides: "ink", "a fold" -> bool (H, W) on `tissue.grid`; places at least HIDES_UM long, also if not reported; {} without tissue.
    What is shorter may be a single dense fibre: a hypercontracted or hyaline one, which is to be judged.
    """
    shots = close_ups(slide, tissue, settings)
    rgb, coarse, factor = _raster(slide, tissue)
    check_stain(rgb, coarse, settings, slide.file_name)
    covers = find_covers(rgb, coarse)
    height, width = tissue.mask.shape
    long = {what: _long_pieces(mask, HIDES_UM / coarse.grid.um_per_px) for what, mask in covers.items()}
    hidden = {what: mask.repeat(factor, axis=0).repeat(factor, axis=1)[:height, :width] for what, mask in long.items()}
    return quality_flags(rgb, coarse, settings, shots, covers), hidden


def _raster(slide: Slide, tissue: Tissue) -> tuple[np.ndarray, Tissue, int]:
    """The pixels under the tissue's mask, and the mask on them; of a very large slide coarser, by a whole factor, to save memory."""
    factor = math.ceil(math.sqrt(tissue.mask.size / MOST_RASTER_PX))
    if factor == 1:
        return slide.read(tissue.grid), tissue, 1
    shape = [-(-n // factor) for n in tissue.mask.shape]
    grid = PixelGrid((shape[0], shape[1]), tissue.grid.um_per_px * factor, tissue.grid.origin_um)
    rows, columns = (np.minimum(np.arange(k) * factor + factor // 2, n - 1) for k, n in zip(shape, tissue.mask.shape, strict=True))
    return slide.read(grid), replace(tissue, mask=tissue.mask[np.ix_(rows, columns)], grid=grid), factor


def find_covers(rgb: np.ndarray, tissue: Tissue) -> dict[str, np.ndarray]:
    """What lies over the tissue, "ink" and "a fold" -> bool (H, W), in RGB uint8 (H, W, 3) on `tissue.grid`; {} without tissue."""
    if tissue.area_mm2 == 0:
        return {}
    od = optical_density(rgb) - np.asarray(tissue.background_od, np.float32)
    ink = ink_mask(od, tissue) & ~unscanned(rgb, tissue.grid.um_per_px)
    return {"ink": ink, "a fold": fold_mask(od, tissue) & ~ink}


def _long_pieces(mask: np.ndarray, least_px: float) -> np.ndarray:
    pieces, _ = ndimage.label(mask, structure=np.ones((3, 3)))
    boxes = np.array([[edge.stop - edge.start for edge in place] for place in ndimage.find_objects(pieces)]).reshape(-1, 2)
    return np.concatenate([[False], np.hypot(*boxes.T) >= least_px])[pieces]


def damage_flags(slide: Slide) -> list[Flag]:
    """A flag if tiles read so far were damaged: to be asked after the last read, for a pyramid's finest level is read last.

    NotASlide if they are more than 1 % of the tiles read, which hold the tissue: on a slide that is mostly glass that is far less than
    the 1 % of a level that `Slide.read` refuses.
    """
    slide.check_damage()
    flag = above("damaged-tiles", float(slide.damaged_tiles), 0.0, DAMAGED)
    return [flag] if flag else []


def cover_flags(fibres: pd.DataFrame, tissue: Tissue, area_mm2: float, least: float) -> list[Flag]:
    """A flag if outlined fibres cover less than `least` of the tissue: fibres were missed, or it is hardly muscle; with the bare places.

    fibres  `y_um`, `x_um`, `area_um2`;  area_mm2  of the tissue that counts, at most `tissue.area_mm2`
    """
    cover = fibres["area_um2"].sum() / 1e6 / area_mm2 if area_mm2 > 0 else 1.0
    flag = below("thin-cover", cover, least, THIN, percent)
    if flag is None:
        return []
    return [replace(flag, boxes_um=_bare_places(fibres, tissue, least))]


def _bare_places(fibres: pd.DataFrame, tissue: Tissue, least: float) -> tuple[tuple[float, float, float, float], ...]:
    """Boxes of the largest places whose squares hold tissue, but too little of it in fibres; a fibre counts where its centre lies."""
    factor = max(1, round(COVER_UM / tissue.grid.um_per_px))
    rows, columns = (np.arange(0, n, factor) for n in tissue.mask.shape)
    grid = PixelGrid((len(rows), len(columns)), factor * tissue.grid.um_per_px, tissue.grid.origin_um)
    held = np.add.reduceat(np.add.reduceat(tissue.mask, rows, axis=0, dtype=np.int64), columns, axis=1) * tissue.grid.um_per_px**2
    at = np.clip(np.floor(grid.to_px(fibres[["y_um", "x_um"]].to_numpy())).astype(np.int64), 0, np.array(grid.shape) - 1)
    covered = np.zeros(grid.shape)
    np.add.at(covered, tuple(at.T), fibres["area_um2"].to_numpy())
    return _boxes((held > 0.5 * grid.um_per_px**2) & (covered < least * held), grid)


def check_stain(rgb: np.ndarray, tissue: Tissue, settings: TissueSettings, name: str = "image") -> None:
    """WrongStain, with what was measured, unless the tissue's colours are those of haematoxylin and eosin.

    rgb uint8 (H, W, 3) on `tissue.grid`. The colour of each pixel is its hue in OD space with the glass taken off: it does not
    change with the strength of a stain. Without tissue there is nothing to refuse.
    """
    if tissue.area_mm2 == 0:
        return
    colours = stain_colours(rgb, tissue)
    remedy = "Give an H&E section."
    if colours.lit < MIN_LIT:
        raise WrongStain(f"{name}: {1 - colours.lit:.0%} of the tissue is black, probably fluorescence. {remedy}")
    if colours.strength < MIN_COLOUR:
        raise WrongStain(f"{name}: no colour ({colours.strength:.2f} of the density, {MIN_COLOUR:g} wanted), probably grey. {remedy}")
    if colours.he < settings.min_he_share:
        raise WrongStain(f"{name}: {colours.he:.0%} of the colour is that of H&E, {settings.min_he_share:.0%} is wanted. {remedy}")
    if colours.eosin < settings.min_eosin_share:
        raise WrongStain(f"{name}: {colours.eosin:.1%} of the colour is eosin's, {settings.min_eosin_share:.0%} is wanted. {remedy}")


@dataclass(frozen=True)
class Colours:
    """Colour of a section: shares 0..1 of the colour (OD chroma), hues in degrees."""

    lit: float  # share of tissue pixels that are not black
    strength: float  # colour over density
    he: float
    eosin: float
    spread: float  # degrees between 5 and 95 % of the colour


def stain_colours(rgb: np.ndarray, tissue: Tissue) -> Colours:
    """What `check_stain` judges; all 0 where nothing is stained."""
    inside = optical_density(rgb[tissue.mask])
    lit = inside.max(axis=1) < DARK_OD
    od = inside - np.asarray(tissue.background_od, np.float32)
    od = od[lit & (od.mean(axis=1) > PALE_OD)]
    hue, chroma = od_hue(od)
    total = float(chroma.sum())
    if total == 0:
        return Colours(float(lit.mean()), 0.0, 0.0, 0.0, 0.0)
    order = np.argsort(hue)
    ends = hue[order][np.searchsorted(np.cumsum(chroma[order]), (0.05 * total, 0.95 * total)).clip(0, len(hue) - 1)]
    he, eosin = (float(chroma[(hue > low) & (hue < high)].sum()) / total for low, high in (HE_HUES, EOSIN_HUES))
    return Colours(float(lit.mean()), total / float(od.sum()), he, eosin, float(ends[1] - ends[0]))


def close_ups(slide: Slide, tissue: Tissue, settings: TissueSettings) -> list[tuple[np.ndarray, PixelGrid]]:
    """Up to `settings.close_ups` RGB fields of 256 px at `settings.focus_um_per_px`, spread evenly over the tissue, and where they lie."""
    step = CLOSE_UP_PX * settings.focus_um_per_px / tissue.grid.um_per_px
    rows, columns = (np.arange(0, max(1, round(size / step))) * step for size in tissue.mask.shape)
    corners = []
    for y in rows:
        for x in columns:
            block = tissue.mask[int(y) : int(y + step), int(x) : int(x + step)]
            if block.size and block.mean() > 0.7:
                corners.append(tissue.grid.to_um(np.array([y, x])))
    chosen = corners[:: max(1, -(-len(corners) // settings.close_ups))]
    shape = (CLOSE_UP_PX, CLOSE_UP_PX)
    grids = [PixelGrid(shape, settings.focus_um_per_px, (float(y), float(x))) for y, x in chosen]
    return [(slide.read(grid), grid) for grid in grids]


def quality_flags(
    rgb: np.ndarray,
    tissue: Tissue,
    settings: TissueSettings,
    close_ups: Sequence[tuple[np.ndarray, PixelGrid]] = (),
    covers: dict[str, np.ndarray] | None = None,
) -> list[Flag]:
    """The faults of a section, none for a good one; only "no-tissue" where there is none.

    rgb uint8 (H, W, 3) on `tissue.grid`; `close_ups` RGB fields within the tissue and their grids, for blur; `covers` what
    `find_covers` finds (None: found here). Each measure has its threshold in `settings`. Ink, folds and blurred fields say where they lie.
    """
    if tissue.area_mm2 == 0:
        return [Flag("no-tissue", 0.0, 0.0, NO_TISSUE)]
    od = optical_density(rgb) - np.asarray(tissue.background_od, np.float32)
    colours = stain_colours(rgb, tissue)
    area, (ink, folds) = np.count_nonzero(tissue.mask), (covers or find_covers(rgb, tissue)).values()
    density = float(np.median(od[tissue.mask].mean(axis=1)))
    found = [
        below("small-tissue", tissue.area_mm2, settings.small_tissue_mm2, SMALL),
        above("dark-scan", _lightest(rgb), settings.max_lightest, DARK),
        below("faded", density, settings.min_density, FADED),
        below("unusual-stain", colours.he, settings.usual_he_share, OTHER_COLOURS, percent),
        above("unusual-stain", colours.spread, settings.max_hue_spread, MANY_HUES),
        _placed(above("pen", np.count_nonzero(ink) / area, settings.max_pen_share, PEN, percent), ink, tissue.grid),
        _placed(above("folds", np.count_nonzero(folds) / area, settings.max_fold_share, FOLDS, percent), folds, tissue.grid),
    ]
    if close_ups:
        found.append(_blur(close_ups, settings.min_sharpness))
    return [flag for flag in found if flag]


def _lightest(rgb: np.ndarray) -> float:
    """Mean OD over the colours of the lightest hundredth of the pixels: glass, clefts, vessels; 0 for white."""
    return float(np.percentile(colour_mean(optical_density(rgb)), 1))


def _blur(close_ups: Sequence[tuple[np.ndarray, PixelGrid]], least: float) -> Flag | None:
    """A flag if the middle field is blurred, with those that are; fields alone out of focus are not reported."""
    sharp = [(sharpness(field), grid) for field, grid in close_ups]
    flag = below("blur", float(np.median([value for value, _ in sharp])), least, BLUR)
    blurred = sorted((value, _box(grid, ((0, grid.shape[0]), (0, grid.shape[1])))) for value, grid in sharp if value < least)
    return flag and replace(flag, boxes_um=tuple(box for _, box in blurred[:MOST_BOXES]))


def _placed(flag: Flag | None, mask: np.ndarray, grid: PixelGrid) -> Flag | None:
    """The flag with the boxes of the largest pieces of its mask."""
    return flag and replace(flag, boxes_um=_boxes(mask, grid))


def _boxes(mask: np.ndarray, grid: PixelGrid) -> tuple[tuple[float, float, float, float], ...]:
    pieces, _ = ndimage.label(mask, structure=np.ones((3, 3)))
    sizes = np.bincount(pieces.ravel())[1:]
    places = ndimage.find_objects(pieces)
    largest = np.argsort(-sizes, kind="stable")[:MOST_BOXES].tolist()
    return tuple(_box(grid, tuple((edge.start, edge.stop) for edge in places[k])) for k in largest)


def _box(grid: PixelGrid, edges: tuple[tuple[int, int], ...]) -> tuple[float, float, float, float]:
    """(top, left, bottom, right) in um, to a tenth, of ((first row, end), (first column, end)) in px."""
    (top, left), (bottom, right) = grid.to_um(np.array(edges).T).round(1).tolist()
    return top, left, bottom, right


def sharpness(rgb: np.ndarray) -> float:
    """Focus of an RGB field: fine contrast (Laplacian) over all contrast, both as standard deviations of OD; 0 if flat."""
    grey = cv2.GaussianBlur(colour_mean(optical_density(rgb)), (0, 0), 0.7)  # noise of the camera is not sharpness
    spread = float(grey.std())
    return float(cv2.Laplacian(grey, cv2.CV_32F).std()) / spread if spread > 0.005 else 0.0


def ink_mask(od: np.ndarray, tissue: Tissue) -> np.ndarray:
    """Ink, bool (H, W): broad areas of colours that H&E has not, of a deep blue, or evenly black. `od` is that above the glass."""
    smooth = cv2.GaussianBlur(od, (0, 0), max(0.5, 12.0 / tissue.grid.um_per_px))
    hue, chroma = od_hue(smooth)
    foreign = (chroma > 0.15) & ((hue < HE_HUES[0] + 10) | (hue > HE_HUES[1] + 10))
    blue = (chroma > 0.35) & (hue < 58)  # bluer than haematoxylin, and as no nucleus stays once averaged over 12 um
    black = (smooth[..., 0] > 0.9) & (smooth[..., 1] > 0.9) & (smooth[..., 2] > 0.9)  # all(axis=2) takes numpy far longer
    return _opened(foreign | blue | black, 12.0, tissue)


def fold_mask(od: np.ndarray, tissue: Tissue) -> np.ndarray:
    """Bands in the tissue, bool (H, W), that are more than twice as dense as its middle, as doubled tissue is."""
    density = cv2.GaussianBlur(colour_mean(od), (0, 0), max(0.5, 8.0 / tissue.grid.um_per_px))
    middle = float(np.median(density[tissue.mask]))
    return _opened((density > max(2.0 * middle, 0.3)) & tissue.mask, 10.0, tissue)


def _opened(mask: np.ndarray, radius_um: float, tissue: Tissue) -> np.ndarray:
    size = 2 * round(radius_um / tissue.grid.um_per_px) + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    return cv2.morphologyEx(mask.astype(np.uint8), cv2.MORPH_OPEN, disc) > 0
