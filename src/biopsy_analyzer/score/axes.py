"""What is counted, and how a quantity becomes an axis. Definitions and sources: docs/score.md."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd

from biopsy_analyzer.clusters import inside_necrosis
from biopsy_analyzer.score.places import Places
from biopsy_analyzer.settings import ClusterSettings, ScoreSettings, Settings
from biopsy_analyzer.tables import NECROTIC_STATES

SURE = 1 - 1e-6  # a call from this probability on was made or confirmed by a person; no machine is so sure


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

    fibre_yx, nucleus_yx  (n, 2), (m, 2) um
    fibres, nuclei        name -> (n,), (m,) float64: 0 or 1 by the called class, or um2
    doubts                name -> (n,) or (m,): variance p (1 - p) of that call by the classifier's probability; names without one are sure
    """

    fibre_yx: np.ndarray
    nucleus_yx: np.ndarray
    fibres: dict[str, np.ndarray]
    nuclei: dict[str, np.ndarray]
    doubts: dict[str, np.ndarray]


def observe(
    fibres: pd.DataFrame, nuclei: pd.DataFrame, places: Places, settings: Settings, confluent: np.ndarray | None = None
) -> Observed:
    """Every indicator that axes, stages and evidence sum up, and the doubt of each call.

    confluent  bool (n,): fibres in large areas of necrosis; None: they are not told
    """
    seen = fibres["assessable"].to_numpy()
    confluent = np.zeros(len(fibres), dtype=bool) if confluent is None else confluent
    of_fibres, fibre_doubts = _fibre_columns(
        fibres[seen], places.border[seen], confluent[seen], lymphocytes_inside(fibres, nuclei, settings)[seen], settings
    )
    of_fibres |= {"gap_um": places.gap_um[seen], "facing": places.facing[seen]}
    of_nuclei, nucleus_doubts = _nucleus_columns(nuclei, fibres, places, settings)
    yx = ["y_um", "x_um"]
    return Observed(fibres.loc[seen, yx].to_numpy(), nuclei[yx].to_numpy(), of_fibres, of_nuclei, fibre_doubts | nucleus_doubts)


