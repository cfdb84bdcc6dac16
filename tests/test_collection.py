"""What is kept of windows that were told."""

import tracemalloc
from types import SimpleNamespace

import numpy as np
import pandas as pd

from biopsy_analyzer.collection import Collection
from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.objects import Found
from biopsy_analyzer.report.outlines import outlines

EDGE = 512
NETWORK = SimpleNamespace(kind="fibres", channels=("fibre", "depth"))


def window(canvas: PixelGrid, top: int, left: int) -> Found:
    labels = np.zeros((EDGE, EDGE), np.int32)
    labels[10:20, 10:20], labels[30:40, 300:320] = 1, 2
    grid = canvas.crop(top, left, EDGE, EDGE)
    first = np.array([[top + 10, left + 10], [top + 30, left + 300]])
    return Found(labels, grid, (top, left), pd.DataFrame({"area_um2": [100.0, 200.0]}), outlines(labels, grid), first, 0)


def test_a_window_leaves_its_objects_and_not_its_pixels() -> None:
    canvas = PixelGrid((EDGE, 40 * EDGE), 1.0)
    collection = Collection(NETWORK, canvas)  # type: ignore[arg-type]
    tracemalloc.start()
    for k in range(40):
        collection.take(window(canvas, 0, k * EDGE))
    kept, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert kept < 40 * EDGE * EDGE  # bytes; the pixels alone would be four times that
    assert len(collection.assembled().table) == 80
