"""Fibres, nuclei and clusters as QuPath imports them: a FeatureCollection in level-0 pixels, (x, y)."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable, Iterator, Sequence
from itertools import compress
from typing import Any, NamedTuple

import numpy as np
import orjson
import pandas as pd

from biopsy_analyzer.report.outlines import laid_out
from biopsy_analyzer.report.palette import CLUSTER_COLOURS, FIBRE_COLOURS, NUCLEUS_COLOURS, Colour
from biopsy_analyzer.report.shown import fibre_class

_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, "biopsy-analyzer/objects")
_DECIMALS = 2  # of a level-0 pixel
_ROWS = 500  # turned into text at once, some 1 MB
_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}

Ringed = tuple[pd.DataFrame, Sequence[np.ndarray]]
"""A table and, row by row, its outlines: (k, 2) corners (y, x) in um."""


class _Kind(NamedTuple):
    """How the objects of one table are told to QuPath."""

    name: str
    class_column: str
    colours: dict[str, Colour]
    object_type: str


_KINDS = (
    _Kind("Fibre", "state", FIBRE_COLOURS, "detection"),
    _Kind("Nucleus", "type", NUCLEUS_COLOURS, "detection"),
    _Kind("Cluster", "kind", CLUSTER_COLOURS, "annotation"),
)


def feature_collection(
    slide_sha256: str, um_per_px: float, fibres: Ringed, nuclei: Ringed, clusters: Ringed
) -> Iterator[bytes | memoryview]:
    """A GeoJSON file in pieces, compact UTF-8, so that a whole slide's objects need not be held as one text.

    Each kind comes as its table and its outlines, (k, 2) corners (y, x) in um, in the table's order. um_per_px: edge of a level-0
    pixel. Ids depend on the slide's bytes, kind and number alone, so a repeated import meets the same ids. NaN is a ValueError (our
    bug), not invalid JSON.
    """
    yield b'{"type":"FeatureCollection","features":['
    comma = b""
    for kind, (table, rings) in zip(_KINDS, (fibres, nuclei, clusters), strict=True):
        for features in _features(kind, table, rings, slide_sha256, um_per_px):
            yield comma
            yield memoryview(orjson.dumps(features, option=orjson.OPT_SERIALIZE_NUMPY))[1:-1]
            comma = b","
    yield b"]}"


def _features(
    kind: _Kind, table: pd.DataFrame, rings: Sequence[np.ndarray], slide_sha256: str, um_per_px: float
) -> Iterator[list[dict[str, Any]]]:
    """The features of one kind, some at a time."""
    classes = (fibre_class(table) if kind.name == "Fibre" else table[kind.class_column]).tolist()
    numbers = table[f"{kind.name.lower()}_id"].tolist()
    looks = {name: {"name": f"{kind.name}: {name}", "color": colour} for name, colour in kind.colours.items()}
    id_of, numeric = _namer(f"{slide_sha256}/{kind.name}/"), _numeric(table)
    for start in range(0, len(table), _ROWS):
        some = slice(start, start + _ROWS)
        found = zip(classes[some], numbers[some], _measurements(numeric, some), _closed_rings(rings[some], um_per_px), strict=True)
        yield [
            {
                "type": "Feature",
                "id": id_of(number),
                "geometry": {"type": "Polygon", "coordinates": (ring,)},
                "properties": {
                    "objectType": kind.object_type,
                    "name": f"{kind.name} {number}",
                    "classification": looks[name],
                    "measurements": values,
                },
            }
            for name, number, values, ring in found
        ]


def _namer(prefix: str) -> Callable[[int], str]:
    """What gives ``uuid.uuid5(_NAMESPACE, f"{prefix}{number}")`` as text, in a tenth of its time."""
    begun = hashlib.sha1(_NAMESPACE.bytes + prefix.encode("utf-8"), usedforsecurity=False)

    def id_of(number: int) -> str:
        digest = begun.copy()
        digest.update(b"%d" % number)
        text = digest.hexdigest()  # version 5 and the variant of RFC 9562 have their places in it
        return f"{text[:8]}-{text[8:12]}-5{text[13:16]}-{_VARIANT[text[16]]}{text[17:20]}-{text[20:32]}"

    return id_of


def _closed_rings(rings: Sequence[np.ndarray], um_per_px: float) -> Iterator[np.ndarray]:
    """Corners (k + 1, 2) (x, y) in level-0 pixels of outlines (y, x) in um, the first once more at the end."""
    corners, ends = laid_out(rings)
    placed = (corners[:, ::-1] / um_per_px).round(_DECIMALS)
    if not np.isfinite(placed).all():
        raise ValueError("an outline with a corner that is no number")  # orjson would write null
    starts = np.concatenate([[0], ends[:-1]])[: len(ends)]
    closed = np.insert(placed, ends, placed[starts], axis=0)
    for row, (start, end) in enumerate(zip(starts.tolist(), ends.tolist(), strict=True)):
        yield closed[start + row : end + row + 1]


def _numeric(table: pd.DataFrame) -> dict[str, np.ndarray]:
    """The columns that are measurements: numbers and booleans, but for the table's own id."""
    names = table.select_dtypes(include=["number", "bool"]).columns
    return {name: table[name].to_numpy() for name in names if not name.endswith("_id") or name in ("fibre_id", "cluster_id")}


def _measurements(columns: dict[str, np.ndarray], some: slice) -> list[dict[str, float]]:
    """A dict of finite numbers for each of these rows: NaN stands for "does not apply" and is left out; booleans are 0 and 1."""
    names = list(columns)
    values = np.stack([column[some].astype(np.float64) for column in columns.values()], axis=1).round(6)
    finite = np.isfinite(values)
    _, first, group = np.unique(finite @ 2.0 ** np.arange(len(names)), return_index=True, return_inverse=True)  # alike: the same columns
    found: list[dict[str, float]] = [{}] * len(values)
    for number, applies in enumerate(finite[first]):
        rows = np.flatnonzero(group == number)
        kept = list(compress(names, applies.tolist()))
        for row, numbers in zip(rows.tolist(), values[np.ix_(rows, applies)].tolist(), strict=True):
            found[row] = dict(zip(kept, numbers, strict=True))
    return found
