"""GeoJSON as QuPath exports it: features with a class and outlines or points in level-0 pixels."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from biopsy_analyzer.errors import UsageError

_DEPTH = {"Point": 0, "MultiPoint": 1, "Polygon": 2, "MultiPolygon": 3}


@dataclass(frozen=True)
class Feature:
    """One object of a file; positions are (n, 2) float64 as (y, x), rings open."""

    number: int  # in the file, from 1
    name: str  # its class as it stands there; "" without one
    kind: str | None  # the geometry's type; None without a geometry
    points: list[np.ndarray] = field(default_factory=list)  # (2,) each
    polygons: list[list[np.ndarray]] = field(default_factory=list)  # the outer ring, then holes


def read_collection(path: Path | str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The top-level members of a GeoJSON file and its features; a list of features, or one, will do. UsageError for anything else."""
    try:
        data = json.loads(Path(path).read_bytes().decode("utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise UsageError(f"{path}: not an annotation file ({error}); wanted GeoJSON as QuPath exports it") from error
    if isinstance(data, list):
        data = {"type": "FeatureCollection", "features": data}
    elif isinstance(data, dict) and data.get("type") == "Feature":
        data = {"type": "FeatureCollection", "features": [data]}
    features = data.get("features") if isinstance(data, dict) else None
    if not isinstance(features, list) or not all(isinstance(feature, dict) for feature in features):
        found = f"an object of {', '.join(map(repr, data))}"[:80] if isinstance(data, dict) else type(data).__name__
        raise UsageError(f"{path}: not an annotation file ({found}); wanted a GeoJSON FeatureCollection as QuPath exports it")
    return data, features


def parsed(path: Path | str, features: list[dict[str, Any]], wanted: dict[str, tuple[str, ...]]) -> Iterator[Feature]:
    """The features in the file's order; those of a class that is not `wanted`, or without geometry, without positions.

    wanted: types of geometry ("Point", "Polygon") by class, in `class_key`'s spelling. A third coordinate is passed over.
    UsageError, naming the feature, for another geometry and for one without finite positions (x, y).
    """
    for number, feature in enumerate(features, start=1):
        name, geometry = _class_of(feature), feature.get("geometry")
        kind = geometry.get("type") if isinstance(geometry, dict) else None
        allowed = wanted.get(class_key(name))
        if allowed is None or geometry is None:
            yield Feature(number, name, kind)
            continue
        where = f"{path}: feature {number} ({name!r})"
        if not isinstance(geometry, dict) or kind not in _DEPTH or kind.removeprefix("Multi") not in allowed:
            found = kind if isinstance(kind, str) else repr(geometry)[:40]
            raise UsageError(f"{where} is a {found}; wanted a {' or '.join(allowed)}: draw it anew or give it another class")
        try:
            yield _placed(Feature(number, name, kind), geometry.get("coordinates"))
        except ValueError as error:
            raise UsageError(f"{where}: {error}; mend or delete it in QuPath and export again") from error


def class_key(name: str) -> str:
    """A class's name as it is compared: neither capitals, nor blanks, nor the spelling of fibre matter."""
    return ": ".join(part.strip() for part in name.casefold().split(":")).replace("fiber", "fibre")


def _class_of(feature: dict[str, Any]) -> str:
    """`name`, or `names` of newer QuPath put together; "" where the feature is unclassified."""
    properties = feature.get("properties")
    found = properties.get("classification") if isinstance(properties, dict) else None
    if isinstance(found, dict):
        names = found.get("names")
        found = ": ".join(map(str, names)) if isinstance(names, list) and names else found.get("name")
    return found if isinstance(found, str) else ""


def _placed(feature: Feature, coordinates: Any) -> Feature:
    depth = _DEPTH[feature.kind or ""]
    if depth < 2:
        positions = _positions([coordinates] if depth == 0 else coordinates)
        if not len(positions):
            raise ValueError("no position")
        feature.points.extend(positions)
        return feature
    for rings in [coordinates] if depth == 2 else _listed(coordinates):
        feature.polygons.append([_ring(ring) for ring in _listed(rings)])
    return feature


def _listed(found: Any) -> list[Any]:
    if not isinstance(found, list) or not found:
        raise ValueError(f"coordinates {found!r:.40}, wanted rings of positions (x, y)")
    return found


def _ring(positions: Any) -> np.ndarray:
    """An open ring; the last position may or may not be the first once more."""
    ring = _positions(positions)
    if len(ring) and (ring[0] == ring[-1]).all():
        ring = ring[:-1]
    if len(ring) < 3:
        raise ValueError(f"a ring of {len(ring)} different positions, wanted at least 3")
    return ring


def _positions(found: Any) -> np.ndarray:
    """Positions (n, 2) as (y, x) of those (x, y) or (x, y, z) in the file."""
    try:
        positions = np.array([position[:2] for position in found], dtype=np.float64).reshape(len(found), -1)
    except (TypeError, ValueError, OverflowError, KeyError):
        positions = np.empty((1, 0))
    if positions.shape[1:] != (2,) or not np.isfinite(positions).all():
        raise ValueError(f"coordinates {found!r:.60}, wanted finite positions (x, y)")
    return positions[:, ::-1]
