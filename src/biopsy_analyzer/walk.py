"""All fibres and nuclei of a section, block by block: reading runs ahead of the networks, labelling and measuring behind them."""

from __future__ import annotations

import math
import os
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from itertools import product, zip_longest
from typing import TYPE_CHECKING

import cv2
import numpy as np

from biopsy_analyzer.canvas import slide_on, tissue_canvas, tissue_mask_of
from biopsy_analyzer.collection import Collection, Objects, nothing_found
from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.measure.nuclei_in_fibres import nuclear_mask
from biopsy_analyzer.objects import Found, ToLabels, find_objects
from biopsy_analyzer.segment.fibres import fibre_labels
from biopsy_analyzer.segment.front import Front, View
from biopsy_analyzer.segment.memory import give_back_freed_memory
from biopsy_analyzer.segment.nuclei import nucleus_labels
from biopsy_analyzer.settings import SegmentSettings
from biopsy_analyzer.slide import Slide
from biopsy_analyzer.tissue.mask import Tissue

if TYPE_CHECKING:
    from biopsy_analyzer.models import Models
    from biopsy_analyzer.segment.network import Network

Progress = Callable[[str, int, int], None]
"""Called with (stage, steps done, steps in all)."""

MOST_BLOCK_UM = 1152.0  # edge of a block: what is held at once; objects do not depend on it
MOST_TILE_UM = 160.0  # stored tiles are no larger on slides, and blocks need not end between smaller ones
MOST_GPU_LABELLERS = 8  # threads that label while a GPU computes, each holding a block of some 0.4 GB


def find_section(
    slide: Slide, tissue: Tissue, models: Models, with_nuclei: bool, stains: np.ndarray, settings: SegmentSettings, step: Progress
) -> tuple[Objects, Objects]:
    """Fibres and nuclei of a section; without tissue, or of nuclei without `with_nuclei`, empty ones.

    stains (2, 3) as `stain.separate` wants them; nuclei do not count for the colour of fibres. `step` is told "fibres" and "nuclei"
    with the network's tiles. Memory does not grow with the section but for the tables, outlines and compressed labels.
    """
    if not tissue.mask.any():
        return nothing_found(models.fibres), nothing_found(models.nuclei)
    canvas = tissue_canvas(slide.grid(), tissue, models.fibres.um_per_px, models.fibres.stride)
    rows, columns = (math.ceil(n * canvas.um_per_px / MOST_BLOCK_UM) for n in canvas.shape)
    kinds = [_Kind(slide, tissue, models.fibres, fibre_labels, (rows, columns), stains, settings.largest_fibre_um, settings)]
    if with_nuclei:
        kinds.append(_Kind(slide, tissue, models.nuclei, nucleus_labels, (rows, columns), stains, settings.largest_nucleus_um, settings))
    _meet_at_tiles(slide, [kind.front for kind in kinds])
    _walk(slide, kinds, list(product(range(rows), range(columns))), step)
    fibres, nuclei = (*(kind.collection.assembled() for kind in kinds), nothing_found(models.nuclei))[:2]
    return fibres, nuclei


def _meet_at_tiles(slide: Slide, fronts: list[Front]) -> None:
    """Both networks read a block up to the same edge of stored tiles, so that none is decoded again for the blocks below."""
    ends = []
    for axis in (0, 1):
        furthest = np.max([front.read_ends(axis) for front in fronts], axis=0)
        tile_um = max(slide.source(front.canvas.um_per_px).tile_um[axis] for front in fronts)
        ends.append(np.ceil(furthest / tile_um) * tile_um if tile_um <= MOST_TILE_UM else furthest)
    for front in fronts:
        front.read_further((ends[0].tolist(), ends[1].tolist()))


class _Kind:
    """Fibres or nuclei: the network's walk, how its windows are told, and what they found."""

    def __init__(
        self,
        slide: Slide,
        tissue: Tissue,
        network: Network,
        to_labels: ToLabels,
        blocks: tuple[int, int],
        stains: np.ndarray,
        largest_um: float,
        settings: SegmentSettings,
    ) -> None:
        canvas = tissue_canvas(slide.grid(), tissue, network.um_per_px, network.stride)
        self.front = Front(network, canvas, slide_on(canvas, slide.grid()), tissue_mask_of(canvas, tissue), blocks, largest_um)
        self.collection = Collection(network, canvas)
        self._how = network.channels, to_labels, tissue, stains, settings

    def tell(self, view: View, leave_out: Callable[[PixelGrid], np.ndarray] | None = None) -> Found:
        """Find and keep a window's objects."""
        neighbours = self.front.network.kind == "nuclei"  # fibres' colours are measured without any nucleus
        found = find_objects(view, *self._how, leave_out, neighbours)
        self.collection.take(found)
        return found


def cut_notes(fibres: Objects, nuclei: Objects, settings: SegmentSettings) -> list[str]:
    """What is to be said of objects that were cut at the lines between blocks."""
    kinds = (("fibres", fibres.cut, settings.largest_fibre_um), ("nuclei", nuclei.cut, settings.largest_nucleus_um))
    return [f"{n} pieces of {name} longer than {um:g} um were cut at the lines between blocks" for name, n, um in kinds if n]


