"""The picture for a pathologist: classes drawn over the section, legend and scale bar in a strip of their own below it."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import pandas as pd
from PIL import Image, ImageDraw, ImageFont

from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.report.legend import add_legend
from biopsy_analyzer.report.outlines import Rings, laid_out
from biopsy_analyzer.report.palette import CLUSTER_COLOURS, FIBRE_COLOURS, FIBRE_FILLS, NUCLEUS_COLOURS, NUCLEUS_MARKERS, Colour, Marker
from biopsy_analyzer.report.shown import fibre_class

_SUBPIXEL_BITS = 4  # OpenCV draws at sixteenths of a pixel
_MARKER_UM = 2.0  # radius of a nucleus marker: inside the nucleus, so that its chromatin can be judged beside it
_NUMBER_PX = 15  # font size of fibre numbers: the least that reads on a screen
_COARSE_UM_PER_PX = 1.5  # coarser pictures show no contours of ordinary nuclei: two pixels each, they would only darken the section

Ringed = tuple[pd.DataFrame, Sequence[np.ndarray]]
"""A table and, row by row, its outlines: (k, 2) corners (y, x) in um."""


def draw_overlay(
    picture: np.ndarray,
    grid: PixelGrid,
    fibres: Ringed,
    nuclei: Ringed,
    clusters: Ringed,
    caption: str,
    facts: Sequence[str] = (),
    nuclei_assessed: bool = True,
) -> np.ndarray:
    """RGB uint8 (H + strip, max(W, the strip's least width), 3): the section with its classes, and below it legend, scale and caption.

    picture: RGB uint8 (H, W, 3) on `grid`. Fibres: contours, the sick ones thicker and slightly filled. Nuclei: contours, and
    markers on internal and inflammatory ones. Clusters: a wide contour with a black rim. Fibres that are not normal bear their number
    where there is room. Empty tables give the section and zero counts; nuclei that were not assessed are said to be so.
    facts: lines of at most some 35 characters beside the legend.
    """
    drawn = _draw_fibres(picture, grid, fibres)
    _draw_nuclei(drawn, grid, nuclei)
    _draw_clusters(drawn, grid, clusters)
    _write_numbers(drawn, grid, fibres)
    types, kinds = (nuclei[0]["type"], clusters[0]["kind"]) if nuclei_assessed else (None, None)
    return add_legend(drawn, grid.um_per_px, fibre_class(fibres[0]), types, kinds, caption, facts)


def _draw_fibres(picture: np.ndarray, grid: PixelGrid, fibres: Ringed) -> np.ndarray:
    table, outlines = fibres
    states = fibre_class(table).to_numpy()
    rings = {state: _rings_of(outlines, states == state, grid) for state in FIBRE_COLOURS}
    drawn = picture.copy()
    for state, opacity in FIBRE_FILLS.items():
        inside = np.zeros(picture.shape[:2], bool)
        for ring in rings[state]:  # one by one: a joint fillPoly would leave holes where rings overlap
            cv2.fillPoly(inside.view(np.uint8), [ring], 1, shift=_SUBPIXEL_BITS)
        tint = np.asarray(FIBRE_COLOURS[state], np.float32)
        tinted = ((1 - opacity) * np.arange(256, dtype=np.float32)[:, None] + opacity * tint).round().astype(np.uint8)  # of each value
        if rings[state]:
            cv2.copyTo(cv2.LUT(drawn, tinted[None]), inside.view(np.uint8), drawn)
    thin = 2 if grid.um_per_px < _COARSE_UM_PER_PX else 1
    for state, colour in FIBRE_COLOURS.items():
        _contours(drawn, rings[state], colour, 2 * thin if state in FIBRE_FILLS else thin)
    return drawn


def _draw_nuclei(drawn: np.ndarray, grid: PixelGrid, nuclei: Ringed) -> None:
    table, outlines = nuclei
    types = table["type"].to_numpy()
    if grid.um_per_px < _COARSE_UM_PER_PX:
        for kind, colour in NUCLEUS_COLOURS.items():
            _contours(drawn, _rings_of(outlines, types == kind, grid), colour, 2 if kind in NUCLEUS_MARKERS else 1)
    centres = grid.to_px(table[["y_um", "x_um"]].to_numpy())
    radius = float(np.clip(_MARKER_UM / grid.um_per_px, 2.0, 9.0))
    for kind, marker in NUCLEUS_MARKERS.items():
        draw_markers(drawn, centres[types == kind], marker, radius, NUCLEUS_COLOURS[kind])


def _draw_clusters(drawn: np.ndarray, grid: PixelGrid, clusters: Ringed) -> None:
    table, outlines = clusters
    kinds = table["kind"].to_numpy()
    for kind, colour in CLUSTER_COLOURS.items():
        rings = _rings_of(outlines, kinds == kind, grid)
        _contours(drawn, rings, (0, 0, 0), 6)
        _contours(drawn, rings, colour, 3)


def _write_numbers(drawn: np.ndarray, grid: PixelGrid, fibres: Ringed) -> None:
    """The number of each fibre that is not normal at its lower end, where it hides least of what lies inside."""
    table, outlines = fibres
    font = ImageFont.load_default(_NUMBER_PX)
    image = Image.fromarray(drawn)
    pen = ImageDraw.Draw(image)
    shown = (fibre_class(table) != "normal").to_numpy()
    numbers = table["fibre_id"].tolist()
    for row in np.flatnonzero(shown).tolist():
        ring = grid.to_px(outlines[row])
        (top, left), (bottom, right) = ring.min(axis=0), ring.max(axis=0)
        number = str(numbers[row])
        width = pen.textlength(number, font)
        if right - left < 1.2 * width or bottom - top < 2 * _NUMBER_PX:
            continue
        half = width / 2 + 2  # a number that the edge cuts would be that of another fibre
        x = float(np.clip(ring[ring[:, 0] >= bottom - 2, 1].mean(), half, max(half, drawn.shape[1] - half)))
        pen.text((x, bottom - 3), number, "white", font, anchor="mb", stroke_width=1, stroke_fill="black")
    drawn[:] = np.asarray(image)


def draw_markers(drawn: np.ndarray, centres: np.ndarray, marker: Marker, radius: float, colour: Colour) -> None:
    """Draw a black-rimmed marker at each of `centres`, (n, 2) (y, x) in px, into `drawn`, RGB uint8 (H, W, 3)."""
    angles = np.linspace(0, 2 * np.pi, marker.corners, endpoint=False) - np.pi / 2  # the first corner points up
    corners = radius * np.stack([np.sin(angles), np.cos(angles)], axis=1)
    for centre in centres:
        ring = _drawable(centre + corners)
        cv2.fillPoly(drawn, [ring], colour, cv2.LINE_AA, shift=_SUBPIXEL_BITS)
        cv2.polylines(drawn, [ring], True, (0, 0, 0), 1, cv2.LINE_AA, shift=_SUBPIXEL_BITS)


def _rings_of(outlines: Sequence[np.ndarray], chosen: np.ndarray, grid: PixelGrid) -> list[np.ndarray]:
    rows = np.flatnonzero(chosen)
    corners, ends = laid_out(outlines.chosen(rows) if isinstance(outlines, Rings) else [outlines[row] for row in rows.tolist()])
    return np.split(_drawable(grid.to_px(corners)), ends[:-1]) if len(ends) else []


def _drawable(yx_px: np.ndarray) -> np.ndarray:
    """Positions whose pixel centres are i + 0.5 as OpenCV wants them: (x, y), centres at i, in sixteenths, int32."""
    return ((yx_px[:, ::-1] - 0.5) * (1 << _SUBPIXEL_BITS)).round().astype(np.int32)


def _contours(drawn: np.ndarray, rings: list[np.ndarray], colour: Colour, thickness: int) -> None:
    if rings:
        cv2.polylines(drawn, rings, True, colour, thickness, cv2.LINE_AA, shift=_SUBPIXEL_BITS)
