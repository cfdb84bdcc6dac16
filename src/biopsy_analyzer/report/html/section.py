"""The section in small with the findings as layers that can be put on and off."""

from __future__ import annotations

from typing import Any

import numpy as np

from biopsy_analyzer.report.html.material import Material
from biopsy_analyzer.report.html.render import data_uri
from biopsy_analyzer.report.html.svg import joined, marks_path
from biopsy_analyzer.report.legend import scale_bar_um
from biopsy_analyzer.report.outlines import laid_out, split
from biopsy_analyzer.report.palette import CLUSTER_COLOURS, FIBRE_COLOURS, NUCLEUS_COLOURS, NUCLEUS_MARKERS
from biopsy_analyzer.report.shown import fibre_class
from biopsy_analyzer.tables import plural

UNITS = 2  # SVG units a pixel of the picture: outlines to half a pixel
MARK_UM, MARK_UNITS = 4.0, (5, 14)  # radius of a cell's mark, and its bounds in units
SHOWN_AT_FIRST = ("necrotic", "pale-fragmented", "regenerating", "macrophage", "lymphocyte", "clusters", "flags")
MOST_NUMBERS = 1500
MOST_MARKS = 6000  # of one type of cell; of more every second, third ... is drawn, and the legend says so
MANY_FIBRES = 5000  # more, and outlines are rounder: each is small then, and the page stays below 3 MB


def section_figure(material: Material) -> dict[str, Any]:
    """Picture, layers, scale bar and where objects of the page lie; for a refused section the picture alone."""
    grid = material.shots[0].grid
    height, width = grid.shape
    bar_um = scale_bar_um(0.2 * width * grid.um_per_px)
    slide = material.document["slide"]
    layers = [*_fibre_layers(material), *_cell_layers(material), *_other_layers(material)]
    layers = [layer for layer in layers if layer["count"] or layer.get("besides")]
    return {
        "uri": data_uri(material.shots[0].jpeg, "jpeg"),
        "width": width,
        "height": height,
        "view": (width * UNITS, height * UNITS),
        "alt": _alt(material),
        "bar": {"um": bar_um, "units": bar_um / grid.um_per_px * UNITS},
        "size_mm": (slide["width_px"] * slide["um_per_px"] / 1000, slide["height_px"] * slide["um_per_px"] / 1000),
        "layers": layers,
        "groups": [
            (name, [layer for layer in layers if layer["group"] == name]) for name in dict.fromkeys(layer["group"] for layer in layers)
        ],
        "numbers": _numbers(material),
        "places": _places(material),
    }


def _alt(material: Material) -> str:
    fibres = material.document["fibres"]
    if fibres["segmented"] is None:
        return "The section, with nothing drawn on it: nothing was assessed."
    return (
        f"The section with {plural(fibres['segmented'], 'fibre')} outlined: {fibres['necrotic']} necrotic, "
        f"{fibres['pale_fragmented']} pale or fragmented, {fibres['regenerating']} regenerating. A table gives all classes."
    )


def _to_units(material: Material, yx_um: np.ndarray) -> np.ndarray:
    return material.shots[0].grid.to_px(yx_um) * UNITS


def _path(material: Material, rings: list[np.ndarray], tolerance: float) -> str:
    corners, ends = laid_out(rings)
    return joined(split(_to_units(material, corners), ends), tolerance)


def _fibre_layers(material: Material) -> list[dict[str, Any]]:
    classes = fibre_class(material.fibres).to_numpy()
    ids, rings = material.fibres["fibre_id"].to_numpy(), material.rings["fibre"]
    tolerance = 1.0 if len(ids) <= MANY_FIBRES else 2.0
    return [
        {
            "key": name,
            "group": "Fibres",
            "label": name,
            "count": int(np.count_nonzero(classes == name)),
            "on": name in SHOWN_AT_FIRST,
            "path": _path(material, [rings[n] for n in ids[classes == name].tolist() if n in rings], tolerance),
            "kind": "outline",
        }
        for name in FIBRE_COLOURS
    ]