def _walk(slide: Slide, kinds: list[_Kind], blocks: list[tuple[int, int]], step: Progress) -> None:
    """Read, run the networks and label, each in threads of its own; at most two blocks for each labelling thread are held."""
    from biopsy_analyzer.segment.network import a_core_for_others  # torch: loaded with the networks, not before

    fronts = [kind.front for kind in kinds]
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    wanted = [any(front.needed(*block) for front in fronts) for block in blocks]
    labellers = min(cores - 1, MOST_GPU_LABELLERS) if fronts[0].network.device == "cuda" and cores > 1 else 1
    if sum(wanted) == 1:
        labellers = min(cores, 2)  # both kinds at once, as no network computes beside them
    upcoming = iter([block for block, want in zip(blocks, wanted, strict=True) if want])
    tellers = [_Teller(step, front, blocks) for front in fronts]
    with (
        _opencv_in_one_thread(),
        a_core_for_others() if sum(wanted) > 1 else nullcontext(),
        ThreadPoolExecutor(max(1, cores - 1)) as cells,
        ThreadPoolExecutor(1) as ahead,
        ThreadPoolExecutor(labellers) as behind,
    ):
        coming = ahead.submit(_read, slide, fronts, next(upcoming, None), cells)
        labelling = _Labelling(kinds, behind, labellers)
        for block, want in zip(blocks, wanted, strict=True):
            if not want:
                for front in fronts:
                    front.pass_over(*block)
                continue
            pixels = coming.result()
            coming = ahead.submit(_read, slide, fronts, next(upcoming, None), cells)
            views = [front.view(*block, rgb, teller) for front, rgb, teller in zip(fronts, pixels, tellers, strict=True)]
            labelling.submit(block, views)
        labelling.wait(0)
    if sum(wanted) > 1:  # a single block's is soon wanted again
        give_back_freed_memory()


@contextmanager
def _opencv_in_one_thread() -> Iterator[None]:
    """While it lasts OpenCV starts no threads of its own: beside the walk's they wait for each other, which costs a tenth of the time."""
    threads = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        yield
    finally:
        cv2.setNumThreads(threads)


class _Labelling:
    """Windows on their way to be labelled: nuclei first, then the fibres, whose colours are measured without them."""

    def __init__(self, kinds: list[_Kind], pool: ThreadPoolExecutor, most: int) -> None:
        self._kinds, self._pool, self._most = kinds, pool, most
        self._running: deque[Future[None]] = deque()
        self._nuclei: dict[tuple[int, int], Future[None]] = {}

    def submit(self, block: tuple[int, int], views: list[View]) -> None:
        """Waits until there is a thread for one block more."""
        self.wait(self._most - 1)
        i, j = block
        shelf: list[Found] = []
        if len(views) > 1:
            self._nuclei[block] = self._pool.submit(self._tell_nuclei, views[1], shelf)
        # first come, first served: no thread waits for a window that comes later
        near = [self._nuclei[at] for at in product((i, i - 1), (j, j - 1)) if at in self._nuclei]
        self._running.append(self._pool.submit(self._tell_fibres, views[0], shelf, near))

    def _tell_nuclei(self, view: View, shelf: list[Found]) -> None:
        shelf.append(self._kinds[1].tell(view))

    def _tell_fibres(self, view: View, shelf: list[Found], near: list[Future[None]]) -> None:
        def under_nuclei(grid: PixelGrid) -> np.ndarray:
            for nuclei in near:
                nuclei.result()
            here = shelf.pop()  # and those that windows before have found
            return self._kinds[1].collection.cover(grid) | nuclear_mask(here.visible, here.grid, grid)

        self._kinds[0].tell(view, under_nuclei if near else None)

    def wait(self, left: int) -> None:
        """Until at most `left` blocks are on their way; errors of those that are done are raised."""
        while len(self._running) > left:
            self._running.popleft().result()


class _Teller:
    """Tells the progress of one network."""

    def __init__(self, step: Progress, front: Front, blocks: list[tuple[int, int]]) -> None:
        self._step, self._kind, self._done = step, front.network.kind, 0
        self._all = sum(len(front.tiles(*block)) for block in blocks)

    def __call__(self, tiles: int) -> None:
        self._done += tiles
        self._step(self._kind, self._done, self._all)


def _read(slide: Slide, fronts: list[Front], block: tuple[int, int] | None, pool: ThreadPoolExecutor) -> list[np.ndarray]:
    """A block's pixels for each network, cell by cell in turn, so that a stored tile is decoded once for both; None: nothing."""
    if block is None:
        return []
    pixels = [front.blank(*block) for front in fronts]

    def fetch(k: int, cell: tuple[int, int, int, int]) -> None:
        fronts[k].paste(pixels[k], *block, cell, slide.read(fronts[k].canvas.crop(*cell)))

    in_turn = zip_longest(*(front.cells(*block) for front in fronts))
    jobs = [pool.submit(fetch, k, cell) for cells in in_turn for k, cell in enumerate(cells) if cell]
    for job in jobs:
        job.result()
    return pixels
