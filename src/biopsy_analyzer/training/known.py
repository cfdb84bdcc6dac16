"""Drawn sections on which adapted models must not do worse: their truth is known, whatever a reader of other sections says."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.special import softmax

from biopsy_analyzer.classify.state_model import StateModel
from biopsy_analyzer.models import Models
from biopsy_analyzer.settings import Settings
from biopsy_analyzer.training.calibration import calibration_error
from biopsy_analyzer.training.draw.recipe import Difficulty
from biopsy_analyzer.training.state_tables import collect_states
from biopsy_analyzer.training.states import state_codes
from biopsy_analyzer.training.truth import Truth, draw_truth

SEED = 7_850_000  # below the sections that choose (7,900,000) and those that judge (9,000,000)
SECTIONS: tuple[tuple[Difficulty, int], ...] = (("usual", 4), ("hard", 2))
SHAPE_PX = (768, 768)
"""Some 370 normal and 160 sick fibres of known state together. Priors."""

MOST_FORGOTTEN = {"normal_called_sick": 0.02, "sick_misread": 0.05, "calibration_error": 0.02}
"""What of each may be added. Priors."""

GOOD = {"normal_called_sick": 0.05, "sick_misread": 0.1}
"""Up to here each may rise whatever it was, or a parent that misses most sick fibres for calling none would be kept. Priors."""

_WORDS = {
    "normal_called_sick": "the share of normal fibres called sick",
    "sick_misread": "the share of sick fibres not called so",
    "calibration_error": "the calibration error",
}


def known_sections(folder: Path) -> list[Truth]:
    """The sections, always the same ones, drawn into `folder`, where their pictures must stay while they are read."""
    return [draw_truth(what, number, folder, seed=SEED, shape_px=SHAPE_PX) for what, count in SECTIONS for number in range(count)]


def known_fibres(sections: list[Truth], models: Models, settings: Settings) -> pd.DataFrame:
    """FEATURES and `truth` of their fibres as the networks of `models` outline and see them; `models.states` is not used."""
    return collect_states(sections, models, settings)


def read_known(states: StateModel, fibres: pd.DataFrame) -> dict[str, Any]:
    """How `states` reads them: shares 0..1 of normal fibres called sick, and of sick ones called normal or another state; ECE; numbers.

    None for a figure of which there is no fibre.
    """
    logits, truth = states.logits(fibres), state_codes(fibres)
    called, sick = logits.argmax(axis=1), truth > 0
    stated = softmax(logits, axis=1).max(axis=1)
    return {
        "normal": int((~sick).sum()),
        "sick": int(sick.sum()),
        "normal_called_sick": _share(called[~sick] > 0),
        "sick_misread": _share((called != truth)[sick]),
        "calibration_error": calibration_error(stated, called == truth) if len(fibres) else None,
    }


def forgotten(before: dict[str, Any], after: dict[str, Any]) -> str | None:
    """Which figure of `read_known` rises by more than MOST_FORGOTTEN, and above GOOD, in words; None where none does."""
    for name, most in MOST_FORGOTTEN.items():
        if before[name] is not None and after[name] is not None and after[name] > max(before[name] + most, GOOD.get(name, 0.0)):
            return f"on drawn sections {_WORDS[name]} rises from {before[name]:.3f} to {after[name]:.3f}, by more than {most}"
    return None


def _share(wrong: np.ndarray) -> float | None:
    return float(wrong.mean()) if len(wrong) else None
