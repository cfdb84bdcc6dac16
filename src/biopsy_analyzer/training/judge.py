"""One image judged: a prediction laid onto the truth's pixels and matched, object by object. Arrays and tables only."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from biopsy_analyzer.grid import PixelGrid
from biopsy_analyzer.measure.nuclei_in_fibres import assign
from biopsy_analyzer.report.result import Labels, Result
from biopsy_analyzer.report.shown import fibre_class
from biopsy_analyzer.settings import Settings
from biopsy_analyzer.tables import STATE_PROBABILITIES
from biopsy_analyzer.training.agreement import MISSED, UNITS, match, named
from biopsy_analyzer.training.truth import Truth

MARK_REACH_UM = 3.0
"""A nucleus marked by a point is found where a predicted nucleus lies at most this far away: less than half a nucleus. Prior."""


@dataclass(frozen=True)
class Prediction:
    """What was found in one image; None: not looked for. Names are by label, entry 0 is ""."""

    fibres: Labels | None = None
    nuclei: Labels | None = None
    fibre_state: list[str] | None = None
    nucleus_type: list[str] | None = None
    internal_count: np.ndarray | None = None  # internal nuclei by fibre label
    probability: np.ndarray | None = None  # (n + 1, 4) of FIBRE_STATES by fibre label


@dataclass(frozen=True)
class Judged:
    """The units (see `agreement`) of one image, and both label images on the truth's pixels; None: not judged.

    `fibres` has truth_class, pred_class where states are known on both sides, with STATE_PROBABILITIES where they are stated, and
    truth_internal, pred_internal where nuclei are.
    `nuclei` and `marks` have truth_class, pred_class where types are known.
    """

    truth: Truth
    fibres: pd.DataFrame | None
    nuclei: pd.DataFrame | None
    marks: pd.DataFrame | None
    fibre_pixels: np.ndarray | None
    nucleus_pixels: np.ndarray | None
    error: str | None = None  # why nothing could be found in this image

    @property
    def counts(self) -> bool:
        """Whether there is anything to count: objects that are not void, or an area in which, rightly, none were found."""
        tables = [table for table in (self.fibres, self.nuclei, self.marks) if table is not None]
        return any(table.empty or not table["void"].all() for table in tables)


def prediction_of(result: Result) -> Prediction:
    """What an analysis found; no nuclei where the image is too coarse to show them."""
    fibres = result.fibres
    state = ["", *fibre_class(fibres)]
    probability = np.vstack([np.full(len(STATE_PROBABILITIES), np.nan), fibres[list(STATE_PROBABILITIES)].to_numpy()])
    if result.slide.um_per_px > result.settings.segment.max_nucleus_um_per_px:
        return Prediction(fibres=result.fibre_labels, fibre_state=state, probability=probability)
    return Prediction(
        fibres=result.fibre_labels,
        nuclei=result.nucleus_labels,
        fibre_state=state,
        nucleus_type=["", *result.nuclei["type"]],
        internal_count=np.array([0, *fibres.internal_nuclei_count]),
        probability=probability,
    )


def judge(truth: Truth, found: Prediction, settings: Settings, error: str | None = None) -> Judged:
    """Match what was found with the truth; what either side lacks is not judged."""
    px_um2 = truth.grid.um_per_px**2
    fibre_pixels = None if found.fibres is None else onto(found.fibres, truth.grid)
    nucleus_pixels = None if found.nuclei is None else onto(found.nuclei, truth.grid)
    types, internal = types_of_truth(truth, settings.classify.internal_depth_um)
    fibres = nuclei = marks = None
    if truth.fibres is not None and fibre_pixels is not None:
        fibres = match(truth.fibres, fibre_pixels, ignore=truth.ignore, min_cut_px=settings.segment.min_fibre_um2 / px_um2)
        if truth.fibre_state is not None and found.fibre_state is not None:
            fibres = named(fibres, truth.fibre_state, found.fibre_state)
            if found.probability is not None:
                fibres[list(STATE_PROBABILITIES)] = found.probability[fibres.pred_id]
        if internal is not None and found.internal_count is not None:
            fibres = fibres.assign(truth_internal=internal[fibres.truth_id], pred_internal=found.internal_count[fibres.pred_id])
    if truth.nuclei is not None and nucleus_pixels is not None:
        nuclei = match(truth.nuclei, nucleus_pixels, ignore=truth.ignore, min_cut_px=settings.segment.min_nucleus_um2 / px_um2)
        if types is not None and found.nucleus_type is not None:
            nuclei = named(nuclei, types, found.nucleus_type)
    if truth.marks is not None and nucleus_pixels is not None and found.nucleus_type is not None:
        marks = _judge_marks(truth.marks, truth.grid, nucleus_pixels, found.nucleus_type)
    return Judged(truth, fibres, nuclei, marks, fibre_pixels, nucleus_pixels, error)


def why_not_judged(judged: Judged) -> list[str]:
    """A line that says why no object of this image counts, or that there was none; empty where some do."""
    truth = judged.truth
    tables = [table for table in (judged.fibres, judged.nuclei, judged.marks) if table is not None]
    if not tables:
        known = [name for name, part in (("fibres", truth.fibres), ("nuclei", truth.nuclei), ("marks", truth.marks)) if part is not None]
        found = [name for name, part in (("fibres", judged.fibre_pixels), ("nuclei", judged.nucleus_pixels)) if part is not None]
        return [f"{truth.name}: the truth has {' and '.join(known) or 'nothing'}, what is judged has {' and '.join(found) or 'nothing'}"]
    objects = sum(len(table) for table in tables)
    if objects == 0:
        return [f"{truth.name}: no object in the truth, and none found"]
    if judged.counts:
        return []
    return [
        f"{truth.name}: none of {objects} objects counts; each lies mostly where the truth is unknown, or is a sliver at the image's edge"
    ]


def onto(labels: Labels, grid: PixelGrid) -> np.ndarray:
    """A label image on the pixels of another grid: the label under each pixel's centre, 0 outside; int32 (H, W)."""
    axes = []
    for axis in (0, 1):
        centres = (np.arange(grid.shape[axis]) + 0.5) * grid.um_per_px + grid.origin_um[axis]
        axes.append(np.floor((centres - labels.grid.origin_um[axis]) / labels.grid.um_per_px).astype(int))
    inside = [(axis >= 0) & (axis < n) for axis, n in zip(axes, labels.pixels.shape, strict=True)]
    result = np.zeros(grid.shape, dtype=np.int32)
    result[np.ix_(*inside)] = labels.pixels[np.ix_(axes[0][inside[0]], axes[1][inside[1]])]
    return result


