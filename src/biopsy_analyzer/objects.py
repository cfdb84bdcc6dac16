"""Objects of one kind, fibres or nuclei: from a network's maps to labels and a table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from biopsy_analyzer.canvas import core_px, in_tissue, tissue_canvas, tissue_mask_of
from biopsy_analyzer.errors import SlideError
from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.measure.colour import measure_colour, pool_maps
from biopsy_analyzer.measure.nuclei_in_fibres import nuclear_mask
from biopsy_analyzer.measure.shape import measure_shape
from biopsy_analyzer.report.result import Labels
from biopsy_analyzer.segment.predict import predict_maps
from biopsy_analyzer.segment.tiles import plan_tiles
from biopsy_analyzer.settings import SegmentSettings
from biopsy_analyzer.slide import Slide
from biopsy_analyzer.stain import separate
from biopsy_analyzer.tissue.mask import Tissue

if TYPE_CHECKING:
    from biopsy_analyzer.segment.network import Network

Progress = Callable[[str, int, int], None]
"""Called with (stage, steps done, steps in all)."""

ToLabels = Callable[[np.ndarray, float, SegmentSettings], np.ndarray]
"""Maps (C, H, W), um/px and settings -> labels int32 (H, W)."""

_MOST_CORE_PX = 1024  # larger ones fall out of the CPU's cache (1.7 times slower at 2048), smaller ones compute more halo; same result
_MOST_CANVAS_PX = 250_000_000  # held at once: about 20 GB; 7.9 x 7.9 mm at 0.5 um/px
_GPU_BATCH = 4  # tiles at once; a CPU gains nothing from more than one


@dataclass(frozen=True)
class Objects:
    """Objects of one kind: labels, and a table row each with the id, SHAPE and the network's classes pooled over the object."""

    labels: Labels
    table: pd.DataFrame


def find_objects(
    slide: Slide, tissue: Tissue | None, network: Network, to_labels: ToLabels, settings: SegmentSettings, step: Progress
) -> Objects:
    """Maps, then labels, of which those whose centre lies in the tissue stay; tissue None or empty: nothing is looked at or found.

    SlideError where the tissue spans more than can be held at once.
    """
    if tissue is None or not tissue.mask.any():
        grid, tiles = PixelGrid((1, 1), network.um_per_px), []
    else:
        grid = tissue_canvas(slide.grid(), tissue, network.um_per_px, network.stride)
        if grid.shape[0] * grid.shape[1] > _MOST_CANVAS_PX:
            size = " x ".join(f"{n * grid.um_per_px / 1000:.1f}" for n in grid.shape)
            raise SlideError(f"{slide.file_name}: its tissue spans {size} mm, too much for memory at once. Cut out a part, or check --mpp.")
        edge = core_px(grid.shape, network.stride, _MOST_CORE_PX)
        tiles = plan_tiles(grid.shape, edge, network.halo_px, keep=tissue_mask_of(grid, tissue))
    batch = _GPU_BATCH if network.device == "cuda" else 1
    maps = predict_maps(slide, grid, tiles, network, batch, progress=lambda done, total: step(network.kind, done, total))
    labels = to_labels(maps, grid.um_per_px, settings)
    shape = measure_shape(labels, grid)
    if tissue is not None:
        labels, shape = _inside(tissue, labels, shape)
    classes = network.channels[2:]
    pooled = pd.DataFrame(pool_maps(labels, maps[2:]), columns=[f"map_{name.replace('-', '_')}" for name in classes])
    id_name = {"fibres": "fibre_id", "nuclei": "nucleus_id"}[network.kind]
    ids = pd.DataFrame({id_name: np.arange(1, len(shape) + 1, dtype=np.int32)})
    return Objects(Labels(labels, grid), pd.concat([ids, shape, pooled], axis=1))


def _inside(tissue: Tissue, labels: np.ndarray, shape: pd.DataFrame) -> tuple[np.ndarray, pd.DataFrame]:
    """Labels 1..n and their rows without those whose centre lies on glass."""
    kept = in_tissue(tissue, shape[["y_um", "x_um"]].to_numpy())
    if kept.all():
        return labels, shape
    renumbered = np.concatenate([[0], np.where(kept, np.cumsum(kept), 0)]).astype(np.int32)
    return renumbered[labels], shape[kept].reset_index(drop=True)


def measure_objects(slide: Slide, found: Objects, stains: np.ndarray, leave_out: Labels | None = None) -> pd.DataFrame:
    """The table with COLOUR columns; stains (2, 3) as `stain.separate` wants them. Pixels under a label of `leave_out` do not count."""
    labels, grid = found.labels.pixels, found.labels.grid
    exclude = None if leave_out is None else nuclear_mask(leave_out.pixels, leave_out.grid, grid)
    rgb = slide.read(grid)
    colour = measure_colour(labels, rgb, *separate(rgb, stains), grid.um_per_px, exclude)
    return pd.concat([found.table, colour], axis=1)
