"""Annotation files as QuPath writes them, made of squares and points."""

from __future__ import annotations

import json
from pathlib import Path


def square(name: str, left: float, top: float, right: float, bottom: float) -> dict:
    ring = [[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]
    return feature(name, {"type": "Polygon", "coordinates": [ring]})


def feature(name: str, geometry: object) -> dict:
    return {"type": "Feature", "geometry": geometry, "properties": {"classification": {"name": name}}}


def write(path: Path, features: list[dict], **facts: object) -> Path:
    source = {"file": "a.png", "um_per_px": 0.5, "shape": [20, 30], "source": "drawn", "licence": "none", "held_out": False, **facts}
    path.write_text(json.dumps({"type": "FeatureCollection", "source": source, "features": features}))
    return path
