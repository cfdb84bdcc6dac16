"""Fibres, nuclei and clusters as QuPath imports them: a FeatureCollection in level-0 pixels, (x, y)."""

from __future__ import annotations

import json
import math
import uuid
from typing import Any

import numpy as np
import pandas as pd

from biopsy_analyzer.report.palette import CLUSTER_COLOURS, FIBRE_COLOURS, NUCLEUS_COLOURS
from biopsy_analyzer.report.shown import fibre_class

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "biopsy-analyzer/objects")
_DECIMALS = 2  # of a level-0 pixel


def feature_collection(
    slide_sha256: str,
    um_per_px: float,
    fibres: tuple[pd.DataFrame, list[np.ndarray]],
    nuclei: tuple[pd.DataFrame, list[np.ndarray]],
    clusters: tuple[pd.DataFrame, list[np.ndarray]],
) -> dict[str, Any]:
    """The GeoJSON object; each kind comes as its table and its outlines, (k, 2) corners (y, x) in um, in the table's order.

    um_per_px: edge of a level-0 pixel. Ids depend on the slide's bytes, kind and number alone, so a repeated import meets the same ids.
    """
    kinds = (
        ("Fibre", "fibre_id", "state", FIBRE_COLOURS, "detection", fibres),
        ("Nucleus", "nucleus_id", "type", NUCLEUS_COLOURS, "detection", nuclei),
        ("Cluster", "cluster_id", "kind", CLUSTER_COLOURS, "annotation", clusters),
    )
    features: list[dict[str, Any]] = []
    for kind, id_column, class_column, colours, object_type, (table, rings) in kinds:
        numbers = _measurements(table)
        rows = zip(table[id_column], fibre_class(table) if kind == "Fibre" else table[class_column], numbers, rings, strict=True)
        for number, name, values, ring in rows:
            properties = {
                "objectType": object_type,
                "name": f"{kind} {number}",
                "classification": {"name": f"{kind}: {name}", "color": list(colours[name])},
                "measurements": values,
            }
            identity = str(uuid.uuid5(_NAMESPACE, f"{slide_sha256}/{kind}/{number}"))
            geometry = {"type": "Polygon", "coordinates": [_closed_ring(ring / um_per_px)]}
            features.append({"type": "Feature", "id": identity, "geometry": geometry, "properties": properties})
    return {"type": "FeatureCollection", "features": features}


def to_bytes(collection: dict[str, Any]) -> bytes:
    """The collection as compact UTF-8; NaN is a ValueError (our bug), not invalid JSON."""
    return json.dumps(collection, allow_nan=False, ensure_ascii=False, separators=(",", ":")).encode("utf-8")


def _closed_ring(yx_px: np.ndarray) -> list[list[float]]:
    ring = yx_px[:, ::-1].round(_DECIMALS).tolist()
    return [*ring, ring[0]]


def _measurements(table: pd.DataFrame) -> list[dict[str, float]]:
    """A dict of finite numbers for each row: NaN stands for "does not apply" and is left out; booleans are 0 and 1; text is left out."""
    numeric = table.select_dtypes(include=["number", "bool"])
    names = [name for name in numeric.columns if not name.endswith("_id") or name in ("fibre_id", "cluster_id")]
    columns = [numeric[name].astype(float).round(6).tolist() for name in names]
    return (
        [{name: value for name, value in zip(names, row, strict=True) if math.isfinite(value)} for row in zip(*columns, strict=True)]
        if columns
        else []
    )
