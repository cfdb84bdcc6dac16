"""A large slide from repeated drawn fields, as a tiled JPEG pyramid: what the benchmarks of memory and speed read.

    python benchmarks/big_slide.py out.tif --mpx 400 [--um-per-px 0.25] [--tissue 1.0]

One field of 2048 x 2048 px at 0.5 um/px is drawn (a few seconds); its left half, which holds no glass, is repeated, mirrored from one
to the next, so that neighbours fit. `--tissue`: the share of the slide that is tissue, a square in its middle; the rest is glass.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import cv2
import numpy as np
import tifffile

FIELD_PX = 2048
FULL_PX = 1024  # of its columns, from the left, which the section fills
FIELD_UM = 0.5
SEED = 9_300_000  # a section that neither training nor `evaluate` draws
TILE_PX = 256
GLASS = 245


@lru_cache(maxsize=1)
def field(um_per_px: float) -> np.ndarray:
    """The part of the drawn field that holds no glass, RGB uint8, in pixels of `um_per_px`."""
    from biopsy_analyzer.training.draw import draw_section, render

    rgb = render(draw_section(SEED, (FIELD_PX, FIELD_PX), "usual", "necrotizing"), SEED, "usual")[:, :FULL_PX]
    height, width = (round(n * FIELD_UM / um_per_px / TILE_PX) * TILE_PX for n in rgb.shape[:2])
    return rgb if height == FIELD_PX else cv2.resize(rgb, (width, height), interpolation=cv2.INTER_CUBIC)


def tiles(shape: tuple[int, int], um_per_px: float, tissue: float, every: int) -> Iterator[np.ndarray]:
    """Tiles of a level in raster order; its pixels are `every` of the slide's. Neighbouring fields are mirror images: no seams."""
    one = field(um_per_px)[::every, ::every]
    low = [n * (1 - math.sqrt(tissue)) / 2 for n in shape]
    glass = np.full((TILE_PX, TILE_PX, 3), GLASS, np.uint8)
    for top in range(0, shape[0], TILE_PX):
        for left in range(0, shape[1], TILE_PX):
            if not all(a - 1 <= at + TILE_PX / 2 <= n - a + 1 for a, at, n in zip(low, (top, left), shape, strict=True)):
                yield glass
                continue
            rows, columns = (_mirrored(at, edge) for at, edge in zip((top, left), one.shape, strict=False))
            yield np.ascontiguousarray(one[np.ix_(rows, columns)])


def _mirrored(start: int, edge: int) -> np.ndarray:
    number = np.arange(start, start + TILE_PX) % (2 * edge)
    return np.minimum(number, 2 * edge - 1 - number)


def write_slide(path: Path, mpx: float, um_per_px: float = 0.25, tissue: float = 1.0) -> None:
    """A pyramidal TIFF of about `mpx` million pixels, with levels of 1, 1/4 and 1/16 of its resolution."""
    edge = max(1, round(math.sqrt(mpx * 1e6) / 1024)) * 1024
    with tifffile.TiffWriter(path, bigtiff=True) as file:
        for level, every in enumerate((1, 4, 16)):
            shape = (edge // every, edge // every)
            file.write(
                tiles(shape, um_per_px, tissue, every),
                shape=(*shape, 3),
                dtype=np.uint8,
                tile=(TILE_PX, TILE_PX),
                photometric="rgb",
                compression="jpeg",
                compressionargs={"level": 85},
                resolution=(1e4 / (um_per_px * every), 1e4 / (um_per_px * every)),
                resolutionunit="CENTIMETER",
                subfiletype=1 if level else 0,
                metadata=None,
            )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("path", type=Path)
    parser.add_argument("--mpx", type=float, default=400)
    parser.add_argument("--um-per-px", type=float, default=0.25)
    parser.add_argument("--tissue", type=float, default=1.0)
    options = parser.parse_args()
    write_slide(options.path, options.mpx, options.um_per_px, options.tissue)


if __name__ == "__main__":
    main()
