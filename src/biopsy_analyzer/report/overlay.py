"""The picture for a pathologist: classes drawn over the section, legend and scale bar in a strip of their own below it."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import pandas as pd

from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.report.digits import FONT_PX, number_masks
from biopsy_analyzer.report.legend import add_legend
from biopsy_analyzer.report.outlines import laid_out, split
from biopsy_analyzer.report.palette import CLUSTER_COLOURS, FIBRE_COLOURS, FIBRE_FILLS, NUCLEUS_COLOURS, NUCLEUS_MARKERS, Colour, Marker
from biopsy_analyzer.report.shown import fibre_class

_SUBPIXEL_BITS = 4  # OpenCV draws at sixteenths of a pixel
_MARKER_UM = 2.0  # radius of a nucleus marker: inside the nucleus, so that its chromatin can be judged beside it
_MARKER_PX = 2.0, 12.0  # its bounds
_OPEN_PX = 5.0  # from this radius on a marker is an outline, through which the nucleus can be judged; smaller ones have too little inside
_MANY = 3000  # cells of a kind; of more only so many are marked that the tissue can be seen between the markers. Prior
_COARSE_UM_PER_PX = 1.5  # coarser pictures show no contours of ordinary nuclei: two pixels each, they would only darken the section

Ringed = tuple[pd.DataFrame, Sequence[np.ndarray]]
"""A table and, row by row, its outlines: (k, 2) corners (y, x) in um."""

Marked = dict[str, np.ndarray]
"""Rows of the nuclei by kind, int (n,)."""


def draw_overlay(
    picture: np.ndarray,
    grid: PixelGrid,
    fibres: Ringed,
    nuclei: Ringed,
    clusters: Ringed,
    caption: str,
    facts: Sequence[str] = (),
    notes: Sequence[str] = (),
    nuclei_assessed: bool = True,
) -> np.ndarray:
    """RGB uint8 (H + strip, max(W, the strip's least width), 3): the section with its classes, and below it legend, scale and caption.

    picture: RGB uint8 (H, W, 3) on `grid`. Fibres: contours, the sick ones thicker and slightly filled. Nuclei: contours, and
    markers on internal and inflammatory ones. Clusters: a wide contour with a black rim. Fibres that are not normal bear their number
    where there is room. Empty tables give the section and zero counts; nuclei that were not assessed are said to be so.
    facts: lines of at most some 35 characters beside the legend; notes: whole lines below it.
    """
    height, width = picture.shape[:2]
    types, kinds = (nuclei[0]["type"], clusters[0]["kind"]) if nuclei_assessed else (None, None)
    crowded, single = _marked(nuclei[0], grid)
    lines = (*notes, *_thinned(nuclei[0], crowded))
    is_open = _marker_radius(grid) >= _OPEN_PX
    whole = add_legend(picture, grid.um_per_px, fibre_class(fibres[0]), types, kinds, caption, facts, lines, is_open)
    drawn = whole[:height, :width]
    outlined = _rings(fibres[1], grid)
    classes = fibre_class(fibres[0]).to_numpy()
    rings = {state: _of(outlined, classes == state) for state in FIBRE_COLOURS}
    thin = 2 if grid.um_per_px < _COARSE_UM_PER_PX else 1
    _fill_fibres(drawn, rings)
    _outline_fibres(drawn, rings, [state for state in FIBRE_COLOURS if state not in FIBRE_FILLS], thin)
    _outline_nuclei(drawn, grid, nuclei)
    _mark_nuclei(drawn, grid, nuclei[0], crowded)  # a crowd of cells would hide the fibres that a reader looks for,
    _outline_fibres(drawn, rings, list(FIBRE_FILLS), 2 * thin)
    _mark_nuclei(drawn, grid, nuclei[0], single)  # and an outline a single cell
    _draw_clusters(drawn, grid, clusters)
    _write_numbers(drawn, fibres[0], outlined)
    return whole


def _marked(nuclei: pd.DataFrame, grid: PixelGrid) -> tuple[Marked, Marked]:
    """Rows that get a marker: of crowded kinds those that lie two markers' diameters apart; of the other kinds all."""
    rows = {kind: np.flatnonzero((nuclei["type"] == kind).to_numpy()) for kind in NUCLEUS_MARKERS}
    centres = grid.to_px(nuclei[["y_um", "x_um"]].to_numpy())
    gap = 4 * _marker_radius(grid)
    crowded = {kind: of[_apart(centres[of], gap, grid.shape)] for kind, of in rows.items() if len(of) > _MANY}
    return crowded, {kind: of for kind, of in rows.items() if kind not in crowded}


def _apart(centres: np.ndarray, gap: float, shape: tuple[int, int]) -> np.ndarray:
    """Rows of `centres`, (n, 2) (y, x) in px, in their order, each about `gap` px or more from all before it."""
    taken = np.zeros(shape, np.uint8)
    kept = []
    for row, (y, x) in enumerate(np.clip(centres, 0, np.array(shape) - 1).astype(int).tolist()):
        if not taken[y, x]:
            kept.append(row)
            cv2.circle(taken, (x, y), round(gap), 1, cv2.FILLED)
    return np.array(kept, dtype=np.intp)


def _thinned(nuclei: pd.DataFrame, crowded: Marked) -> list[str]:
    """A line for the legend where not every cell bears its marker."""
    counts = nuclei["type"].value_counts()
    fewer = [f"{len(rows)} of {counts[kind]} {kind}" for kind, rows in crowded.items() if len(rows) < counts[kind]]
    return [f"Markers are thinned out where cells are too many to see the tissue: {', '.join(fewer)}."] if fewer else []


def _fill_fibres(drawn: np.ndarray, rings: dict[str, list[np.ndarray]]) -> None:
    for state, opacity in FIBRE_FILLS.items():
        tint = np.asarray(FIBRE_COLOURS[state], np.float32)
        tinted = ((1 - opacity) * np.arange(256, dtype=np.float32)[:, None] + opacity * tint).round().astype(np.uint8)
        for ring in rings[state]:
            _fill(drawn, ring, tinted)


def _outline_fibres(drawn: np.ndarray, rings: dict[str, list[np.ndarray]], states: list[str], thickness: int) -> None:
    for state in states:
        _contours(drawn, rings[state], FIBRE_COLOURS[state], thickness)


def _fill(drawn: np.ndarray, ring: np.ndarray, tinted: np.ndarray) -> None:
    """Replace each value inside the ring by what `tinted`, uint8 (256, 3), holds for it; only the ring's box is looked at."""
    left, top, right, bottom = (max(0, edge) for edge in _box(ring))
    box = drawn[top:bottom, left:right]
    if box.size:
        inside = np.zeros(box.shape[:2], np.uint8)
        cv2.fillPoly(inside, [ring - np.array([left, top], np.int32) * (1 << _SUBPIXEL_BITS)], 1, shift=_SUBPIXEL_BITS)
        cv2.copyTo(cv2.LUT(box, tinted[None]), inside, box)


def _outline_nuclei(drawn: np.ndarray, grid: PixelGrid, nuclei: Ringed) -> None:
    table, outlines = nuclei
    types = table["type"].to_numpy()
    if grid.um_per_px < _COARSE_UM_PER_PX:
        outlined = _rings(outlines, grid)
        filled = _marker_radius(grid) < _OPEN_PX  # an open marker and a broad contour would run into each other
        for kind, colour in NUCLEUS_COLOURS.items():
            rings = _of(outlined, types == kind)
            _contours(drawn, rings, colour, 2 if filled and kind in NUCLEUS_MARKERS and len(rings) <= _MANY else 1)


def _mark_nuclei(drawn: np.ndarray, grid: PixelGrid, nuclei: pd.DataFrame, marked: Marked) -> None:
    centres = grid.to_px(nuclei[["y_um", "x_um"]].to_numpy())
    for kind, rows in marked.items():
        draw_markers(drawn, centres[rows], NUCLEUS_MARKERS[kind], _marker_radius(grid), NUCLEUS_COLOURS[kind])


def _marker_radius(grid: PixelGrid) -> float:
    return float(np.clip(_MARKER_UM / grid.um_per_px, *_MARKER_PX))


def _draw_clusters(drawn: np.ndarray, grid: PixelGrid, clusters: Ringed) -> None:
    table, outlines = clusters
    kinds, outlined = table["kind"].to_numpy(), _rings(outlines, grid)
    for kind, colour in CLUSTER_COLOURS.items():
        rings = _of(outlined, kinds == kind)
        _contours(drawn, rings, (0, 0, 0), 6)
        _contours(drawn, rings, colour, 3)


def _write_numbers(drawn: np.ndarray, fibres: pd.DataFrame, outlined: list[np.ndarray]) -> None:
    """The number of each fibre that is not normal at its lower end, where it hides least of what lies inside."""
    numbers = fibres["fibre_id"].tolist()
    for row in np.flatnonzero((fibre_class(fibres) != "normal").to_numpy()).tolist():
        ring = outlined[row]
        left, top, right, bottom = _box(ring)
        number = number_masks(numbers[row])
        width = number.shape[2]
        if right - left < 1.2 * width or bottom - top < 2 * FONT_PX:
            continue
        lowest = ring[ring[:, 1] >= (bottom - 2) << _SUBPIXEL_BITS, 0] / (1 << _SUBPIXEL_BITS)
        x = (lowest.min() + lowest.max() - width) / 2
        x = float(np.clip(x, 0, max(0, drawn.shape[1] - width)))  # a number that the edge cuts would be that of another fibre
        _stamp(drawn, bottom - 3 - number.shape[1], round(x), number)


def _stamp(drawn: np.ndarray, top: int, left: int, number: np.ndarray) -> None:
    """Lay a number, `number_masks`, white with a black rim, over the picture; what lies beyond its upper or lower edge is cut."""
    rim, fill = number[:, max(0, -top) : max(0, drawn.shape[0] - top), : drawn.shape[1] - left, None].astype(np.uint16)
    place = drawn[max(0, top) : max(0, top) + rim.shape[0], left : left + rim.shape[1]]
    place[:] = (place * (255 - rim) // 255 * (255 - fill) + 255 * fill) // 255


def draw_markers(drawn: np.ndarray, centres: np.ndarray, marker: Marker, radius: float, colour: Colour) -> None:
    """Draw a marker at each of `centres`, (n, 2) (y, x) in px, into `drawn`, RGB uint8 (H, W, 3).

    radius: px; from 5 on the marker is open, else filled and black-rimmed
    """
    angles = np.linspace(0, 2 * np.pi, marker.corners, endpoint=False) - np.pi / 2  # the first corner points up
    corners = radius * np.stack([np.sin(angles), np.cos(angles)], axis=1)
    rings = [_drawable(centre + corners) for centre in centres]
    if radius >= _OPEN_PX:
        _contours(drawn, rings, colour, 2)
        return
    for ring in rings:
        cv2.fillPoly(drawn, [ring], colour, cv2.LINE_AA, shift=_SUBPIXEL_BITS)
        cv2.polylines(drawn, [ring], True, (0, 0, 0), 1, cv2.LINE_AA, shift=_SUBPIXEL_BITS)


def _rings(outlines: Sequence[np.ndarray], grid: PixelGrid) -> list[np.ndarray]:
    corners, ends = laid_out(outlines)
    return split(_drawable(grid.to_px(corners)), ends)


def _box(ring: np.ndarray) -> tuple[int, int, int, int]:
    """Left, top, right and bottom of a ring as `_drawable` has it, in px; right and bottom are past its last pixel."""
    left, top, width, height = cv2.boundingRect(ring)
    return left >> _SUBPIXEL_BITS, top >> _SUBPIXEL_BITS, ((left + width) >> _SUBPIXEL_BITS) + 1, ((top + height) >> _SUBPIXEL_BITS) + 1


def _of(rings: list[np.ndarray], chosen: np.ndarray) -> list[np.ndarray]:
    return [rings[row] for row in np.flatnonzero(chosen).tolist()]


def _drawable(yx_px: np.ndarray) -> np.ndarray:
    """Positions whose pixel centres are i + 0.5 as OpenCV wants them: (x, y), centres at i, in sixteenths, int32."""
    return ((yx_px[:, ::-1] - 0.5) * (1 << _SUBPIXEL_BITS)).round().astype(np.int32)


def _contours(drawn: np.ndarray, rings: list[np.ndarray], colour: Colour, thickness: int) -> None:
    if rings:
        cv2.polylines(drawn, rings, True, colour, thickness, cv2.LINE_AA, shift=_SUBPIXEL_BITS)
