"""What the fibre state model learns from: the fibres that an analysis outlines in images with known states."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np
import pandas as pd

from biopsy_analyzer.models import Models
from biopsy_analyzer.pipeline import analyze_slide
from biopsy_analyzer.report.result import Result
from biopsy_analyzer.settings import Settings
from biopsy_analyzer.slide import open_slide
from biopsy_analyzer.training.agreement import match
from biopsy_analyzer.training.judge import onto
from biopsy_analyzer.training.states import states_table, uninformed_model
from biopsy_analyzer.training.truth import Truth


def collect_states(truths: Iterable[Truth], models: Models, settings: Settings) -> pd.DataFrame:
    """The table for `fit_states` from sections with known fibre states; `models.states` is not used.

    Each section is analysed as it will be in use, so that the errors of outlines and nuclei are learned along with the states.
    """
    blank = replace(models, states=uninformed_model())
    parts = []
    for truth in truths:
        with open_slide(truth.image, um_per_px=truth.grid.um_per_px) as slide:
            result = analyze_slide(slide, blank, settings)
        parts.append(states_table(truth.name, result.fibres, true_states(truth, result), real=not truth.drawn))
    return pd.concat(parts, ignore_index=True)


def true_states(truth: Truth, result: Result) -> list[str]:
    """The true state of each row of `result.fibres`, "" where no true fibre overlaps it by half (IoU) or its state is not known."""
    if truth.fibres is None or truth.fibre_state is None:
        return [""] * len(result.fibres)
    units = match(truth.fibres, onto(result.fibre_labels, truth.grid), ignore=truth.ignore)
    hits = units[(units["truth_id"] > 0) & (units["pred_id"] > 0) & ~units["void"]]
    state = pd.Series(np.array(truth.fibre_state, dtype=object)[hits["truth_id"]], index=hits["pred_id"].to_numpy())
    return state.reindex(result.fibres["fibre_id"]).fillna("").tolist()
