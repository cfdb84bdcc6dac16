"""The figures of one or many judged images, as evaluation.json holds them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd

from biopsy_analyzer.tables import FIBRE_STATES, NUCLEUS_KINDS, NUCLEUS_TYPES, STATE_PROBABILITIES
from biopsy_analyzer.training.agreement import Figure, class_figures, confusion, internal_figures, segmentation_figures
from biopsy_analyzer.training.calibration import calibration
from biopsy_analyzer.training.judge import Judged

PARTS = ("fibres", "fibre_states", "calibration", "internal_nuclei", "nuclei", "nucleus_kinds", "nucleus_types", "marked_nuclei")
_MUSCLE = {"myonucleus": "muscle", "internal": "muscle"}


def summarise(judged: Sequence[Judged]) -> dict[str, Any]:
    """All figures over some images, as JSON holds them; a part is null where none of the images has its truth.

    Bootstraps draw single objects, and slides where there are several: windows of one image file belong together.
    """
    slides = slides_of(judged)
    fibres, fibre_image = _pooled([one.fibres for one in judged], slides)
    nuclei, nucleus_image = _pooled([one.nuclei for one in judged], slides)
    marks, mark_image = _pooled([one.marks for one in judged], slides)
    parts: dict[str, Any] = dict.fromkeys(PARTS)
    if fibres is not None:
        parts["fibres"] = _segmentation(fibres, fibre_image)
        if "truth_class" in fibres:
            # fibres cut by the edge are unassessable by convention
            whole = (fibres.truth_class.notna() & fibres.pred_class.notna() & ~fibres.cut).to_numpy()
            parts["fibre_states"] = _classes(fibres[whole], FIBRE_STATES, _of(fibre_image, whole), healthy="normal")
            if STATE_PROBABILITIES[0] in fibres:
                known = whole & (fibres.truth_id > 0) & (fibres.pred_id > 0) & ~fibres.void & fibres.truth_class.isin(FIBRE_STATES)
                several = fibre_image is not None
                parts["calibration"] = calibration(fibres.assign(image=fibre_image if several else 0)[known], by_image=several)
        if "truth_internal" in fibres:
            hit = (~fibres.void & ~fibres.cut & (fibres.truth_id > 0) & (fibres.pred_id > 0) & fibres.truth_internal.notna()).to_numpy()
            counts = fibres[hit]
            found = internal_figures(counts.truth_internal.to_numpy(), counts.pred_internal.to_numpy(), images=_of(fibre_image, hit))
            parts["internal_nuclei"] = {"figures": _json(found)}
    if nuclei is not None:
        parts["nuclei"] = _segmentation(nuclei, nucleus_image)
        if "truth_class" in nuclei:
            known = (nuclei.truth_class.notna() & nuclei.pred_class.notna()).to_numpy()
            parts |= _types(nuclei[known], _of(nucleus_image, known))
    if marks is not None:
        parts["marked_nuclei"] = _types(marks, mark_image)["nucleus_kinds"]
    return parts


def slides_of(judged: Sequence[Judged]) -> list[int]:
    """A number for the slide of each image, the same for windows of one file."""
    files = [one.truth.image.resolve() for one in judged]
    return [files.index(file) for file in files]


def _pooled(tables: Sequence[pd.DataFrame | None], slides: Sequence[int]) -> tuple[pd.DataFrame | None, pd.Series | None]:
    """The images' units in one table, and the slide of each where there are several."""
    present = {number: table for number, table in enumerate(tables) if table is not None}
    if not present:
        return None, None
    pooled = pd.concat(present, names=["image"]).reset_index(level="image").reset_index(drop=True)
    slide = pooled["image"].map(dict(enumerate(slides)))
    return pooled.drop(columns="image"), slide if slide.nunique() > 1 else None


def _of(images: pd.Series | None, rows: np.ndarray) -> pd.Series | None:
    return None if images is None else images[rows]


def _segmentation(units: pd.DataFrame, images: pd.Series | None) -> dict[str, Any]:
    counted = units[~units.void]
    truth, pred = counted.truth_id > 0, counted.pred_id > 0
    counts = {"truth": truth.sum(), "found": pred.sum(), "hits": (truth & pred).sum(), "missed": (~pred).sum(), "false": (~truth).sum()}
    figures = _json(segmentation_figures(units, images=images))
    return {"counts": {name: int(n) for name, n in counts.items()}, "void": int(units.void.sum()), "figures": figures}


def _classes(units: pd.DataFrame, classes: Sequence[str], images: pd.Series | None, healthy: str | None = None) -> dict[str, Any]:
    table = confusion(units, classes)
    cells = {"rows_truth": list(table.index), "columns_found": list(table.columns), "counts": table.to_numpy().tolist()}
    return {"confusion": cells, "figures": _json(class_figures(units, classes, healthy=healthy, images=images))}


def _types(nuclei: pd.DataFrame, images: pd.Series | None) -> dict[str, Any]:
    """Nuclei by kind, and by type where no true muscle nucleus is left untold."""
    kinds = nuclei.replace({"truth_class": _MUSCLE, "pred_class": _MUSCLE})
    told = not (nuclei.truth_class == "muscle").any()
    return {
        "nucleus_kinds": _classes(kinds, NUCLEUS_KINDS, images),
        "nucleus_types": _classes(nuclei, NUCLEUS_TYPES, images) if told else None,
    }


def _json(figures: dict[str, Figure]) -> dict[str, Any]:
    return {name: {"value": figure.value, "ci95": figure.ci95, "n": figure.n} for name, figure in figures.items()}
