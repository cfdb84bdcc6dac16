"""An open result: what is shown, what is selected, and who wants to know. No Qt, no napari."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from psygnal import Signal

from biopsy_analyzer.corrections import Change, Corrections
from biopsy_analyzer.corrections.book import ID, Kind
from biopsy_analyzer.corrections.edited_labels import EditedLabels
from biopsy_analyzer.report.labels import LabelPyramid, read_labels
from biopsy_analyzer.report.outlines import hull, outlines
from biopsy_analyzer.report.saved import Saved, read_saved
from biopsy_analyzer.slide import Slide

Pyramid = LabelPyramid | EditedLabels
"""Labels on a grid at several levels, finest first; values are the tables' ids."""


class Session:
    """One result folder and, where it was found, its slide.

    saved                             the machine's own result, which stays as it is
    fibres, nuclei, clusters          the tables that are shown, corrected ones after corrections
    document                          the content of scores.json that is shown
    labels                            of "fibres" and "nuclei"
    selected                          ("fibres" or "nuclei", ids)
    corrections                       what the correction widget keeps here; None before it is asked for
    selection_changed(kind, ids)      after every select
    shown(change)                     after every show
    """

    selection_changed = Signal(str, list)
    shown = Signal(object)

    def __init__(self, saved: Saved, labels: Mapping[Kind, Pyramid], slide: Slide | None = None) -> None:
        self.saved, self.folder, self.slide, self.labels = saved, saved.folder, slide, labels
        self.fibres, self.nuclei, self.clusters, self.document = saved.fibres, saved.nuclei, saved.clusters, saved.document
        self.selected: tuple[Kind, list[int]] = ("fibres", [])
        self.corrections: Corrections | None = None

    def show(
        self,
        fibres: pd.DataFrame,
        nuclei: pd.DataFrame,
        clusters: pd.DataFrame,
        document: dict[str, Any],
        change: Change | None = None,
        labels: Mapping[Kind, Pyramid] | None = None,
    ) -> None:
        """Show these tables and scores (and labels) from now on; ids that are gone are no longer selected."""
        self.fibres, self.nuclei, self.clusters, self.document = fibres, nuclei, clusters, document
        self.labels = labels or self.labels
        self.shown.emit(change)
        kind, ids = self.selected
        known = set(self.table(kind)[ID[kind]])
        self.select(kind, [number for number in ids if number in known])

    def table(self, kind: Kind) -> pd.DataFrame:
        """The table of "fibres" or "nuclei" that is shown."""
        return {"fibres": self.fibres, "nuclei": self.nuclei}[kind]

    def row(self, kind: Kind, number: int) -> pd.Series | None:
        """The table's row with that id, None where there is none."""
        table = self.table(kind)
        found = np.flatnonzero(table[ID[kind]].to_numpy() == number)
        return table.iloc[found[0]] if len(found) else None

    def select(self, kind: Kind, ids: Sequence[int]) -> None:
        """Select these objects, none for an empty list."""
        self.selected = (kind, [int(number) for number in ids])
        self.selection_changed.emit(*self.selected)

    def at(self, y_um: float, x_um: float, nuclei: bool = True) -> tuple[Kind, int] | None:
        """The object at a place on the slide: a nucleus before the fibre it lies in; None where there is none."""
        kinds: tuple[Kind, ...] = ("nuclei", "fibres") if nuclei else ("fibres",)
        for kind in kinds:
            labels = self.labels[kind]
            y, x = (int(v) for v in np.floor(labels.grids[0].to_px(np.array([y_um, x_um]))))
            if 0 <= y < labels.grids[0].shape[0] and 0 <= x < labels.grids[0].shape[1]:
                number = int(np.asarray(labels.levels[0][y : y + 1, x : x + 1])[0, 0])
                if number and self.row(kind, number) is not None:
                    return kind, number
        return None

    def outline(self, kind: Kind, number: int) -> np.ndarray | None:
        """The outline of an object, corners (k, 2) (y, x) in um; None where no pixel bears its id."""
        row = self.row(kind, number)
        if row is None:
            return None
        grid = self.labels[kind].grids[0]
        reach = row["max_feret_um"] / grid.um_per_px + 2
        centre = grid.to_px(row[["y_um", "x_um"]].to_numpy(dtype=float))
        top, left = (max(0, int(v)) for v in centre - reach)
        bottom, right = (min(n, int(v) + 1) for v, n in zip(centre + reach, grid.shape, strict=True))
        window = np.asarray(self.labels[kind].levels[0][top:bottom, left:right]) == number
        return outlines(window.astype(np.int32), grid.crop(top, left, *window.shape))[0] if window.any() else None

    def cluster_outlines(self) -> list[np.ndarray]:
        """The convex hull (k, 2) in um around the nuclei of each cluster, in the table's order."""
        of_nucleus = self.nuclei["cluster_id"].to_numpy()
        members = self.nuclei.loc[of_nucleus > 0, ["y_um", "x_um", "equivalent_diameter_um"]].groupby(of_nucleus[of_nucleus > 0])
        hulls = {number: _hull_of_discs(rows.to_numpy(dtype=float)) for number, rows in members}
        return [hulls[number] for number in self.clusters["cluster_id"]]


def _hull_of_discs(discs: np.ndarray) -> np.ndarray:
    """Hull (k, 2) around discs (n, 3) of y, x and diameter."""
    angles = np.arange(12) * np.pi / 6
    rim = np.stack([np.sin(angles), np.cos(angles)], axis=1) / 2
    return hull((discs[:, None, :2] + discs[:, None, 2:] * rim).reshape(-1, 2))


def open_session(folder: Path, slide: Slide | None = None) -> Session:
    """The result in `folder`; ResultError or OlderResult where it can't be read."""
    saved, labels = read_saved(folder), read_labels(folder)
    return Session(saved, {"fibres": labels.fibres, "nuclei": labels.nuclei}, slide)
