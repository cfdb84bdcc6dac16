"""A session as napari layers, in um: what a reader function returns, and how the layers follow a change."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.report.palette import CLUSTER_COLOURS, NUCLEUS_COLOURS, Colour
from biopsy_analyzer.slide import Slide
from biopsy_analyzer.viewer.pyramid import slide_pyramid
from biopsy_analyzer.viewer.session import Session
from biopsy_analyzer.viewer.shown_labels import ClassOfFibre, HalfLevel, ShownLevel, colours

LayerData = tuple[Any, dict[str, Any], str]
OWN = "biopsy_analyzer"
"""Key of a layer's metadata under which its Session or Slide stands."""

MOST_NUCLEI = 20_000
"""Drawn at once, which stays fluid without a graphics card; where more are in view none is shown."""

_SYMBOLS = {"myonucleus": "ring", "internal": "diamond", "macrophage": "triangle_up", "lymphocyte": "disc", "other": "ring"}
_NUCLEUS_UM = 5.0
_UM = ("um", "um")


def placed(grid: PixelGrid) -> dict[str, Any]:
    """Scale and translation in um: napari's pixel (0, 0) has its centre at 0, ours begins there."""
    return {
        "scale": (grid.um_per_px,) * 2,
        "translate": tuple(origin + grid.um_per_px / 2 for origin in grid.origin_um),
        "units": _UM,
    }


def slide_layer(slide: Slide) -> LayerData:
    """The slide as a lazy multiscale image."""
    facts = {**placed(slide.grid()), "name": slide.file_name, "rgb": True, "multiscale": True, "metadata": {OWN: slide}}
    return slide_pyramid(slide), facts, "image"


def same_section(one: Slide | Session, other: Slide | Session) -> bool:
    """Whether two slides or results are of one section, told without hashing gigabytes.

    Results by the SHA-256 that they hold, slides by their file, and so is a result whose slide was found; one without its slide is held
    against slides by name and size, which two sections may share.
    """
    if isinstance(one, Session) and isinstance(other, Session):
        return bool(one.document["slide"]["sha256"] == other.document["slide"]["sha256"])
    slides = [own if isinstance(own, Slide) else own.slide for own in (one, other)]
    files = [slide.path.resolve() for slide in slides if slide is not None]
    return files[0] == files[1] if len(files) == 2 else _facts(one) == _facts(other)


def _facts(own: Slide | Session) -> tuple[str, int, int]:
    """Name, height and width in px of a section's slide."""
    if isinstance(own, Slide):
        return own.file_name, *own.shape
    facts = own.document["slide"]
    return facts["file_name"], facts["height_px"], facts["width_px"]


def result_layers(session: Session) -> list[LayerData]:
    """Fibres, nuclei, clusters and, where there are any, quality flags of a session, in this order from below."""
    own = {"metadata": {OWN: session}}
    flags = flag_boxes(session)
    drawn = slice(len(session.nuclei) if len(session.nuclei) <= MOST_NUCLEI else 0)  # of more, the dock draws those in view
    return [
        (fibre_levels(session), {**placed(session.labels["fibres"].grids[0]), **fibre_look(), **own, "name": "fibres"}, "labels"),
        (nucleus_points(session)[drawn], {**nucleus_look(session.nuclei[drawn]), **own, "name": "nuclei"}, "points"),
        (*cluster_vectors(session, own | {"name": "clusters"}), "vectors"),
        *([(flags[0], {**flags[1], **own, "name": "quality"}, "shapes")] if flags[0] else []),
    ]


def fibre_levels(session: Session) -> list[ShownLevel]:
    """The class codes of the fibres, finest level first; two levels at least, for napari takes one alone for an image of its rows."""
    classes = ClassOfFibre(session.fibres)
    levels = list(session.labels["fibres"].levels)
    if len(levels) == 1:
        levels.append(HalfLevel(levels[0]))
    return [ShownLevel(level, classes, edge_px=1 if k == 0 else 2) for k, level in enumerate(levels)]


