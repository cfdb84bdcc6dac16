"""Where in the section the damage and the inflammation lie: smoothed maps over the tissue."""

from __future__ import annotations

from functools import lru_cache
from typing import Any

import cv2
import numpy as np

from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.report.html.material import Material
from biopsy_analyzer.report.html.render import data_uri
from biopsy_analyzer.report.legend import scale_bar_um
from biopsy_analyzer.report.pictures import decode_small
from biopsy_analyzer.report.png import png_bytes
from biopsy_analyzer.score.axes import observe
from biopsy_analyzer.score.places import no_places
from biopsy_analyzer.settings import Settings, TissueSettings
from biopsy_analyzer.tissue.mask import tissue_of

EDGE_PX = 320
REACH_UM = 150.0  # standard deviation of the smoothing: some 20 fibres weigh in. Prior.
LEAST_FIBRES = 3.0  # weight of fibres below which a share says nothing. Prior.
STOPS = np.array([(255, 250, 240), (253, 212, 158), (239, 120, 70), (179, 30, 40), (75, 5, 30)], np.float64)
NO_TISSUE, NO_DATA = (255, 255, 255), (205, 208, 212)


def density_maps(material: Material) -> list[dict[str, Any]]:
    """Maps of the share of necrotic fibres and of inflammatory cells per mm2; of what was not assessed there is none.

    Each is a Gaussian mean of 150 um over the tissue alone, so that its edge does not look empty. The tissue is that of the small picture.
    """
    if material.document["scores"]["necrosis"]["value"] is None:
        return []
    small = decode_small(material.shots[0], EDGE_PX)
    grid = small.grid
    tissue = tissue_of(small.rgb, grid, TissueSettings()).mask
    settings = Settings.model_validate(material.document["settings"])
    seen = observe(material.fibres, material.nuclei, no_places(material.fibres, material.nuclei), settings)
    fibres = _smoothed(_counts(seen.fibre_yx, grid), grid)
    necrotic = _smoothed(_counts(seen.fibre_yx[seen.fibres["necrotic"] > 0], grid), grid)
    share = np.where(fibres > LEAST_FIBRES * _one(grid), necrotic / np.maximum(fibres, 1e-12), np.nan)
    found = [_figure("Necrosis", "share of fibres that are necrotic or pale-fragmented", share, tissue, grid, "percent")]
    if material.document["scores"]["inflammation"]["value"] is not None:
        cells = _counts(seen.nucleus_yx[seen.nuclei["inflammatory"] > 0], grid)
        area = _smoothed(tissue.astype(np.float64), grid) * (grid.um_per_px / 1000) ** 2
        density = np.where(area > 0, _smoothed(cells, grid) / np.maximum(area, 1e-12), np.nan)
        found.append(
            _figure("Inflammation", "inflammatory cells between the fibres per mm\N{SUPERSCRIPT TWO}", density, tissue, grid, "number")
        )
    return found


def _counts(yx_um: np.ndarray, grid: PixelGrid) -> np.ndarray:
    """How many of the centres (n, 2) lie in each pixel of `grid`, float64 (H, W)."""
    at = np.floor(grid.to_px(yx_um)).astype(int)
    inside = np.all((at >= 0) & (at < grid.shape), axis=1)
    counts = np.zeros(grid.shape)
    np.add.at(counts, tuple(at[inside].T), 1.0)
    return counts


def _smoothed(values: np.ndarray, grid: PixelGrid) -> np.ndarray:
    """A Gaussian mean of 150 um, as two products of matrices: a quarter of a filter's time where it reaches over much of the raster.

    At points an eighth of its deviation apart, and interpolated between them: within 0.2 % of the peak.
    """
    deviation = REACH_UM / grid.um_per_px
    step = max(1, int(deviation // 8))
    smooth = _gauss(values.shape[0], deviation, step) @ values @ _gauss(values.shape[1], deviation, step).T
    fine = cv2.resize(smooth, None, fx=step, fy=step, interpolation=cv2.INTER_LINEAR)
    return np.asarray(fine[step : step + values.shape[0], step : step + values.shape[1]])


@lru_cache(maxsize=2)  # rows and columns of all maps of a section
def _gauss(n: int, deviation: float, step: int) -> np.ndarray:
    """Weights (m, n) of a Gaussian cut off at four standard deviations; beyond the raster is nothing.

    Its middles are those of squares of `step` px, of which one lies beyond either end: interpolation needs it.
    """
    middles = (np.arange(-1, -(-n // step) + 1) + 0.5) * step - 0.5
    away = np.subtract.outer(middles, np.arange(n)) / deviation
    return np.where(np.abs(away) <= 4, np.exp(-0.5 * away**2) / (deviation * np.sqrt(2 * np.pi)), 0.0)


def _one(grid: PixelGrid) -> float:
    """What a single object gives where it lies."""
    return 1.0 / (2 * np.pi * (REACH_UM / grid.um_per_px) ** 2)


def _figure(title: str, what: str, values: np.ndarray, tissue: np.ndarray, grid: PixelGrid, unit: str) -> dict[str, Any]:
    inside = tissue & np.isfinite(values)
    top = _round_up(float(values[inside].max(initial=0.0)), 0.01 if unit == "percent" else 10.0)
    rgb = ramp(np.arange(256) / 255)[np.where(inside, 255 * np.nan_to_num(values) / top, 0.0).round().astype(np.uint8)]
    rgb[~inside] = NO_DATA
    rgb[~tissue] = NO_TISSUE
    bar_um = scale_bar_um(0.3 * grid.shape[1] * grid.um_per_px)
    peak = float(values[inside].max(initial=0.0))
    return {
        "title": title, "what": what, "uri": data_uri(png_bytes(rgb), "png"), "top": top, "unit": unit, "peak": peak,
        "width": grid.shape[1], "height": grid.shape[0], "bar": {"um": bar_um, "px": round(bar_um / grid.um_per_px, 1)},
    }  # fmt: skip


def _round_up(value: float, least: float) -> float:
    """The least of 1, 2, 5 times a power of ten that is not below `value`, nor below `least`: a scale's end."""
    value = max(value, least)
    power = 10.0 ** np.floor(np.log10(value))
    return float(next(step * power for step in (1, 2, 5, 10) if step * power >= value * (1 - 1e-9)))


def ramp(values: np.ndarray) -> np.ndarray:
    """Colours of values 0..1 as RGB uint8 (..., 3): light to dark all the way, so that it reads in grey and with any colour vision."""
    place = np.clip(values, 0, 1) * (len(STOPS) - 1)
    channels = [np.interp(place, np.arange(len(STOPS)), STOPS[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=-1).round().astype(np.uint8)


def ramp_css() -> str:
    """The same ramp as a CSS gradient from left to right."""
    return "linear-gradient(to right," + ",".join("#{:02x}{:02x}{:02x}".format(*stop) for stop in STOPS.astype(int).tolist()) + ")"
