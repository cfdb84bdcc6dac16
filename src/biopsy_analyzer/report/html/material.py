"""What a report is made of, from files or from a result in memory alike, so that both give the same page."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from biopsy_analyzer.report.outlines import Rings, laid_out, split
from biopsy_analyzer.report.pictures import Shot
from biopsy_analyzer.score.tallies import is_sheet
from biopsy_analyzer.settings import ClusterSettings

GEOJSON_DECIMALS = 2  # of a level-0 pixel, in report/geojson.py: a page made from the files must be the same

Ring = np.ndarray
"""An outline: (k, 2) float64 corners (y, x) in um, not closed."""


@dataclass(frozen=True)
class Material:
    """One section's result: the content of scores.json, the tables, outlines by kind and id, and pictures with the section first."""

    document: dict[str, Any]
    fibres: pd.DataFrame
    nuclei: pd.DataFrame
    clusters: pd.DataFrame
    rings: dict[str, dict[int, Ring]]
    shots: list[Shot]

    @property
    def sheets(self) -> np.ndarray:
        """Which rows of `clusters` are confluent sheets, bool (n,); documents that know of none count them as clusters."""
        if not self.document.get("sheets"):
            return np.zeros(len(self.clusters), dtype=bool)
        return is_sheet(self.clusters, ClusterSettings.model_validate(self.document["settings"]["clusters"]))


def numbered(rings: Sequence[Ring], ids: Iterable[int], um_per_px: float) -> dict[int, Ring]:
    """Of outlines in the order of ids 1, 2, ... those of `ids`, with the corners that objects.geojson states for them."""
    wanted = list(ids)
    rows = np.array(wanted, dtype=np.int64) - 1
    corners, ends = laid_out(rings.chosen(rows) if isinstance(rings, Rings) else [rings[row] for row in rows.tolist()])
    return dict(zip(wanted, split((corners / um_per_px).round(GEOJSON_DECIMALS) * um_per_px, ends), strict=True))


def rings_of(collection: dict[str, Any], um_per_px: float, wanted: set[tuple[str, int]]) -> dict[str, dict[int, Ring]]:
    """Outlines of a FeatureCollection (report/geojson.py), by kind "fibre", "nucleus", "cluster" and id.

    um_per_px: edge of a level-0 pixel. All fibres and clusters, but only `wanted` nuclei: those are many, and few are drawn as outlines.
    Features of other names are passed over. KeyError, TypeError or ValueError where the collection is not of that form.
    """
    found: dict[str, dict[int, Ring]] = {"fibre": {}, "nucleus": {}, "cluster": {}}
    for feature in collection["features"]:
        kind, _, number = str(feature["properties"].get("name", "")).lower().partition(" ")
        if kind not in found or not number.isdecimal() or (kind == "nucleus" and (kind, int(number)) not in wanted):
            continue
        ring = np.asarray(feature["geometry"]["coordinates"][0], np.float64)[:-1, ::-1] * um_per_px
        found[kind][int(number)] = ring
    return found
