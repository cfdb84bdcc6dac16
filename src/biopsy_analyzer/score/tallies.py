"""Counts and densities of a section, null where they can't be told."""

from __future__ import annotations

import numpy as np
import pandas as pd

from biopsy_analyzer.score.axes import Observed
from biopsy_analyzer.score.model import AreaFractions, ClusterCounts, FibreCounts, Inflammation, Sheets, Spread
from biopsy_analyzer.settings import ClusterSettings
from biopsy_analyzer.tables import FIBRE_STATES


def fibre_counts(fibres: pd.DataFrame, nuclei_assessed: bool) -> FibreCounts:
    """Fibres by state, and sizes of those that the image does not cut."""
    seen = fibres[fibres["assessable"]]
    whole = seen[~seen["touches_border"]]
    living = seen[seen["state"].isin(("normal", "regenerating"))]
    return FibreCounts(
        segmented=len(fibres),
        assessable=len(seen),
        **{state.replace("-", "_"): int((seen["state"] == state).sum()) for state in FIBRE_STATES},
        with_internal_nuclei=int((living["internal_nuclei_count"] > 0).sum()) if nuclei_assessed else None,
        area_um2=_spread(whole["area_um2"]),
        min_feret_um=_spread(whole["min_feret_um"]),
    )


def _spread(values: pd.Series) -> Spread:
    if not len(values):
        return Spread(median=None, p10=None, p90=None)
    p10, median, p90 = np.quantile(values.to_numpy(), (0.1, 0.5, 0.9))
    return Spread(median=median, p10=p10, p90=p90)


def area_fractions(fibres: pd.DataFrame) -> AreaFractions:
    """Shares of the area of assessable fibres, cut ones included."""
    seen = fibres[fibres["assessable"]]
    total = seen["area_um2"].sum()
    shares = {
        state.replace("-", "_"): seen.loc[seen["state"] == state, "area_um2"].sum() / total if total > 0 else None
        for state in FIBRE_STATES[1:]
    }
    return AreaFractions(**shares)


def is_sheet(clusters: pd.DataFrame, settings: ClusterSettings) -> np.ndarray:
    """Which clusters are larger than `sheet_um2` (their hull), bool (n,): a confluent infiltrate and no cluster any more."""
    return np.asarray(clusters["area_um2"].fillna(0.0).to_numpy() > settings.sheet_um2)


def sheets(clusters: pd.DataFrame, nuclei: pd.DataFrame, settings: ClusterSettings, nuclei_assessed: bool) -> Sheets:
    """Confluent infiltrates; their area is that of the squares of `reach_um` with a cell: a hull holds much between."""
    if not nuclei_assessed:
        return Sheets(count=None, cells=None, area_mm2=None)
    found = is_sheet(clusters, settings)
    members = nuclei["cluster_id"].isin(clusters["cluster_id"].to_numpy()[found]).to_numpy()
    squares = np.floor(nuclei.loc[members, ["y_um", "x_um"]].to_numpy() / settings.reach_um).astype(np.int64)
    area = len(np.unique(squares, axis=0)) * settings.reach_um**2 / 1e6
    return Sheets(count=int(found.sum()), cells=int(clusters["cells"].to_numpy()[found].sum()), area_mm2=area)


def cluster_counts(
    clusters: pd.DataFrame, kind: str, area: float | None, settings: ClusterSettings, nuclei_assessed: bool
) -> ClusterCounts:
    """Clusters of one kind in `area` mm2 of tissue, sheets left out."""
    if not nuclei_assessed:
        return ClusterCounts(count=None, per_mm2=None, around_necrotic_fibres=None)
    chosen = clusters[(clusters["kind"] == kind).to_numpy() & ~is_sheet(clusters, settings)]
    around = int((chosen["necrotic_fibres"] > 0).sum())
    return ClusterCounts(count=len(chosen), per_mm2=len(chosen) / area if area else None, around_necrotic_fibres=around)


def inflammation(observed: Observed, area: float | None, nuclei_assessed: bool) -> Inflammation:
    """Inflammatory cells by place; densities are null without a tissue area, everything is without nuclei."""
    if not nuclei_assessed:
        return Inflammation(
            macrophages_per_mm2=None, macrophages_at_necrosis_per_mm2=None, lymphocytes_per_mm2=None, macrophages_in_necrotic_fibres=None
        )
    names = ("macrophages", "eating", "clearing", "lymphocytes")
    macrophages, eating, clearing, lymphocytes = (int(observed.nuclei[name].sum()) for name in names)
    return Inflammation(
        macrophages_per_mm2=(macrophages - eating) / area if area else None,
        macrophages_at_necrosis_per_mm2=(clearing - eating) / area if area else None,
        lymphocytes_per_mm2=lymphocytes / area if area else None,
        macrophages_in_necrotic_fibres=eating,
    )
