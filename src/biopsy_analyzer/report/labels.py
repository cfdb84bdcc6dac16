"""Label images as OME-Zarr 0.5: a pyramid that viewers open and that is read window by window.

labels.ome.zarr is the `labels` group of the specification with the two images `fibres` and `nuclei`. A pixel's value is the table's
fibre_id or nucleus_id, 0 is background. Coordinates are in um from the slide's top-left corner; `translation` is the place of the first
pixel's centre, as the specification has it.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import zarr
from zarr.codecs import ZstdCodec

from biopsy_analyzer.errors import ResultError
from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.report.atomic import replacing_folder
from biopsy_analyzer.report.result import Labels

FOLDER = "labels.ome.zarr"
_CHUNK_PX = 1024
_LAST_LEVEL_PX = 512  # the coarsest level's longer side is at most this
_AXES: Any = [{"name": name, "type": "space", "unit": "micrometer"} for name in ("y", "x")]


@dataclass(frozen=True)
class LabelPyramid:
    """One label image, finest level first, each int32 (H, W) on the grid of the same place; nothing is read before it is sliced.

    Level k holds every 2^k-th pixel of level 0, from the first on. `pixels` and `grid` are level 0's, as those of `Labels`.
    """

    levels: tuple[zarr.Array, ...]
    grids: tuple[PixelGrid, ...]

    @property
    def pixels(self) -> zarr.Array:
        return self.levels[0]

    @property
    def grid(self) -> PixelGrid:
        return self.grids[0]


@dataclass(frozen=True)
class SavedLabels:
    """Both label images of a result folder."""

    fibres: LabelPyramid
    nuclei: LabelPyramid


def write_labels(fibres: Labels, nuclei: Labels, folder: Path) -> Path:
    """Write `folder`/labels.ome.zarr, whole or not at all, replacing what was there; gives its path.

    Pixels may lie on disk (an np.memmap, a zarr array): they are read in windows of 1024 px, never as a whole. The same labels give the
    same bytes. OutputError when the disk is full or the folder can't be written.
    """
    path = folder / FOLDER
    with replacing_folder(path) as temporary:
        root = zarr.open_group(temporary, mode="w", zarr_format=3, attributes={"ome": {"version": "0.5", "labels": ["fibres", "nuclei"]}})
        for name, labels in (("fibres", fibres), ("nuclei", nuclei)):
            _write_pyramid(root, name, labels)
    return path


def _write_pyramid(root: zarr.Group, name: str, labels: Labels) -> None:
    shapes = [labels.pixels.shape]
    while max(shapes[-1]) > _LAST_LEVEL_PX:
        shapes.append(tuple((n + 1) // 2 for n in shapes[-1]))
    datasets = [{"path": str(k), "coordinateTransformations": _placed(labels.grid, 2**k)} for k in range(len(shapes))]
    multiscales = [{"name": name, "axes": _AXES, "datasets": datasets, "type": "nearest"}]
    group = root.create_group(name, attributes={"ome": {"version": "0.5", "multiscales": multiscales, "image-label": {}}})
    levels = [_level(group, str(k), shape) for k, shape in enumerate(shapes)]
    rows, columns = (range(-(-n // _CHUNK_PX)) for n in shapes[-1])
    for row, column in product(rows, columns):
        _write_chunk(levels, labels.pixels, row, column)


def _level(group: zarr.Group, name: str, shape: tuple[int, ...]) -> zarr.Array:
    chunks = tuple(min(n, _CHUNK_PX) for n in shape)
    codec = ZstdCodec(level=3)
    return group.create_array(name, shape=shape, dtype="int32", chunks=chunks, compressors=codec, fill_value=0, dimension_names=("y", "x"))


def _write_chunk(levels: list[zarr.Array], source: Any, row: int, column: int) -> np.ndarray:
    """Write that chunk of the last of `levels`, and before it what it is made of on the finer ones; gives its pixels.

    So each window of `source` is read once, and of each level one chunk is held.
    """
    *finer, level = levels
    window = tuple(slice(k * _CHUNK_PX, min((k + 1) * _CHUNK_PX, n)) for k, n in zip((row, column), level.shape, strict=True))
    if not finer:
        pixels = np.asarray(source[window])
    else:
        pixels = np.zeros(tuple(part.stop - part.start for part in window), np.int32)
        for i, j in product((0, 1), (0, 1)):
            here = pixels[i * _CHUNK_PX // 2 :, j * _CHUNK_PX // 2 :]
            if here.size:
                part = _write_chunk(finer, source, 2 * row + i, 2 * column + j)[::2, ::2]
                here[: part.shape[0], : part.shape[1]] = part
    level[window] = pixels
    return pixels


def _placed(grid: PixelGrid, every: int) -> list[dict[str, Any]]:
    """Scale and translation of the level that holds every `every`-th pixel: its first pixel is level 0's first."""
    centre = [origin + grid.um_per_px / 2 for origin in grid.origin_um]
    return [{"type": "scale", "scale": [grid.um_per_px * every] * 2}, {"type": "translation", "translation": centre}]


def read_labels(folder: Path) -> SavedLabels:
    """The label images of a result folder; pixels are read when sliced.

    ResultError where `folder` holds none, or none that this version wrote.
    """
    path = folder / FOLDER
    try:
        root = zarr.open_group(path, mode="r")
        return SavedLabels(*(_read_pyramid(root[name]) for name in ("fibres", "nuclei")))
    except (OSError, KeyError, ValueError, TypeError, IndexError, zarr.errors.GroupNotFoundError) as error:
        raise ResultError(f"{path}: no label images that can be read ({error}). Analyse the section again") from error


def _read_pyramid(group: Any) -> LabelPyramid:
    datasets = group.attrs["ome"]["multiscales"][0]["datasets"]
    levels = tuple(group[dataset["path"]] for dataset in datasets)
    scale, translation = (step[step["type"]] for step in datasets[0]["coordinateTransformations"])
    origin = tuple(at - scale[0] / 2 for at in translation)
    grids = tuple(PixelGrid(level.shape, scale[0] * 2**k, (origin[0], origin[1])) for k, level in enumerate(levels))
    return LabelPyramid(levels, grids)