def _fibre_columns(
    seen: pd.DataFrame, border: np.ndarray, confluent: np.ndarray, lymphocytes: np.ndarray, settings: Settings
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    necrotic, regenerating = is_necrotic(seen), (seen["state"] == "regenerating").to_numpy()
    columns = _state_columns(seen, necrotic, regenerating, confluent, lymphocytes, settings.space.invaded_by)
    columns |= _size_columns(seen, necrotic, border, settings.space.atrophic)
    dying = seen["p_necrotic"].to_numpy() + seen["p_pale_fragmented"].to_numpy()
    # what a person called stands, whatever the machine had thought of it
    firm = necrotic & ((dying >= settings.score.firm_call) | ~columns["unsure"])
    columns |= {
        "firm_necrotic": firm,
        "unsure_necrotic": firm & columns["unsure"],
        "unsure_regenerating": regenerating & columns["unsure"],
    }
    doubts = {"necrotic": _doubt(dying), "firm_necrotic": _doubt(dying) * firm, "regenerating": _doubt(seen["p_regenerating"].to_numpy())}
    return {name: values.astype(np.float64) for name, values in columns.items()}, doubts


def _state_columns(
    seen: pd.DataFrame, necrotic: np.ndarray, regenerating: np.ndarray, confluent: np.ndarray, lymphocytes: np.ndarray, invaded_by: int
) -> dict[str, np.ndarray]:
    area, pale = seen["area_um2"].to_numpy(), (seen["state"] == "pale-fragmented").to_numpy()
    eaten = necrotic & (seen["macrophages_inside"].fillna(0).to_numpy() >= invaded_by)
    return {
        "fibres": np.ones(len(seen), dtype=bool),
        "unsure": seen["probability"].to_numpy() < SURE,
        "necrotic": necrotic,
        "regenerating": regenerating,
        "area": area,
        "confluent_area": area * confluent,
        "phagocytosed": eaten,
        "necrotic_not_invaded": necrotic & ~pale & ~eaten,
        "pale_fragmented_not_invaded": pale & ~eaten,
        "damaged": necrotic | regenerating,
        "living": ~necrotic,
        "internal": ~necrotic & (seen["internal_nuclei_count"].fillna(0).to_numpy() > 0),
        "invaded": ~necrotic & (lymphocytes > 0),
    }


def _size_columns(seen: pd.DataFrame, necrotic: np.ndarray, border: np.ndarray, atrophic: float) -> dict[str, np.ndarray]:
    """What sizes and places tell; atrophy is told of the living fibres, for dead ones swell or fall to pieces."""
    area, diameter, whole = seen["area_um2"].to_numpy(), seen["min_feret_um"].to_numpy(), ~seen["touches_border"].to_numpy()
    sized = ~necrotic & whole
    small = sized & (area < atrophic * (np.median(area[whole]) if whole.any() else 0.0))
    return {
        "border_living": sized & border,
        "border_small": small & border,
        "inner_living": sized & ~border,
        "inner_small": small & ~border,
        "border": border,
        "border_necrotic": necrotic & border,
        "inner": ~border,
        "inner_necrotic": necrotic & ~border,
        "sized": sized,
        "diameter": sized * diameter,
        "diameter_squared": sized * diameter**2,
    }


def _nucleus_columns(
    nuclei: pd.DataFrame, fibres: pd.DataFrame, places: Places, settings: Settings
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    lymphocyte, macrophage = ((nuclei["type"] == kind).to_numpy() for kind in ("lymphocyte", "macrophage"))
    outside = ~inside_necrosis(nuclei, fibres)
    near = at_necrosis(nuclei, settings.clusters.at_necrosis_um)
    counts = outside & (lymphocyte | (~near & macrophage))
    perimysial = places.in_gap
    # within a fibre's outline is as near as can be
    around = ~near & ~perimysial & (nuclei["fibre_distance_um"].fillna(np.inf).to_numpy() <= settings.space.around_um)
    columns = {
        "inflammatory": counts,
        "unsure_inflammatory": counts & (nuclei["probability"].to_numpy() < SURE),
        "perimysial": counts & perimysial,
        "endomysial": counts & ~perimysial,
        "around_living": counts & around,
        "lymphocytes": outside & lymphocyte,
        "mononuclear": lymphocyte | macrophage,
        "macrophages": macrophage,
        "eating": macrophage & ~outside,
        # those that a missed necrotic fibre would turn into inflammation
        "clearing": macrophage & (~outside | near),
    }
    doubt = _doubt(outside * nuclei["p_lymphocyte"].to_numpy() + (outside & ~near) * nuclei["p_macrophage"].to_numpy())
    doubts = {
        "inflammatory": doubt,
        "lymphocytes": _doubt(outside * nuclei["p_lymphocyte"].to_numpy()),
        "perimysial": doubt * perimysial,
        "endomysial": doubt * ~perimysial,
        "around_living": doubt * around,
    }
    return {name: values.astype(np.float64) for name, values in columns.items()}, doubts


def counts_as_inflammation(nuclei: pd.DataFrame, fibres: pd.DataFrame, settings: ClusterSettings) -> np.ndarray:
    """Which nuclei are interstitial inflammatory cells, bool (n,): lymphocytes and macrophages that don't lie inside a necrotic fibre.

    Nor do macrophages within `at_necrosis_um` of one count: there they clear away the dead and belong to the necrosis.
    """
    lymphocyte, macrophage = ((nuclei["type"] == kind).to_numpy() for kind in ("lymphocyte", "macrophage"))
    near = at_necrosis(nuclei, settings.at_necrosis_um)
    return np.asarray(~inside_necrosis(nuclei, fibres) & (lymphocyte | (~near & macrophage)))


def is_necrotic(fibres: pd.DataFrame) -> np.ndarray:
    """Which fibres are called necrotic or pale-fragmented, bool (n,)."""
    return np.asarray(np.logical_or.reduce([(fibres["state"] == state).to_numpy() for state in NECROTIC_STATES]))


def lymphocytes_inside(fibres: pd.DataFrame, nuclei: pd.DataFrame, settings: Settings) -> np.ndarray:
    """Lymphocytes deeper than `internal_depth_um` inside each fibre, int (n,): at the border they lie on it."""
    deep = (nuclei["type"] == "lymphocyte").to_numpy() & (nuclei["depth_um"].to_numpy() > settings.classify.internal_depth_um)
    owner = nuclei["fibre_id"].to_numpy()[deep]
    ids = fibres["fibre_id"].to_numpy()
    counted = np.bincount(owner, minlength=int(ids.max(initial=0)) + 1)
    return np.asarray(counted[ids])


def at_necrosis(nuclei: pd.DataFrame, at_necrosis_um: float) -> np.ndarray:
    """Which nuclei lie within `at_necrosis_um` of a necrotic or pale-fragmented fibre, or in one: bool (n,); none without such a fibre."""
    return np.asarray(nuclei["necrosis_distance_um"].fillna(np.inf).to_numpy() <= at_necrosis_um)


def _doubt(probability: np.ndarray) -> np.ndarray:
    p = np.clip(probability, 0.0, 1.0)
    return np.asarray(p * (1 - p))
