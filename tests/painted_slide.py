"""A painted section as a pyramidal TIFF, and where its fibres lie."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import tifffile

from sections import FIBRE_UM, FIRST_UM, STEP_UM, UM_PER_PX, Plan, paint

SIDE = 8
STATES = {9: "necrotic", 12: "pale-fragmented", 20: "regenerating", 27: "necrotic"}
"""By number, counted along the rows from 0; all others are normal."""


def centre(number: int) -> tuple[float, float]:
    """(y, x) in um of the middle of a painted fibre."""
    row, column = divmod(number, SIDE)
    return FIRST_UM + STEP_UM * row + FIBRE_UM / 2, FIRST_UM + STEP_UM * column + FIBRE_UM / 2


def painted() -> Plan:
    """8 x 8 fibres; four macrophages in fibre 9, which make a cluster, a nucleus in the middle of fibre 20, a lymphocyte in fibre 0."""
    y, x = centre(9)
    macrophages = [(y + dy, x + dx, "macrophage") for dy, dx in ((-10, 0), (0, 10), (10, -8), (0, -10))]
    return paint(SIDE, SIDE, STATES, [*macrophages, (*centre(20), "muscle"), (*centre(0), "lymphocyte")])


def write_pyramid(rgb: np.ndarray, path: Path) -> Path:
    """A tiled TIFF of two levels that states its pixel size."""
    half = rgb[: rgb.shape[0] // 2 * 2, : rgb.shape[1] // 2 * 2].reshape(rgb.shape[0] // 2, 2, rgb.shape[1] // 2, 2, 3).mean(axis=(1, 3))
    with tifffile.TiffWriter(path) as file:
        resolution = (1e4 / UM_PER_PX, 1e4 / UM_PER_PX)
        file.write(rgb, subifds=1, resolution=resolution, resolutionunit="CENTIMETER", tile=(256, 256), photometric="rgb")
        file.write(half.round().astype(np.uint8), subfiletype=1, tile=(256, 256), photometric="rgb")
    return path
