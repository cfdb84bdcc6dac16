"""What is counted, and how a quantity becomes an axis. Definitions and sources: docs/score.md."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from biopsy_analyzer.clusters import inside_necrosis
from biopsy_analyzer.settings import ScoreSettings
from biopsy_analyzer.tables import NECROTIC_STATES


def saturate(quantity: np.ndarray | float, half: float) -> np.ndarray:
    """quantity / (quantity + half): 0 at 0, 0.5 at `half`, towards 1; monotone, so quantities and axes rank alike."""
    quantity = np.asarray(quantity, dtype=np.float64)
    return quantity / (quantity + half)


def axis_values(shares: np.ndarray, settings: ScoreSettings) -> np.ndarray:
    """Columns (necrotic share, regenerating share, inflammatory cells per mm2) (..., 3) as the three axes 0..1."""
    halves = (settings.necrosis_half, settings.regeneration_half, settings.inflammation_half_per_mm2)
    return np.stack([saturate(shares[..., i], half) for i, half in enumerate(halves)], axis=-1)


@dataclass(frozen=True)
class Observed:
    """One row an object, ready to be summed: the assessable fibres and all nuclei.

    fibre_yx, nucleus_yx       (n, 2), (m, 2) um
    necrotic, regenerating     (n,) 0 or 1 by the called state; inflammatory (m,) 0 or 1: counts for the inflammation axis
    *_doubt                    variance p (1 - p) of that call by the classifier's probability
    """

    fibre_yx: np.ndarray
    necrotic: np.ndarray
    necrotic_doubt: np.ndarray
    regenerating: np.ndarray
    regenerating_doubt: np.ndarray
    nucleus_yx: np.ndarray
    inflammatory: np.ndarray
    inflammatory_doubt: np.ndarray


def observe(fibres: pd.DataFrame, nuclei: pd.DataFrame, at_necrosis_um: float) -> Observed:
    """The indicator of each fibre and nucleus for each axis, with its doubt.

    A nucleus counts as inflammation if it is a lymphocyte or macrophage, does not lie inside a necrotic fibre, and, for macrophages,
    not within `at_necrosis_um` of one: there they clear away the dead and belong to the necrosis.
    """
    seen = fibres[fibres["assessable"]]
    dying = seen["state"].isin(NECROTIC_STATES).to_numpy(dtype=np.float64)
    p_dying = (seen["p_necrotic"] + seen["p_pale_fragmented"]).to_numpy()
    regenerating = (seen["state"] == "regenerating").to_numpy(dtype=np.float64)
    p_regenerating = seen["p_regenerating"].to_numpy()
    outside = ~inside_necrosis(nuclei, fibres)
    apart = outside & ~at_necrosis(nuclei, at_necrosis_um)
    counts = (outside & (nuclei["type"] == "lymphocyte").to_numpy()) | (apart & (nuclei["type"] == "macrophage").to_numpy())
    p_counts = outside * nuclei["p_lymphocyte"].to_numpy() + apart * nuclei["p_macrophage"].to_numpy()
    return Observed(
        seen[["y_um", "x_um"]].to_numpy(),
        dying,
        _doubt(p_dying),
        regenerating,
        _doubt(p_regenerating),
        nuclei[["y_um", "x_um"]].to_numpy(),
        counts.astype(np.float64),
        _doubt(p_counts),
    )


def at_necrosis(nuclei: pd.DataFrame, at_necrosis_um: float) -> np.ndarray:
    """Which nuclei lie within `at_necrosis_um` of a necrotic or pale-fragmented fibre, or in one: bool (n,); none without such a fibre."""
    return np.asarray(nuclei["necrosis_distance_um"].fillna(np.inf).to_numpy() <= at_necrosis_um)


def _doubt(probability: np.ndarray) -> np.ndarray:
    p = np.clip(probability, 0.0, 1.0)
    return np.asarray(p * (1 - p))