def _cell_layers(material: Material) -> list[dict[str, Any]]:
    types = material.nuclei["type"].to_numpy()
    centres = _to_units(material, material.nuclei[["y_um", "x_um"]].to_numpy())
    radius = float(np.clip(MARK_UM / material.shots[0].grid.um_per_px * UNITS, *MARK_UNITS))
    return [_cell_layer(name, centres[types == name], radius) for name in NUCLEUS_COLOURS if name in NUCLEUS_MARKERS]


def _cell_layer(name: str, centres: np.ndarray, radius: float) -> dict[str, Any]:
    every = -(-len(centres) // MOST_MARKS) or 1
    corners = NUCLEUS_MARKERS[name].corners
    return {
        "key": name,
        "group": "Nuclei",
        "label": ("internal nucleus" if name == "internal" else name) + (f", 1 in {every} drawn" if every > 1 else ""),
        "count": len(centres),
        "on": name in SHOWN_AT_FIRST,
        "path": marks_path(centres[::every], corners, radius),
        "kind": "dot" if corners > 4 else "mark",
        "width": 2 * radius,
    }


def _other_layers(material: Material) -> list[dict[str, Any]]:
    clusters, rings = material.clusters, material.rings["cluster"]
    ids = {kind: clusters.loc[clusters["kind"] == kind, "cluster_id"].tolist() for kind in CLUSTER_COLOURS}
    sheets = clusters.loc[material.sheets, "kind"].value_counts()  # the page's table leaves them out of the clusters
    layers = [
        {
            "key": f"cluster-{kind}",
            "group": "Clusters",
            "label": f"{kind} cluster",
            "count": len(ids[kind]) - int(sheets.get(kind, 0)),
            "besides": f" and {plural(sheets[kind], 'confluent sheet')}" if kind in sheets else "",
            "on": True,
            "path": _path(material, [rings[n] for n in ids[kind] if n in rings], 1.0),
            "kind": "cluster",
        }
        for kind in CLUSTER_COLOURS
    ]
    boxes = [box for flag in material.document["quality"]["flags"] for box in flag.get("boxes_um", ())]
    corners = [np.array([[top, left], [top, right], [bottom, right], [bottom, left]]) for top, left, bottom, right in boxes]
    path = _path(material, corners, 0.0)
    flags = {"key": "flags", "group": "Quality", "label": "flagged place", "count": len(boxes), "on": True, "path": path, "kind": "flag"}
    return [*layers, flags]


def _numbers(material: Material) -> list[tuple[int, int, int]]:
    """(x, y, fibre_id) of the fibres that are not normal, the largest first if they are too many."""
    chosen = material.fibres[fibre_class(material.fibres) != "normal"]
    chosen = chosen.sort_values(["area_um2", "fibre_id"], ascending=[False, True]).head(MOST_NUMBERS).sort_values("fibre_id")
    at = _to_units(material, chosen[["y_um", "x_um"]].to_numpy()).round().astype(int)
    half = 7 * chosen["fibre_id"].astype(str).str.len().to_numpy() + 4  # a number that the edge cuts would be that of another fibre
    at[:, 1] = np.maximum(half, np.minimum(at[:, 1], material.shots[0].grid.shape[1] * UNITS - half))
    return [(x, y, number) for (y, x), number in zip(at.tolist(), chosen["fibre_id"].tolist(), strict=True)]


def _places(material: Material) -> list[dict[str, Any]]:
    """A ring for each close-up, to which its link leads."""
    found = []
    for shot in material.shots[1:]:
        half = np.array(shot.grid.shape) / 2
        (y, x) = _to_units(material, shot.grid.to_um(half)).round().astype(int).tolist()
        radius = max(24, round(half[0] * shot.grid.um_per_px / material.shots[0].grid.um_per_px * UNITS))
        found.append({"key": f"{shot.kind}-{shot.id}", "x": x, "y": y, "r": radius})
    return found