def types_of_truth(truth: Truth, internal_depth_um: float) -> tuple[list[str] | None, np.ndarray | None]:
    """True types by nucleus, "muscle" told by its depth where fibres are known, and internal nuclei by fibre label."""
    if truth.nuclei is None or truth.nucleus_type is None or truth.fibres is None:
        return truth.nucleus_type, None
    centres = _centres(truth.nuclei, truth.grid)
    where = assign(centres, truth.fibres, truth.grid)
    is_muscle = np.array([truth.nucleus_type[label] == "muscle" for label in centres.index], dtype=bool)
    is_internal = np.array([truth.nucleus_type[label] == "internal" for label in centres.index], dtype=bool)
    fibre, depth = where["fibre_id"].to_numpy(), where["depth_um"].to_numpy()
    is_internal |= is_muscle & (fibre > 0) & (depth > internal_depth_um)
    types = list(truth.nucleus_type)
    for label, internal in zip(centres.index[is_muscle], is_internal[is_muscle], strict=True):
        types[label] = "internal" if internal else "myonucleus"
    return types, np.bincount(fibre[is_internal & (fibre > 0)], minlength=int(truth.fibres.max(initial=0)) + 1)


def _centres(labels: np.ndarray, grid: PixelGrid) -> pd.DataFrame:
    """Centroids y_um, x_um; the index is the label."""
    y, x = np.nonzero(labels)
    found = labels[y, x]
    px = np.bincount(found)
    present = np.flatnonzero(px)
    yx = np.column_stack([np.bincount(found, weights=axis + 0.5)[present] / px[present] for axis in (y, x)])
    return pd.DataFrame(grid.to_um(yx), columns=["y_um", "x_um"], index=present)


def _judge_marks(marks: pd.DataFrame, grid: PixelGrid, nucleus_pixels: np.ndarray, pred_type: list[str]) -> pd.DataFrame:
    """Units of the marked nuclei: truth_id the mark's number, pred_id the nearest predicted nucleus in reach. No false finds."""
    reach = int(np.ceil(MARK_REACH_UM / grid.um_per_px))
    steps = np.mgrid[-reach : reach + 1, -reach : reach + 1].reshape(2, -1).T
    far_um = np.hypot(*steps.T) * grid.um_per_px
    nearest_first = np.argsort(far_um, kind="stable")
    steps = steps[nearest_first][far_um[nearest_first] <= MARK_REACH_UM]
    centres = np.floor(grid.to_px(marks[["y_um", "x_um"]].to_numpy())).astype(int)
    around = np.pad(nucleus_pixels, reach)[tuple(np.moveaxis(centres[:, None] + steps + reach, -1, 0))]
    pred_id = around[np.arange(len(marks)), (around > 0).argmax(axis=1)]
    units = pd.DataFrame({name: np.zeros(len(marks)) for name in UNITS}).astype(UNITS)
    units = units.assign(truth_id=np.arange(1, len(marks) + 1), pred_id=pred_id, iou=(pred_id > 0).astype(float))
    return units.assign(truth_class=marks["name"].to_numpy(), pred_class=np.array([MISSED, *pred_type[1:]], dtype=object)[pred_id])
