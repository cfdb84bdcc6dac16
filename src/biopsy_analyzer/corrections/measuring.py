"""Fibres measured again after their outline changed: size and form always, stain where the slide is at hand."""

from __future__ import annotations

import numpy as np
import pandas as pd

from biopsy_analyzer.canvas import picture_grid, section_stains
from biopsy_analyzer.corrections.book import Book
from biopsy_analyzer.corrections.edited_labels import Box
from biopsy_analyzer.measure.colour import measure_colour
from biopsy_analyzer.measure.nuclei_in_fibres import nuclear_mask
from biopsy_analyzer.measure.shape import measure_shape
from biopsy_analyzer.settings import Settings
from biopsy_analyzer.slide import Slide
from biopsy_analyzer.tables import COLOUR, SHAPE
from biopsy_analyzer.tissue.mask import find_tissue

SHINE_UM = 10.0
"""Fibres so near are read along: mottling is smoothed (2 um sigma) over neighbouring fibres too."""


class Measuring:
    """Measures fibres of one section as the analysis did; without a slide the colour columns of what it measures are NaN."""

    def __init__(self, slide: Slide | None, fibres: pd.DataFrame, settings: Settings) -> None:
        self.slide, self._settings = slide, settings
        self._stains: np.ndarray | None = None
        self._ordinary = {s: _middle(fibres[f"{s}_od"] - fibres[f"{s}_rel"]) for s in ("haematoxylin", "eosin")}

    def rows(self, book: Book, ids: list[int], box: Box) -> pd.DataFrame:
        """SHAPE, COLOUR and `*_rel` of the fibres `ids`, which lie whole in `box` (level 0 px of the fibre labels); index: ids."""
        labels = book.labels["fibres"]
        padded = (box[0] - 1, box[1] - 1, box[2] + 1, box[3] + 1)  # so that no outline runs along the window's edge
        pixels = labels.read(padded)
        shape = measure_shape(_numbered(pixels, ids), labels.grid_of(padded))
        height, width = labels.pixels.shape
        for row, fibre in enumerate(ids):
            y, x = np.nonzero(pixels == fibre)
            y, x = y + padded[0], x + padded[1]
            shape.loc[row, "touches_border"] = bool(y.min() == 0 or x.min() == 0 or y.max() == height - 1 or x.max() == width - 1)
        colour = self._colour(book, ids, box) if self.slide else pd.DataFrame(np.nan, range(len(ids)), list(COLOUR))
        found = pd.concat([shape, colour], axis=1).astype(SHAPE | COLOUR)
        relative = {f"{s}_rel": found[f"{s}_od"] - middle for s, middle in self._ordinary.items()}
        return found.assign(**relative).set_index(pd.Index(ids))

    def _colour(self, book: Book, ids: list[int], box: Box) -> pd.DataFrame:
        assert self.slide is not None
        labels, nuclei = book.labels["fibres"], book.labels["nuclei"]
        margin = int(np.ceil(SHINE_UM / labels.grid.um_per_px))
        wide = labels.clipped((box[0] - margin, box[1] - margin, box[2] + margin, box[3] + margin))
        grid, pixels = labels.grid_of(wide), labels.read(wide)
        corners = grid.to_um(np.array([[0, 0], grid.shape]))
        there = nuclei.around(corners)
        rgb = self.slide.read(grid)
        others = [int(i) for i in np.unique(pixels) if i and i not in ids]
        numbered = _numbered(pixels, [*ids, *others])
        exclude = nuclear_mask(nuclei.read(there), nuclei.grid_of(there), grid)
        return measure_colour(numbered, rgb, self._section_stains(), grid.um_per_px, exclude).iloc[: len(ids)]

    def _section_stains(self) -> np.ndarray:
        assert self.slide is not None
        if self._stains is None:
            tissue = find_tissue(self.slide, self._settings.tissue)
            grid = picture_grid(self.slide.grid(), tissue)
            self._stains = section_stains(self.slide.read(grid), grid, tissue)
        return self._stains


def _numbered(pixels: np.ndarray, ids: list[int]) -> np.ndarray:
    """Labels 1..n in the order of `ids`; all else background."""
    order = np.argsort(ids)
    wanted = np.asarray(ids)[order]
    at = np.minimum(np.searchsorted(wanted, pixels), len(ids) - 1)
    return np.where(wanted[at] == pixels, order[at] + 1, 0).astype(np.int32)


def _middle(values: pd.Series) -> float:
    finite = values.to_numpy()[np.isfinite(values.to_numpy())]
    return float(np.median(finite)) if len(finite) else float("nan")