def follow(levels: Sequence[ShownLevel], session: Session, boxes_um: Sequence[tuple[float, float, float, float]]) -> list[ShownLevel]:
    """The levels that `fibre_levels` made with other classes, and other outlines in `boxes_um` (top, left, bottom, right).

    To be set as the layer's data: napari 0.9 keeps the coarsest level and does not look at it again for a mere `refresh`.
    """
    classes = ClassOfFibre(session.fibres)
    grid = session.labels["fibres"].grids[0]
    for level in levels:
        level.recolour(classes)
        per_px = grid.shape[0] / level.shape[0] * grid.um_per_px
        for box in boxes_um:
            top, left, bottom, right = (np.array(box) - (*grid.origin_um, *grid.origin_um)) / per_px
            level.forget(top - 1, left - 1, bottom + 1, right + 1)
    return list(levels)


def fibre_look(filled: bool = False, hidden: frozenset[str] = frozenset()) -> dict[str, Any]:
    """The colours of fibres: contours, or also filled; classes in `hidden` are not seen."""
    return {"colormap": colours(filled, hidden), "opacity": 1.0, "multiscale": True}


def nucleus_points(session: Session) -> np.ndarray:
    """The nuclei's centres (n, 2) (y, x) in um."""
    return session.nuclei[["y_um", "x_um"]].to_numpy()


def nucleus_look(nuclei: pd.DataFrame) -> dict[str, Any]:
    """Colour and marker of each nucleus by its type; size in um. napari takes no empty arrays: without nuclei one of each."""
    types = pd.Categorical(nuclei["type"], categories=list(NUCLEUS_COLOURS)).codes
    return {
        "face_color": np.array([rgba(colour) for colour in NUCLEUS_COLOURS.values()])[types] if len(types) else "white",
        "symbol": np.array([_SYMBOLS[name] for name in NUCLEUS_COLOURS])[types] if len(types) else "disc",
        "size": _NUCLEUS_UM,
        "border_color": "#1e1e1e",
        "border_width": 0,
        "features": nuclei[["nucleus_id", "type", "probability"]].reset_index(drop=True),
        "units": _UM,
    }


def cluster_vectors(session: Session, facts: dict[str, Any]) -> tuple[np.ndarray, dict[str, Any]]:
    """The outlines of clusters, coloured by kind."""
    rings = session.cluster_outlines()
    kinds = np.array([rgba(CLUSTER_COLOURS[kind]) for kind in session.clusters["kind"]]).reshape(-1, 4)
    colour = np.repeat(kinds, [len(ring) for ring in rings], axis=0)
    return sides(rings), {**facts, **line_look(colour, 2.0)}


def flag_boxes(session: Session) -> tuple[list[np.ndarray], dict[str, Any]]:
    """Where faults of the section lie: rectangles, corners (4, 2) in um, that bear the flag's name. Some dozens at most."""
    boxes = [(flag["code"], box) for flag in session.document["quality"]["flags"] for box in flag.get("boxes_um", ())]
    corners = [np.array([(top, left), (top, right), (bottom, right), (bottom, left)]) for _, (top, left, bottom, right) in boxes]
    look = {
        "shape_type": "rectangle",
        "face_color": "transparent",
        "edge_color": "magenta",
        "edge_width": 4.0,
        "features": pd.DataFrame({"flag": [code for code, _ in boxes]}),
        "text": {"string": "{flag}", "color": "magenta", "anchor": "upper_left", "size": 10},
        "units": _UM,
    }
    return corners, look


def sides(rings: list[np.ndarray]) -> np.ndarray:
    """The sides of closed `rings` (k, 2) (y, x) as vectors (n, 2, 2) of start and way; none for no rings."""
    each = [np.stack([ring, np.roll(ring, -1, axis=0) - ring], axis=1) for ring in rings]
    return np.concatenate(each) if each else np.zeros((0, 2, 2))


def line_look(colour: Any, width_um: float) -> dict[str, Any]:
    """Outlines as lines; colour: a name, or RGBA (n, 4) a side."""
    return {"edge_color": colour if len(colour) else "white", "edge_width": width_um, "vector_style": "line", "opacity": 1.0, "units": _UM}


def rgba(colour: Colour) -> tuple[float, float, float, float]:
    """A colour of the palette as napari wants it."""
    return (colour[0] / 255, colour[1] / 255, colour[2] / 255, 1.0)
