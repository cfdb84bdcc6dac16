"""One colour a class, the same in GeoJSON, overlay and viewer: Okabe and Ito's palette, told apart with any colour vision."""

from __future__ import annotations

from typing import NamedTuple

Colour = tuple[int, int, int]
"""RGB, 0..255."""

_ORANGE: Colour = (230, 159, 0)
_SKY_BLUE: Colour = (86, 180, 233)
_GREEN: Colour = (0, 158, 115)
_YELLOW: Colour = (240, 228, 66)
_BLUE: Colour = (0, 114, 178)
_VERMILLION: Colour = (213, 94, 0)
_WHITE: Colour = (255, 255, 255)
_GREY: Colour = (110, 110, 110)
_BLACK: Colour = (30, 30, 30)

FIBRE_COLOURS = {
    "normal": _GREEN,
    "necrotic": _VERMILLION,
    "pale-fragmented": _YELLOW,
    "regenerating": _BLUE,
    "unassessable": _BLACK,
}
NUCLEUS_COLOURS = {
    "myonucleus": _GREEN,
    "internal": _YELLOW,
    "macrophage": _ORANGE,
    "lymphocyte": _SKY_BLUE,
    "other": _GREY,
}
CLUSTER_COLOURS = {"macrophage": _ORANGE, "lymphocytic": _SKY_BLUE, "mixed": _WHITE}

FIBRE_FILLS = {"necrotic": 0.08, "pale-fragmented": 0.08, "regenerating": 0.08}
"""Opacity of the fill: only what a reader looks for is filled, and so faintly that basophilia and pallor can still be judged."""


class Marker(NamedTuple):
    """Shape of a nucleus marker, so that types differ by more than colour."""

    corners: int


NUCLEUS_MARKERS = {"internal": Marker(4), "macrophage": Marker(3), "lymphocyte": Marker(16)}
"""Diamond, triangle and disc; nuclei of the other types get a thin contour."""
