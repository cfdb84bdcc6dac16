"""What the windows of a section find, put together: tables, outlines and labels of all fibres or all nuclei."""

from __future__ import annotations

import threading
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.measure.nuclei_in_fibres import nuclear_mask
from biopsy_analyzer.objects import Found, map_columns
from biopsy_analyzer.report.outlines import Rings, outlines
from biopsy_analyzer.report.result import Labels
from biopsy_analyzer.segment.stored_labels import StoredLabels
from biopsy_analyzer.tables import COLOUR, SHAPE, empty

if TYPE_CHECKING:
    from biopsy_analyzer.segment.network import Network


@dataclass(frozen=True)
class Objects:
    """All objects of one kind: labels, and a table row each with the id, SHAPE, COLOUR and the network's classes pooled over the object.

    Numbered by their first pixel in raster order. `cut`: how many were cut at the lines between blocks.
    """

    labels: Labels
    table: pd.DataFrame
    cut: int = 0


class Collection:
    """The objects of one kind that were found so far on a canvas. Safe to fill from several threads."""

    def __init__(self, network: Network, canvas: PixelGrid) -> None:
        self._network, self._canvas = network, canvas
        self._store = StoredLabels(canvas.shape)
        self._parts: list[Found] = []
        self._found = 0
        self._lock = threading.Lock()

    def take(self, found: Found) -> None:
        """Keep what a window owns, numbered for now as it comes."""
        with self._lock:
            before, own = self._found, len(found.table)
            self._found += own
            self._parts.append(replace(found, visible=np.zeros((0, 0), np.int32)))  # a slice would hold the window's pixels
        self._store.write(*found.at, found.visible, own, before)

    def cover(self, grid: PixelGrid) -> np.ndarray:
        """Which pixels of `grid` have their centre under an object found so far, bool (H, W)."""
        low, high = (np.floor(self._canvas.to_px(grid.to_um(np.array(corner)))).astype(int) for corner in ((0, 0), grid.shape))
        (top, left), (bottom, right) = np.clip(low, 0, self._canvas.shape).tolist(), np.clip(high + 1, 0, self._canvas.shape).tolist()
        there = self._canvas.crop(top, left, bottom - top, right - left)
        return nuclear_mask(self._store[top:bottom, left:right], there, grid)

    def assembled(self) -> Objects:
        """All that was found, in raster order of the objects' first pixels."""
        parts = [part for part in self._parts if len(part.table)]
        if not parts:
            return nothing_found(self._network, self._canvas)
        first = np.concatenate([part.first for part in parts])
        order = np.lexsort((first[:, 1], first[:, 0]))
        numbers = np.zeros(len(order) + 1, np.int32)
        numbers[order + 1] = np.arange(1, len(order) + 1)
        self._store.renumber(numbers)
        table = pd.concat([part.table for part in parts], ignore_index=True).iloc[order].reset_index(drop=True)
        rings = Rings.joined([part.rings for part in parts], [part.at for part in parts], order, self._canvas)
        labels = Labels(self._store, self._canvas, rings)
        return Objects(labels, _with_ids(table, self._network), sum(part.cut for part in parts))


def _with_ids(table: pd.DataFrame, network: Network) -> pd.DataFrame:
    name = {"fibres": "fibre_id", "nuclei": "nucleus_id"}[network.kind]
    return pd.concat([pd.DataFrame({name: np.arange(1, len(table) + 1, dtype=np.int32)}), table], axis=1)


def nothing_found(network: Network, canvas: PixelGrid | None = None) -> Objects:
    """No objects, with the tables' columns."""
    canvas = canvas or PixelGrid((1, 1), network.um_per_px)
    table = empty({**SHAPE, **COLOUR, **dict.fromkeys(map_columns(network.channels), "float64")})
    return Objects(Labels(StoredLabels(canvas.shape), canvas, outlines(np.zeros((1, 1), np.int32), canvas)), _with_ids(table, network))
