"""Fibres, nuclei and clusters as QuPath imports them: a FeatureCollection in level-0 pixels, (x, y)."""

from __future__ import annotations

import json
import math
import uuid
from collections.abc import Iterator, Sequence

import numpy as np
import pandas as pd

from biopsy_analyzer.report.palette import CLUSTER_COLOURS, FIBRE_COLOURS, NUCLEUS_COLOURS
from biopsy_analyzer.report.shown import fibre_class

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "biopsy-analyzer/objects")
_DECIMALS = 2  # of a level-0 pixel
_ROWS = 1000  # turned into numbers at once
_encode = json.JSONEncoder(allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode

Ringed = tuple[pd.DataFrame, Sequence[np.ndarray]]
"""A table and, row by row, its outlines: (k, 2) corners (y, x) in um."""


def feature_collection(slide_sha256: str, um_per_px: float, fibres: Ringed, nuclei: Ringed, clusters: Ringed) -> Iterator[bytes]:
    """A GeoJSON file in pieces, compact UTF-8, so that a whole slide's objects need not be held as one text.

    Each kind comes as its table and its outlines, (k, 2) corners (y, x) in um, in the table's order. um_per_px: edge of a level-0
    pixel. Ids depend on the slide's bytes, kind and number alone, so a repeated import meets the same ids. NaN is a ValueError (our
    bug), not invalid JSON.
    """
    kinds = (
        ("Fibre", "fibre_id", "state", FIBRE_COLOURS, "detection", fibres),
        ("Nucleus", "nucleus_id", "type", NUCLEUS_COLOURS, "detection", nuclei),
        ("Cluster", "cluster_id", "kind", CLUSTER_COLOURS, "annotation", clusters),
    )
    yield b'{"type":"FeatureCollection","features":['
    comma = b""
    for kind, id_column, class_column, colours, object_type, (table, rings) in kinds:
        classes = (fibre_class(table) if kind == "Fibre" else table[class_column]).tolist()
        numbers = table[id_column].tolist()
        for row, values in enumerate(_measurements(table)):
            properties = {
                "objectType": object_type,
                "name": f"{kind} {numbers[row]}",
                "classification": {"name": f"{kind}: {classes[row]}", "color": list(colours[classes[row]])},
                "measurements": values,
            }
            identity = str(uuid.uuid5(_NAMESPACE, f"{slide_sha256}/{kind}/{numbers[row]}"))
            geometry = {"type": "Polygon", "coordinates": [_closed_ring(rings[row] / um_per_px)]}
            yield comma + _encode({"type": "Feature", "id": identity, "geometry": geometry, "properties": properties}).encode("utf-8")
            comma = b","
    yield b"]}"


def _closed_ring(yx_px: np.ndarray) -> list[list[float]]:
    ring = yx_px[:, ::-1].round(_DECIMALS).tolist()
    return [*ring, ring[0]]


def _measurements(table: pd.DataFrame) -> Iterator[dict[str, float]]:
    """A dict of finite numbers for each row: NaN stands for "does not apply" and is left out; booleans are 0 and 1; text is left out."""
    numeric = table.select_dtypes(include=["number", "bool"])
    names = [name for name in numeric.columns if not name.endswith("_id") or name in ("fibre_id", "cluster_id")]
    for start in range(0, len(table), _ROWS):
        rows = numeric[names].iloc[start : start + _ROWS].to_numpy(dtype=np.float64).round(6).tolist()
        for row in rows:
            yield {name: value for name, value in zip(names, row, strict=True) if math.isfinite(value)}
